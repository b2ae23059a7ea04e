"""The Python API: its inputs and results, which equal those of the command line."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

import longtail_cli as ltcal
from longtail_cli.cli import main
from longtail_cli.errors import InputError, LtcalWarning, UsageError
from longtail_cli.files.frequencies import frequencies_csv

SCENES = Path(__file__).parents[2] / "examples" / "digit_scenes"
DIGITS = Path(__file__).parents[2] / "examples" / "digits_lt"
TRAIN, VAL, PREDICTIONS = SCENES / "train.json", SCENES / "val.json", SCENES / "predictions.json"


@pytest.fixture(scope="module")
def table() -> ltcal.FrequencyTable:
    return ltcal.count(TRAIN)


@pytest.fixture(scope="module")
def entries() -> list[dict]:
    return json.loads(PREDICTIONS.read_text())


@pytest.fixture(scope="module")
def from_file() -> ltcal.Report:
    return ltcal.evaluate(PREDICTIONS, VAL, max_dets=20, per_category=True)


def test_importing_the_package_loads_nothing_slow() -> None:
    heavy = ("torch", "pandas", "matplotlib", "pyarrow", "click", "numpy")
    code = f"import sys, longtail_cli; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_exported_name_exists() -> None:
    assert all(getattr(ltcal, name) is not None for name in ltcal.__all__)
    with pytest.raises(AttributeError, match="no attribute 'calibrate'"):
        ltcal.calibrate  # noqa: B018
    assert set(ltcal.__all__) <= set(dir(ltcal))


class TestCount:
    def test_a_path_a_document_and_a_data_frame_of_annotations_give_the_same_counts(self) -> None:
        document = json.loads(TRAIN.read_text())
        expected = ltcal.count(str(TRAIN))
        assert frequencies_csv(ltcal.count(document), {}) == frequencies_csv(expected, {})
        of_frame = ltcal.count(pd.DataFrame(document["annotations"]))
        assert of_frame.image_count.tolist() == expected.image_count.tolist()
        assert ltcal.count(document["annotations"]).instance_count.tolist() == expected.instance_count.tolist()

    @pytest.mark.parametrize("kind", [list, np.array, torch.tensor])
    def test_labels(self, kind: type) -> None:
        found = ltcal.count(kind([0, 0, 2, 0]), groups=(2, 3))
        assert found.image_count.tolist() == [3, 0, 1]
        assert found.group == ("medium", "few", "few")
        assert ltcal.count(pd.DataFrame({"label": [0, 0, 2, 0]})).image_count.tolist() == [3, 0, 1]

    def test_counts(self) -> None:
        of_classes = ltcal.count(counts=[500, 50, 5])
        assert of_classes.group == ("many", "medium", "few")
        assert of_classes.num_images == 555
        of_ids = ltcal.count(counts={7: 3, 4: 20})
        assert of_ids.category_id.tolist() == [4, 7]
        assert of_ids.group == ("c", "r")

    def test_counts_passed_as_labels_are_refused(self) -> None:
        with pytest.raises(InputError, match="pass them as `counts=`"):
            ltcal.count([1280, 700, 300])

    def test_labels_that_may_be_counts_give_a_warning(self) -> None:
        with pytest.warns(LtcalWarning, match="pass `counts=`"):
            ltcal.count([2, 30, 2, 9] * 40)

    def test_counts_by_name_and_from_a_file(self, tmp_path: Path) -> None:
        by_name = ltcal.count(counts={"dog": 3, "cat": 120})
        assert (by_name.name, by_name.image_count.tolist()) == (("cat", "dog"), [120, 3])
        assert by_name.group == ("many", "few")
        np.save(tmp_path / "cls_num_list.npy", np.array([500, 50, 5]))
        assert ltcal.count(counts=tmp_path / "cls_num_list.npy").num_images == 555

    def test_a_shipped_table(self) -> None:
        assert ltcal.count("lvis-v1").num_images == 100170
        assert ltcal.read_frequencies("places-lt").name[0] == "airfield"
        logits = np.zeros((2, 100), np.float32)
        adjusted = ltcal.adjust(logits, "cifar100-lt:100", "logit-adjust")
        assert np.array_equal(adjusted, ltcal.adjust(logits, ltcal.count("cifar100-lt:100"), "logit-adjust"))

    def test_the_task_decides_the_groups(self) -> None:
        assert ltcal.count([0, 0, 1], task="detection").group == ("r", "r")
        with pytest.warns(LtcalWarning, match="308 of 350 images have more than one label"):
            assert ltcal.count(str(TRAIN), task="classification").group[0] in ("few", "medium", "many")
        with pytest.raises(UsageError, match="one of classification, detection, found 'segmentation'"):
            ltcal.count([0], task="segmentation")

    def test_a_table_round_trips_through_a_data_frame(self, table: ltcal.FrequencyTable) -> None:
        frame = table.to_frame()
        assert frame["image_count"].tolist() == table.image_count.tolist()
        assert ltcal.count(frame).group == table.group

    def test_one_source(self) -> None:
        with pytest.raises(UsageError, match="either a source or `counts=`"):
            ltcal.count()
        with pytest.raises(UsageError, match="found both"):
            ltcal.count([1], counts=[1])


class TestAdjust:
    COUNTS = (900, 90, 9)

    def logits(self) -> np.ndarray:
        return np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)

    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
    def test_arrays_keep_their_type_and_their_values(self, dtype: type) -> None:
        given = self.logits().astype(dtype)
        before = given.copy()
        adjusted = ltcal.adjust(given, self.COUNTS, "logit-adjust:tau=1")
        assert isinstance(adjusted, np.ndarray)
        assert adjusted.dtype == dtype
        np.testing.assert_array_equal(given, before)
        expected = before.astype(np.float64) - np.log(np.array(self.COUNTS) / sum(self.COUNTS))
        np.testing.assert_allclose(adjusted, expected, rtol=2e-3 if dtype is np.float16 else 1e-6)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
    def test_tensors_keep_their_type_and_device(self, dtype: torch.dtype) -> None:
        given = torch.tensor(self.logits()).to(dtype)
        before = given.clone()
        adjusted = ltcal.adjust(given, self.COUNTS, "iif")
        assert (adjusted.dtype, adjusted.device) == (dtype, given.device)
        assert torch.equal(given, before)

    def test_gradients_flow_through(self) -> None:
        given = torch.tensor(self.logits(), dtype=torch.float64, requires_grad=True)
        weights = -np.log(np.array(self.COUNTS) / sum(self.COUNTS))
        ltcal.adjust(given, self.COUNTS, "iif").sum().backward()
        np.testing.assert_allclose(given.grad, np.broadcast_to(weights, (5, 3)))

    def test_any_leading_shape(self) -> None:
        given = self.logits().reshape(5, 1, 3)
        whole = ltcal.adjust(given, self.COUNTS, "norcal")
        assert whole.shape == (5, 1, 3)
        np.testing.assert_array_equal(ltcal.adjust(given[0, 0], self.COUNTS, "norcal"), whole[0, 0])
        assert ltcal.adjust(given[:0], self.COUNTS, "norcal").shape == (0, 1, 3)

    def test_the_identity_returns_a_copy(self) -> None:
        given = self.logits()
        adjusted = ltcal.adjust(given, None, "none")
        adjusted[:] = 0
        assert given.any()

    def test_the_background_is_unchanged(self, table: ltcal.FrequencyTable) -> None:
        given = np.ones((2, len(table) + 1), np.float32)
        adjusted = ltcal.adjust(given, table, "iif", background="last")
        np.testing.assert_array_equal(adjusted[:, -1], 1)
        assert (adjusted[:, :-1] != 1).any()

    def test_columns_in_another_order(self) -> None:
        counts = {3: 900, 5: 9}
        straight = ltcal.adjust(np.ones((1, 2)), counts, "iif")
        turned = ltcal.adjust(np.ones((1, 2)), counts, "iif", category_ids=[5, 3])
        np.testing.assert_array_equal(straight[:, ::-1], turned)

    def test_a_method_object_and_a_chain(self) -> None:
        given = self.logits()
        chain = ltcal.adjust(given, self.COUNTS, "temperature:t=2+logit-adjust")
        steps = ltcal.adjust(
            ltcal.adjust(given, None, ltcal.parse_method("temperature:t=2")), self.COUNTS, "logit-adjust"
        )
        np.testing.assert_allclose(chain, steps, rtol=1e-6)

    def test_priors_estimated_from_these_predictions(self) -> None:
        with pytest.warns(LtcalWarning, match="estimated not to occur"):
            adjusted = ltcal.adjust(self.logits(), self.COUNTS, "target-prior:prior=em")
        assert np.isfinite(adjusted).all()

    def test_what_does_not_fit_is_refused(self, table: ltcal.FrequencyTable) -> None:
        with pytest.raises(InputError, match="expected 3 columns"):
            ltcal.adjust(np.ones((2, 4)), self.COUNTS, "iif")
        with pytest.raises(InputError, match="floating-point numbers"):
            ltcal.adjust(np.ones((2, 3), int), self.COUNTS, "iif")
        with pytest.raises(UsageError, match="did you mean norcal"):
            ltcal.adjust(np.ones((2, 3)), self.COUNTS, "norcall")

    def test_classes_that_never_occur_are_named_in_a_warning(self) -> None:
        with pytest.warns(LtcalWarning, match="1 of 3 classes never occur"):
            ltcal.adjust(np.ones((1, 3)), [5, 0, 1], "iif")


class TestEvaluate:
    def test_it_equals_the_report_of_the_command(self, from_file: ltcal.Report, tmp_path: Path) -> None:
        out = str(tmp_path / "report.json")
        arguments = ["report", str(PREDICTIONS), "--annotations", str(VAL), "--max-dets", "20", "--per-category"]
        assert CliRunner().invoke(main, [*arguments, "--json", out]).exit_code == 0
        assert ltcal.read_report(out) == from_file
        assert Path(out).read_text("utf-8") == from_file.to_json()

    def test_metrics_of_images(self, from_file: ltcal.Report) -> None:
        report = ltcal.evaluate(
            {"a": PREDICTIONS, "b": PREDICTIONS}, VAL, max_dets=20, per_category=True, per_image=True
        )
        assert report.runs[0].metrics == from_file.runs[0].metrics
        frame = report.images_frame().set_index("run")
        assert frame.loc["a"].reset_index(drop=True).equals(frame.loc["b"].reset_index(drop=True))
        groups = from_file.groups["all"]
        assert (frame.loc["a", "ground_truths"] > 0).sum() == groups.images
        assert frame.loc["a", "ground_truths"].sum() == groups.instances
        assert len(from_file.images_frame()) == 0

    def test_lists_frames_and_columns_give_the_metrics_of_the_file(
        self, entries: list[dict], from_file: ltcal.Report
    ) -> None:
        frame = pd.DataFrame(entries)
        columns = {name: np.array(frame[name].tolist()) for name in ("image_id", "category_id", "score", "bbox")}
        found = ltcal.evaluate(
            {"list": entries, "frame": frame, "columns": columns, "file": PREDICTIONS}, VAL, max_dets=20
        )
        assert [run.name for run in found.runs] == ["list", "frame", "columns", "file"]
        for run in found.runs:
            assert run.metrics == from_file.runs[0].metrics
            assert run.tide == from_file.runs[0].tide

    def test_annotations_in_memory(self, from_file: ltcal.Report) -> None:
        document = json.loads(VAL.read_text())
        frames = {key: pd.DataFrame(document[key]) for key in ("images", "categories", "annotations")}
        for truth in (document, {**document, **frames}):
            found = ltcal.evaluate(PREDICTIONS, truth, max_dets=20)
            assert found.runs[0].metrics == from_file.runs[0].metrics

    def test_logits_in_memory_are_decoded_as_the_file_is(self, table: ltcal.FrequencyTable) -> None:
        with np.load(SCENES / "logits.npz") as archive:
            tensors = {name: archive[name] for name in archive.files}
        meta = json.loads((SCENES / "logits.meta.json").read_text())
        options = {"head": meta["head"], "background": meta["background"], "category_ids": meta["category_ids"]}
        methods = ["none", "norcal"]
        of_file = ltcal.evaluate(SCENES / "logits.npz", VAL, methods=methods, frequencies=table, max_dets=20)
        found = ltcal.evaluate(tensors, VAL, methods=methods, frequencies=table, max_dets=20, **options)
        assert [run.name for run in found.runs] == ["none", "norcal:gamma=0.6"]
        assert [run.metrics for run in found.runs] == [run.metrics for run in of_file.runs]

    def test_named_inputs_with_methods_name_their_runs(self, entries: list[dict], table: ltcal.FrequencyTable) -> None:
        found = ltcal.evaluate({"a": entries}, VAL, methods="norcal", frequencies=table)
        assert [run.name for run in found.runs] == ["a: norcal:gamma=0.6"]

    @pytest.mark.parametrize(
        ("option", "value", "near"),
        [("tide", "alinged", "aligned"), ("protocol", "lviss", "lvis"), ("score_space", "probs", "prob"),
         ("objectness", "sqr", "sqrt"), ("iou_types", ["boxes"], "bbox")],
    )  # fmt: skip
    def test_options_are_checked_when_they_are_given(self, option: str, value: object, near: str) -> None:
        with pytest.raises(UsageError, match=rf"`{option}=`.*expected one of.*{near}"):
            ltcal.evaluate(PREDICTIONS, VAL, **{option: value})

    def test_intervals(self) -> None:
        found = ltcal.evaluate(PREDICTIONS, VAL, bootstrap=16, seed=3)
        assert found.bootstrap is not None
        assert (found.bootstrap.resamples, found.bootstrap.seed) == (16, 3)
        assert found.runs[0].intervals["bbox/AP"].low < found.runs[0].metrics["bbox"]["AP"]

    def test_significance(self, entries: list[dict]) -> None:
        fewer = [one for one in entries if one["category_id"] != 3]
        both = {"before": entries, "after": fewer}
        found = ltcal.evaluate(both, VAL, bootstrap=40, seed=3, significance=True)
        assert found.runs[1].p_values["bbox/AP"] == pytest.approx(1 / 41)
        gates = {"max_drop": {"bbox/AP": 0.001}}
        assert not ltcal.judge(found, gates, on="significance").passed
        with pytest.raises(UsageError, match=r"(?s)none of after.*`significance=True`"):
            ltcal.judge(ltcal.evaluate(both, VAL), gates, on="significance")
        with pytest.raises(UsageError, match="pass both prediction files"):
            ltcal.judge(found, gates, found, on="significance")


class TestEvaluateClassification:
    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        with np.load(DIGITS / "logits.npz") as archive:
            return archive["logits"], archive["labels"]

    def test_predictions_for_rows(self) -> None:
        logits, labels = self.arrays()
        report = ltcal.evaluate_classification({"a": logits, "b": -logits}, labels, per_image=True)
        frame = report.images_frame().set_index("run")
        assert frame.loc["a", "prediction"].tolist() == logits.argmax(axis=1).tolist()
        assert frame.loc["b", "prediction"].tolist() == logits.argmin(axis=1).tolist()
        assert [frame.loc[run.name, "correct"].mean() for run in report.runs] == [
            run.classification.top1 for run in report.runs
        ]
        assert len(ltcal.evaluate_classification(logits, labels).images_frame()) == 0

    def test_significance(self) -> None:
        logits, labels = self.arrays()
        noise = np.random.default_rng(0).normal(0, 5, logits.shape).astype(logits.dtype)
        inputs = {"before": logits, "same": logits * 2, "worse": logits + noise}
        found = ltcal.evaluate_classification(inputs, labels, bootstrap=40, significance=True)
        before, same, worse = (run.p_values for run in found.runs)
        assert before == {}
        assert (same["classification/top1"], worse["classification/top1"]) == (1.0, pytest.approx(1 / 41))
        assert worse.keys() == found.runs[2].deltas.keys()

    @pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
    def test_arrays_give_the_metrics_of_the_file(self, kind: object) -> None:
        logits, labels = self.arrays()
        table = ltcal.count(DIGITS / "train.txt")
        methods = ["none", "logit-adjust"]
        of_file = ltcal.evaluate_classification(DIGITS / "logits.npz", methods=methods, frequencies=table)
        found = ltcal.evaluate_classification(kind(logits), labels, methods=methods, frequencies=table)
        assert [run.classification for run in found.runs] == [run.classification for run in of_file.runs]

    def test_scores_are_used_unchanged(self) -> None:
        logits, labels = self.arrays()
        scores = torch.softmax(torch.tensor(logits.astype(np.float32)), dim=1)
        of_scores = ltcal.evaluate_classification(scores, labels, head="none").runs[0].classification
        of_logits = ltcal.evaluate_classification(logits, labels).runs[0].classification
        assert of_scores.top1 == of_logits.top1
        assert of_scores.ece == pytest.approx(of_logits.ece, abs=1e-6)

    def test_scores_passed_as_logits_are_refused(self) -> None:
        with pytest.raises(UsageError, match="if they are scores, pass `head='none'`"):
            ltcal.evaluate_classification(np.full((4, 2), 0.5), [0, 1, 0, 1])


class TestRescore:
    def test_a_file_is_written(self, table: ltcal.FrequencyTable, tmp_path: Path) -> None:
        out = tmp_path / "out.json"
        summary = ltcal.rescore(PREDICTIONS, table, "norcal", out)
        assert summary.entries == len(json.loads(out.read_text()))

    def test_in_memory_the_same_type_is_returned(
        self, entries: list[dict], table: ltcal.FrequencyTable, tmp_path: Path
    ) -> None:
        ltcal.rescore(str(PREDICTIONS), table, "iif", tmp_path / "out.json")
        expected = [entry["score"] for entry in json.loads((tmp_path / "out.json").read_text())]
        frame = pd.DataFrame(entries)
        of_list, of_frame = ltcal.rescore(entries, table, "iif"), ltcal.rescore(frame, table, "iif")
        assert [entry["score"] for entry in of_list] == expected
        assert of_frame["score"].tolist() == expected
        assert entries[0]["score"] == frame["score"][0] != expected[0]  # neither was changed

    def test_scores_that_stay_are_copied(self, entries: list[dict], table: ltcal.FrequencyTable) -> None:
        columns = {name: np.array([entry[name] for entry in entries]) for name in ("image_id", "category_id", "score")}
        found = ltcal.rescore(columns, table, "none")
        assert found["score"].tolist() == columns["score"].tolist()
        assert not np.shares_memory(found["score"], columns["score"])

    def test_an_output_is_for_files(self, entries: list[dict], table: ltcal.FrequencyTable) -> None:
        with pytest.raises(UsageError, match="pass `output=` for a file"):
            ltcal.rescore(PREDICTIONS, table, "iif")
        with pytest.raises(UsageError, match="leave it out for data in memory"):
            ltcal.rescore(entries, table, "iif", "out.json")


class TestJudge:
    def test_limits_and_a_baseline(self, from_file: ltcal.Report, tmp_path: Path) -> None:
        gates = {"fail_under": {"bbox/AP": 0.9}, "max_drop": {"bbox/APr": "1%"}}
        path = tmp_path / "baseline.json"
        path.write_text(from_file.to_json(), "utf-8")
        found = ltcal.judge(from_file, gates, str(path))
        assert [(one.kind, one.outcome) for one in found.gates] == [("fail-under", "failed"), ("max-drop", "passed")]
        assert not found.passed
        assert ltcal.judge(from_file, {"max_drop": {"bbox/APr": "1%"}}, from_file).passed

    def test_unknown_gates_are_refused(self, from_file: ltcal.Report) -> None:
        with pytest.raises(UsageError, match=r"did you mean max_drop\?"):
            ltcal.judge(from_file, {"max_drops": {"bbox/AP": 0.1}})
        with pytest.raises(UsageError, match="bbox/AP"):
            ltcal.judge(from_file, {"fail_under": {"bbox/APP": 0.1}})
