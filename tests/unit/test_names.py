"""Images and classes that a file names are found in the annotations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from builders import ground_truth

from longtail_cli.errors import InputError
from longtail_cli.tables import GroundTruth
from longtail_cli.workflow.names import categories_named, images_named


def with_files(*names: str, ids: tuple[int, ...] = ()) -> GroundTruth:
    truth = ground_truth([], images=len(names))
    return replace(truth, image_id=np.array(ids or range(10, 10 + len(names)), np.int64), image_name=names)


def found(names: list[str], truth: GroundTruth) -> list[int]:
    return images_named(names, np.arange(len(names)), truth, "file").tolist()


@pytest.mark.parametrize(
    ("files", "names", "ids"),
    [
        (("val/a.png", "val/b.png"), ["val/b.png", "val/a.png"], [11, 10]),
        (("val/a.png", "val/b.png"), ["/data/set/val/b.png"], [11]),
        (("val/a.png", "val/b.png"), ["b.png", "a.png"], [11, 10]),
        (("val/a.png", "val/b.png"), ["b", "a"], [11, 10]),
        (("val/a.png", "val/b.png"), ["labels/b.txt"], [11]),
        (("val/a.png", "val/b.png"), ["C:\\data\\val\\b.png"], [11]),
        (("a.v2.png", "b.v2.png"), ["b.v2", "a.v2"], [11, 10]),
        (("x/1.png", "y/1.png"), ["/mnt/y/1.png", "/mnt/x/1.png"], [11, 10]),
        (("1.png", "2.png"), ["2", "1"], [11, 10]),  # a file name goes before an id
        (("", ""), ["11", "000000000010"], [11, 10]),
        (("a.jpg", "b.jpg"), ["000000000011.jpg"], [11]),
        (("a.jpg", "b.jpg"), [], []),
    ],
)
def test_images_by_name(files: tuple[str, ...], names: list[str], ids: list[int]) -> None:
    assert found(names, with_files(*files)) == ids


def test_images_without_file_names_are_found_by_number() -> None:
    assert found(["000000397133"], replace(with_files("", ids=(397133,)), image_name=())) == [397133]


def test_only_names_that_are_used_have_to_be_known() -> None:
    ids = images_named(["unknown.png", "b.png"], np.array([1]), with_files("a.png", "b.png"), "file")
    assert ids[1] == 11


@pytest.mark.parametrize(
    ("files", "names", "message"),
    [
        (
            ("a.png", "b.png"),
            ["c.png", "b.png"],
            r"such as 'a\.png', 'b\.png', .*found 'c\.png' \(1 of 2 names",
        ),
        (("x/1.png", "y/1.png"), ["1.png"], r"found '1\.png', of several images"),
        (("x/1.png", "y/1.png"), ["1"], r"found '1', of several images"),
        (("a.png", "b.png"), ["p/a.png", "q/a.png"], "found several names of one image"),
        (("a.png", "b.png"), ["99999999999999999999"], "1 of 1 names"),
        (("a.png", "b.png"), [""], r"found ''"),
    ],
)
def test_unknown_and_ambiguous_names_are_refused(files: tuple[str, ...], names: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        found(names, with_files(*files))


def with_classes(*names: str) -> GroundTruth:
    truth = ground_truth([], categories=len(names))
    return replace(truth, categories=replace(truth.categories, id=np.arange(1, len(names) + 1), name=names))


@pytest.mark.parametrize(
    ("classes", "names", "ids"),
    [
        (("cat", "dog"), ["dog", "cat"], [2, 1]),
        (("traffic light", "dog"), ["Traffic_Light", "DOG"], [1, 2]),
        (("Cat", "cat"), ["cat", "Cat"], [2, 1]),
    ],
)
def test_classes_by_name(classes: tuple[str, ...], names: list[str], ids: list[int]) -> None:
    assert categories_named(names, np.arange(len(names)), with_classes(*classes), "file").tolist() == ids


@pytest.mark.parametrize(
    ("classes", "names", "message"),
    [
        (("cat", "dog"), ["cat", "bird"], r"such as 'cat', 'dog', found 'bird' \(1 of 2 names are not in it\)"),
        (("T-shirt", "t shirt"), ["tshirt"], "found 'tshirt' of several categories"),
        (("cat", "cat"), ["cat"], "found 'cat' of several categories"),
    ],
)
def test_unknown_and_ambiguous_classes_are_refused(classes: tuple[str, ...], names: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        categories_named(names, np.arange(len(names)), with_classes(*classes), "file")
