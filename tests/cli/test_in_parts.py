"""`ltcal report --memory`: the report of one process, of any kind of detections, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

import longtail_cli
from longtail_cli.cli import main
from longtail_cli.errors import UsageError
from longtail_cli.workflow.partitioned import memory

SCENES = Path(__file__).parents[2] / "examples" / "digit_scenes"
VAL, FOUND, LOGITS = SCENES / "val.json", SCENES / "predictions.json", SCENES / "logits.npz"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder, in which a part has about 1,000 detections, and larger categories are reduced in pieces."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(memory, "MOST_ROWS", 1000)
    monkeypatch.setattr(memory, "MOST_PIECE_ROWS", 1000)
    return tmp_path


def ltcal(*arguments: object, annotations: Path | None = VAL, stdin: bytes | None = None) -> Result:
    about = [] if annotations is None else ["--annotations", str(annotations)]
    return CliRunner().invoke(main, ["report", *map(str, arguments), *about], input=stdin)


def assert_equal_in_parts(*arguments: object, annotations: Path = VAL) -> Result:
    """The JSON and the messages are the same, whether in parts or in one process."""
    whole = ltcal(*arguments, "--json", "-", annotations=annotations)
    parts = ltcal(*arguments, "--json", "-", "--memory", "2GB", annotations=annotations)
    assert (whole.exit_code, parts.exit_code) == (0, 0), parts.stderr
    assert parts.stdout == whole.stdout
    assert parts.stderr == whole.stderr
    return parts


def shards(folder: Path, number: int) -> list[Path]:
    """The detections as a file of each process, which had every `number`-th image."""
    entries = pd.DataFrame(json.loads(FOUND.read_bytes()))
    paths = [folder / f"rank_{rank}.json" for rank in range(number)]
    for rank, path in enumerate(paths):
        entries[entries["image_id"] % number == rank].to_json(path, orient="records", double_precision=15)
    return paths


@pytest.mark.parametrize("protocol", ["lvis", "coco"])
def test_shards_of_a_run(folder: Path, protocol: str) -> None:
    options = ("--fixed-ap", "--pooled-ap", "--reliability", "--per-category", "--max-dets", 20)
    assert_equal_in_parts("--merge", *shards(folder, 3), "--protocol", protocol, *options)


def test_several_files_with_intervals(folder: Path) -> None:
    """Of which two are shards of one run, which a warning says in the same words."""
    first, second = shards(folder, 2)
    result = assert_equal_in_parts(FOUND, first, second, "--bootstrap", "--resamples", 4, "--reference", "rank_1")
    assert "are these shards of one run?" in json.loads(result.stdout)["warnings"][0]


def test_parquet_and_methods(folder: Path) -> None:
    entries = pd.DataFrame(json.loads(FOUND.read_bytes())).sort_values("image_id", kind="stable")
    entries.to_parquet("found.parquet", row_group_size=2000)
    CliRunner().invoke(main, ["compute-freq", str(SCENES / "train.json"), "-o", "freq.csv"])
    methods = ("--freq", "freq.csv", "--method", "none", "--method", "norcal", "--method", "iif")
    assert_equal_in_parts("found.parquet", *methods, "--max-dets", 20)


def test_logits_whose_scores_are_saturated(folder: Path) -> None:
    """The note on scores of exactly 1 counts those of all parts."""
    with np.load(LOGITS) as saved:
        tensors = {name: saved[name] for name in ("logits", "image_id", "boxes")}
    np.savez("sure.npz", **{**tensors, "logits": tensors["logits"] * 8})
    Path("sure.meta.json").write_bytes((SCENES / "logits.meta.json").read_bytes())
    result = assert_equal_in_parts("sure.npz", "--detections-per-image", 20)
    (note,) = json.loads(result.stdout)["runs"][0]["notes"]
    assert "detections have score exactly 1 in float32" in note


def test_the_api_has_the_same_options(folder: Path) -> None:
    whole = longtail_cli.evaluate(FOUND, VAL, protocol="coco")
    assert longtail_cli.evaluate(FOUND, VAL, protocol="coco", memory="2GB") == whole
    with pytest.raises(UsageError, match="save the data, or leave out `engine=` and `memory=`"):
        longtail_cli.evaluate(json.loads(FOUND.read_bytes()), VAL, memory="2GB")


def test_an_input_in_parts_may_be_a_stream(folder: Path) -> None:
    found = FOUND.read_bytes()
    assert ltcal("-", "--memory", "2GB", stdin=found).stdout == ltcal("-", stdin=found).stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--engine", "spark"), "--engine: value: expected local, ray, auto or ray://HOST:PORT, found 'spark'"),
        (("--memory", "much"), "--memory: value: expected a size such as 4GB or 512MiB, found 'much'"),
        (("--memory", "0GB"), "--memory: value: expected a size such as 4GB or 512MiB, found 0"),
        (("--memory", "4GB", "--tide", "tidecv"), "expected those that are computed in parts, found --tide tidecv"),
        (("--memory", "4GB", "--per-image", "out.csv"), "expected those that are computed in parts, found --per-image"),
        (("--memory", "4GB", "--significance"), "Fix: leave these out; or leave out --engine and --memory"),
        (("--memory", "4GB", "--verify"), "--verify reads all detections in one process"),
        (("--engine", "ray", "-"), "--engine: stdin and pipes are read by this process alone: save the detections"),
    ],
)
def test_what_is_refused(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    result = ltcal(FOUND, *arguments, stdin=b"[]")
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert list(folder.iterdir()) == []


def test_classification_has_no_parts() -> None:
    result = ltcal(LOGITS, "--memory", "4GB", "--engine", "ray", annotations=None)
    assert result.exit_code == 2
    assert "--engine, --memory: for detections, which need --annotations" in result.stderr
