"""The kernels that read, compiled and as plain Python, on the same input."""

import json
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from engine_plain import plain
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from longtail_cli.engine import json_records, polygons, run_lengths, splicing

PLAIN = {name: plain(name) for name in ("json_records", "polygons", "run_lengths", "splicing")}


def text(content: bytes) -> np.ndarray[Any, Any]:
    return np.frombuffer(content + b"\0", np.uint8)


NAMES = np.array(
    [list(name.ljust(8, b"\0")) for name in (b"id", b"count", b"crowd", b"score", b"box", b"mask")], np.uint8
)
FIELDS = np.array(
    [(kind, column, column - 1) for kind, column in zip(range(6), (0, 1, 2, 0, 0, 1), strict=True)], np.int32
)
FIELDS[:3, 2] = -1
SEEDS = [
    b'[{"id":1,"count":20,"crowd":0,"score":0.5,"box":[1,2.25,3,4],"mask":"a"},'
    b'{"id":2,"count":-3,"crowd":1,"score":0.72658300399780273,"box":[344.51721191,-0.5,12345678.125,1e2],"mask":{"x":[]}},'
    b'{"id":77,"count":4,"crowd":true,"score":7e-3,"box":[0,0,0,0],"mask":[1,-2.5e3,null]}]',
    b'[ {"score": 0.012345678901234567, "id": 9223372036854775807} ,{"score": 1.5, "id": 12.0}, {"score": 2, "id":3}]',
]
TOKENS = [
    b"",
    b" ",
    b",",
    b"0",
    b"9",
    b"-",
    b".",
    b"e",
    b'"',
    b"\\",
    b"{",
    b"]",
    b"1234567890123456789",
    b"false",
    b"NaN",
]
CHANGES = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 2), st.sampled_from(TOKENS)), max_size=3)


def mutated(content: bytes, changes: list[tuple[float, int, bytes]]) -> bytes:
    for position, dropped, token in changes:
        at = round(position * len(content))
        content = content[:at] + token + content[at + dropped :]
    return content


def scanned(engine: Any, content: bytes, required: int, strict: int, room: int) -> list[Any]:
    columns = (
        np.full((3, room), 7), np.full((1, room), 7.0), np.full((room, 4), 7.0),
        np.full((2, room, 2), 7), np.full(room, 7),
    )  # fmt: skip
    end = len(content)
    found = engine.scan(text(content), end, 0, 0, NAMES, FIELDS, required, strict, *columns)
    return [tuple(found), *(column.tobytes() for column in columns)]


@settings(max_examples=300)
@given(st.sampled_from(SEEDS), CHANGES, st.sampled_from([0, 1, 0b111111]), st.integers(0, 2), st.integers(0, 4))
def test_records(content: bytes, changes: Any, required: int, strict: int, room: int) -> None:
    content = mutated(content, changes)
    assert scanned(json_records, content, required, strict, room) == scanned(
        PLAIN["json_records"], content, required, strict, room
    )


@pytest.mark.parametrize("content", SEEDS)
def test_the_seeds_are_read_whole(content: bytes) -> None:
    assert scanned(json_records, content, 0, 1, 4)[0][1:3] == (json_records.CLOSED, len(content))


@given(st.sampled_from(SEEDS), CHANGES, st.integers(0, 2))
def test_values(content: bytes, changes: Any, strict: int) -> None:
    data = text(mutated(content, changes))
    assert json_records.skip(data, 0, strict) == PLAIN["json_records"].skip(data, 0, strict)


OUTLINE = b"[[1,2.5,30.25,4,15,1e1,2.5,7],[3,3 , 4 ,0.1,20.75,31]]"


def points_of(engine: Any, content: bytes) -> list[bytes]:
    places = np.array([[0, len(content)]] * 2)
    points, starts, objects = np.zeros(len(content) + 2), np.zeros(len(content) + 2, np.int64), np.zeros(3, np.int64)
    engine.polygons(text(content), places, 1e5, points, starts, objects)
    return [points[: starts[objects[-1]]].tobytes(), starts[: objects[-1] + 1].tobytes(), objects.tobytes()]


@given(CHANGES)
def test_points_of_polygons(changes: Any) -> None:
    content = mutated(OUTLINE, changes)
    assert points_of(json_records, content) == points_of(PLAIN["json_records"], content)


def drawn(
    engine: Any, outlines: list[list[list[float]]], size: tuple[int, int], room: int = 1 << 10
) -> list[list[int]]:
    flat = [outline for outline_list in outlines for outline in outline_list]
    points = np.array([value for outline in flat for value in outline])
    polygon_start = np.cumsum([0, *map(len, flat)])
    object_start = np.cumsum([0, *map(len, outlines)])
    start, counts = np.zeros(len(outlines) + 1, np.int64), np.zeros(room * (len(outlines) + 1), np.uint32)
    sizes = np.array([size] * len(outlines), np.int32).reshape(-1, 2)
    done = engine.rasterise(0, points, polygon_start, object_start, sizes, start, counts, room)
    assert done == len(outlines)
    return [counts[begin:end].tolist() for begin, end in pairwise(start)]


coordinates = st.one_of(
    st.integers(-30, 400).map(lambda tenths: tenths / 10),
    st.floats(-20, 60),
    st.sampled_from([0.0, 0.5, 8.0, -1.0, 1e5]),
)
outline = st.integers(3, 8).flatmap(lambda number: st.lists(coordinates, min_size=2 * number, max_size=2 * number))
outline_lists = st.lists(outline, min_size=1, max_size=3)
sizes = st.tuples(st.integers(1, 40), st.integers(1, 40))


