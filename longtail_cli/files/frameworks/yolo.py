"""A folder with a text file for each image, as Ultralytics saves it with ``save_txt`` and ``save_conf``.

Source: ultralytics/ultralytics, ultralytics/engine/results.py, ``Results.save_txt`` (8.4), and ultralytics/yolov5,
val.py, ``save_one_txt``. A line is ``class cx cy width height confidence``: the class from 0, the centre and the size
of the box in shares of the size of the image, with six digits. Where models for segmentation, oriented boxes, poses or
tracking wrote the file, a line holds a polygon, other points, or the number of a track besides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np

from longtail_cli.errors import Problem
from longtail_cli.files.faults import Fault, faults_at, raise_faults
from longtail_cli.files.frameworks.checks import coordinate_faults, size_faults
from longtail_cli.files.frameworks.pascal_voc import is_voc_line
from longtail_cli.files.frameworks.text_samples import NUMBER, text_samples
from longtail_cli.files.outline import Outline
from longtail_cli.tables import Bools, Convention, Floats, Longs, Results

if TYPE_CHECKING:
    from longtail_cli.files.folder import FolderContent
    from longtail_cli.files.frameworks.text_lines import Lines

FORMAT = "YOLO text files"

_WORDS = ("class", "centre x", "centre y", "width", "height", "confidence")
_LARGEST_CLASS = 2**31
_LINE = "a line `class cx cy width height confidence`"
_FIX_CONFIDENCE = (
    "save the confidence of each box too (in Ultralytics set `save_conf` as well as `save_txt`); if these are the "
    "labels of the data set, pass them as annotations in COCO's format"
)
_FIX_POINTS = (
    "text files of polygons, oriented boxes or keypoints are not read: save `predictions.json` instead (in Ultralytics "
    "set `save_json`), which holds the boxes and masks"
)
_FIX_WORDS = "leave only text files of detections in the folder, one for each image"
_FIX_CLASS = "write the number of the class, from 0, as the first word of each line"


def matches(outline: Outline) -> bool:
    """Whether it is a folder of text files that are empty, or whose lines are numbers as in labels of boxes."""
    samples = text_samples(outline)
    return samples is not None and (not samples or any(map(_is_box_line, samples)))


def _is_box_line(words: list[str]) -> bool:
    numbers = all(NUMBER.fullmatch(word) for word in words)
    return numbers and len(words) >= len(_WORDS) - 1 and not is_voc_line(words)


def open_entries(outline: Outline, content: FolderContent) -> YoloFolder:
    """See `DetectionFormat.module`."""
    return YoloFolder(content)


class YoloFolder:
    """The detections of all images; see `Entries`."""

    def __init__(self, content: FolderContent) -> None:
        self._content = content

    def fields(self) -> frozenset[str]:
        return frozenset({"bbox"})

    def read(self, fields: frozenset[str], advance: Callable[[int], None] | None) -> Results:
        from longtail_cli.files.frameworks.text_lines import read_lines

        lines = read_lines(self._content)
        if advance is not None:
            advance(self._content.size)
        faults = list(_word_faults(lines))
        usable = np.flatnonzero(lines.words == len(_WORDS))
        columns = []
        for word, name in enumerate(_WORDS):
            column, found = lines.numbers(word, usable, name)
            columns.append(column)
            faults += found
        bbox = np.stack(columns[1:5], axis=1)

        def where(row: int) -> str:
            return lines.where(usable[row])

        faults += _class_faults(columns[0], usable, lines)
        faults += coordinate_faults(bbox, where)
        faults += size_faults(bbox, bbox[:, 2:], "a width and height of 0 or more", where)
        raise_faults(lines.source, faults)
        return Results(
            image_id=lines.file,
            category_id=columns[0].astype(np.int64),
            score=columns[5],
            bbox=bbox if "bbox" in fields else None,
            masks=None,
            source=lines.source,
            convention=Convention(
                format=FORMAT,
                images="name",
                image_names=tuple(PurePath(name).stem for name in lines.names),
                categories="index",
                boxes="relative-cxcywh",
                listed=len(lines.names),
            ),
        )


def _word_faults(lines: Lines) -> Iterator[Fault]:
    """Lines with more or fewer words than those of a box."""
    words = lines.words
    labels = words == len(_WORDS) - 1
    points = words > len(_WORDS)
    yield from _faults(labels, "no confidence", _FIX_CONFIDENCE, lines)
    yield from _faults(points, "{} words", _FIX_POINTS, lines)
    yield from _faults(words < len(_WORDS) - 1, "{} words", _FIX_WORDS, lines)


def _faults(bad: Bools, found: str, fix: str, lines: Lines) -> list[Fault]:
    def describe(line: int) -> Problem:
        return Problem(lines.where(line), _LINE, found.format(lines.words[line]))

    return faults_at(bad, describe, fix)


def _class_faults(classes: Floats, usable: Longs, lines: Lines) -> list[Fault]:
    bad = (classes != np.floor(classes)) | (classes < 0) | (classes >= _LARGEST_CLASS)

    def describe(row: int) -> Problem:
        return Problem(f"{lines.where(usable[row])}, class", "a whole number from 0 on", f"{classes[row]:g}")

    return faults_at(bad, describe, _FIX_CLASS)
