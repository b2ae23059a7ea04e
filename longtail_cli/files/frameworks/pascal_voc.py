"""A folder with a text file for each class, as the development kit of Pascal VOC evaluates them.

Source: Everingham and Winn, "The PASCAL Visual Object Classes Challenge 2012 (VOC2012) Development Kit", submission of
results for detection: ``comp3_det_test_car.txt`` with lines ``image score left top right bottom``. Written by
rbgirshick/py-faster-rcnn, lib/datasets/pascal_voc.py, and with names such as ``car.txt`` by
facebookresearch/detectron2, detectron2/evaluation/pascal_voc_evaluation.py.

Pixels count from 1, and all sides belong to the box: 1, 1, 1, 1 is the first pixel of an image. In continuous
coordinates from 0, as in COCO, that is x1 = xmin - 1, y1 = ymin - 1, x2 = xmax, y2 = ymax. Both writers agree:
detectron2 adds 1 to the first corner alone, py-faster-rcnn to both corners of boxes whose width is x2 - x1 + 1.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from longtail_cli.errors import Problem
from longtail_cli.files.faults import Fault, faults_at, raise_faults
from longtail_cli.files.folder import SUFFIX
from longtail_cli.files.frameworks.checks import coordinate_faults, size_faults
from longtail_cli.files.frameworks.text_samples import NUMBER, text_samples
from longtail_cli.files.outline import Outline
from longtail_cli.tables import Convention, Results

if TYPE_CHECKING:
    from longtail_cli.files.folder import FolderContent
    from longtail_cli.files.frameworks.text_lines import Lines

FORMAT = "Pascal VOC text files"
NOTE = "the pixels of Pascal VOC boxes count from 1 and belong to the box: x = xmin - 1, width = xmax - xmin + 1"

_WORDS = ("image", "score", "xmin", "ymin", "xmax", "ymax")
_FIX_WORDS = "leave only the text files of the results in the folder, one for each class"
_NAME = re.compile(r".*?det_[^_]+_(?=.)")


def matches(outline: Outline) -> bool:
    """Whether it is a folder of text files with lines of an image, a score and the pixels of a box."""
    return any(map(is_voc_line, text_samples(outline) or ()))


def is_voc_line(words: list[str]) -> bool:
    """Whether a line has an image and five numbers, the last one above 1, which a confidence, as in YOLO, is not."""
    numbers = all(NUMBER.fullmatch(word) for word in words[1:])
    return len(words) == len(_WORDS) and numbers and float(words[-1]) > 1


def open_entries(outline: Outline, content: FolderContent) -> VocFolder:
    """See `DetectionFormat.module`."""
    return VocFolder(content)


class VocFolder:
    """The detections of all classes; see `Entries`."""

    def __init__(self, content: FolderContent) -> None:
        self._content = content

    def fields(self) -> frozenset[str]:
        return frozenset({"bbox"})

    def read(self, fields: frozenset[str], advance: Callable[[int], None] | None) -> Results:
        from longtail_cli.files.frameworks.text_lines import read_lines

        lines = read_lines(self._content)
        if advance is not None:
            advance(self._content.size)
        usable = np.flatnonzero(lines.words == len(_WORDS))
        faults = _word_faults(lines)
        columns = []
        for word, name in enumerate(_WORDS[1:], start=1):
            column, found = lines.numbers(word, usable, name)
            columns.append(column)
            faults += found
        pixels = np.stack(columns[1:], axis=1)
        bbox = pixels - [1.0, 1.0, 0.0, 0.0]

        def where(row: int) -> str:
            return lines.where(usable[row])

        faults += coordinate_faults(pixels, where)
        faults += size_faults(pixels, bbox[:, 2:] - bbox[:, :2], "xmin - 1 <= xmax and ymin - 1 <= ymax", where)
        raise_faults(lines.source, faults)
        images = lines.column(0, usable).dictionary_encode()
        return Results(
            image_id=images.indices.to_numpy().astype(np.int64),
            category_id=lines.file,
            score=columns[0],
            bbox=bbox if "bbox" in fields else None,
            masks=None,
            source=lines.source,
            convention=Convention(
                format=FORMAT,
                images="name",
                image_names=tuple(images.dictionary.to_pylist()),
                categories="name",
                category_names=class_names(lines.names),
                boxes="xyxy",
                notes=(NOTE,),
            ),
        )


def class_names(files: tuple[str, ...]) -> tuple[str, ...]:
    """The class of each file: what follows ``comp4_det_test_``, or what all names begin with up to an underscore."""
    stems = [name.removesuffix(SUFFIX) for name in files]
    if all(map(_NAME.match, stems)):
        return tuple(_NAME.sub("", stem, count=1) for stem in stems)
    common = _common_prefix(stems) if len(stems) > 1 else ""
    return tuple(stem.removeprefix(common) for stem in stems)


def _common_prefix(stems: list[str]) -> str:
    """The longest beginning of all of them that ends with an underscore and is none of them; empty if there is none."""
    beginnings = [stems[0][: one.end()] for one in re.finditer("_", stems[0])]
    shared = [one for one in beginnings if all(stem.startswith(one) and stem != one for stem in stems)]
    return max(shared, key=len, default="")


def _word_faults(lines: Lines) -> list[Fault]:
    def describe(line: int) -> Problem:
        return Problem(lines.where(line), f"a line `{' '.join(_WORDS)}`", f"{lines.words[line]} words")

    return faults_at(lines.words != len(_WORDS), describe, _FIX_WORDS)