def official(outlines: list[list[float]], size: tuple[int, int]) -> bytes:
    parts = coco_mask.frPyObjects(outlines, *size)
    counts: bytes = (parts[0] if len(parts) == 1 else coco_mask.merge(parts))["counts"]
    return counts


def decoded(engine: Any, strings: list[bytes]) -> tuple[list[list[int]], list[int]]:
    start = np.cumsum([0, *map(len, strings)])
    characters = np.frombuffer(b"".join(strings) or b"\0", np.uint8)
    run_start, counts, pixels = (
        np.zeros(len(start), np.int64),
        np.zeros(len(characters), np.uint32),
        np.zeros(len(strings), np.int64),
    )
    engine.decode(characters, start, run_start, counts, pixels)
    return [counts[begin:end].tolist() for begin, end in pairwise(run_start)], pixels.tolist()


@settings(max_examples=400)
@given(st.lists(outline_lists, min_size=1, max_size=3), sizes)
def test_polygons_have_the_runs_of_pycocotools(outlines: list[list[list[float]]], size: tuple[int, int]) -> None:
    runs, _ = decoded(run_lengths, [official(one, size) for one in outlines])
    assert drawn(polygons, outlines, size, 1 << 12) == runs


@settings(max_examples=60)
@given(st.lists(outline_lists.filter(lambda one: abs(np.concatenate(one)).max() < 100), max_size=2), sizes)
def test_polygons(outlines: list[list[list[float]]], size: tuple[int, int]) -> None:
    assert drawn(polygons, outlines, size) == drawn(PLAIN["polygons"], outlines, size)


def test_polygons_stop_for_lack_of_room() -> None:
    square = [[1.0, 1.0, 30.0, 1.0, 30.0, 30.0, 1.0, 30.0]]
    start, counts = np.zeros(3, np.int64), np.zeros(100, np.uint32)
    arguments = (
        np.array(square * 2).ravel(),
        np.array([0, 8, 16]),
        np.array([0, 1, 2]),
        np.array([[32, 32]] * 2, np.int32),
    )
    assert polygons.rasterise(0, *arguments, start, counts, 10) == 0
    assert polygons.rasterise(0, *arguments, start, counts, 70) == 1
    assert polygons.rasterise(1, *arguments, start, np.resize(counts, 200), 70) == 2


@given(st.lists(st.binary(max_size=6) | st.text(alphabet="0123PQ`oO1\\", max_size=8).map(str.encode), max_size=4))
def test_strings_of_run_lengths(strings: list[bytes]) -> None:
    assert decoded(run_lengths, strings) == decoded(PLAIN["run_lengths"], strings)


MASKS = b'{"size": [6, 8], "counts": "74U1"} {"counts":"`01\\\\\\\\","size":[6,8]}\n{"size":[2,3],"counts":"6"}'


def masks_of(engine: Any, content: bytes) -> list[Any]:
    data = text(content)
    ends = [0, *(at for at in range(1, len(content)) if content[at : at + 1] == b"{"), len(content)]
    spans = np.array(list(pairwise(ends)))
    size, start, counts = (
        np.zeros((len(spans), 2), np.int32),
        np.zeros(len(spans) + 1, np.int64),
        np.zeros(len(data), np.uint32),
    )
    read = engine.read(data, spans, size, start, counts)
    return [read, size[:read].tolist(), start[: read + 1].tolist(), counts[: start[read]].tolist()]


@settings(max_examples=300)
@given(CHANGES)
def test_masks(changes: Any) -> None:
    content = mutated(MASKS, changes)
    assert masks_of(run_lengths, content) == masks_of(PLAIN["run_lengths"], content)


def test_the_masks_are_read() -> None:
    assert masks_of(run_lengths, MASKS.replace(b"`01\\\\\\\\", b"P1"))[0] in (1, 3)
    assert masks_of(run_lengths, b'{"size":[2,3],"counts":"6"}') == [1, [[2, 3]], [0, 1], [6]]


@given(st.lists(st.integers(0, 9), min_size=1, max_size=9), st.integers(1, 9))
def test_boxes(runs: list[int], height: int) -> None:
    width = -(-sum(runs) // height)
    found = []
    for engine in (run_lengths, PLAIN["run_lengths"]):
        box = np.full((1, 4), 7.0)
        engine.boxes(np.array(runs, np.uint32), np.array([0, len(runs)]), np.array([[height, width]], np.int32), box)
        found.append(box.tolist())
    assert found[0] == found[1]


@given(st.binary(max_size=20), st.lists(st.integers(0, 20), max_size=3), st.data())
def test_splicing(content: bytes, cuts: list[int], draw: st.DataObject) -> None:
    cuts = sorted({min(cut, len(content)) for cut in cuts})
    cuts = cuts[: len(cuts) // 2 * 2]
    values = draw.draw(st.lists(st.integers(), min_size=len(cuts) // 2, max_size=len(cuts) // 2))
    texts, spans = json.dumps(values, separators=(",", ":")).encode(), np.array(cuts, np.int64).reshape(-1, 2)
    pieces = [content[begin:end] for begin, end in zip([0, *cuts[1::2]], [*cuts[::2], len(content)], strict=True)]
    expected = b"".join(
        [pieces[0], *(str(value).encode() + piece for value, piece in zip(values, pieces[1:], strict=True))]
    )
    for engine in (splicing, PLAIN["splicing"]):
        out = np.zeros(len(content) + len(texts), np.uint8)
        length = engine.splice(np.frombuffer(content, np.uint8), spans, np.frombuffer(texts, np.uint8), out)
        assert out[:length].tobytes() == expected
