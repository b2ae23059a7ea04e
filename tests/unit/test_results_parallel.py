"""A file read in parts gives the same table as in one go, for any boundaries of the parts."""

import json
from contextlib import closing
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opened import read_results

from longtail_cli.errors import InputError
from longtail_cli.files.results import json_entries as result_parts
from longtail_cli.files.results.json_entries import gather_in_parts
from longtail_cli.files.source import open_file

BOXES = frozenset({"bbox"})


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """Parts of 100 bytes, four at a time, on any machine."""
    monkeypatch.setattr(result_parts, "PART_BYTES", 100)
    monkeypatch.setattr(result_parts, "THREADS", 4)


def entry(number, **more):
    return {"image_id": number, "category_id": 2, "bbox": [number, 0.5, 3, 4.25], "score": 0.125} | more


def write(folder, entries):
    path = folder / "predictions.json"
    path.write_text(json.dumps(entries))
    return path


def in_parts(path, fields=BOXES):
    with closing(open_file(path)) as content:
        return gather_in_parts(content, fields, None)


def in_one_go(path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("longtail_cli.files.results.json_entries.gather_in_parts", lambda *_: None)
        return read_results(path, fields=BOXES)


def assert_equal(one, other):
    for name in ("image_id", "category_id", "score", "bbox"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_parts_join_to_the_whole(tmp_path, monkeypatch):
    path = write(tmp_path, [entry(number) for number in range(50)])
    columns = in_parts(path)
    assert columns is not None
    assert_equal(columns.results(), in_one_go(path, monkeypatch))


def masked(number, counts):
    return entry(number, segmentation={"size": [6, 8], "counts": counts})


def test_masks_of_all_parts_are_joined_in_order(tmp_path):
    path = write(tmp_path, [masked(number, ["74U1", "`1", "0`1"][number % 3]) for number in range(50)])
    columns = in_parts(path, BOXES | {"masks"})
    assert columns is not None
    masks = columns.results().masks
    runs = [masks.counts[begin:end].tolist() for begin, end in pairwise(masks.start)]
    assert runs == [[[7, 4, 37], [48], [0, 48]][number % 3] for number in range(50)]


@pytest.mark.parametrize("row", [0, 30, 49])
def test_masks_that_are_written_otherwise_are_read_in_one_go(tmp_path, row):
    path = write(tmp_path, [masked(number, [7, 4, 37] if number == row else "74U1") for number in range(50)])
    assert in_parts(path, BOXES | {"masks"}) is None
    assert read_results(path, fields=BOXES | {"masks"}).masks.counts.tolist() == [7, 4, 37] * 50


awkward = st.sampled_from(
    [
        {},
        {"note": "}, {"},
        {"note": '"}, {"image_id": 1'},
        {"parts": [{"a": 1}, {"b": {}}, {"c": [{}, {}]}]},
        {"{}": "\\"},
    ]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(awkward, max_size=30))
def test_text_that_looks_like_a_boundary(tmp_path, monkeypatch, extras):
    path = write(tmp_path, [entry(number, **more) for number, more in enumerate(extras)])
    assert_equal(read_results(path, fields=BOXES), in_one_go(path, monkeypatch))


@pytest.mark.parametrize("row", [0, 20, 49])
@pytest.mark.parametrize("wrong", [{"score": "0.5"}, {"image_id": 1.5}, {"bbox": [1, 2, 3]}])
def test_faults_are_reported_as_in_one_go(tmp_path, monkeypatch, row, wrong):
    entries = [entry(number) for number in range(50)]
    entries[row] |= wrong
    path = write(tmp_path, entries)
    with pytest.raises(InputError) as whole:
        in_one_go(path, monkeypatch)
    assert in_parts(path) is None
    with pytest.raises(InputError) as parts:
        read_results(path, fields=BOXES)
    assert str(parts.value) == str(whole.value)


@pytest.mark.parametrize("cut", [1, 30, 2000])
def test_a_file_that_is_cut_off(tmp_path, cut):
    path = write(tmp_path, [entry(number) for number in range(50)])
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(InputError, match="cut off"):
        read_results(path, fields=BOXES)


def test_small_files_are_read_in_one_go(tmp_path):
    assert in_parts(write(tmp_path, [entry(1)])) is None
