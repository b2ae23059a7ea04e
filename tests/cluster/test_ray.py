"""Parts on a Ray cluster of this machine: the results are those of one process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cluster_work
import pytest
from cluster_work import BUCKETS, MakeRows, RefuseBucket, Refused, SortRows, parts_of

from longtail_cli.errors import InputError, UsageError
from longtail_cli.execution.base import NamedPart
from longtail_cli.execution.ray.cluster import connected
from longtail_cli.execution.ray.shuffle import SMALL
from longtail_cli.execution.ray.tasks import RayExecution
from longtail_cli.execution.spilled import Spilled
from longtail_cli.workflow.progress import no_progress


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayExecution]:
    with connected("ray", None) as execution:
        yield execution


def expected(number: int) -> list[tuple[int, dict[str, list[float]]]]:
    with Spilled().mapped(MakeRows(), parts_of(number), "matching", no_progress) as mapped:
        return list(mapped.reduced(SortRows(), no_progress))


@pytest.mark.parametrize("number", [1, 7])
def test_each_bucket_gets_all_of_its_rows(cluster: RayExecution, number: int) -> None:
    with cluster.mapped(MakeRows(), parts_of(number), "matching", no_progress) as mapped:
        assert mapped.found == tuple(range(number))
        assert list(mapped.reduced(SortRows(), no_progress)) == expected(number)


@pytest.mark.parametrize(
    ("most_rows", "small", "memory"),
    [(400, SMALL, None), (400, 0, 10**9), (150, SMALL, None)],
    ids=["some large", "many rows", "all large"],
)
def test_large_buckets_come_in_ordered_pieces(
    cluster: RayExecution, most_rows: int, small: int, memory: int | None
) -> None:
    execution = replace(cluster, shuffle=replace(cluster.shuffle, small=small, block=1), memory=memory)
    with execution.mapped(MakeRows(), parts_of(5), "matching", no_progress) as mapped:
        assert list(mapped.reduced(SortRows(most_rows), no_progress)) == expected(5)


def test_each_row_is_in_one_table(cluster: RayExecution) -> None:
    parts = parts_of(5)
    with Spilled().mapped(MakeRows(), parts, "matching", no_progress) as mapped:
        total = sum(number for number, _ in mapped.each(cluster_work.summed, ["kind"], no_progress))
    with cluster.mapped(MakeRows(), parts, "matching", no_progress) as mapped:
        sums = list(mapped.each(cluster_work.summed, ["kind"], no_progress))
    assert sum(number for number, _ in sums) == total
    assert [names for _, names in sums] == [["kind"]] * 5


@pytest.mark.parametrize("parts", [[], [NamedPart("empty", 0, -1)]], ids=["no parts", "no rows"])
def test_without_rows_nothing_is_reduced(cluster: RayExecution, parts: list[NamedPart[int]]) -> None:
    with cluster.mapped(MakeRows(), parts, "matching", no_progress) as mapped:
        assert mapped.found == tuple(part.content for part in parts)
        assert list(mapped.reduced(SortRows(), no_progress)) == []
        assert list(mapped.each(cluster_work.summed, ["kind"], no_progress)) == []


def test_progress_is_by_the_sizes_of_parts(cluster: RayExecution) -> None:
    seen: list[tuple[str, float | None]] = []
    with cluster.mapped(MakeRows(), parts_of(4), "matching", lambda *now: seen.append(now)) as mapped:
        matching, seen = seen, []
        list(mapped.reduced(SortRows(), lambda *now: seen.append(now)))
    shares = [share for _, share in matching]
    assert shares == sorted(shares)
    assert (matching[0], matching[-1]) == (("matching 0 of 4 parts", 0.0), ("matching 4 of 4 parts", 1.0))
    assert seen[-1] == ("reducing", 1.0)
    assert len(seen) == 1 + BUCKETS


def test_a_worker_has_as_many_threads_as_processors(cluster: RayExecution) -> None:
    with cluster.mapped(cluster_work.threads, parts_of(2), "matching", no_progress) as mapped:
        assert mapped.found == (1, 1)


def test_a_part_that_can_use_a_gpu_does_without_where_there_are_none(cluster: RayExecution) -> None:
    with cluster.mapped(cluster_work.gpus, parts_of(2), "decoding", no_progress, gpus=1) as mapped:
        assert mapped.found == (0, 0)


def test_the_error_of_a_part_ends_the_rest(cluster: RayExecution, tmp_path: Path) -> None:
    work = Refused(at=2, folder=tmp_path)
    with (
        pytest.raises(InputError, match=r"shard-2\.parquet: file: expected a Parquet file, found text"),
        cluster.mapped(work, parts_of(100), "matching", no_progress),
    ):
        pass
    assert len(list(tmp_path.iterdir())) < 50


@pytest.mark.parametrize("most_rows", [1000, 100], ids=["whole", "in pieces"])
def test_the_error_of_a_bucket_reaches_the_user(cluster: RayExecution, most_rows: int) -> None:
    with (
        cluster.mapped(MakeRows(), parts_of(2), "matching", no_progress) as mapped,
        pytest.raises(InputError, match=r"category 3: rows: expected none, found \d+\nFix: leave it out"),
    ):
        list(mapped.reduced(RefuseBucket(most_rows), no_progress))


def test_a_connected_process_keeps_its_cluster(cluster: RayExecution) -> None:
    with connected("auto", None) as other, other.mapped(MakeRows(), parts_of(1), "matching", no_progress) as mapped:
        assert mapped.found == (0,)
    with pytest.raises(UsageError, match="found connected to one already"), connected("ray", None):
        pass


def test_memory_that_no_node_has_is_refused(cluster: RayExecution) -> None:
    with (
        pytest.raises(UsageError, match=r"expected at most .* GB of the largest node, found 1,000,000.0 GB"),
        connected("auto", 10**15),
    ):
        pass
