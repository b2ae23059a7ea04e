"""`ltcal report --slices`, as a user calls it, on the digit scenes of the examples."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from longtail_cli.cli import main
from longtail_cli.reports.json import from_json, to_json

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "digit_scenes"
VAL, BEFORE = EXAMPLE / "val.json", EXAMPLE / "predictions.json"
IMAGES = json.loads(VAL.read_bytes())["images"]
IDS = [image["id"] for image in IMAGES]
ROWS = ROOT / "examples" / "digits_lt" / "logits.npz"
NIGHT = {"night": IDS[:60], "weather=rain": IDS[60:]}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the slices `NIGHT`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    Path("slices.json").write_text(json.dumps(NIGHT))
    return tmp_path


def ltcal(*arguments: object) -> Result:
    rules = ["--annotations", str(VAL), "--max-dets", "20", "--tide", "off"]
    return CliRunner().invoke(main, ["report", *rules, *map(str, arguments)])


def refused(slices: object) -> str:
    """The message of a call that exits with 2 and writes nothing."""
    Path("wrong.json").write_text(json.dumps(slices))
    result = ltcal(BEFORE, "--slices", "wrong.json", "--json", "out.json")
    assert (result.exit_code, result.stdout, Path("out.json").exists()) == (2, "", False)
    return result.stderr


def test_the_json_has_the_metrics_and_sizes_of_slices() -> None:
    assert ltcal(BEFORE, "--slices", "slices.json", "--json", "out.json").exit_code == 0
    text = Path("out.json").read_text()
    report = from_json(text, "out.json")
    assert to_json(report) == text
    assert list(report.runs[0].slices) == list(report.slices) == list(NIGHT)
    assert 0 < (report.runs[0].slices["night"]["bbox"]["AP"] or 0) < 1  # type: ignore[operator]
    assert sum(size.instances for size in report.slices.values()) == report.groups["all"].instances


def test_gates_on_slices_whose_names_hold_an_equals_sign() -> None:
    metric = "slices/weather=rain/bbox/APr"
    assert ltcal(BEFORE, "--slices", "slices.json", "--fail-under", f"{metric}=0.01").exit_code == 0
    failed = ltcal(BEFORE, "--slices", "slices.json", "--fail-under", f"{metric}=0.9")
    assert failed.exit_code == 1
    assert f"{metric}: expected at least 0.9, found 0." in failed.stderr


def test_a_gate_on_a_slice_is_judged_by_the_interval_of_its_difference() -> None:
    """Every second detection is missing in the second run."""
    Path("half.json").write_text(json.dumps(json.loads(BEFORE.read_bytes())[::2]))
    result = ltcal(
        BEFORE, "half.json", "--name", "a", "--name", "b", "--slices", "slices.json", "--max-drop",
        "slices/night/bbox/AP=0.01", "--gate-on", "interval", "--resamples", 40, "--json", "out.json",
    )  # fmt: skip
    assert result.exit_code == 1
    report = from_json(Path("out.json").read_text(), "out.json")
    delta = report.runs[1].deltas["slices/night/bbox/AP"]
    assert report.gates[0].interval == delta
    assert delta.high < -0.01
    assert "; based on 10 categories, 57 images and " in report.gates[0].message


def test_differences_of_slices_to_a_baseline_are_paired() -> None:
    sliced = (BEFORE, "--slices", "slices.json", "--resamples", 20)
    assert ltcal(*sliced, "--json", "main.json", "--no-gate").exit_code == 0
    result = ltcal(
        *sliced, "--baseline", "main.json", "--max-drop", "slices/night/bbox/AP=0", "--gate-on", "interval", "--json",
        "out.json",
    )  # fmt: skip
    assert result.exit_code == 0
    delta = from_json(Path("out.json").read_text(), "out.json").runs[0].deltas["slices/night/bbox/AP"]
    assert (delta.low, delta.high) == (0, 0)


def test_a_baseline_without_the_slice_has_no_difference() -> None:
    assert ltcal(BEFORE, "--json", "main.json", "--no-gate").exit_code == 0
    compared = (BEFORE, "--slices", "slices.json", "--baseline", "main.json")
    assert ltcal(*compared, "--max-drop", "bbox/AP=0").exit_code == 0
    result = ltcal(*compared, "--max-drop", "slices/night/bbox/AP=0")
    assert result.exit_code == 2
    assert "slices/night/bbox/AP: expected this metric in the baseline main.json, found none" in result.stderr


def test_a_baseline_with_other_images_in_the_slice_cannot_be_compared() -> None:
    assert ltcal(BEFORE, "--slices", "slices.json", "--json", "main.json", "--no-gate").exit_code == 0
    Path("slices.json").write_text(json.dumps({"night": IDS[1:61], "day": IDS[:1]}))
    result = ltcal(BEFORE, "--slices", "slices.json", "--baseline", "main.json", "--max-drop", "bbox/AP=0")
    assert result.exit_code == 3
    assert "slices: other images than in the baseline in night; evaluate both with the same --slices" in result.stderr


def test_a_gate_on_a_slice_names_the_option_that_adds_it() -> None:
    result = ltcal(BEFORE, "--fail-under", "slices/night/bbox/AP=0.1")
    assert result.exit_code == 2
    assert "evaluate with --slices to add what is missing" in result.stderr


def test_a_slice_may_be_called_like_a_key_of_the_json() -> None:
    Path("slices.json").write_text(json.dumps({"all": IDS, "main": IDS[:9]}))
    gates = ("--fail-under", "slices/all/bbox/AP=0.01", "--fail-under", "slices/main/bbox/AP=0.01")
    assert ltcal(BEFORE, "--slices", "slices.json", *gates).exit_code == 0


def test_percent_points_are_refused_for_slices_too() -> None:
    result = ltcal(BEFORE, "--slices", "slices.json", "--fail-under", "slices/night/bbox/AP=18")
    assert result.exit_code == 2
    assert "write slices/night/bbox/AP=0.18" in result.stderr


def test_images_that_the_annotations_lack_are_counted_slice_by_slice() -> None:
    error = refused({"a": [IDS[0], *range(90_000, 90_007)], "b": IDS, "c": [-1]})
    assert "wrong.json: 2 problems" in error
    assert "slice a: expected ids of images in " in error
    assert "found 7 of 8 that no image has: 90000, 90001, 90002, 90003, 90004, ..." in error
    assert "slice c: expected ids of images in " in error


def test_ids_that_are_off_by_one_are_said_to_be() -> None:
    assert f"Fix: add 1 to every id: each is that of an image then, {IDS[0] - 1} becomes {IDS[0]}" in refused(
        {"a": [one - 1 for one in IDS]}
    )


def test_positions_are_not_ids() -> None:
    assert "these numbers look like positions in a list, from 0" in refused({"a": [0, 1, 2]})


def test_file_names_are_found_in_the_annotations() -> None:
    Path("slices.csv").write_text(
        "\n".join(["file_name,part", *(f"{one['file_name']},{one['id'] % 2}" for one in IMAGES)])
    )
    assert ltcal(BEFORE, "--slices", "slices.csv", "--json", "out.json").exit_code == 0
    report = from_json(Path("out.json").read_text(), "out.json")
    Path("slices.json").write_text(
        json.dumps({f"part={odd}": [one for one in IDS if one % 2 == odd] for odd in (0, 1)})
    )
    assert ltcal(BEFORE, "--slices", "slices.json", "--json", "out.json").exit_code == 0
    assert from_json(Path("out.json").read_text(), "out.json") == report


def test_file_names_that_the_annotations_lack_are_refused() -> None:
    assert "'nowhere.jpg' (1 of 2 names are not in it)" in refused({"a": ["nowhere.jpg", IMAGES[0]["file_name"]]})


def test_a_slice_without_ground_truth_has_undefined_metrics_and_a_note() -> None:
    annotated = {one["image_id"] for one in json.loads(VAL.read_bytes())["annotations"]}
    Path("slices.json").write_text(json.dumps({"empty": [one for one in IDS if one not in annotated], "all": IDS}))
    result = ltcal(BEFORE, "--slices", "slices.json", "--resamples", 2, "--json", "out.json")
    assert result.exit_code == 0
    assert "metrics are undefined in slices whose images have no ground truth that counts: empty" in result.stderr
    assert set(from_json(Path("out.json").read_text(), "").runs[0].slices["empty"]["bbox"].values()) == {None}
    gate = ltcal(BEFORE, "--name", "a", "--slices", "slices.json", "--fail-under", "slices/empty/bbox/AP=0.1")
    assert "slices/empty/bbox/AP of a is undefined: no object of the slice counts" in gate.stdout


def test_slices_are_an_input_that_no_output_replaces() -> None:
    result = ltcal(BEFORE, "--slices", "slices.json", "--json", "slices.json")
    assert result.exit_code == 2
    assert json.loads(Path("slices.json").read_text()) == NIGHT


def test_slices_of_a_classifier_are_rows() -> None:
    Path("rows.csv").write_text("row,lens\n0,wide\n1,long\n5,wide\n")
    result = CliRunner().invoke(main, ["report", str(ROWS), "--slices", "rows.csv", "--json", "out.json"])
    assert result.exit_code == 0, result.stderr
    report = from_json(Path("out.json").read_text(), "out.json")
    assert {name: size.instances for name, size in report.slices.items()} == {"lens=long": 1, "lens=wide": 2}
    detections = ltcal(BEFORE, "--slices", "rows.csv")
    assert detections.exit_code == 2
    assert "expected `image_id` or `file_name`, found `row`, which is for the rows of a classifier" in detections.stderr


def test_rows_that_a_classifier_lacks_are_refused() -> None:
    Path("slices.json").write_text('{"a": [0, 860, -1]}')
    result = CliRunner().invoke(main, ["report", str(ROWS), "--slices", "slices.json"])
    assert result.exit_code == 2
    assert "slice a: expected rows from 0 to 859, found -1, 860" in result.stderr
    Path("slices.csv").write_text("image_id,part\n1,a\n")
    result = CliRunner().invoke(main, ["report", str(ROWS), "--slices", "slices.csv"])
    assert result.exit_code == 2
    assert "expected the numbers of rows, from 0, found `image_id`, which is for detections" in result.stderr
