"""Detections written as result files read back bit for bit."""

from __future__ import annotations

import gzip
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from opened import read_results

from longtail_cli.errors import OutputError, UsageError
from longtail_cli.files.results.writer import detections_writer

IMAGE, CATEGORY = np.array([7, 7, -2]), np.array([3, 2**40, 3])
BOX = np.array([[0.1, 1 / 3, 1e-7, 640], [0, 0, 0, 0], [1e6, 2.5, 3e-5, 1]], np.float32)
SCORE = np.array([1.0, np.nextafter(np.float32(1), np.float32(0)), 1e-4], np.float32)


@pytest.mark.parametrize("name", ["a.json", "a.json.gz", "a.parquet"])
@pytest.mark.parametrize("cuts", [[0, 3], [0, 0, 1, 1, 3], [0, 2, 3, 3]])
def test_batches_read_back_as_one_file(tmp_path: Path, name: str, cuts: list[int]) -> None:
    with detections_writer(tmp_path / name) as write:
        for low, high in pairwise(cuts):
            write(IMAGE[low:high], CATEGORY[low:high], BOX[low:high], SCORE[low:high])
    found = read_results(tmp_path / name, fields=frozenset({"bbox"}))
    assert found.image_id.tolist() == IMAGE.tolist()
    assert found.category_id.tolist() == CATEGORY.tolist()
    assert (found.bbox == BOX.astype(np.float64)).all()
    assert (found.score == SCORE.astype(np.float64)).all()


def test_json_is_a_plain_list_of_entries(tmp_path: Path) -> None:
    with detections_writer(tmp_path / "a.json") as write:
        write(IMAGE[1:2], CATEGORY[:1], BOX[1:2], SCORE[:1])
    assert (tmp_path / "a.json").read_text() == (
        '[{"image_id":7,"category_id":3,"bbox":[0.0,0.0,0.0,0.0],"score":1.0}]'
    )


@pytest.mark.parametrize("name", ["a.json", "a.json.gz", "a.parquet"])
def test_no_detections_are_an_empty_list(tmp_path: Path, name: str) -> None:
    with detections_writer(tmp_path / name):
        pass
    assert len(read_results(tmp_path / name, fields=frozenset({"bbox"}))) == 0
    if name != "a.parquet":
        content = (tmp_path / name).read_bytes()
        assert json.loads(gzip.decompress(content) if name.endswith("gz") else content) == []


def test_other_suffixes_and_missing_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"ends in \.json, \.json\.gz or \.parquet, found a\.csv"):
        detections_writer(tmp_path / "a.csv").__enter__()
    with pytest.raises(OutputError, match="a path that can be written to"):
        detections_writer(tmp_path / "no" / "a.json").__enter__()
