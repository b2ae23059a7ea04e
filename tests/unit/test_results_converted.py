"""Results of any format, written as COCO results, read back as they were."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from builders import masks_of, official_rle
from opened import read_results

from longtail_cli.errors import UsageError
from longtail_cli.files.results import converted
from longtail_cli.files.results.converted import write_results
from longtail_cli.tables import Results

PICTURES = [np.eye(5, 7) > 0, np.zeros((4, 4)) > 0, np.arange(12).reshape(3, 4) % 5 > 1]
BOXES = np.array([[0.1, 1 / 3, 1e-7, 640], [0, 0, 0, 0], [-5, 2.5, 3e-5, 1]])
NAMES = ["a.json", "a.json.gz", "a.parquet"]


def results(*, boxes: bool = True, masks: bool = False) -> Results:
    return Results(
        np.array([7, 7, -2]), np.array([3, 2**40, 3]), np.array([1.0, np.nextafter(1, 0), 1e-300]),
        BOXES if boxes else None, masks_of(PICTURES) if masks else None, "made by the test",
    )  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("boxes", "masks"), [(True, False), (False, True), (True, True)])
@pytest.mark.parametrize("rows", [1, 2, 100])
def test_everything_reads_back(
    tmp_path: Path, name: str, boxes: bool, masks: bool, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(converted, "_ROWS_PER_PIECE", rows)
    given, written = results(boxes=boxes, masks=masks), []
    write_results(given, tmp_path / name, written.append)
    found = read_results(tmp_path / name, fields=frozenset({"bbox"} if boxes else ()) | ({"masks"} if masks else set()))
    for column in ("image_id", "category_id", "score"):
        assert getattr(found, column).tolist() == getattr(given, column).tolist()
    assert (found.bbox is not None) == boxes
    assert not boxes or (found.bbox == BOXES).all()
    assert (found.masks is not None) == masks
    assert not masks or found.masks.counts.tolist() == given.masks.counts.tolist()
    assert sum(written) == 3


def test_json_is_a_plain_list_with_the_official_run_lengths(tmp_path: Path) -> None:
    write_results(results(masks=True), tmp_path / "a.json")
    entries = json.loads((tmp_path / "a.json").read_bytes())
    assert entries[0]["bbox"] == BOXES[0].tolist()
    assert [one["segmentation"]["counts"] for one in entries] == [
        official_rle(one)["counts"].decode() for one in PICTURES
    ]


@pytest.mark.parametrize("name", NAMES)
def test_no_detections(tmp_path: Path, name: str) -> None:
    nothing = replace(
        results(), image_id=np.zeros(0, int), category_id=np.zeros(0, int), score=np.zeros(0), bbox=np.zeros((0, 4))
    )
    write_results(nothing, tmp_path / name)
    assert len(read_results(tmp_path / name, fields=frozenset({"bbox"}))) == 0
    if name == "a.json.gz":
        assert gzip.decompress((tmp_path / name).read_bytes()) == b"[]"


def test_other_endings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"ends in \.json, \.json\.gz or \.parquet, found a\.csv"):
        write_results(results(), tmp_path / "a.csv")
