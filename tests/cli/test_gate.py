"""The gates of `ltcal report`: flags, files, baselines, exit codes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from longtail_cli.cli import main
from longtail_cli.files.report_files import read_resamples
from longtail_cli.reports.json import from_json
from longtail_cli.reports.model import Bootstrap
from longtail_cli.workflow.intervals import intervals_of

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "digit_scenes"
VAL, BEFORE = EXAMPLE / "val.json", EXAMPLE / "predictions.json"
PASSED, FAILED, BAD_INPUT, NOT_COMPARABLE = range(4)
RESAMPLES = ("--resamples", 50)


@pytest.fixture(scope="module")
def worse() -> str:
    """The example's detections without a fifth of those of rare classes."""
    truth = json.loads(VAL.read_bytes())
    rare = {category["id"] for category in truth["categories"] if category["frequency"] == "r"}
    entries = json.loads(BEFORE.read_bytes())
    return json.dumps([one for n, one in enumerate(entries) if one["category_id"] not in rare or n % 5])


@pytest.fixture
def folder(worse: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with `worse.json`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    Path("worse.json").write_text(worse)
    return tmp_path


def ltcal(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["report", "--annotations", str(VAL), *map(str, arguments)])


def write_baseline(*options: object) -> None:
    assert ltcal(BEFORE, "--json", "main.json", "--no-gate", *options).exit_code == PASSED


def test_lower_and_upper_limits() -> None:
    assert ltcal(BEFORE, "--fail-under", "bbox/APr=0.2", "--fail-over", "tide/bbox/FalsePos=0.9").exit_code == PASSED
    below = ltcal(BEFORE, "--fail-under", "bbox/APr=0.9")
    assert below.exit_code == FAILED
    assert "predictions, bbox/APr: expected at least 0.9, found 0." in below.stderr
    assert ltcal(BEFORE, "--fail-over", "tide/bbox/FalsePos=0.001").exit_code == FAILED


def test_names_are_json_paths(folder: Path) -> None:
    """Including words that only structure the JSON, and names of single categories."""
    assert ltcal(BEFORE, "--fail-under", "metrics/bbox/APr=0.2").exit_code == PASSED
    assert ltcal(BEFORE, "--fail-over", "tide/bbox/special/FalsePos=0.9").exit_code == PASSED
    assert ltcal(BEFORE, "--fail-over", "tide/bbox/groups/r/main/Bkg=0.9").exit_code == PASSED
    assert ltcal(BEFORE, "--per-category", "--fail-under", "categories/3/bbox/AP=0.2").exit_code == PASSED


def test_an_unknown_name_is_refused_with_a_suggestion(folder: Path) -> None:
    result = ltcal(BEFORE, "--fail-under", "bbox/APrare=0.2", "--json", "out.json")
    assert result.exit_code == BAD_INPUT
    assert "bbox/APr" in result.stderr
    assert not Path("out.json").exists()


def test_a_drop_against_the_baseline(folder: Path) -> None:
    write_baseline()
    same = ltcal(BEFORE, "--baseline", "main.json", "--max-drop", "bbox/APr=0.0", "--max-drop", "bbox/AP=0%")
    assert same.exit_code == PASSED
    assert ltcal("worse.json", "--baseline", "main.json", "--max-drop", "bbox/APr=0.9").exit_code == PASSED
    assert ltcal("worse.json", "--baseline", "main.json", "--max-drop", "bbox/APr=0.0001").exit_code == FAILED
    assert ltcal("worse.json", "--baseline", "main.json", "--max-drop", "bbox/APr=0.1%").exit_code == FAILED
    assert ltcal("worse.json", "--baseline", "main.json", "--max-rise", "bbox/APr=0.0001").exit_code == PASSED


def test_a_drop_against_the_first_run(folder: Path) -> None:
    assert ltcal(BEFORE, "worse.json", "--max-drop", "bbox/APr=0.0001").exit_code == FAILED
    assert ltcal("worse.json", BEFORE, "--max-drop", "bbox/APr=0.0001").exit_code == PASSED
    alone = ltcal(BEFORE, "--max-drop", "bbox/APr=0.0001")
    assert alone.exit_code == BAD_INPUT
    assert "--baseline" in alone.stderr


def test_every_run_is_judged_unless_some_are_named(folder: Path) -> None:
    both = (BEFORE, "worse.json", "--name", "before", "--name", "after", "--fail-under", "bbox/APr=0.35")
    assert ltcal(*both).exit_code == FAILED
    assert ltcal(*both, "--gate-run", "before").exit_code == PASSED
    assert ltcal(*both, "--gate-run", "nobody").exit_code == BAD_INPUT


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--max-dets", 20, "max_dets: 20 here, 300 in the baseline"),
        ("--protocol", "coco", "protocol"),
        ("--iou-type", "segm", "segm"),
    ],
)
def test_another_protocol_is_not_comparable(folder: Path, option: str, value: object, message: str) -> None:
    write_baseline()
    predictions = BEFORE
    if value == "segm":
        masks = [{**one, "segmentation": _mask(one["bbox"])} for one in json.loads(BEFORE.read_bytes())[:50]]
        predictions = Path("masks.json")
        predictions.write_text(json.dumps(masks))
    result = ltcal(
        predictions, "--baseline", "main.json", "--max-drop", f"{'segm' if value == 'segm' else 'bbox'}/AP=0.9",
        option, value, "--json", "out.json", "--junit", "out.xml",
    )  # fmt: skip
    assert result.exit_code == NOT_COMPARABLE
    assert message in result.stderr
    verdicts = from_json(Path("out.json").read_text("utf-8"), "out.json").gates
    assert [verdict.outcome for verdict in verdicts] == ["not comparable"]
    assert ElementTree.parse("out.xml").getroot().find(".//error") is not None


