"""`ltcal report` on a Ray cluster: the numbers of one process, and its messages."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cluster_work
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cluster_work import parts_of

from longtail_cli.execution.ray.cluster import connected
from longtail_cli.workflow.progress import no_progress

EXAMPLE = Path(__file__).parents[2] / "examples/digit_scenes"
ANNOTATIONS = ("--annotations", str(EXAMPLE / "val.json"), "--max-dets", "20")
SHARDS = 5


@pytest.fixture(autouse=True)
def client_address(nodes: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """That of a cluster for Ray clients, while `auto` is the same cluster. Its GPU need not exist."""
    monkeypatch.setenv("RAY_ADDRESS", nodes.address)
    return str(nodes.client_address)


@pytest.fixture
def shards(tmp_path: Path) -> list[Path]:
    """The detections of the example, those of every fifth image in a Parquet file."""
    entries = json.loads((EXAMPLE / "predictions.json").read_text())
    paths = [tmp_path / f"rank_{rank}.parquet" for rank in range(SHARDS)]
    for rank, path in enumerate(paths):
        own = [entry for entry in entries if entry["image_id"] % SHARDS == rank]
        table = {name: [entry[name] for entry in own] for name in ("image_id", "category_id", "bbox", "score")}
        pq.write_table(pa.table(table), path)
    return paths


def ltcal(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "longtail_cli.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_the_report_is_that_of_one_process(shards: list[Path], tmp_path: Path, client_address: str) -> None:
    options = [*ANNOTATIONS, "--fixed-ap", "--pooled-ap", "--bootstrap", "--resamples", 50]
    engines = ["local", "auto", *([client_address] if find_spec("grpc") else [])]
    seen = []
    for number, engine in enumerate(engines):
        out = tmp_path / str(number)
        done = ltcal("report", "--merge", *shards, *options, "--json", out, "--engine", engine)
        assert (done.returncode, done.stderr.count("\n")) == (0, 1), done.stderr
        seen.append((done.stdout, json.loads(out.read_text())))
    assert all(one == seen[0] for one in seen)


def test_a_part_that_can_use_a_gpu_gets_one_to_itself() -> None:
    with connected("auto", None) as execution:
        for gpus in (0, 1):
            with execution.mapped(cluster_work.gpus, parts_of(2), "decoding", no_progress, gpus) as mapped:
                assert mapped.found == (gpus, gpus)


def test_a_report_of_logits_is_that_of_one_process(tmp_path: Path) -> None:
    ltcal("compute-freq", EXAMPLE / "train.json", "-o", tmp_path / "freq.csv")
    options = [*ANNOTATIONS, "--freq", tmp_path / "freq.csv", "--method", "none", "--method", "iif"]
    alone, parted = (
        ltcal("report", EXAMPLE / "logits.npz", *options, "--json", tmp_path / engine, "--engine", engine)
        for engine in ("local", "auto")
    )
    assert (parted.returncode, parted.stdout) == (0, alone.stdout), parted.stderr
    assert (tmp_path / "auto").read_bytes() == (tmp_path / "local").read_bytes()


@pytest.mark.parametrize("address", ["ray://127.0.0.1:9", "ray://no-such-host.invalid:10001"])
def test_a_cluster_that_is_not_there(shards: list[Path], tmp_path: Path, address: str) -> None:
    pytest.importorskip("grpc")
    done = ltcal("report", "--merge", *shards, *ANNOTATIONS, "--json", tmp_path / "out", "--engine", address)
    assert done.returncode == 2
    assert done.stderr.startswith(f"Error: --engine {address}: cluster: expected one that answers, found {address}: [")
    assert done.stderr.count("\n") == 2
    assert not (tmp_path / "out").exists()


def test_a_cluster_of_this_machine_that_was_stopped(
    shards: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`ray start` notes the address of its cluster in a file, which stays when the machine is restarted."""
    noted = tmp_path / "ray" / "ray_current_cluster"
    noted.parent.mkdir()
    noted.write_text("127.0.0.1:9")
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    done = ltcal("report", "--merge", *shards, *ANNOTATIONS, "--engine", "auto")
    assert done.returncode == 2
    assert done.stderr.startswith("Error: --engine auto: cluster: expected one that answers, found 127.0.0.1:9: [")
