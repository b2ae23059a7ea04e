"""`ltcal rescore` and `ltcal report` of detection logits, as a user calls them, on the example of the project."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner, Result
from decode_twins import decoded

from longtail_cli.cli import main
from longtail_cli.decode.options import DecodeOptions
from longtail_cli.files.logits.writer import LogitsWriter
from longtail_cli.workflow import logit_batches as batches

EXAMPLE = Path(__file__).parents[2] / "examples" / "digit_scenes"
LOGITS, TRUTH = str(EXAMPLE / "logits.npz"), str(EXAMPLE / "val.json")


@pytest.fixture(scope="module")
def frequencies() -> str:
    return ltcal("compute-freq", str(EXAMPLE / "train.json")).stdout


@pytest.fixture
def folder(frequencies: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in that holds a frequency table."""
    monkeypatch.chdir(tmp_path)
    Path("freq.csv").write_text(frequencies)
    return tmp_path


def arrays(path: str) -> dict[str, np.ndarray]:
    """All arrays of an archive."""
    with np.load(path) as archive:
        return dict(archive)


def ltcal(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def report(*arguments: str) -> list[dict]:
    """The runs of a report in JSON."""
    result = ltcal("report", *arguments, "--json", "-")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)["runs"]


def refused(*arguments: str) -> str:
    """The stderr of a failing call, which exits with 2 and writes no file."""
    before = sorted(Path().iterdir())
    result = ltcal(*arguments)
    assert result.exit_code == 2, result.output
    assert sorted(Path().iterdir()) == before
    return result.stderr


def test_logits_become_a_result_file(folder: Path) -> None:
    """The first 40 images of the example."""
    archive = {name: values for name, values in arrays(LOGITS).items() if name != "weight"}
    rows = np.isin(archive["image_id"], np.unique(archive["image_id"])[:40])
    archive = {name: values[rows] for name, values in archive.items()}
    np.savez("few.npz", **archive)
    shutil.copy(EXAMPLE / "logits.meta.json", "few.meta.json")
    result = ltcal("rescore", "few.npz", "--method", "none", "-o", "out.json")
    assert result.exit_code == 0
    entries = json.loads(Path("out.json").read_text())
    assert result.stderr == f"wrote {len(entries)} detections (none) to out.json\n"
    scores = torch.softmax(torch.from_numpy(archive["logits"]).float(), 1).numpy()[:, :10]
    ids = json.loads((EXAMPLE / "logits.meta.json").read_text())["category_ids"]
    expected = decoded(scores, archive["boxes"], archive["image_id"], DecodeOptions(1e-4, 0.5, 300))
    assert len(entries) == len(expected)
    for entry, pair in zip(entries, expected, strict=True):
        x0, y0, x1, y1 = archive["boxes"][pair.row].tolist()
        assert entry["image_id"] == archive["image_id"][pair.row]
        assert entry["category_id"] == ids[pair.column]
        assert entry["bbox"] == [x0, y0, x1 - x0, y1 - y0]
        assert entry["score"] == pytest.approx(pair.score, abs=1e-6)


def test_iif_weighs_the_classes_and_leaves_the_background(folder: Path) -> None:
    """The first proposal of the example by hand."""
    ltcal(
        "rescore", LOGITS, "--freq", "freq.csv", "--method", "iif", "--nms", "none", "--threshold", "0", "-o", "a.json"
    )
    archive = arrays(LOGITS)
    z = archive["logits"][0].astype(float)
    counts = pd.read_csv("freq.csv").set_index("category_id").loc[[3, 5, 8, 13, 17, 20, 26, 31, 34, 40], "image_count"]
    weighted = np.append(z[:10] * np.log(counts.sum() / counts.to_numpy()), z[10])
    powers = np.exp(weighted - weighted.max())
    box = archive["boxes"][0].tolist()
    found = {
        entry["category_id"]: entry["score"]
        for entry in json.loads(Path("a.json").read_text())
        if entry["image_id"] == archive["image_id"][0] and entry["bbox"][:2] == box[:2]
    }
    best = int(weighted[:10].argmax())
    assert found[int(counts.index[best])] == pytest.approx(powers[best] / powers.sum(), abs=1e-6)