def test_figures_of_tide_by_earlier_rules_are_not_comparable(folder: Path) -> None:
    write_baseline()
    document = json.loads(Path("main.json").read_text("utf-8"))
    del document["signature"]["tide_rules"]
    Path("old.json").write_text(json.dumps(document))
    result = ltcal(BEFORE, "--baseline", "old.json", "--max-drop", "bbox/APr=0.9")
    assert result.exit_code == NOT_COMPARABLE
    assert "TIDE: the baseline follows earlier rules of --tide aligned" in result.stderr
    assert ltcal(BEFORE, "--tide", "off", "--baseline", "old.json", "--max-drop", "bbox/APr=0.9").exit_code == PASSED


def test_limits_on_the_number_of_false_positives(folder: Path) -> None:
    passing = ltcal(BEFORE, "--fail-over", "tide/bbox/FP@R40=1000", "--junit", "out.xml")
    assert passing.exit_code == PASSED
    assert "not over 1000" in Path("out.xml").read_text("utf-8")
    assert ltcal(BEFORE, "--fail-over", "tide/bbox/FP@R40=0").exit_code == FAILED


def test_no_output_replaces_the_resamples_of_the_baseline(folder: Path) -> None:
    write_baseline("--bootstrap", "--resamples", 8)
    before = Path("main.ltcal.parquet").read_bytes()
    result = ltcal(BEFORE, "--baseline", "main.json", "--csv", "main.ltcal.parquet")
    assert result.exit_code == 2
    assert "expected a path that is not in use" in result.stderr
    assert Path("main.ltcal.parquet").read_bytes() == before


def _mask(box: list[float]) -> dict[str, object]:
    x, y, w, h = (round(value) for value in box)
    height, width = 120, 160
    counts = [x * height + y]
    for _ in range(w - 1):
        counts += [h, height - h]
    counts += [h]
    counts.append(height * width - sum(counts))
    return {"size": [height, width], "counts": counts}


def test_other_annotations_are_not_comparable_even_without_a_gate(folder: Path) -> None:
    write_baseline()
    truth = json.loads(VAL.read_bytes())
    truth["annotations"].pop()
    Path("val.json").write_text(json.dumps(truth))
    result = CliRunner().invoke(main, ["report", str(BEFORE), "--annotations", "val.json", "--baseline", "main.json"])
    assert result.exit_code == NOT_COMPARABLE
    assert "annotations" in result.stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "list"),
        ("{", "truncated"),
        ('{"format": "ltcal-report/2"}', "update ltcal"),
        ('{"format": "ltcal-report/1"}', "a report"),
        ("", "empty"),
    ],
)
def test_a_baseline_that_is_not_a_report_is_refused(folder: Path, content: str, message: str) -> None:
    Path("main.json").write_text(content)
    result = ltcal(BEFORE, "--baseline", "main.json", "--json", "out.json")
    assert result.exit_code == BAD_INPUT
    assert message in result.stderr
    assert not Path("out.json").exists()
    assert ltcal(BEFORE, "--baseline", "missing.json").exit_code == BAD_INPUT


