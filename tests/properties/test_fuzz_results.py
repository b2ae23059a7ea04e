"""Any content of a result file is read as `json` reads it, or refused if that is not a list of detections.

The reference is a loop over the objects that `json` decodes.
"""

import gzip
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opened import read_results, write_rescored

from longtail_cli.errors import InputError

NUMBERS = ("image_id", "category_id", "score")
SEEDS = [
    b'[{"image_id":1,"category_id":2,"bbox":[1,2.5,3,4],"score":0.5},{"image_id":42.0,"category_id":0,"bbox":'
    b'[-1,0.30000000000000004,1e-2,0],"score":1.25e-3,"x":{"score":[1,"]}"]}}]',
    b'[ {"score" : 0.12345678901234567, "caption" : "\\u00e9\xc3\xa9", "category_id" : 3,\n'
    b'"image_id" : 7, "bbox":[0,0,0,0] } ]\n',
    b"[]",
]
TOKENS = b', } { ] [ " \\ 0 1 - . e 99999999999999999999 null true NaN 1e999 1.0 {} \\u0073'.split()
TOKENS += [b" ", b"\n", b"\x00", b"\xff", b"\xc3\xa9", b'"score":', b'"image_id":1,', b'"bbox":[1,2,3,4],']

changes = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 3), st.one_of(st.sampled_from(TOKENS), st.binary(max_size=3))),
    max_size=3,
)
many = settings(max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture])


def mutated(content: bytes, changes: list[tuple[float, int, bytes]]) -> bytes:
    """Write each token at its position (a fraction of the length) over a number of bytes."""
    for position, dropped, token in changes:
        at = round(position * len(content))
        content = content[:at] + token + content[at + dropped :]
    return content


class Entry(dict[str, Any]):
    def __init__(self, items: list[tuple[str, Any]]) -> None:
        super().__init__(items)
        self.names = [name for name, _ in items]


def twin(content: bytes, boxes: bool) -> list[list[float]] | None:
    """Ids, score and box of every detection by way of `json`, or None if it is not a list of detections."""
    try:
        entries = json.loads(
            content.decode(), parse_constant=refuse, parse_int=integer_or_float, object_pairs_hook=Entry
        )
        if not isinstance(entries, list):
            return None
        return [[*row(entry), *(box(entry["bbox"]) if boxes else [])] for entry in entries]
    except (ValueError, KeyError, TypeError):
        return None


def refuse(found: object) -> NoReturn:
    raise ValueError(found)


def integer_or_float(text: str) -> int | float:
    return int(text) if len(text) <= 20 else float(text)


def row(entry: Any) -> list[float]:
    if not isinstance(entry, Entry) or any(entry.names.count(name) > 1 for name in (*NUMBERS, "bbox")):
        refuse(entry)
    return [whole(entry["image_id"]), whole(entry["category_id"]), real(entry["score"])]


def box(sides: Any) -> list[float]:
    if not isinstance(sides, list) or len(sides) != 4 or min(map(real, sides[2:])) < 0:
        refuse(sides)
    return [real(side) for side in sides]


def whole(value: Any) -> int:
    exact = isinstance(value, int) and abs(value) < 2**63
    if isinstance(value, bool) or not (exact or (real(value).is_integer() and abs(value) < 2**53)):
        refuse(value)
    return int(value)


def real(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        refuse(value)
    return float(value)


def bits(rows: list[list[float]]) -> list[tuple[Any, ...]]:
    return [tuple(value if isinstance(value, int) else value.hex() for value in row) for row in rows]


@many
@given(st.sampled_from(SEEDS), changes, st.booleans())
def test_content_is_read_as_json_reads_it_or_refused(
    tmp_path: Path, seed: bytes, changes: list[tuple[float, int, bytes]], boxes: bool
) -> None:
    path = tmp_path / "predictions.json"
    path.write_bytes(mutated(seed, changes))
    expected = twin(path.read_bytes(), boxes)
    if expected is None:
        with pytest.raises(InputError):
            read_results(path, fields=frozenset({"bbox"} if boxes else ()))
        return
    results = read_results(path, fields=frozenset({"bbox"} if boxes else ()))
    columns = [results.image_id.tolist(), results.category_id.tolist(), results.score.tolist()]
    columns += [] if results.bbox is None else results.bbox.T.tolist()
    assert bits([list(row) for row in zip(*columns, strict=True)]) == bits(expected)


@many
@given(st.sampled_from(SEEDS), changes)
def test_the_same_scores_give_the_same_bytes_or_nothing_is_written(
    tmp_path: Path, seed: bytes, changes: list[tuple[float, int, bytes]]
) -> None:
    path, out = tmp_path / "predictions.json", tmp_path / "rescored.json"
    path.write_bytes(mutated(seed, changes))
    out.unlink(missing_ok=True)
    expected = twin(path.read_bytes(), boxes=False)
    if expected is None:
        with pytest.raises(InputError):
            write_rescored(path, np.zeros(2), out)
        assert not out.exists()
        return
    write_rescored(path, np.array([row[2] for row in expected]), out)
    assert out.read_bytes() == path.read_bytes()


def some_parquet() -> bytes:
    columns = {"image_id": [1, 2], "category_id": [1, 2], "score": [0.5, 0.25], "bbox": [[1.0, 2, 3, 4]] * 2}
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    content: bytes = sink.getvalue().to_pybytes()
    return content


@many
@given(st.sampled_from([("json.gz", gzip.compress(SEEDS[0])), ("parquet", some_parquet())]), changes)
def test_a_damaged_container_is_read_or_refused(
    tmp_path: Path, seed: tuple[str, bytes], changes: list[tuple[float, int, bytes]]
) -> None:
    path = tmp_path / f"predictions.{seed[0]}"
    path.write_bytes(mutated(seed[1], changes))
    try:
        results = read_results(path, fields=frozenset({"bbox"}))
    except InputError:
        return
    assert np.isfinite(results.score).all()
    assert results.bbox is not None


SPREADS: list[Callable[[np.random.Generator], np.ndarray[Any, np.dtype[np.float64]]]] = [
    lambda generator: generator.random(20_000),
    lambda generator: generator.random(20_000).astype(np.float32).astype(np.float64),
    lambda generator: np.exp(generator.uniform(-50, 5, 20_000)),
    lambda generator: generator.integers(0, 2**63, 20_000).view(np.float64),
]


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("spell", [repr, "{:.17e}".format, "{:.25f}".format])
def test_scores_are_read_as_python_reads_them(tmp_path: Path, spread: Any, spell: Callable[[float], str]) -> None:
    values = spread(np.random.default_rng(1))
    texts = [spell(value) for value in values[np.isfinite(values)].tolist()]
    path = tmp_path / "predictions.json"
    path.write_text("[" + ",".join(f'{{"image_id":1,"category_id":1,"score":{text}}}' for text in texts) + "]")
    assert read_results(path, fields=frozenset()).score.tobytes() == np.array([float(text) for text in texts]).tobytes()