@pytest.mark.parametrize("name", ["none.json", "none.json.gz", "none.parquet"])
def test_a_report_of_logits_equals_that_of_the_decoded_file(folder: Path, name: str) -> None:
    """Fixed AP and pooled AP of logits see all detections, so the file has to hold them."""
    ltcal("rescore", LOGITS, "--method", "none", "--detections-per-image", "10000", "-o", name)
    written = report(name, "--annotations", TRUTH, "--max-dets", "20", "--pooled-ap", "--fixed-ap")
    direct = report(LOGITS, "--annotations", TRUTH, "--max-dets", "20", "--pooled-ap", "--fixed-ap", "--method", "none")
    assert direct[0]["method"] == "none"
    assert direct[0]["metrics"] == written[0]["metrics"]
    assert direct[0]["tide"] == written[0]["tide"]


def test_scores_that_reach_1_are_counted(folder: Path) -> None:
    message = ltcal("rescore", LOGITS, "--freq", "freq.csv", "--method", "iif", "-o", "iif.json").stderr
    ones = sum(entry["score"] == 1 for entry in json.loads(Path("iif.json").read_text()))
    assert f"{ones} detections have score exactly 1 in float32" in message
    result = ltcal(
        "report", LOGITS, "--annotations", TRUTH, "--freq", "freq.csv", "--method", "none", "--method", "iif"
    )
    assert f"iif: {ones} detections have score exactly 1" in result.stderr
    assert "none: 0 detections" not in result.stderr


def test_several_methods_in_one_pass_give_the_results_of_single_runs(folder: Path) -> None:
    specs = ["none", "iif", "norcal:gamma=0.6", "temperature:t=2.0+logit-adjust:tau=1.0"]
    options = ["--annotations", TRUTH, "--freq", "freq.csv", "--max-dets", "20"]
    together = report(LOGITS, *options, *(part for spec in specs for part in ("--method", spec)))
    assert [run["name"] for run in together] == specs
    for run in together:
        alone = report(LOGITS, *options, "--method", run["method"])
        assert alone[0]["metrics"] == run["metrics"]
        assert alone[0]["tide"] == run["tide"]


def test_the_size_of_batches_changes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["--freq", "freq.csv", "--method", "iif", "--method", "norcal"]
    assert ltcal("rescore", LOGITS, *arguments, "-o", "a.json", "-o", "b.json").exit_code == 0
    monkeypatch.setitem(batches.LOGITS_PER_BATCH, "cpu", 64)
    assert ltcal("rescore", LOGITS, *arguments, "-o", "c.json", "-o", "d.json").exit_code == 0
    assert Path("a.json").read_bytes() == Path("c.json").read_bytes()
    assert Path("b.json").read_bytes() == Path("d.json").read_bytes()


def test_rescore_writes_a_file_per_method(folder: Path) -> None:
    arguments = ["--freq", "freq.csv", "--method", "iif", "-o", "iif.json", "--method", "norcal", "-o", "norcal.json"]
    result = ltcal("rescore", LOGITS, *arguments)
    assert result.exit_code == 0
    ltcal("rescore", LOGITS, "--freq", "freq.csv", "--method", "norcal", "-o", "alone.json")
    assert Path("alone.json").read_bytes() == Path("norcal.json").read_bytes()
    assert Path("iif.json").read_bytes() != Path("norcal.json").read_bytes()


def test_result_files_are_adjusted_in_memory_too(folder: Path) -> None:
    predictions = str(EXAMPLE / "predictions.json")
    ltcal("rescore", predictions, "--freq", "freq.csv", "--method", "norcal", "-o", "norcal.json")
    options = ["--annotations", TRUTH, "--max-dets", "20"]
    written = report(predictions, "norcal.json", *options)
    direct = report(predictions, *options, "--freq", "freq.csv", "--method", "none", "--method", "norcal")
    assert [run["metrics"] for run in direct] == [run["metrics"] for run in written]
    assert [run["name"] for run in direct] == ["none", "norcal:gamma=0.6"]


def test_logits_and_result_files_in_one_report(folder: Path) -> None:
    runs = report(LOGITS, str(EXAMPLE / "predictions.json"), "--annotations", TRUTH)
    assert [run["name"] for run in runs] == ["logits", "predictions"]
    assert [run["method"] for run in runs] == ["none", None]