def test_outputs_are_written_when_a_gate_fails(folder: Path) -> None:
    result = ltcal(
        BEFORE, "--fail-under", "bbox/AP=0.99", "--json", "out.json", "--markdown", "out.md", "--junit", "out.xml",
        "--csv", "out.csv",
    )  # fmt: skip
    assert result.exit_code == FAILED
    assert all(Path(name).stat().st_size for name in ("out.json", "out.md", "out.xml", "out.csv"))
    assert result.stdout.startswith("LVIS protocol")
    assert ElementTree.parse("out.xml").getroot().find(".//failure") is not None


def test_an_undefined_metric_fails_unless_it_is_allowed(folder: Path) -> None:
    """The scenes hold no object of 96 x 96 pixels or more."""
    result = ltcal(BEFORE, "--fail-under", "bbox/APl=0.1")
    assert result.exit_code == FAILED
    assert "no object counts" in result.stderr
    assert ltcal(BEFORE, "--fail-under", "bbox/APl=0.1", "--allow-undefined").exit_code == PASSED


def test_no_rare_class_in_the_data(folder: Path) -> None:
    truth = json.loads(VAL.read_bytes())
    for category in truth["categories"]:
        category["frequency"] = "f"
    Path("val.json").write_text(json.dumps(truth))
    call = ["report", str(BEFORE), "--annotations", "val.json", "--fail-under", "bbox/APr=0.1"]
    result = CliRunner().invoke(main, call)
    assert result.exit_code == FAILED
    assert "no rare category in the data" in result.stderr


def test_intervals_are_shown_beside_the_metrics(folder: Path) -> None:
    result = ltcal(BEFORE, "worse.json", "--bootstrap", *RESAMPLES, "--seed", 5, "--json", "out.json")
    found = from_json(Path("out.json").read_text("utf-8"), "out.json")
    assert found.bootstrap is not None
    assert (found.bootstrap.resamples, found.bootstrap.seed) == (50, 5)
    before, after = found.runs
    assert before.intervals["bbox/APr"].low < before.metrics["bbox"]["APr"] < before.intervals["bbox/APr"].high
    assert after.deltas["bbox/APf"].low == after.deltas["bbox/APf"].high == 0.0  # paired: nothing changed there
    assert not before.deltas
    assert found.groups["r"].instances == 229
    assert "95% intervals from 50 resamples" in result.stdout
    assert read_resamples(Path("out.ltcal.parquet")).number == 50


def test_the_same_seed_gives_the_same_file(folder: Path) -> None:
    for name in ("one", "two"):
        ltcal(BEFORE, "--bootstrap", *RESAMPLES, "--json", f"{name}.json")
    assert Path("one.json").read_bytes() == Path("two.json").read_bytes()
    assert Path("one.ltcal.parquet").read_bytes() == Path("two.ltcal.parquet").read_bytes()


def test_a_drop_within_the_interval_passes_on_intervals_only(folder: Path) -> None:
    """Half of the scenes, with a few detections removed: the drop is beyond the limit, its interval only in part."""
    write_baseline("--bootstrap", *RESAMPLES)
    entries = json.loads(BEFORE.read_bytes())
    lost = max((one for one in entries if one["category_id"] == 3), key=lambda one: one["score"])
    Path("noise.json").write_text(json.dumps([one for one in entries if one is not lost]))
    gate = ("noise.json", "--baseline", "main.json", "--max-drop", "bbox/APf=0.00001")
    assert ltcal(*gate).exit_code == FAILED
    on_interval = ltcal(*gate, "--gate-on", "interval")
    assert on_interval.exit_code == PASSED
    assert "its interval reaches back within the limit" in on_interval.stdout
    worse = ("worse.json", "--baseline", "main.json", "--max-drop", "bbox/APr=0.00001", "--gate-on", "interval")
    assert ltcal(*worse).exit_code == FAILED


