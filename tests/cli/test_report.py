"""`ltcal report`, as a user calls it, on the digit scenes of the examples."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from longtail_cli.cli import main
from longtail_cli.evaluation.options import EvaluationOptions
from longtail_cli.reports.json import from_json, to_json
from longtail_cli.reports.markdown import to_markdown
from longtail_cli.reports.text import to_text
from longtail_cli.workflow.report_detection import evaluate

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "digit_scenes"
VAL, BEFORE = EXAMPLE / "val.json", EXAMPLE / "predictions.json"
CAP = 20


@pytest.fixture(scope="module")
def after() -> str:
    """The example's detections, those of class 17 (frequent) at half the score."""
    entries = json.loads(BEFORE.read_bytes())
    return json.dumps([{**one, "score": one["score"] / (1 + (one["category_id"] == 17))} for one in entries])


@pytest.fixture
def folder(after: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with `after.json`."""
    monkeypatch.chdir(tmp_path)
    Path("after.json").write_text(after)
    return tmp_path


def ltcal(*arguments: object, annotations: Path = VAL) -> Result:
    return CliRunner().invoke(main, ["report", "--annotations", str(annotations), *map(str, arguments)])


def failing(*arguments: object, annotations: Path = VAL) -> str:
    """The stderr of a failing call, which exits with 2, prints no result and writes no file."""
    before = sorted(Path().rglob("*"))
    result = ltcal(*arguments, annotations=annotations)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert sorted(Path().rglob("*")) == before
    return result.stderr


def test_tables_go_to_stdout_and_notes_to_stderr(folder: Path) -> None:
    result = ltcal(BEFORE, "--max-dets", CAP)
    assert result.exit_code == 0
    assert result.stdout == to_text(evaluate([BEFORE], VAL, options=EvaluationOptions(max_dets=CAP)))
    assert result.stdout.startswith("LVIS protocol, at most 20 detections per image; 180 images, 10 categories; ltcal ")
    assert result.stderr == "predictions: 15,202 detections on 180 of 180 images, at most 155 in one\n"


def test_runs_are_shown_in_the_order_given(folder: Path) -> None:
    boxes = ltcal(BEFORE, "after.json", "--max-dets", CAP).stdout.split("\n\n")[1].splitlines()
    assert [line.split()[0] for line in boxes] == ["Boxes,", "run", "-----------", "predictions", "after"]
    assert boxes[1].split() == ["run", "AP", "AP50", "AP75", "APr", "APc", "APf"]
    assert max(map(len, boxes)) <= 100


def test_verbose_prints_every_metric(folder: Path) -> None:
    result = ltcal(BEFORE, "--max-dets", CAP, "--verbose")
    assert result.stdout == evaluate([BEFORE], VAL, options=EvaluationOptions(max_dets=CAP)).to_text(verbose=True)
    words = set(result.stdout.split())
    assert {"APs", "ARl@20", "FalseNeg", "FP@R40", "rare"} <= words
    assert not {"APs", "ARl@20", "FalseNeg", "FP@R40", "rare"} & set(ltcal(BEFORE, "--max-dets", CAP).stdout.split())


def test_a_file_keeps_its_suffix_if_another_has_the_same_name_without(folder: Path) -> None:
    Path("after.bbox.json").write_bytes(BEFORE.read_bytes())
    Path("after.JSON").write_bytes(BEFORE.read_bytes())
    names = [run.name for run in evaluate([Path("after.json"), Path("after.bbox.json")], VAL).runs]
    assert names == ["after", "after.bbox"]
    names = [run.name for run in evaluate([Path("after.json"), Path("after.JSON")], VAL).runs]
    assert names == ["after.json", "after.JSON"]


def test_the_reference_may_come_after_other_runs(folder: Path) -> None:
    """As in a report whose first run it is, to the last bit."""
    Path("halved.json").write_text(json.dumps(json.loads(Path("after.json").read_bytes())[::2]))
    options = ("--resamples", 20, "--significance", "--tide", "off", "--max-drop", "bbox/AP=1", "--json", "-")
    given = ltcal("after.json", "halved.json", BEFORE, "--reference", "predictions", *options)
    sorted_ = ltcal(BEFORE, "after.json", "halved.json", *options)
    chosen, first = (from_json(result.stdout, "stdout") for result in (given, sorted_))
    assert [run.name for run in chosen.runs] == ["after", "halved", "predictions"]
    assert chosen.compared_to == chosen.reference.name == "predictions"
    assert {run.name: run for run in chosen.runs} == {run.name: run for run in first.runs}
    assert chosen.gates == first.gates
    assert chosen.runs[0].p_values


def test_an_unknown_reference_or_one_beside_a_baseline_is_refused(folder: Path) -> None:
    message = "--reference: run: expected one of predictions, after, found befor"
    assert message in failing(BEFORE, "after.json", "--reference", "befor")
    assert "such as after\n" in failing(BEFORE, "after.json", "--reference", "after.json")
    assert ltcal(BEFORE, "--tide", "off", "--json", "base.json").exit_code == 0
    both = failing(BEFORE, "after.json", "--reference", "after", "--baseline", "base.json")
    assert "--reference: after: expected no baseline beside it, found the baseline base.json" in both


def test_a_note_on_all_runs_is_printed_once_and_warnings_only_if_the_text_is_not(folder: Path) -> None:
    few = [entry for entry in json.loads(BEFORE.read_bytes()) if entry["image_id"] % 3 == 0]
    Path("few.json").write_text(json.dumps(few))
    text, written = ltcal("few.json"), ltcal("few.json", "--json", "-")
    (warning,) = from_json(written.stdout, "stdout").warnings
    assert "warning: " not in text.stderr
    assert " ".join(f"warning: {warning}".split()) in " ".join(text.stdout.split())
    assert f"warning: {warning}\n" in written.stderr


def test_files_with_equal_names_are_named_with_their_folders(folder: Path) -> None:
    Path("iif").mkdir()
    same = Path("iif", "predictions.json")
    same.write_bytes(BEFORE.read_bytes())
    result = ltcal(BEFORE, same, "--json", "-")
    assert [run.name for run in from_json(result.stdout, "stdout").runs] == [str(BEFORE), str(same)]


def test_names_of_runs(folder: Path) -> None:
    result = ltcal(BEFORE, "after.json", "--name", "before", "--name", "after", "--json", "-")
    assert [run.name for run in from_json(result.stdout, "stdout").runs] == ["before", "after"]
    assert "--name" in failing(BEFORE, "after.json", "--name", "before")
    assert "--name" in failing(BEFORE, "after.json", "--name", "one", "--name", "one")


def test_files_hold_the_same_report(folder: Path) -> None:
    result = ltcal(BEFORE, "after.json", "--json", "out.json", "--markdown", "out.md")
    written = from_json(Path("out.json").read_text("utf-8"), "out.json")
    assert result.exit_code == 0
    assert written == evaluate([BEFORE, Path("after.json")], VAL)
    assert result.stdout == to_text(written)
    assert Path("out.md").read_text("utf-8") == to_markdown(written)


@pytest.mark.parametrize(("option", "renderer"), [("--json", to_json), ("--markdown", to_markdown)])
def test_a_dash_puts_json_or_markdown_on_stdout_in_place_of_the_text(folder: Path, option, renderer) -> None:
    assert ltcal(BEFORE, option, "-").stdout == renderer(evaluate([BEFORE], VAL))
    assert not Path("-").exists()


def test_what_to_report_can_be_chosen(folder: Path) -> None:
    plain = ltcal(BEFORE).stdout
    assert "TIDE (aligned)" in plain
    assert not any(part in plain for part in ("Fixed AP", "Pooled AP", "by category"))
    full = ltcal(BEFORE, "--fixed-ap", "--pooled-ap", "--per-category", "--tide", "tidecv", "--verbose").stdout
    assert all(part in full for part in ("Fixed AP", "Pooled AP", "AP by category", "TIDE (tidecv)", "rare categories"))
    assert "TIDE" not in ltcal(BEFORE, "--tide", "off").stdout


def test_an_iou_type_given_twice_is_reported_once(folder: Path) -> None:
    assert ltcal(BEFORE, "--iou-type", "bbox", "--iou-type", "bbox").stdout == ltcal(BEFORE).stdout


def test_groups_come_from_a_frequency_table_if_the_annotations_have_none(folder: Path) -> None:
    truth = json.loads(VAL.read_bytes())
    for category in truth["categories"]:
        del category["frequency"]
    Path("val.json").write_text(json.dumps(truth))
    without = ltcal(BEFORE, annotations=Path("val.json"))
    assert "pass --freq" in without.stderr
    assert CliRunner().invoke(main, ["compute-freq", str(EXAMPLE / "train.json"), "-o", "freq.csv"]).exit_code == 0
    table = ltcal(BEFORE, "--freq", "freq.csv", annotations=Path("val.json"))
    assert table.stdout == ltcal(BEFORE).stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.json"], "missing.json"),
        ([VAL], "val.json"),
        (["after.json", "--json", "after.json"], "a path that is not in use"),
        (["after.json", "--markdown", VAL], "a path that is not in use"),
        (["after.json", "--json", "out", "--markdown", "./out"], "a path that is not in use"),
        (["after.json", "--json", "-", "--markdown", "-"], "a path that is not in use"),
        (["after.json", "--json", "no/such/folder/out.json"], "a path that can be written to"),
        (["after.json", "--iou-type", "segm"], "segm"),
        (["after.json", "--max-dets", "0"], "--max-dets"),
        (["after.json", "--freq", "missing.csv"], "missing.csv"),
        ([], "PREDICTIONS"),
    ],
)
def test_invalid_calls_are_refused(folder: Path, arguments: list[object], message: str) -> None:
    kept = Path("after.json").read_bytes(), VAL.read_bytes()
    assert message in failing(*arguments)
    assert (Path("after.json").read_bytes(), VAL.read_bytes()) == kept


def test_lvis_rules_need_lvis_annotations(folder: Path) -> None:
    truth = json.loads(VAL.read_bytes())
    for image in truth["images"]:
        del image["neg_category_ids"], image["not_exhaustive_category_ids"]
    Path("coco.json").write_text(json.dumps(truth))
    assert "--protocol coco" in failing(BEFORE, "--protocol", "lvis", annotations=Path("coco.json"))
    assert ltcal(BEFORE, annotations=Path("coco.json")).stdout.startswith("COCO protocol, at most 100")
    assert ltcal(BEFORE, "--protocol", "coco").stdout.startswith("COCO protocol, at most 100")


def test_a_page_and_plots(folder: Path) -> None:
    """They add categories, reliability and intervals; the tables stay as short as requested."""
    result = ltcal(
        BEFORE, "after.json", "--html", "out.html", "--plots", "plots", "--json", "out.json", "--resamples", 20
    )
    assert result.exit_code == 0
    page = Path("out.html").read_text("utf-8")
    written = from_json(Path("out.json").read_text("utf-8"), "out.json")
    assert page.startswith("<!DOCTYPE html>")
    assert written.runs[1].categories
    assert written.runs[1].reliability["bbox"].errors["all"]["D-ECE"] is not None
    assert written.runs[1].deltas
    assert "by category" not in result.stdout
    assert "D-ECE" not in result.stdout
    assert "95% interval" in result.stdout  # --resamples asks for them
    pictures = {path.name for path in Path("plots").iterdir()}
    assert {"ap-by-group-bbox.png", "tide-bbox.pdf", "training-frequency.png"} <= pictures
    assert len(pictures) == 2 * 5  # no category gained or lost: halved scores keep their order


def test_no_bootstrap_disables_the_intervals_of_a_page(folder: Path) -> None:
    assert ltcal(BEFORE, "--html", "out.html", "--json", "out.json", "--no-bootstrap").exit_code == 0
    assert from_json(Path("out.json").read_text("utf-8"), "out.json").bootstrap is None
    assert not Path("out.ltcal.parquet").exists()


def test_nothing_heavy_is_loaded(folder: Path) -> None:
    code = "import sys; from longtail_cli.cli import main; main(standalone_mode=False); print(*sys.modules)"
    out = folder / "out.json"
    call = [sys.executable, "-c", code, "report", str(BEFORE), "--annotations", str(VAL), "--json", str(out)]
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=True)
    assert out.exists()
    assert {"pandas", "torch", "matplotlib", "lvis", "tidecv"}.isdisjoint(done.stdout.splitlines()[-1].split())


def test_verify_agrees_with_the_official_packages(folder: Path) -> None:
    result = ltcal("after.json", "--max-dets", CAP, "--tide", "tidecv", "--verify")
    assert result.exit_code == 0
    assert result.stderr.splitlines()[-1].startswith("verified: every metric equals")


def test_a_metric_that_differs_from_the_official_one_exits_with_1_after_all_outputs_are_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = evaluate([BEFORE], VAL, options=EvaluationOptions(protocol="coco", tide="off"))
    box = {**right.runs[0].metrics["bbox"], "AP75": 0.125}
    wrong = dataclasses.replace(right, runs=(dataclasses.replace(right.runs[0], metrics={"bbox": box}),))
    monkeypatch.setattr("longtail_cli.workflow.report_detection.evaluate", lambda *_, **__: wrong)
    result = ltcal(BEFORE, "--verify", "--json", "out.json", "--markdown", "out.md")
    assert result.exit_code == 1
    assert "predictions, bbox, AP75: expected 0." in result.stderr
    assert "found 0.125" in result.stderr
    assert result.stdout == to_text(wrong)
    assert Path("out.json").read_text("utf-8") == to_json(wrong)
    assert Path("out.md").read_text("utf-8") == to_markdown(wrong)


@pytest.mark.parametrize(("kind", "iou_type", "ap"), [("bbox", "bbox", 0.5045807), ("segm", "segm", 0.3195453)])
def test_the_known_ap_of_real_coco_files(real_data: Path, kind: str, iou_type: str, ap: float) -> None:
    predictions = real_data / f"instances_val2014_fake{kind}100_results.json"
    truth = real_data / "instances_val2014_100.json"
    result = ltcal(predictions, "--iou-type", iou_type, "--verify", "--json", "-", annotations=truth)
    assert result.exit_code == 0
    assert from_json(result.stdout, "stdout").runs[0].metrics[iou_type]["AP"] == pytest.approx(ap, abs=5e-8)
