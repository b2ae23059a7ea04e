"""JSON that is deep, long, repeated, broken or beyond what a number can hold."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from opened import read_annotations, read_occurrences, read_results

from longtail_cli.errors import MAX_LETTERS, InputError, Problem

BOXES, MASKS = frozenset({"bbox"}), frozenset({"masks"})
DEEP = "[" * 100_000 + "]" * 100_000
LISTS = '"images": [{"id": 1, "height": 9, "width": 9}], "categories": [{"id": 1}]'
OBJECT = '{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "area": 1, "segmentation": %s}'


def message_of(path: Path, content: str | bytes, read: Any, **options: Any) -> str:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(InputError) as error:
        read(path, **options)
    return str(error.value)


def result_message(path: Path, content: str | bytes, fields: frozenset[str] = BOXES) -> str:
    return message_of(path, content, read_results, fields=fields)


def entry(image_id: str = "1", score: str = "0.5", box: str = "[0, 0, 1, 1]", more: str = "") -> str:
    return f'{{"image_id": {image_id}, "category_id": 1, "score": {score}, "bbox": {box}{more}}}'


@pytest.mark.parametrize("read", [read_annotations, read_occurrences])
@pytest.mark.parametrize(
    "content",
    [
        f'{{{LISTS}, "annotations": [], "x": {DEEP}}}',
        f'{{"images": [{{"id": 1, "x": {DEEP}}}], "categories": [], "annotations": [{{"id": "x"}}]}}',
        f'{{"images": {DEEP}, "categories": [], "annotations": 1}}',
        f'{{"annotations": 1, "images": 1, "categories": 1, "x": {DEEP}}}',
    ],
)
def test_deep_nesting_in_annotations(tmp_path: Path, read: Any, content: str) -> None:
    assert "found thousands of levels" in message_of(tmp_path / "val.json", content, read)


def test_deep_nesting_in_results(tmp_path: Path) -> None:
    content = "[" + entry(score="1e-300", more=', "x": ' + DEEP) + "]"
    assert "(entry 0): expected valid JSON" in result_message(tmp_path / "results.json", content)


@pytest.mark.parametrize("read", [read_annotations, read_occurrences])
def test_a_number_beyond_float64_in_place_of_a_list(tmp_path: Path, read: Any) -> None:
    message = message_of(tmp_path / "val.json", f'{{{LISTS}, "annotations": 1e999}}', read)
    assert "`annotations`: expected a list of objects, found '1e999'" in message


@pytest.mark.parametrize("mask", [b'[["\xff"]]', b'{"size": [9, 9], "counts": "\xff"}', b'"\xff"'])
def test_broken_text_in_a_mask(tmp_path: Path, mask: bytes) -> None:
    content = f'{{{LISTS}, "annotations": [{OBJECT}]}}'.encode() % mask
    message = message_of(tmp_path / "val.json", content, read_annotations, masks=True)
    assert "annotations[0] (id 1), `segmentation`: expected run lengths or polygons" in message


def test_integers_of_any_length_in_fields_that_are_not_read(tmp_path: Path) -> None:
    """Python converts no more than 4,300 digits; the score is left to Python."""
    path = tmp_path / "results.json"
    path.write_text("[" + entry(score="1e-300", more=', "x": ' + "9" * 5000) + "]")
    assert read_results(path, fields=BOXES).score.tolist() == [1e-300]


def test_many_keys_of_which_one_is_repeated(tmp_path: Path) -> None:
    """Counting each key among all would take half a minute."""
    keys = ", ".join(f'"k{number}": 1' for number in range(60_000))
    start = time.perf_counter()
    message = result_message(tmp_path / "results.json", f'[{{{keys}, "image_id": 1, "image_id": 1, "k1": 1}}]')
    assert "expected one field `image_id`, found more than one" in message
    assert time.perf_counter() - start < 5


def test_messages_show_the_start_of_long_names(tmp_path: Path) -> None:
    long = "k" * 100_000
    for content in (f'[{{"{long}": 1}}]', f'{{"{long}": 1}}', "[" + entry(image_id=f'"{long}"') + "]"):
        message = result_message(tmp_path / "results.json", content)
        assert max(map(len, message.splitlines())) < 5 * MAX_LETTERS
    assert str(Problem("x", "y", "z" * 1000)) == f"x: expected y, found {'z' * (MAX_LETTERS - 3)}..."


@pytest.mark.parametrize("bad", [0, 1199, 1999])
def test_the_entry_with_broken_text_is_named(tmp_path: Path, bad: int) -> None:
    entries = [entry(str(number)).encode() for number in range(2000)]
    entries[bad] = entry(str(bad), more=', "x": "\N{DIGIT ONE}"').encode().replace(b'"1"', b'"\xff"')
    content = b"[" + b", ".join(entries) + b"]"
    message = result_message(tmp_path / "results.json", content)
    place = content.index(b"\xff")
    assert f"byte {place} (entry {bad}): expected valid JSON in UTF-8, found " in message


@pytest.mark.parametrize("number", ["9007199254740993.0", "9007199254740992.0", "-9007199254740993.00", "1e16"])
def test_ids_that_floats_do_not_tell_apart(tmp_path: Path, number: str) -> None:
    message = result_message(tmp_path / "results.json", f"[{entry(image_id=number)}]")
    assert "`image_id`: expected an integer id" in message


def test_ids_that_floats_tell_apart(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(f"[{entry('9007199254740991.0')}, {entry('-9007199254740991.0')}, {entry('9007199254740993')}]")
    assert read_results(path, fields=BOXES).image_id.tolist() == [2**53 - 1, 1 - 2**53, 2**53 + 1]


@pytest.mark.parametrize("box", ["[0, 0, 1e200, 1e200]", "[1e308, 0, 1e308, 1]", "[-1e151, 0, 1, 1]"])
def test_boxes_whose_area_overflows(tmp_path: Path, box: str) -> None:
    message = result_message(tmp_path / "results.json", f"[{entry(box=box)}]")
    assert "of `bbox`: expected a number within 1e+150 of 0" in message
    content = f'{{{LISTS}, "annotations": [{OBJECT % "[]"}]}}'.replace("[0, 0, 1, 1]", box)
    message = message_of(tmp_path / "val.json", content, read_annotations)
    assert "annotations[0] (id 1), `bbox`: expected numbers within 1e+150 of 0" in message