def test_the_resamples_of_the_baseline_are_used(folder: Path) -> None:
    write_baseline("--bootstrap", *RESAMPLES, "--seed", 9)
    assert ltcal("worse.json", "--baseline", "main.json", "--bootstrap", "--json", "out.json").exit_code == PASSED
    found = from_json(Path("out.json").read_text("utf-8"), "out.json")
    assert found.bootstrap is not None
    assert (found.bootstrap.resamples, found.bootstrap.seed) == (50, 9)
    assert found.runs[0].deltas["bbox/APr"].high < 0
    other = ltcal("worse.json", "--baseline", "main.json", "--bootstrap", "--seed", 1)
    assert other.exit_code == BAD_INPUT
    assert "expected 9" in other.stderr


def test_deltas_to_a_baseline_equal_those_within_a_report(folder: Path) -> None:
    """Only the resamples beside the baseline are needed; no detections are read again."""
    write_baseline("--bootstrap", *RESAMPLES)
    ltcal("worse.json", "--baseline", "main.json", "--bootstrap", "--json", "held.json")
    ltcal(BEFORE, "worse.json", "--bootstrap", *RESAMPLES, "--json", "both.json")
    held, both = (from_json(Path(name).read_text("utf-8"), name) for name in ("held.json", "both.json"))
    assert held.runs[0].deltas == both.runs[1].deltas


def test_gates_on_intervals_need_the_resamples_of_the_baseline(folder: Path) -> None:
    write_baseline()
    gate = ("worse.json", "--baseline", "main.json", "--max-drop", "bbox/APr=0.01", "--gate-on", "interval")
    result = ltcal(*gate, *RESAMPLES)
    assert result.exit_code == BAD_INPUT
    assert "--bootstrap" in result.stderr
    assert ltcal(*gate, "--no-bootstrap").exit_code == BAD_INPUT


def test_resamples_of_another_report_are_refused(folder: Path) -> None:
    write_baseline("--bootstrap", *RESAMPLES)
    ltcal("worse.json", "--bootstrap", *RESAMPLES, "--json", "other.json")
    Path("main.ltcal.parquet").write_bytes(Path("other.ltcal.parquet").read_bytes())
    result = ltcal("worse.json", "--baseline", "main.json", "--bootstrap")
    assert result.exit_code == BAD_INPUT
    assert "those of another report" in result.stderr


def test_old_resamples_beside_a_report_without_any_are_ignored(folder: Path) -> None:
    write_baseline("--bootstrap", *RESAMPLES)
    write_baseline()
    assert Path("main.ltcal.parquet").exists()
    assert ltcal("worse.json", "--baseline", "main.json", "--bootstrap", "--resamples", 20).exit_code == PASSED


def test_a_baseline_without_the_images_that_metrics_rest_on_can_be_read(folder: Path) -> None:
    """As ltcal wrote it before: its own intervals are not widened, those of differences to it are."""
    write_baseline("--bootstrap", *RESAMPLES)
    old = from_json(Path("main.json").read_text("utf-8"), "main.json")
    assert old.bootstrap is not None
    plain = replace(old, bootstrap=Bootstrap(old.bootstrap.resamples, old.bootstrap.seed, old.bootstrap.sha256))
    resampled = read_resamples(Path("main.ltcal.parquet")).runs
    runs = tuple(replace(run, intervals=intervals_of(run, resampled[run.name], plain)) for run in old.runs)
    document = json.loads(replace(plain, runs=runs).to_json())
    del document["bootstrap"]["images"], document["bootstrap"]["covers"]
    for run in document["runs"]:
        del run["p_values"]
    gate = ("worse.json", "--baseline", "main.json", "--max-drop", "bbox/APr=0.00001", "--gate-on", "interval")
    assert ltcal(*gate, "--json", "new.json").exit_code == FAILED
    Path("main.json").write_text(json.dumps(document))
    assert ltcal(*gate, "--json", "old.json").exit_code == FAILED
    new, old = (from_json(Path(name).read_text("utf-8"), name) for name in ("new.json", "old.json"))
    assert old.runs == new.runs
    assert old.baseline.run.intervals["bbox/APr"].high < new.baseline.run.intervals["bbox/APr"].high


def test_a_drop_fails_on_significance_if_it_is_one(folder: Path) -> None:
    gate = (BEFORE, "worse.json", "--max-drop", "bbox/APr=0.00001", "--max-drop", "bbox/APf=0")
    result = ltcal(*gate, "--gate-on", "significance", *RESAMPLES, "--json", "out.json")
    assert result.exit_code == FAILED
    rare, frequent = json.loads(Path("out.json").read_bytes())["gates"]
    assert (rare["outcome"], rare["p_value"], rare["p_adjusted"]) == ("failed", 1 / 51, 2 / 51)
    assert (frequent["outcome"], frequent["p_value"]) == ("passed", 1.0)
    assert "(p = 0.0196, 0.0392 after Holm)" in result.stderr
    again = ltcal(*reversed(gate[:2]), *gate[2:], "--gate-on", "significance", *RESAMPLES)
    assert again.exit_code == PASSED