def test_the_cap_the_threshold_and_suppression_can_be_chosen(folder: Path) -> None:
    ltcal("rescore", LOGITS, "--method", "none", "-o", "few.json", "--cap", "5", "--threshold", "0.3", "--nms", "none")
    entries = json.loads(Path("few.json").read_text())
    per_image = pd.Series([entry["image_id"] for entry in entries]).value_counts()
    assert per_image.max() == 5
    assert min(entry["score"] for entry in entries) > 0.3


def bags_logits(folder: Path) -> None:
    """One proposal: foreground 3 to 1; the rare slice holds classes 4 and 9, the frequent one class 7."""
    third = [0.0, math.log(3), 0.0, math.log(2), 0.0, 0.0, math.log(4), 0.0, 0.0]
    with LogitsWriter(
        folder, head="bags", background="none", category_ids=[4, 7, 9], slices=[[4, 9], [7], [], []], dtype="float32"
    ) as writer:
        writer.append(np.array([third], np.float32), image_id=1, boxes=np.array([[0, 0, 5, 5]], np.float32))


def test_bags_logits_are_decoded_slice_by_slice(folder: Path) -> None:
    bags_logits(Path("grouped"))
    ltcal("rescore", "grouped", "--method", "bags", "-o", "out.json")
    found = {entry["category_id"]: entry["score"] for entry in json.loads(Path("out.json").read_text())}
    assert found == pytest.approx({4: 0.75 * 2 / 4, 9: 0.75 / 4, 7: 0.75 * 4 / 5})
    ltcal("rescore", "grouped", "--method", "none", "-o", "plain.json")
    assert Path("plain.json").read_bytes() == Path("out.json").read_bytes()


def test_slices_by_count_must_have_the_columns_of_the_file(folder: Path) -> None:
    with LogitsWriter(Path("grouped"), head="bags", background="none", category_ids=[4, 7, 9]) as writer:
        writer.append(np.zeros((1, 9)), image_id=1, boxes=np.array([[0, 0, 5, 5]], np.float32))
    Path("few.csv").write_text("category_id,image_count,instance_count\n4,1,2\n7,50,90\n9,1,1\n")
    assert ltcal("rescore", "grouped", "--freq", "few.csv", "--method", "bags", "-o", "a.json").exit_code == 0
    assert "the slices of the bags head, found none" in refused(
        "rescore", "grouped", "--method", "none", "-o", "b.json"
    )
    with LogitsWriter(Path("wider"), head="bags", background="none", category_ids=[4, 7, 9]) as writer:
        writer.append(np.zeros((1, 11)), image_id=1, boxes=np.array([[0, 0, 5, 5]], np.float32))
    message = refused("rescore", "wider", "--freq", "few.csv", "--method", "bags", "-o", "b.json")
    assert "columns: expected 9, slices of 2, 3, 2, 1, 1 made from the counts, found 11" in message


def test_missing_metadata_is_requested_and_can_be_passed(folder: Path) -> None:
    shutil.copy(LOGITS, "bare.npz")
    message = refused("rescore", "bare.npz", "--method", "none", "-o", "out.json")
    assert all(flag in message for flag in ("--head", "--background", "--category-ids"))
    Path("ids.txt").write_text("3\n5\n8\n13\n17\n20\n26\n31\n34\n40\n")
    options = ["--head", "softmax", "--background", "last", "--category-ids", "ids.txt"]
    assert ltcal("rescore", "bare.npz", "--method", "none", "-o", "out.json", *options).exit_code == 0
    ltcal("rescore", LOGITS, "--method", "none", "-o", "same.json")
    assert Path("out.json").read_bytes() == Path("same.json").read_bytes()


def test_log_probabilities_give_a_warning(folder: Path) -> None:
    logits = arrays(LOGITS)["logits"].astype(np.float32)
    with LogitsWriter(
        Path("logs"), head="softmax", background="last", category_ids=[3, 5, 8, 13, 17, 20, 26, 31, 34, 40]
    ) as writer:
        rows = torch.log_softmax(torch.from_numpy(logits[:50]), 1)
        writer.append(rows, image_id=1, boxes=arrays(LOGITS)["boxes"][:50])
    weighted = ltcal("rescore", "logs", "--freq", "freq.csv", "--method", "iif", "-o", "out.json")
    assert weighted.exit_code == 0
    assert "look like log-probabilities (their log-sum-exp is 0)" in weighted.stderr
    assert (
        "look like" not in ltcal("rescore", "logs", "--freq", "freq.csv", "--method", "norcal", "-o", "o.json").stderr
    )
    assert "look like" not in ltcal("rescore", LOGITS, "--freq", "freq.csv", "--method", "iif", "-o", "o.json").stderr


