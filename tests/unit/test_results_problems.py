"""The faults of a result file are reported together, entry by entry."""

import json
from pathlib import Path
from typing import Any

import pytest
from opened import read_results

from longtail_cli.errors import InputError
from longtail_cli.files.results.columns import MAX_BAD_ENTRIES

NAN, INFINITY = float("nan"), float("inf")
GOOD = {"image_id": 12, "category_id": 7, "score": 0.25, "bbox": [1, 2.5, 3, 4]}
MASK = {"size": [2, 2], "counts": "04"}


def complaint(tmp_path: Path, content: Any, fields: str = "bbox") -> str:
    path = tmp_path / "predictions.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    with pytest.raises(InputError) as error:
        read_results(path, fields=frozenset({fields}))
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


ENTRIES = [
    ({"score": NAN}, "entry 1 (image_id 12), `score`: expected a finite number, found NaN"),
    ({"score": -INFINITY}, "entry 1 (image_id 12), `score`: expected a finite number, found -Infinity"),
    ({"score": "0.5"}, 'entry 1 (image_id 12), `score`: expected a number, found "0.5"'),
    ({"score": True}, "entry 1 (image_id 12), `score`: expected a number, found true"),
    ({"score": None}, "entry 1 (image_id 12), `score`: expected a number, found null"),
    ({"image_id": "x" * 5000}, 'entry 1, `image_id`: expected a name or an id, found "xxxx'),
    ({"image_id": 1.5}, "entry 1, `image_id`: expected an integer id, found 1.5"),
    ({"image_id": False}, "entry 1, `image_id`: expected an integer id, found false"),
    ({"category_id": None}, "entry 1 (image_id 12), `category_id`: expected an integer id, found null"),
    ({"category_id": 2**63}, "`category_id`: expected an integer id, found 9223372036854775808"),
    ({"bbox": [1, 2, 3]}, "`bbox`: expected four numbers [x, y, width, height], found 3 numbers"),
    ({"bbox": None}, "`bbox`: expected four numbers [x, y, width, height], found null"),
    ({"bbox": [1, "2", 3, 4]}, 'y of `bbox`: expected a number, found "2"'),
    ({"bbox": [1, 2, 3, INFINITY]}, "height of `bbox`: expected a finite number, found Infinity"),
    ({"bbox": [1, 2, -3, 4]}, "`bbox`: expected a width of 0 or more, found -3"),
    ({"extra": [0, NAN]}, "entry 1 (image_id 12): expected finite numbers, found NaN"),
]


@pytest.mark.parametrize(("fields", "expected"), ENTRIES)
def test_a_field_of_an_entry(tmp_path: Path, fields: dict[str, Any], expected: str) -> None:
    assert expected in complaint(tmp_path, [GOOD, {**GOOD, **fields}, GOOD])


def test_missing_fields(tmp_path: Path) -> None:
    message = complaint(tmp_path, [GOOD, {"image_id": 3, "bbox": [1, 2, 3, 4]}, {}])
    assert "entry 1 (image_id 3): expected a field `category_id`, found only `image_id`, `bbox`" in message
    assert "entry 1 (image_id 3): expected a field `score`" in message
    assert "entry 2: expected a field `image_id`, found no field" in message


def test_a_repeated_field(tmp_path: Path) -> None:
    twice = json.dumps([GOOD]).replace('"score": 0.25', '"score": 0.25, "score": 0.5')
    assert "expected one field `score`, found more than one" in complaint(tmp_path, twice.encode())


def test_boxes_on_some_entries_only(tmp_path: Path) -> None:
    bare = {key: value for key, value in GOOD.items() if key != "bbox"}
    expected = "entry 1 (image_id 12): expected a field `bbox`, which other entries have, found none"
    assert expected in complaint(tmp_path, [GOOD, {**bare, "segmentation": MASK}])
    assert "expected a field `bbox` or `segmentation`, found none" in complaint(tmp_path, [bare])


