"""Rescoring changes the scores of a result file and no other byte."""

import gzip
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opened import read_results, write_rescored

from longtail_cli.errors import InputError, OutputError, UsageError

TEXT = """ [ {"image_id" : 1, "category_id": 2.0, "bbox":[1e0, 2.50, 3, 4], "score": 0.50, "note": "\\"score\\": 1 é"},
\t{"score":5e-1,"segmentation":{"score":7,"counts":"x]}"},"category_id":3,"image_id":1},{"image_id":2,"category_id":2,
"\\u0073core" : 1, "id":0.10}\r\n] \n"""
OLD = [0.5, 0.5, 1.0]

any_scores = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=3, max_size=3)
in_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "predictions.json"
    path.write_bytes(TEXT.encode())
    return path


def rescored(source: Path, scores: list[float], name: str = "rescored.json") -> bytes:
    out = source.parent / name
    write_rescored(source, np.array(scores), out)
    return out.read_bytes()


def test_unchanged_scores_keep_their_spelling(source: Path) -> None:
    assert rescored(source, OLD) == TEXT.encode()


def test_only_scores_change(source: Path) -> None:
    expected = TEXT.replace("0.50", "0.25").replace("5e-1", "0.125").replace('core" : 1', 'core" : 1e-7')
    assert rescored(source, [0.25, 0.125, 1e-7]) == expected.encode()
    assert rescored(source, [0.5, 0.125, 1.0]) == TEXT.replace("5e-1", "0.125").encode()


@in_one_folder
@given(any_scores)
def test_every_score_reads_back_bit_for_bit(source: Path, scores: list[float]) -> None:
    written = json.loads(rescored(source, scores))
    assert np.array([one["score"] for one in written]).tobytes() == np.array(scores).tobytes()
    again = read_results(source.parent / "rescored.json", fields=frozenset())
    assert again.score.tobytes() == np.array(scores).tobytes()


@in_one_folder
@given(st.floats(1e-12, 0.9))
def test_scores_are_written_with_the_fewest_digits(source: Path, score: float) -> None:
    found = re.search(rb'"score":([^,]*),"seg', rescored(source, [0.5, score, 1]))
    assert found is not None
    assert significant(found[1].decode()) == significant(repr(score))


def significant(number: str) -> str:
    """The digits of a number without leading zeros, point and exponent."""
    return number.split("e")[0].replace(".", "").lstrip("0")


def test_gzip_in_and_out(source: Path) -> None:
    packed = rescored(source, OLD, "rescored.json.gz")
    assert gzip.decompress(packed) == TEXT.encode()
    assert rescored(source.parent / "rescored.json.gz", [0.25, 0.5, 1]) == TEXT.replace("0.50", "0.25").encode()
    assert packed == rescored(source, OLD, "again.json.gz")


def test_an_empty_list_is_not_changed(source: Path) -> None:
    source.write_text("[ ]\n")
    assert rescored(source, []) == b"[ ]\n"


def test_progress_comes_to_the_size_of_the_file(source: Path) -> None:
    done: list[int] = []
    write_rescored(source, np.array(OLD), source.parent / "rescored.json", advance=done.append)
    assert sum(done) == len(TEXT.encode())


@pytest.mark.parametrize("number", [2, 4])
def test_there_must_be_a_score_for_every_entry(source: Path, number: int) -> None:
    with pytest.raises(InputError, match=f"entries: expected {number}, as there are scores"):
        rescored(source, [0.5] * number)
    assert [path.name for path in source.parent.iterdir()] == [source.name]


@pytest.mark.parametrize(("old", "new"), [("] \n", ""), ("5e-1", '"a"'), ('"image_id":1}', '"image_id":1')])
def test_a_broken_file_is_not_rescored(source: Path, old: str, new: str) -> None:
    source.write_text(TEXT.replace(old, new), encoding="utf-8")
    with pytest.raises(InputError):
        rescored(source, OLD)
    assert [path.name for path in source.parent.iterdir()] == [source.name]


@pytest.mark.parametrize("score", [math.nan, math.inf])
def test_scores_must_be_finite(source: Path, score: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        rescored(source, [0.5, score, 1])


def test_json_does_not_become_parquet(source: Path) -> None:
    with pytest.raises(UsageError, match=r"write JSON to JSON and Parquet to Parquet"):
        rescored(source, OLD, "rescored.parquet")


def test_an_output_that_cannot_be_written_to(source: Path) -> None:
    with pytest.raises(OutputError):
        rescored(source, OLD, "no such folder/rescored.json")


def test_real_file_without_a_change(real_data: Path, tmp_path: Path) -> None:
    path = real_data / "instances_val2014_fakesegm100_results.json"
    out = tmp_path / "same.json"
    write_rescored(path, read_results(path, fields=frozenset()).score, out)
    assert out.read_bytes() == path.read_bytes()
