"""Image lists whose classes are names, or the folders of the images."""

import gzip
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from longtail_cli.errors import InputError
from longtail_cli.files.classes.lists import read_image_list


@pytest.fixture
def read(tmp_path: Path) -> Any:
    """Counts by name, and the kind of the list; None for lists with indices."""

    def read_text(text: str) -> tuple[dict[str, int], str] | None:
        path = tmp_path / "train.txt"
        path.write_text(text, encoding="utf-8", newline="")
        found = read_image_list(path)
        if found is None:
            return None
        occurrences, kind = found
        names = [occurrences.categories.name[category] for category in occurrences.category.tolist()]
        return dict(Counter(names)), kind

    return read_text


def test_class_indices(read: Any) -> None:
    places = "train/airfield/00004851.jpg 0\ntrain/airplane_cabin/00000123.jpg 1\n\ntrain/airfield/00004596.jpg 0\n"
    assert read(places) is None
    assert read("3\n0\n3\n") is None
    assert read("1.jpg -1\n") is None


def test_class_names(read: Any) -> None:
    assert read("a.jpg dog\nb c.jpg cat\r\nd.jpg dog\n") == ({"cat": 1, "dog": 2}, "name")


@pytest.mark.parametrize("line", ['a.jpg "guide dog"', "a.jpg 'guide dog'", "a.jpg guide dog", "a.jpg\tguide dog"])
def test_class_names_with_blanks(read: Any, line: str) -> None:
    assert read(f"{line}\nb.PNG guide dog\n") == ({"guide dog": 2}, "name")


def test_paths_without_the_suffix_of_an_image(read: Any) -> None:
    assert read("scan 1 dog\nscan 2 cat\n") == ({"cat": 1, "dog": 1}, "name")


def test_the_folder_of_the_image(read: Any) -> None:
    assert read("train/cat/1.jpg\ntrain\\dog\\my picture.jpg\ncat/2.jpg\n") == ({"cat": 2, "dog": 1}, "folder")


def test_names_are_numbered_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "train.txt.gz"
    path.write_bytes(gzip.compress(b"1.jpg zebra\n2.jpg ant\n3.jpg zebra\n"))
    found, _ = read_image_list(path) or pytest.fail("a list with names")
    assert found.categories.name == ("ant", "zebra")
    assert found.category.tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1.jpg cat\n2.jpg 1\n", "line 2: expected a class name, as the first line has, found 1"),
        ("1.jpg cat\n2.jpg\n", "line 2: expected a class name, as the first line has, found 2.jpg"),
        ("x/1.jpg\nx/2.jpg cat\n", "line 2: expected a path in a folder, as the first line has, found cat"),
        ("1.jpg\n", "line 1: expected a path in a folder, or a class after it, found 1.jpg"),
        ("\n\n", "expected at least one image, found none"),
    ],
)
def test_lines_that_differ(read: Any, text: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        read(text)
    assert message in str(error.value)


def test_many_lines_are_reported_together(read: Any) -> None:
    with pytest.raises(InputError) as error:
        read("a.jpg cat\n" + "b.jpg 1\n" * 12)
    assert "12 problems" in str(error.value)
    assert "... and 9 more" in str(error.value)
