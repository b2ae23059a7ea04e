"""What `ltcal report` says of limits per image and of images without detections, as a user calls it."""

from __future__ import annotations

import json
from itertools import chain
from pathlib import Path
from shutil import copyfile
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from longtail_cli.cli import main

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "digit_scenes"
VAL, RESULTS, LOGITS = (EXAMPLE / name for name in ("val.json", "predictions.json", "logits.npz"))
DIGITS = ROOT / "examples" / "digits_lt" / "logits.npz"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ltcal(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [*map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result


def warnings_in(result: Result) -> list[str]:
    """The warnings in the text of a report, each on one line."""
    parts = [" ".join(part.split()) for part in result.stdout.split("\n\n")]
    return [part.removeprefix("warning: ") for part in parts if part.startswith("warning: ")]


def runs_of(*arguments: object) -> list[dict[str, Any]]:
    return report_of(*arguments)["runs"]


def report_of(*arguments: object, annotations: Path = VAL) -> dict[str, Any]:
    ltcal("report", *arguments, "--annotations", annotations, "--json", "report.json")
    report: dict[str, Any] = json.loads(Path("report.json").read_text())
    return report


def numbers_in(document: Any, *, wide: bool, path: str = "") -> dict[str, Any]:
    """What a report holds by path, of Fixed AP and pooled AP or of all others."""
    if isinstance(document, dict | list):
        parts = document.items() if isinstance(document, dict) else enumerate(document)
        return {
            name: one for key, part in parts for name, one in numbers_in(part, wide=wide, path=f"{path} {key}").items()
        }
    is_wide = any(name in path for name in ("APfixed", "APpool", "/pooled/"))
    return {path: document} if is_wide is wide else {}


@pytest.fixture(scope="module")
def thirty_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with logits, annotations and two slices of the first images of the example, which share ten."""
    folder, truth = tmp_path_factory.mktemp("thirty"), json.loads(VAL.read_bytes())
    ids = [image["id"] for image in truth["images"][:30]]
    images = {"images": truth["images"][:30], "annotations": [a for a in truth["annotations"] if a["image_id"] in ids]}
    (folder / "val.json").write_text(json.dumps(truth | images))
    (folder / "slices.json").write_text(json.dumps({"first": ids[:20], "last": ids[10:]}))
    with np.load(LOGITS) as logits:
        of_images = np.isin(logits["image_id"], ids)
        np.savez(folder / "logits.npz", **{name: logits[name][of_images] for name in ("logits", "image_id", "boxes")})
    copyfile(EXAMPLE / "logits.meta.json", folder / "logits.meta.json")
    return folder


@pytest.mark.parametrize(("protocol", "tide"), [("lvis", "aligned"), ("coco", "aligned"), ("lvis", "tidecv")])
def test_only_fixed_and_pooled_ap_of_logits_see_detections_beyond_the_limit(
    thirty_images: Path, protocol: str, tide: str
) -> None:
    """Whatever else is asked for: every other number, and every file, is the same with and without the two."""
    options = (
        thirty_images / "logits.npz", "--protocol", protocol, "--tide", tide, "--method", "none", "--method",
        "temperature:t=2", "--reference", "temperature:t=2.0", "--reliability", "--per-category", "--slices",
        thirty_images / "slices.json", "--bootstrap", "--significance", "--resamples", 3, "--detections-per-image",
    )  # fmt: skip
    files, wide = {"--per-image": "images.csv", "--thresholds": "thresholds.json"}, ("--fixed-ap", "--pooled-ap")
    further = (20, *chain.from_iterable(files.items()))
    truth = thirty_images / "val.json"
    limited = report_of(*options, *further, annotations=truth)
    of_limited = [Path(name).read_bytes() for name in files.values()]
    both = report_of(*options, *further, *wide, annotations=truth)
    assert [Path(name).read_bytes() for name in files.values()] == of_limited
    assert numbers_in(both, wide=False) == numbers_in(limited, wide=False)
    unlimited = report_of(*options, 10000, *wide, annotations=truth)
    assert numbers_in(both, wide=True) == numbers_in(unlimited, wide=True)
    for run in both["runs"]:
        for part in (run["metrics"]["bbox"], run["slices"]["last"]["bbox"]):
            assert part["APfixed"]["AP"] > part["AP"] + 0.01


def test_each_of_the_two_sees_them_alone(thirty_images: Path) -> None:
    logits, truth = thirty_images / "logits.npz", thirty_images / "val.json"
    found = {}
    for limit, asked in ((20, ("--fixed-ap",)), (20, ("--pooled-ap",)), (10000, ("--fixed-ap", "--pooled-ap"))):
        report = report_of(logits, "--detections-per-image", limit, *asked, "--tide", "off", annotations=truth)
        found[limit, asked] = report["runs"][0]["metrics"]["bbox"]
    fixed, pooled, unlimited = found.values()
    assert fixed["APfixed"] == unlimited["APfixed"]
    assert pooled["APpool"] == unlimited["APpool"]


def test_logits_have_no_note_on_an_order_that_is_kept() -> None:
    """Methods change the order of logits within each category, and AP with it."""
    ltcal("compute-freq", EXAMPLE / "train.json", "-o", "freq.csv")
    options = ("--annotations", VAL, "--freq", "freq.csv", "--method", "none", "--method", "norcal", "--tide", "off")
    result = ltcal("report", LOGITS, *options, "--detections-per-image", 20, "--json", "report.json")
    assert result.stderr == f"{LOGITS}: 3,600 detections on 180 of 180 images, at most 20 in one\n"
    report = json.loads(Path("report.json").read_text())
    assert report["warnings"] == []
    none, norcal = (run["metrics"]["bbox"]["AP"] for run in report["runs"])
    assert norcal > none + 0.05


def test_warnings_are_printed_first_and_are_in_the_json() -> None:
    ltcal("compute-freq", EXAMPLE / "train.json", "-o", "freq.csv")
    options = ("--annotations", VAL, "--freq", "freq.csv", "--method", "none", "--method", "norcal", "--tide", "off")
    result = ltcal("report", RESULTS, *options, "--json", "report.json")
    (warning,) = json.loads(Path("report.json").read_text())["warnings"]
    assert warnings_in(result) == [warning]
    assert warning.startswith(f"AP and AR of norcal:gamma=0.6 cannot differ from those of {RESULTS}: ")
    assert result.stderr.splitlines() == [f"{RESULTS}: 15,202 detections on 180 of 180 images, at most 155 in one"]


def test_half_of_the_images_and_two_halves() -> None:
    entries = json.loads(RESULTS.read_bytes())
    for rank in (0, 1):
        Path(f"r{rank}.json").write_text(json.dumps([one for one in entries if one["image_id"] % 2 == rank]))
    options = ("--annotations", VAL, "--tide", "off", "--name")
    (alone,) = warnings_in(ltcal("report", "r0.json", *options, "r0"))
    assert alone.startswith("r0 has detections on 90 of 180 images; ")
    (both,) = warnings_in(ltcal("report", "r0.json", "r1.json", *options, "r0", "--name", "r1"))
    assert both.startswith("r0 (90 of 180 images) and r1 (90 of 180 images) have no image with detections")
    assert both.count("are these shards of one run? Then pass --merge") == 1
    assert warnings_in(ltcal("report", "r0.json", "r1.json", "--merge", *options, "r")) == []


def test_a_temperature_changes_no_prediction_of_a_classifier() -> None:
    methods = [f"--method={spec}" for spec in ("none", "temperature:t=2", "logit-adjust")]
    ltcal("compute-freq", EXAMPLE.parent / "digits_lt" / "train.txt", "-o", "freq.csv")
    result = ltcal("report", DIGITS, "--freq", "freq.csv", *methods, "--json", "report.json")
    report = json.loads(Path("report.json").read_text())
    assert report["warnings"] == [
        "accuracy and recall of temperature:t=2.0 cannot differ from those of none: the order of the classes in each "
        "row is the same. ECE, NLL and Brier score can differ"
    ]
    assert warnings_in(result) == report["warnings"]
    none, warm, _ = (run["classification"] for run in report["runs"])
    assert (none["top1"], none["few"]) == (warm["top1"], warm["few"])
    assert none["ece"] != warm["ece"]


def test_tuning_for_fixed_ap_sees_detections_beyond_the_limit() -> None:
    """Chosen for each fold from what the report sees: both AP of no adjustment are those of the report."""
    ltcal("compute-freq", EXAMPLE / "train.json", "-o", "freq.csv")
    options = ("--objective", "bbox/APfixed/AP", "--method", "norcal:gamma=0.5", "--folds", 2, "--no-bootstrap")
    given = ("--annotations", VAL, "--freq", "freq.csv", "--detections-per-image", 20)
    ltcal("tune", LOGITS, *given, *options, "-o", "tuned.json")
    tuning = json.loads(Path("tuned.json").read_text())
    none, norcal = (tuning["report"]["runs"][number]["metrics"]["bbox"] for number in (0, 1))
    expected = runs_of(LOGITS, *given[2:], "--fixed-ap", "--method", "none", "--method", "norcal:gamma=0.5")
    for found, run in zip((none, norcal), expected, strict=True):
        assert found["APfixed"]["AP"] == pytest.approx(run["metrics"]["bbox"]["APfixed"]["AP"], abs=1e-12)
        assert found["AP"] == pytest.approx(run["metrics"]["bbox"]["AP"], abs=1e-12)
    assert none["APfixed"]["AP"] > none["AP"] + 0.04
    assert tuning["unadjusted"]["in_sample"] == pytest.approx(none["APfixed"]["AP"], abs=1e-12)
