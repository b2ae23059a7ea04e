"""A folder with one folder of images for each class, as torchvision's and timm's `ImageFolder` read it.

Source: torchvision/datasets/folder.py, `find_classes` and `make_dataset`: each folder is a class, links are followed,
and the images may lie at any depth. Unlike there, files whose name begins with a dot are not counted, and a folder
without images is a class with a count of 0.
"""

from __future__ import annotations

import os
from pathlib import Path

from longtail_cli.errors import InputError, Problem
from longtail_cli.files.classes.numbered import occurrences_of
from longtail_cli.files.reading import reading
from longtail_cli.files.source import printable
from longtail_cli.tables import Occurrences

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
"""torchvision.datasets.folder.IMG_EXTENSIONS, in any case."""

_SPLITS = frozenset(("train", "training", "val", "valid", "validation", "dev", "test", "testing"))
_LAYOUT = "a folder for each class, with images in it"
_FIX_PATH = "check the path and its permissions"


def read_image_folder(folder: Path) -> Occurrences:
    """One occurrence for each image. The classes are 0 to C-1 in order of the names of their folders.

    Raises InputError if there are no folders, no images, a folder for each split instead of each class, a link that
    leads back to a folder it lies in, or something that cannot be read.
    """
    source = str(folder)
    with reading(source, "a folder that can be listed", _FIX_PATH, where="folder"), os.scandir(folder) as entries:
        files: list[str] = []
        images: dict[str, int] = {}
        for entry in entries:
            if entry.is_dir():
                images[entry.name] = _images_in(entry.path)
            else:
                files.append(entry.name)
    shown = {name: number for name, number in images.items() if number or not name.startswith(".")}
    if not any(shown.values()):
        raise _no_images(source, len(shown), files)
    if _SPLITS.issuperset(shown):
        split = next((name for name in shown if name.startswith("train")), next(iter(shown)))
        problem = Problem("folders", _LAYOUT, ", ".join(sorted(shown)))
        raise InputError(source, [problem], f"pass the folder of the training set: {folder / split}")
    return occurrences_of(shown, source)


def _images_in(folder: str, above: tuple[tuple[int, int], ...] = ()) -> int:
    """The images in `folder` and the folders in it; `above` are the folders that it lies in. Raises OSError."""
    status = os.stat(folder)  # noqa: PTH116  (a path object for each folder would take longer than the folder)
    here = (status.st_dev, status.st_ino)
    if here in above:
        raise OSError(f"{printable(folder)} is a link to a folder that it lies in")
    number = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                number += _images_in(entry.path, (*above, here))
            elif entry.name.lower().endswith(IMAGE_SUFFIXES) and not entry.name.startswith("."):
                number += 1
    return number


def _no_images(source: str, folders: int, files: list[str]) -> InputError:
    beside = f", and files such as {printable(min(files))}" if files else ""
    counted = "1 folder" if folders == 1 else f"{folders} folders"
    found = f"{counted} without images{beside}" if folders else f"no folders{beside}"
    suffixes = f"images end in {', '.join(IMAGE_SUFFIXES)}"
    fix = suffixes if folders else f"put the images of each class into a folder of its own; {suffixes}"
    return InputError(source, [Problem("content", _LAYOUT, found)], fix)