def test_significance_needs_both_prediction_files(folder: Path) -> None:
    write_baseline("--bootstrap", *RESAMPLES)
    gate = ("worse.json", "--baseline", "main.json", "--max-drop", "bbox/APr=0", "--gate-on", "significance")
    result = ltcal(*gate)
    assert result.exit_code == BAD_INPUT
    assert "pass both prediction files, that of the reference first, and leave --baseline out" in result.stderr
    refused = ltcal(BEFORE, "worse.json", *gate[3:], "--no-significance")
    assert refused.exit_code == BAD_INPUT
    assert "leave --no-significance out" in refused.stderr


def test_differences_to_a_baseline_have_no_p_values(folder: Path) -> None:
    write_baseline("--bootstrap", *RESAMPLES)
    result = ltcal(BEFORE, "worse.json", "--baseline", "main.json", "--significance", "--json", "out.json")
    assert result.exit_code == PASSED
    assert [run["p_values"] for run in json.loads(Path("out.json").read_bytes())["runs"]] == [{}, {}]
    assert "no p-values: the baseline main.json holds metrics, and no detections to exchange" in result.stderr


def test_p_values_come_with_intervals(folder: Path) -> None:
    result = ltcal(BEFORE, "worse.json", "--significance", "--no-bootstrap")
    assert result.exit_code == BAD_INPUT
    assert "leave --no-bootstrap out" in result.stderr


def test_p_values_beside_the_intervals(folder: Path) -> None:
    result = ltcal(
        BEFORE, "worse.json", "--significance", *RESAMPLES, "--fixed-ap", "--pooled-ap", "--json", "out.json"
    )
    assert result.exit_code == PASSED
    assert re.search(r"its 95% interval +p\n", result.stdout)
    before, after = from_json(Path("out.json").read_text("utf-8"), "out.json").runs
    assert before.p_values == {}
    for name in ("bbox/APr", "bbox/APfixed/APr", "bbox/APpool/AP", "tide/bbox/r/AP50"):
        assert after.p_values[name] < 0.05, name
    assert after.p_values["bbox/APf"] == 1.0  # nothing changed there


def test_metrics_on_too_few_images_have_no_interval(folder: Path) -> None:
    truth = json.loads(VAL.read_bytes())
    rare = [category["id"] for category in truth["categories"] if category["frequency"] == "r"]
    first = next(one["image_id"] for one in truth["annotations"] if one["category_id"] == rare[0])
    truth["annotations"] = [
        one for one in truth["annotations"]
        if one["category_id"] not in rare or (one["category_id"] == rare[0] and one["image_id"] == first)
    ]  # fmt: skip
    Path("val.json").write_text(json.dumps(truth))
    call = ["report", str(BEFORE), "--annotations", "val.json", "--fail-under", "bbox/APr=0.99"]
    on_interval = ["--gate-on", "interval", "--resamples", "50", "--json", "out.json", "--markdown", "out.md"]
    result = CliRunner().invoke(main, [*call, *on_interval, "--html", "out.html"])
    assert result.exit_code == PASSED
    assert "1.0 for rare categories" in result.stderr
    found = from_json(Path("out.json").read_text("utf-8"), "out.json")
    assert [one.outcome for one in found.gates] == ["withheld"]
    assert found.bootstrap.images["r"] == 1.0
    assert "bbox/APr" not in found.runs[0].intervals
    assert "bbox/APf" in found.runs[0].intervals
    assert "withheld" in result.stdout
    assert "⚠️ **withheld**" in Path("out.md").read_text("utf-8")
    page = Path("out.html").read_text("utf-8")
    assert "withheld" in page
    assert "hold the metric on sets of images of this size, not on all the images that they come from" in page
    assert CliRunner().invoke(main, call).exit_code == FAILED


CONFIG = '[tool.ltcal.gate.fail-under]\n"bbox/APr" = 0.9\n'


