"""Result files become columns, and their ids are looked up in the annotations."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from opened import held_fields, read_annotations, read_results

from longtail_cli.errors import InputError
from longtail_cli.tables import Results
from longtail_cli.workflow.locate_detections import locate

NONE: frozenset[str] = frozenset()
BOXES = frozenset({"bbox"})
BOTH = frozenset({"bbox", "masks"})

MASK = {"size": [4, 5], "counts": [6, 2, 2, 1, 9]}
"""On 5 columns of 4 pixels: two pixels from row 2 of column 1 down, one at row 2 of column 2."""

Write = Callable[..., Path]


def entry(**fields: Any) -> dict[str, Any]:
    return {"image_id": 12, "category_id": 7, "score": 0.25, **fields}


def boxed(**fields: Any) -> dict[str, Any]:
    return entry(bbox=[1, 2.5, 3, 4], **fields)


def masked(**fields: Any) -> dict[str, Any]:
    return entry(segmentation=MASK, **fields)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_to(entries: Any, name: str = "predictions.json") -> Path:
        path = tmp_path / name
        content = json.dumps(entries).encode()
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
        return path

    return write_to


@pytest.fixture
def annotations(tmp_path: Path) -> Path:
    path = tmp_path / "val.json"
    images = [{"id": number, "width": 5, "height": 4} for number in (30, 12, 0)]
    categories = [{"id": number, "name": str(number)} for number in (7, 1, 4_000_000_000)]
    path.write_text(json.dumps({"images": images, "categories": categories, "annotations": []}))
    return path


def test_columns_in_file_order(write: Write) -> None:
    results = read_results(write([boxed(), boxed(image_id=0, score=1), boxed(category_id=42.0)]), fields=BOXES)
    assert len(results) == 3
    assert results.image_id.tolist() == [12, 0, 12]
    assert results.category_id.tolist() == [7, 7, 42]
    assert results.score.tolist() == [0.25, 1, 0.25]
    assert results.bbox is not None
    assert results.bbox.tolist() == [[1, 2.5, 3, 4]] * 3
    assert results.masks is None


def test_gzip_makes_no_difference(write: Write) -> None:
    packed = read_results(write([boxed()], "predictions.json.gz"), fields=BOXES)
    assert packed.bbox is not None
    assert packed.bbox.tolist() == [[1, 2.5, 3, 4]]


@pytest.mark.parametrize("fields", [NONE, BOXES, BOTH])
def test_an_empty_list_gives_empty_columns(write: Write, annotations: Path, fields: frozenset[str]) -> None:
    results = read_results(write([]), fields=fields)
    assert len(results) == 0
    assert (results.bbox is not None, results.masks is not None) == ("bbox" in fields, "masks" in fields)
    if fields:
        assert len(locate(results, read_annotations(annotations))) == 0


def test_geometry_is_read_only_on_request(write: Write) -> None:
    results = read_results(write([boxed(segmentation="anything"), entry(bbox=None)]), fields=NONE)
    assert (results.bbox, results.masks) == (None, None)
    assert results.score.tolist() == [0.25, 0.25]


def test_masks_are_read_as_run_lengths(write: Write) -> None:
    results = read_results(write([masked(), boxed(segmentation=MASK)]), fields=frozenset({"masks"}))
    assert results.masks is not None
    assert results.masks.size.tolist() == [[4, 5]] * 2
    assert results.masks.counts.tolist() == MASK["counts"] * 2
    assert results.masks.start.tolist() == [0, 5, 10]


def test_boxes_come_from_masks_if_there_are_none(write: Write, annotations: Path) -> None:
    results = read_results(write([masked()]), fields=BOXES)
    found = locate(results, read_annotations(annotations))
    assert found.bbox.tolist() == [[1, 2, 2, 2]]
    assert found.area.tolist() == [3]


def test_boxes_take_precedence_over_masks(write: Write, annotations: Path) -> None:
    found = locate(read_results(write([boxed(segmentation=MASK)]), fields=BOTH), read_annotations(annotations))
    assert found.bbox.tolist() == [[1, 2.5, 3, 4]]
    assert found.area.tolist() == [12]
    assert found.masks is not None


def test_boxes_alone_have_no_masks_to_evaluate(write: Write, annotations: Path) -> None:
    results = read_results(write([boxed()]), fields=frozenset({"masks"}))
    assert results.masks is None
    with pytest.raises(InputError, match="expected a field `segmentation`"):
        locate(results, read_annotations(annotations))


@pytest.mark.parametrize(
    ("entries", "held"),
    [([boxed()], BOXES), ([masked()], {"masks"}), ([boxed(segmentation=MASK)], BOTH), ([entry()], NONE), ([], NONE)],
)
@pytest.mark.parametrize("name", ["predictions.json", "predictions.json.gz"])
def test_what_the_first_entry_holds(write: Write, entries: Any, held: set[str], name: str) -> None:
    assert held_fields(write(entries, name)) == held


def test_progress_comes_to_the_size_of_the_file(write: Write) -> None:
    path = write([boxed()] * 100)
    done: list[int] = []
    read_results(path, fields=BOXES, advance=done.append)
    assert sum(done) == path.stat().st_size


def test_ids_become_indices_into_the_annotations(write: Write, annotations: Path) -> None:
    entries = [boxed(), boxed(image_id=0, category_id=1), boxed(image_id=30, category_id=4_000_000_000)]
    found = locate(read_results(write(entries), fields=BOXES), read_annotations(annotations))
    assert found.image.tolist() == [1, 0, 2]
    assert found.category.tolist() == [1, 0, 2]
    assert (found.image.dtype, found.category.dtype) == (np.int32, np.int32)


def complaint(results: Results, annotations: Path) -> str:
    with pytest.raises(InputError) as error:
        locate(results, read_annotations(annotations))
    return str(error.value)


def test_ids_missing_from_the_annotations(write: Write, annotations: Path) -> None:
    entries = [boxed(), boxed(image_id=13), *(boxed(category_id=100 + number) for number in range(12))]
    message = complaint(read_results(write(entries), fields=BOXES), annotations)
    assert f"`image_id` of 1 of 14 entries, first in entry 1: expected an id in {annotations}, found 13" in message
    assert "`category_id` of 12 of 14 entries, first in entry 2" in message
    assert "found 100, 101, 102, 103, 104, 105, 106, 107, ... (12 different ones)" in message
    assert "pass the annotations that belong to these detections" in message


@pytest.mark.parametrize(("step", "advice"), [(-1, "`category_offset=1`"), (1, "`category_offset=-1`")])
def test_ids_all_off_by_one(write: Write, annotations: Path, step: int, advice: str) -> None:
    entries = [boxed(category_id=7 + step), boxed(category_id=1 + step)]
    message = complaint(read_results(write(entries), fields=BOXES), annotations)
    assert f"all ids are off by one: pass {advice}" in message


def test_real_boxes(real_data: Path) -> None:
    path = real_data / "instances_val2014_fakebbox100_results.json"
    results = read_results(path, fields=BOXES)
    plain = json.loads(path.read_bytes())
    assert results.image_id.tolist() == [one["image_id"] for one in plain]
    assert results.score.tolist() == [one["score"] for one in plain]
    assert results.bbox is not None
    assert results.bbox.tolist() == [one["bbox"] for one in plain]
    found = locate(results, read_annotations(real_data / "instances_val2014_100.json"))
    assert len(found) == len(plain)


def test_real_masks(real_data: Path) -> None:
    path = real_data / "instances_val2014_fakesegm100_results.json"
    assert held_fields(path) == {"masks"}
    results = read_results(path, fields=BOXES)
    assert results.masks is not None
    assert results.masks.size.tolist() == [one["segmentation"]["size"] for one in json.loads(path.read_bytes())]
