"""`ltcal report` and `ltcal rescore` in parts of what is in a store, by ranges of its objects."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from logit_files import save
from s3_bucket import SCENES, Bucket, output, run

from longtail_cli.evaluation.options import EvaluationOptions
from longtail_cli.files.results.manifest import survey
from longtail_cli.files.stores import listed
from longtail_cli.methods.registry import parse_method
from longtail_cli.workflow import logit_batches
from longtail_cli.workflow.options import ExecutionOptions, InputOptions
from longtail_cli.workflow.partitioned import logits as logits_in_parts
from longtail_cli.workflow.partitioned import rescore_logits
from longtail_cli.workflow.partitioned.report import evaluate_in_parts
from longtail_cli.workflow.partitioned.results import digested
from longtail_cli.workflow.report_detection import evaluate

TRUTH = str(SCENES / "val.json")
IN_PARTS = ("--memory", "1GB")

pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture
def logits(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder of three shards in the store with their metadata beside them, and the same on this machine."""
    monkeypatch.setattr(rescore_logits, "DETECTIONS", 3000)
    with np.load(SCENES / "logits.npz") as archive:
        arrays = {name: torch.from_numpy(archive[name]) for name in ("logits", "boxes", "image_id")}
    images = arrays["image_id"].unique()[:60]
    Path("logits").mkdir()
    Path("logits", "meta.json").write_text((SCENES / "logits.meta.json").read_text())
    for number in range(3):
        rows = torch.isin(arrays["image_id"], images[number::3])
        save(Path("logits", f"{number}.safetensors"), {name: one[rows] for name, one in arrays.items()})
    for path in Path("logits").iterdir():
        bucket.files.put_file(str(path), f"data/logits/{path.name}")
    return "s3://data/logits/"


def test_logits_of_a_store_are_rescored_into_a_folder_of_it(logits: str, bucket: Bucket) -> None:
    said = output("rescore", logits, "--method", "none", "-o", "s3://data/out/", *IN_PARTS).stderr
    assert (
        said.replace("s3://data/out", "out.parquet")
        == output("rescore", "logits", "--method", "none", "-o", "out.parquet").stderr
    )
    parts = sorted(name for name in bucket.names() if name.startswith("out/"))
    assert parts == [f"out/part-{number:05d}.parquet" for number in range(3)]
    for name in parts:
        bucket.files.get_file(f"data/{name}", Path(name).name)
    found = pa.concat_tables([pq.read_table(Path(name).name) for name in parts])
    assert found.equals(pq.read_table("out.parquet"))


def test_shards_of_detections_are_rescored_from_store_to_store(bucket: Bucket) -> None:
    entries = json.loads((SCENES / "predictions.json").read_text())
    for number in range(2):
        own = json.dumps([entry for entry in entries if entry["image_id"] % 2 == number])
        bucket.files.pipe_file(f"data/shards/rank{number}.json", own.encode())
        Path(f"rank{number}.json").write_text(own)
    arguments = ("--merge", "--method", "temperature:t=2")
    output("rescore", "s3://data/shards/rank*.json", *arguments, "-o", "s3://data/out", *IN_PARTS)
    output("rescore", "rank*.json", *arguments, "-o", "here", *IN_PARTS)
    for number in range(2):
        assert bucket.text(f"out/rank{number}.json") == Path("here", f"rank{number}.json").read_text()


def test_a_worker_lists_a_shard_of_a_store_as_a_file_of_this_machine(bucket: Bucket) -> None:
    bucket.files.put_file(str(SCENES / "predictions.json"), "data/predictions.json")
    (there,), (here,) = listed("s3://data/predictions.json"), listed(SCENES / "predictions.json")
    shard, digest = digested((there, "predictions")).found
    assert repr(shard) == repr(replace(survey(here, "predictions"), file=there))
    assert digest == hashlib.sha256((SCENES / "predictions.json").read_bytes()).hexdigest()


def test_a_damaged_shard_of_a_store_is_named_and_nothing_is_written(logits: str, bucket: Bucket) -> None:
    content = bytearray(Path("logits/1.safetensors").read_bytes())
    bucket.files.pipe_file("data/logits/1.safetensors", bytes(content[:-1000]))
    before = bucket.names()
    result = run("rescore", logits, "--method", "none", "-o", "s3://data/out", *IN_PARTS)
    assert result.exit_code == 2, result.output
    assert "s3://data/logits/1.safetensors: " in result.stderr
    assert bucket.names() == before


def test_a_report_of_logits_of_a_store_is_that_of_files_of_this_machine(logits: str) -> None:
    arguments = ("--annotations", TRUTH, "--method", "none", "--json", "-")
    here = json.loads(output("report", "logits", *arguments).stdout)
    there = json.loads(output("report", logits, *arguments, *IN_PARTS).stdout)
    assert there["runs"][0].pop("source") == "s3://data/logits"
    assert here["runs"][0].pop("source") == "logits"
    assert there["runs"] == here["runs"]


def test_logits_of_a_store_are_evaluated_by_ranges(logits: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker reads the rows of its part alone, here of pieces of shards."""
    monkeypatch.setitem(logit_batches.LOGITS_PER_BATCH, "cpu", 11 * 500)
    monkeypatch.setattr(logits_in_parts, "PART_BYTES", 11 * 2 * 500)
    how = {"methods": (parse_method("none"),), "input_options": InputOptions(), "options": EvaluationOptions()}
    here = evaluate([Path("logits")], Path(TRUTH), **how)
    there = evaluate_in_parts([logits], Path(TRUTH), execution=ExecutionOptions(memory=10**9), **how)
    assert replace(there.runs[0], source="logits") == here.runs[0]
    assert there.runs[0].source == logits
