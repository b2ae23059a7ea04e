"""`ltcal report` and `ltcal rescore` on a cluster of two nodes, from a store and into it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
import ray
from s3_bucket import SCENES, Bucket, error, output, policy

from longtail_cli.files.stores import StoredFile, listed
from longtail_cli.workflow.partitioned import inputs

SHARDS = [f"rank_{rank}.parquet" for rank in range(4)]
RUN = ("--merge", "s3://data/run/rank_*.parquet")
TRUTH = ("--annotations", "s3://data/in/val.json", "--max-dets", "20")
ON_RAY = ("--engine", "auto")

pytestmark = pytest.mark.usefixtures("folder", "connected")


@pytest.fixture(scope="module")
def connected(nodes: Any) -> Iterator[None]:
    """A connection to the cluster, whose workers stay from one command to the next."""
    ray.init(address=nodes.address, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture
def run(bucket: Bucket, folder: None) -> Bucket:
    """The bucket with a run in it, every fourth image in a shard; the shards are on this machine too."""
    detections = pd.read_json(SCENES / "predictions.json")
    for rank, name in enumerate(SHARDS):
        detections[detections["image_id"] % len(SHARDS) == rank].to_parquet(name, row_group_size=1000)
        bucket.files.put_file(name, f"data/run/{name}")
    return bucket


def refused(run: Bucket, *words: str) -> str:
    """The message of a call that is refused, and has written nothing."""
    before = run.names()
    shown = error(*words, *ON_RAY)
    assert run.names() == before
    assert shown.startswith("Error: ")
    assert shown.count("Error: ") == 1
    return shown


def test_a_report_is_that_of_one_process(run: Bucket) -> None:
    options = ("--fixed-ap", "--bootstrap", "--resamples", "20")
    there = output("report", *RUN, *TRUTH, *options, "--json", "s3://data/report.json", *ON_RAY)
    here = output("report", "--merge", *SHARDS, *TRUTH, *options, "--json", "report.json")
    assert (there.stdout, there.stderr) == (here.stdout, here.stderr)
    on_ray, alone = json.loads(run.text("report.json")), json.loads(Path("report.json").read_text())
    assert on_ray["runs"][0].pop("source") == f"s3://data/run/{alone['runs'][0].pop('source')}"
    assert on_ray == alone


def test_shards_are_rescored_from_store_to_store(run: Bucket) -> None:
    output("rescore", *RUN, "--method", "temperature:t=2", "-o", "s3://data/out/", *ON_RAY)
    assert {name for name in run.names() if name.startswith("out/")} == {f"out/{name}" for name in SHARDS}
    for name in SHARDS:
        output("rescore", name, "--method", "temperature:t=2", "-o", "here.parquet")
        run.files.get_file(f"data/out/{name}", "there.parquet")
        assert pq.read_table("there.parquet").equals(pq.read_table("here.parquet"))


def test_an_object_that_workers_may_not_read_is_named(run: Bucket, configured: pytest.MonkeyPatch) -> None:
    with policy(run, "s3:GetObject", "none"):  # the nodes have other keys, which are not known then
        shown = error("report", *RUN, *TRUTH, "--json", "s3://data/report.json", *ON_RAY)
    assert "Error: s3://data/run/rank_" in shown
    assert ".parquet: store: expected permission for this, found " in shown
    assert "report.json" not in run.names()


def test_an_output_that_workers_may_not_write_is_named(run: Bucket, configured: pytest.MonkeyPatch) -> None:
    with policy(run, "s3:PutObject", "none"):
        shown = error("rescore", "--merge", *SHARDS, "--method", "none", "-o", "s3://data/out/", *ON_RAY)
    assert "Error: s3://data/out/rank_" in shown
    assert ".parquet: store: expected permission for this, found " in shown
    assert not [name for name in run.names() if name.startswith("out/")]


def corrupt(run: Bucket) -> None:
    content = bytearray(Path(SHARDS[1]).read_bytes())
    content[100:400] = os.urandom(300)  # of the data, not of the footer
    run.files.pipe_file(f"data/run/{SHARDS[1]}", bytes(content))


def cut_short(run: Bucket) -> None:
    run.files.pipe_file(f"data/run/{SHARDS[1]}", Path(SHARDS[1]).read_bytes()[:-1000])


def replace_by_another(run: Bucket) -> None:
    run.files.put_file(SHARDS[2], f"data/run/{SHARDS[1]}")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (corrupt, "content: expected a whole Parquet file, found "),
        (cut_short, "content: expected a whole Parquet file, found "),
        (replace_by_another, ": 45 problems\n  image 362"),
    ],
)
def test_a_shard_that_is_wrong_is_named(run: Bucket, change: Callable[[Bucket], None], expected: str) -> None:
    change(run)
    for command in (("report", *RUN, *TRUTH, "--json", "s3://data/out.json"),
                    ("rescore", *RUN, "--method", "none", "-o", "s3://data/out/")):  # fmt: skip
        shown = refused(run, *command)
        assert "s3://data/run/rank_1.parquet" in shown
        assert expected in shown


def vanish(run: Bucket) -> None:
    run.files.rm_file(f"data/run/{SHARDS[1]}")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (vanish, "store: expected an object or a folder that exists, found none"),
        (replace_by_another, "file: expected no change since it was listed with "),
    ],
)
def test_a_shard_that_changes_after_it_was_listed_is_named(
    run: Bucket, monkeypatch: pytest.MonkeyPatch, change: Callable[[Bucket], None], expected: str
) -> None:
    def listed_before(location: str, suffixes: tuple[str, ...] = ()) -> tuple[StoredFile, ...]:
        files = listed(location, suffixes)
        if files[-1].name == SHARDS[-1]:
            change(run)
        return files

    monkeypatch.setattr(inputs, "listed", listed_before)
    shown = error("report", *RUN, *TRUTH, "--json", "s3://data/out.json", *ON_RAY)
    assert f"Error: s3://data/run/{SHARDS[1]}: {expected}" in shown
    assert "out.json" not in run.names()