@pytest.mark.parametrize("name", ["pyproject.toml", "ltcal.toml"])
def test_flags_override_gates_in_a_file(folder: Path, name: str) -> None:
    Path(name).write_text(CONFIG)
    assert ltcal(BEFORE).exit_code == FAILED
    assert ltcal(BEFORE, "--fail-under", "bbox/APr=0.1").exit_code == PASSED
    assert ltcal(BEFORE, "--fail-under", "bbox/AP=0.1").exit_code == FAILED
    assert ltcal(BEFORE, "--no-gate").exit_code == PASSED


def test_an_invalid_file_is_refused(folder: Path) -> None:
    Path("ltcal.toml").write_text('[tool.ltcal.gate.fail-below]\n"bbox/APr" = 0.9\n')
    result = ltcal(BEFORE, "--json", "out.json")
    assert result.exit_code == BAD_INPUT
    assert "fail-below" in result.stderr
    assert not Path("out.json").exists()


@pytest.mark.parametrize(
    "gate", ["bbox/APr", "bbox/APr=", "=0.1", "bbox/APr=nan", "bbox/APr=18", "bbox/APr=1%", "bbox/APr=0.1=x"]
)
def test_an_invalid_gate_is_refused(folder: Path, gate: str) -> None:
    result = ltcal(BEFORE, "--fail-under", gate)
    assert result.exit_code == BAD_INPUT
    assert "--fail-under" in result.stderr


def test_github_annotations_and_summary(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    Path("summary.md").write_text("what an earlier step said\n")
    result = ltcal(BEFORE, "--name", "a: b, c%\n::warning::d", "--fail-under", "bbox/APr=0.9", "--github-summary")
    assert result.exit_code == FAILED
    commands = [line for line in result.stderr.splitlines() if line.startswith("::")]
    assert len(commands) == 1
    assert commands[0].startswith("::error title=a%3A b%2C c%25")
    summary = Path("summary.md").read_text("utf-8")
    assert summary.startswith("what an earlier step said\n")
    assert "fail-under bbox/APr" in summary


def test_no_annotations_outside_of_github(folder: Path) -> None:
    assert "::error" not in ltcal(BEFORE, "--fail-under", "bbox/APr=0.9").stderr
    assert ltcal(BEFORE, "--github-summary").exit_code == BAD_INPUT


def test_the_rows_of_a_csv_need_no_table_on_stdout(folder: Path) -> None:
    result = ltcal(BEFORE, "--csv", "out.csv", "--markdown", "out.md")
    assert len(Path("out.csv").read_text("utf-8").splitlines()) == 1 + 10
    assert "AP by category" not in result.stdout + Path("out.md").read_text("utf-8")


def test_without_a_terminal_or_a_home(folder: Path) -> None:
    call = [sys.executable, "-m", "longtail_cli.cli", "report", str(BEFORE), "--annotations", str(VAL)]
    bare = {name: value for name, value in os.environ.items() if name in ("PATH", "PYTHONPATH", "NUMBA_CACHE_DIR")}
    done = subprocess.run(
        [*call, "--fail-under", "bbox/APr=0.9"], env=bare, cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == FAILED
    assert "expected at least 0.9" in done.stderr


def test_a_classifier_is_judged_in_the_same_way(folder: Path) -> None:
    """Its rows are images: they are resampled, and counted in the sizes of the groups."""
    digits = ROOT / "examples" / "digits_lt"
    assert CliRunner().invoke(main, ["compute-freq", str(digits / "train.txt"), "-o", "freq.csv"]).exit_code == PASSED
    call = ["report", str(digits / "logits.npz"), "--freq", "freq.csv", "--bootstrap", "--resamples", "50"]
    both = [*call, "--method", "none", "--method", "iif"]
    few = [*both, "--max-drop", "classification/few=0.01", "--gate-on", "interval", "--json", "out.json"]
    assert CliRunner().invoke(main, few).exit_code == PASSED
    medium = CliRunner().invoke(main, [*both, "--max-drop", "classification/medium=0.001", "--gate-on", "interval"])
    assert medium.exit_code == FAILED
    assert "based on 4 classes and 344 images" in medium.stderr
    none, iif = from_json(Path("out.json").read_text("utf-8"), "out.json").runs
    assert iif.deltas["classification/few"].low > 0
    assert none.intervals["classification/top1"].low < 0.6860 < none.intervals["classification/top1"].high
    assert "classification/classwise_ece" not in none.intervals  # it would need every score of every row
