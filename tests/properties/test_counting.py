"""Invariants of counting, for any data."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opened import read_occurrences

from longtail_cli.files.masks import decode_counts
from longtail_cli.frequency import count, detection_groups, tail_ratio
from longtail_cli.tables import Categories, FrequencyTable, Occurrences

ids = st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=6, unique=True)
rates = st.floats(0, 1)
with_files = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def annotation_files(draw: st.DrawFn) -> dict[str, list[dict[str, Any]]]:
    images, categories = draw(ids), draw(ids)
    pairs = draw(st.lists(st.tuples(st.sampled_from(images), st.sampled_from(categories)), max_size=20))
    return {
        "images": [{"id": number} for number in images],
        "categories": [{"id": number, "name": f"class {number}"} for number in categories],
        "annotations": [{"image_id": image, "category_id": category} for image, category in pairs],
    }


def counted(path: Path, content: dict[str, Any]) -> FrequencyTable:
    path.write_text(json.dumps(content))
    return count(read_occurrences(path)[0], detection_groups())


@with_files
@given(content=annotation_files(), data=st.data())
def test_the_order_of_a_file_does_not_matter(tmp_path: Path, content: dict[str, Any], data: st.DataObject) -> None:
    table = counted(tmp_path / "a.json", content)
    shuffled = counted(tmp_path / "b.json", {key: data.draw(st.permutations(content[key])) for key in content})
    for field in ("category_id", "image_count", "instance_count"):
        np.testing.assert_array_equal(getattr(table, field), getattr(shuffled, field))
    assert (table.name, table.group, table.num_images) == (shuffled.name, shuffled.group, shuffled.num_images)


@with_files
@given(content=annotation_files())
def test_counts_bound_each_other(tmp_path: Path, content: dict[str, Any]) -> None:
    table = counted(tmp_path / "a.json", content)
    assert (table.image_count <= table.instance_count).all()
    assert table.instance_count.sum() == len(content["annotations"])
    assert ((table.image_rate >= 0) & (table.image_rate <= 1)).all()


@given(pairs=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4)), max_size=40), low=rates, high=rates)
def test_the_tail_grows_with_its_threshold(pairs: list[tuple[int, int]], low: float, high: float) -> None:
    columns = np.array(pairs, np.int32).reshape(-1, 2)
    categories = Categories(np.arange(5), ("",) * 5, None, None, None)
    before = columns.copy()
    table = count(Occurrences(categories, 10, columns[:, 0], columns[:, 1], "train.json"), detection_groups())
    np.testing.assert_array_equal(columns, before)
    assert tail_ratio(table, min(low, high)) <= tail_ratio(table, max(low, high))
    assert tail_ratio(table, 1.5) == (1.0 if pairs else 0.0)


def compress(runs: list[int]) -> bytes:
    """Compressed counts, one run after the other."""
    characters = bytearray()
    for index, run in enumerate(runs):
        value = run - runs[index - 2] if index > 2 else run
        more = True
        while more:
            group = value & 31
            value >>= 5
            more = value != (-1 if group & 16 else 0)
            characters.append(48 + group + 32 * more)
    return bytes(characters)


@given(st.lists(st.lists(st.integers(0, 2**20), min_size=1, max_size=12), max_size=5))
def test_compressed_counts_round_trip(masks: list[list[int]]) -> None:
    strings = [compress(runs) for runs in masks]
    start = np.cumsum([0, *map(len, strings)])
    size = np.array([(sum(runs), 1) for runs in masks], np.int32).reshape(-1, 2)
    read, valid = decode_counts(np.frombuffer(b"".join(strings), np.uint8), start, size)
    assert valid.all()
    assert [read.counts[a:b].tolist() for a, b in zip(read.start, read.start[1:], strict=False)] == masks
