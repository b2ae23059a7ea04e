"""`--merge`: the shards that several processes wrote are evaluated, rescored, tuned and fitted as one run."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from framework_scenes import Scenes, figures, refusal, written

import longtail_cli
from longtail_cli.cli import main
from longtail_cli.errors import LtcalWarning

PROCESSES = 4
NOTE = (
    "2 images are in several shards with the same detections (padding of a sampler); "
    "40 repeated detections were dropped"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Annotations, COCO results, the same in the shards that a `DistributedSampler` leads to, and a frequency table."""
    scenes = Scenes()
    written(tmp_path, scenes, scenes.detections)
    images = list(dict.fromkeys(one["image_id"] for one in scenes.detections))
    padded = images + images[: -len(images) % PROCESSES]
    for rank in range(PROCESSES):
        own = [one for image in padded[rank::PROCESSES] for one in scenes.detections if one["image_id"] == image]
        (tmp_path / f"rank_{rank}.json").write_text(json.dumps(own))
    assert ltcal("compute-freq", tmp_path / "val.json", "-o", tmp_path / "freq.csv").exit_code == 0
    return tmp_path


def ltcal(*arguments: object) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)))


def shards(folder: Path) -> list[str]:
    return [str(folder / f"rank_{rank}.json") for rank in range(PROCESSES)]


def without_inputs(path: Path) -> dict[str, Any]:
    """A tuning without what names its inputs."""
    tuning = json.loads(path.read_bytes())
    return {name: tuning[name] for name in ("chosen", "candidates")} | {
        "metrics": tuning["report"]["runs"][0]["metrics"]
    }


def test_the_report_is_that_of_the_whole(folder: Path) -> None:
    annotations = folder / "val.json"
    whole = figures(folder / "plain.json", annotations)
    assert figures(Path("--merge"), annotations, *shards(folder)) == whole
    assert figures(Path("--merge"), annotations, str(folder / "rank_*.json")) == whole


def test_a_report_says_how_much_was_dropped_and_from_what(folder: Path) -> None:
    out = folder / "out.json"
    pattern = folder / "rank_*.json"
    result = ltcal("report", "--merge", pattern, "--annotations", folder / "val.json", "--json", out)
    assert f"rank_0 and 3 more: {NOTE}" in result.stderr
    (run,) = json.loads(out.read_bytes())["runs"]
    assert run["name"] == "rank_0 and 3 more"
    assert run["source"] == f"{folder / 'rank_0.json'} and 3 more"
    assert len(run["sha256"]) == 64


def test_in_a_process_of_its_own(folder: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "longtail_cli.cli",
        "report",
        "--merge",
        "rank_*.json",
        "--annotations",
        "val.json",
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert NOTE in done.stderr


def test_rescoring_writes_one_file(folder: Path) -> None:
    out = folder / "out.json"
    method = ("--method", "norcal", "--freq", folder / "freq.csv", "-o")
    result = ltcal("rescore", "--merge", *shards(folder), *method, out)
    assert result.exit_code == 0, result.output
    assert NOTE in result.stderr
    assert ltcal("rescore", folder / "plain.json", *method, folder / "whole.json").exit_code == 0
    assert figures(out, folder / "val.json") == figures(folder / "whole.json", folder / "val.json")


def test_tuning(folder: Path) -> None:
    options = ("--annotations", folder / "val.json", "--freq", folder / "freq.csv", "--method", "norcal:gamma=0|0.5")
    options = (*options, "--objective", "bbox/APpool/AP", "--folds", "2", "--no-bootstrap", "-o")
    assert ltcal("tune", folder / "plain.json", *options, folder / "whole.json").exit_code == 0
    assert ltcal("tune", "--merge", *shards(folder), *options, folder / "merged.json").exit_code == 0
    assert without_inputs(folder / "merged.json") == without_inputs(folder / "whole.json")


def test_fitting(folder: Path) -> None:
    options = ("--annotations", folder / "val.json", "--freq", folder / "freq.csv", "--method", "platt", "-o")
    result = ltcal("fit", "--merge", *shards(folder), *options, folder / "merged.npz")
    assert result.exit_code == 0, result.output
    assert NOTE in result.output
    assert ltcal("fit", folder / "plain.json", *options, folder / "whole.npz").exit_code == 0
    for name in ("merged", "whole"):
        method = ("--method", f"@{folder / name}.npz", "-o", folder / f"{name}.json")
        assert ltcal("rescore", folder / "plain.json", *method).exit_code == 0
    scores = [
        [one["score"] for one in json.loads((folder / f"{name}.json").read_bytes())] for name in ("merged", "whole")
    ]
    assert scores[0] == pytest.approx(scores[1], rel=1e-9)


def test_in_python(folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LtcalWarning)
        whole = longtail_cli.evaluate(folder / "plain.json", folder / "val.json")
        listed = longtail_cli.evaluate(shards(folder), folder / "val.json", merge=True)
        named = longtail_cli.evaluate({"mine": str(folder / "rank_*.json")}, folder / "val.json", merge=True)
    assert listed.runs[0].metrics == named.runs[0].metrics == whole.runs[0].metrics
    assert named.runs[0].name == "mine"
    out = folder / "out.json"
    with pytest.warns(LtcalWarning, match="padding of a sampler"):
        longtail_cli.rescore(shards(folder), None, "none", out, merge=True)
    assert len(json.loads(out.read_bytes())) == len(Scenes().detections)
    with pytest.raises(longtail_cli.errors.UsageError, match="`merge=`: expected the paths of shards"):
        longtail_cli.evaluate([Scenes().detections], folder / "val.json", merge=True)


def test_results_of_other_images_may_be_shards(folder: Path) -> None:
    result = ltcal("report", *shards(folder)[:2], "--annotations", folder / "val.json")
    assert result.exit_code == 0
    first = folder / "rank_0.json"
    shown = " ".join(result.stdout.split())
    assert "warning: rank_0 (" in shown
    assert "have no image with detections in common: are these shards of one run? Then pass --merge" in shown
    both = ltcal("report", folder / "plain.json", first, "--annotations", folder / "val.json")
    assert "shards" not in both.output


def test_several_inputs_have_to_be_shards(folder: Path) -> None:
    for command in (("rescore", "--method", "none"), ("tune",), ("fit", "--method", "platt")):
        message = refusal(*command, *shards(folder), "-o", str(folder / "out.npz"))
        assert "4 inputs: give one, or pass --merge if they are the shards of one run" in message


def test_no_shard_is_overwritten(folder: Path) -> None:
    before = (folder / "rank_3.json").read_bytes()
    message = refusal("rescore", "--merge", *shards(folder), "--method", "none", "-o", str(folder / "rank_3.json"))
    assert "rank_3.json" in message
    assert (folder / "rank_3.json").read_bytes() == before


def test_what_cannot_be_merged(folder: Path) -> None:
    annotations = ("--annotations", str(folder / "val.json"))
    assert "expected one that fits the name of a file" in refusal("report", "--merge", str(folder / "x*"), *annotations)
    assert "--verify is for unadjusted result files" in refusal(
        "report", "--merge", *shards(folder), *annotations, "--verify"
    )
    other = json.loads((folder / "rank_0.json").read_bytes())
    other[0]["score"] /= 2
    (folder / "other.json").write_text(json.dumps(other))
    message = refusal("report", "--merge", str(folder / "rank_0.json"), str(folder / "other.json"), *annotations)
    assert f"found others in {folder / 'other.json'}" in message