def test_bad_input_is_refused(folder: Path) -> None:
    Path("other.csv").write_text("category_id,image_count,instance_count\n3,1,1\n4,1,1\n")
    message = refused("rescore", LOGITS, "--freq", "other.csv", "--method", "iif", "-o", "out.json")
    assert "frequency table: expected the 10 classes of the logits" in message
    assert "4 are not in the logits" in message
    assert "expected one, for the method iif, found none" in refused(
        "rescore", LOGITS, "--method", "iif", "-o", "o.json"
    )
    without_weight = str(EXAMPLE / "train_logits.npz")
    assert "`weight` [K, D]" in refused("rescore", without_weight, "--method", "tau-norm", "-o", "o.json")
    assert "ends in .json" in refused("rescore", LOGITS, "--method", "none", "-o", "out.txt")
    assert "give one -o for each --method" in refused(
        "rescore", LOGITS, "--method", "none", "-o", "a.json", "-o", "b.json"
    )
    assert "`objectness`, for --objectness sqrt" in refused(
        "rescore", LOGITS, "--method", "none", "-o", "o.json", "--objectness", "sqrt"
    )
    assert "--threshold: expected a number from 0" in refused(
        "rescore", LOGITS, "--method", "none", "-o", "o.json", "--threshold", "1.5"
    )
    assert "expected an IoU" in refused("rescore", LOGITS, "--method", "none", "-o", "o.json", "--nms", "half")
    assert "--device" in refused("rescore", LOGITS, "--method", "none", "-o", "o.json", "--device", "tpu")
    assert "logits hold boxes only" in refused("report", LOGITS, "--annotations", TRUTH, "--iou-type", "segm")
    assert "--verify is for unadjusted result files" in refused("report", LOGITS, "--annotations", TRUTH, "--verify")
    assert "pass the annotations to evaluate detections: --annotations" in refused("report", LOGITS)


@pytest.mark.skipif(torch.cuda.is_available(), reason="tests the error without a GPU")
def test_a_missing_gpu_is_an_error(folder: Path) -> None:
    message = refused("rescore", LOGITS, "--method", "none", "-o", "out.json", "--device", "cuda")
    assert "--device cuda: GPU: expected one that CUDA and this torch" in message
    assert "found none" in message
    assert "choose --device cpu or --device auto" in message


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_results_of_the_cpu(folder: Path) -> None:
    for device in ("cpu", "cuda"):
        ltcal("rescore", LOGITS, "--freq", "freq.csv", "--method", "iif", "-o", f"{device}.json", "--device", device)
    cpu, cuda = (json.loads(Path(f"{device}.json").read_text()) for device in ("cpu", "cuda"))
    scores = [{(e["image_id"], e["category_id"], *e["bbox"]): e["score"] for e in entries} for entries in (cpu, cuda)]
    assert scores[0].keys() == scores[1].keys()
    assert all(abs(score - scores[1][key]) <= 1e-6 for key, score in scores[0].items())


def test_nan_is_named_with_shard_and_row_and_nothing_is_written(folder: Path) -> None:
    with LogitsWriter(
        Path("logits"), head="sigmoid", background="none", category_ids=[1, 2], dtype="float32"
    ) as writer:
        for image in range(3):
            writer.append(np.zeros((4, 2), np.float32), image_id=image, boxes=np.zeros((4, 4), np.float32))
    shard = next(Path("logits").glob("*.safetensors"))
    content = bytearray(shard.read_bytes())
    length = int.from_bytes(content[:8], "little")
    begin = json.loads(content[8 : 8 + length])["logits"]["data_offsets"][0] + 8 + length
    content[begin + 4 * 11 : begin + 4 * 12] = np.float32(np.nan).tobytes()
    shard.write_bytes(content)
    message = refused("rescore", "logits", "--method", "none", "-o", "out.json")
    assert f"{shard}: tensor `logits`, row 5, column 1 (category 2): expected a finite number, found nan" in message