def test_masks_on_some_entries_only(tmp_path: Path) -> None:
    expected = "entry 0 (image_id 12): expected a field `segmentation`, which other entries have, found none"
    assert expected in complaint(tmp_path, [GOOD, {**GOOD, "segmentation": MASK}], "masks")


def test_segmentations_that_are_not_masks(tmp_path: Path) -> None:
    message = complaint(tmp_path, [{**GOOD, "segmentation": other} for other in (MASK, [[1, 1, 2, 2, 1, 2]])], "masks")
    assert "entry 1 (image_id 12)" in message
    assert "[[1, 1, 2, 2, 1, 2]]" in message


def test_an_invalid_entry_does_not_count_as_one_without_a_box(tmp_path: Path) -> None:
    masked = {"image_id": 12, "category_id": 7, "score": 0.25, "segmentation": MASK}
    message = complaint(tmp_path, [masked, {**masked, "score": NAN}, masked])
    assert message.splitlines()[0] == "entry 1 (image_id 12), `score`: expected a finite number, found NaN"


def test_all_kinds_of_problems_are_reported_together(tmp_path: Path) -> None:
    bad = [{**GOOD, "score": NAN}] * 20 + [7, {**GOOD, "category_id": "a"}]
    message = complaint(tmp_path, json.dumps(bad).encode()[:-1])
    lines = message.splitlines()
    assert lines[0] == "23 problems"
    assert "the end of the file, after 22 whole entries: it is cut off" in message
    assert "entry 20: expected an object, found 7" in message
    assert 'entry 21 (image_id 12), `category_id`: expected an integer id, found "a"' in message
    assert sum("found NaN" in line for line in lines) == 3  # problems that differ only in where they are
    assert lines[-2] == "  ... and 17 more"
    assert len(lines) == 1 + 6 + 1 + 1


def test_reading_stops_after_too_many_problems(tmp_path: Path) -> None:
    message = complaint(tmp_path, [{**GOOD, "category_id": "a"}] * (MAX_BAD_ENTRIES + 5))
    assert (
        f"entries from {MAX_BAD_ENTRIES} on: expected fewer than {MAX_BAD_ENTRIES} entries with problems before them"
        in message
    )


FILES = [
    (b"[" + json.dumps(GOOD).encode() + b",", "byte 75: expected the rest of the list, found the end of the file, "),
    (b"[]]", "byte 2 (entry 0): expected valid JSON in UTF-8, found ']'"),
    (b'[{"image_id": 1 "score": 2}]', """byte 16 (entry 0): expected valid JSON in UTF-8, found '"score": 2}]'"""),
    (b"no JSON", "byte 0: expected a JSON list of detections, found 'no JSON'"),
    (b"\xef\xbb\xbf[]", "in UTF-8 without a byte order mark"),
    (b"  ", "expected the rest of the list, found the end of the file, after 0 whole entries"),
    (json.dumps({"images": [], "annotations": []}).encode(), "it looks like an annotation file"),
    (
        json.dumps({"info": 1, "results": []}).encode(),
        "expected a list of detections, found an object with `info`, `res",
    ),
    (json.dumps({"predictions": [GOOD]}).encode(), "write the list in `predictions` to a separate file"),
    (b"{}", "expected a list of detections, found an object with no keys"),
    (json.dumps(GOOD).encode() + b",\n" + json.dumps(GOOD).encode(), "byte 0: expected a JSON list of detections"),
]


@pytest.mark.parametrize(("content", "expected"), FILES)
def test_a_file_that_is_not_a_list(tmp_path: Path, content: bytes, expected: str) -> None:
    assert expected in complaint(tmp_path, content)


def test_an_empty_or_missing_file(tmp_path: Path) -> None:
    assert "an empty file" in complaint(tmp_path, b"")
    with pytest.raises(InputError, match="No such file"):
        read_results(tmp_path / "other.json", fields=frozenset())
