"""Classes and counts of a folder of images, as torchvision's `ImageFolder` finds them."""

from collections import Counter
from pathlib import Path

import pytest
from capture.torchvision_operators import greedy_nms  # noqa: F401  (torchvision can be imported after it)

from longtail_cli.files.classes.folders import IMAGE_SUFFIXES, read_image_folder

datasets = pytest.importorskip("torchvision.datasets", reason="torchvision is not installed")

PATHS = [
    "n02/a.JPEG", "n02/deep/er/b.png", "n02/deep/c.TIF", "n02/readme.txt", "n10/a.webp", "n1/a.bmp", "Zebra/a.pgm",
    "zebra/a.ppm", "zebra/b.jpg.txt", "two words/a.jpg", ".hidden/a.jpg", "\N{LATIN SMALL LETTER E WITH ACUTE}/a.jpeg",
    "loose.jpg", "empty/notes.md",
]  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for path in PATHS:
        (tmp_path / "set" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / path).touch()
    (tmp_path / "elsewhere" / "inner").mkdir(parents=True)
    (tmp_path / "elsewhere" / "inner" / "a.jpg").touch()
    (tmp_path / "set" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set" / "n10" / "b.jpg").symlink_to(tmp_path / "set" / "n02" / "a.JPEG")
    return tmp_path / "set"


def test_classes_and_counts(root: Path) -> None:
    theirs = datasets.ImageFolder(str(root), allow_empty=True)
    found = read_image_folder(root)
    assert list(found.categories.name) == theirs.classes
    assert dict(zip(found.categories.name, found.categories.id.tolist(), strict=True)) == theirs.class_to_idx
    assert Counter(found.category.tolist()) == Counter(theirs.targets)


def test_suffixes_of_images() -> None:
    assert datasets.folder.IMG_EXTENSIONS == IMAGE_SUFFIXES
