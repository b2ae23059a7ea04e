"""Images and classes that a file names, found in the annotations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import PurePosixPath

import numpy as np

from longtail_cli.errors import InputError, Problem
from longtail_cli.tables import GroundTruth, Longs, Results

_SHOWN = 4

Key = Callable[[str], str]


def with_ids_for_names(results: Results, truth: GroundTruth) -> Results:
    """The results with the ids of the images and classes that they name; those without names as they are.

    Raises InputError for names that are unknown or could be those of several images or classes.
    """
    convention = results.convention
    image_id, category_id = results.image_id, results.category_id
    if convention.images == "name":
        ids = images_named(convention.image_names, np.unique(image_id), truth, results.source)
        image_id = ids[image_id]
        convention = replace(convention, images="id", image_names=())
    if convention.categories == "name":
        ids = categories_named(convention.category_names, np.unique(category_id), truth, results.source)
        category_id = ids[category_id]
        convention = replace(convention, categories="id", category_names=())
    return replace(results, image_id=image_id, category_id=category_id, convention=convention)


def images_named(names: Sequence[str], used: Longs, truth: GroundTruth, source: str) -> Longs:
    """The id of the image of each name: int64 [len(names)]; of names that are not used, any id.

    A name is the `file_name` of the image; else the last parts of both paths are equal; else the name, with or without
    its ending, is the file name without ending; else it is the id, with or without leading zeros. The first of these
    by which every name is that of one image, and no two are of the same, decides.

    used: int64, indices of the names that detections refer to. source: the file, for messages.
    Raises InputError for names that are unknown or could be those of several images.
    """
    wanted = [names[index] for index in used.tolist()]
    best: dict[str, int] = {}
    several: tuple[str, ...] = ()
    for own, other in _keys_of_images(truth, wanted):
        found = _found(wanted, own, other)
        several = several or tuple(name for name, ids in found.items() if len(ids) > 1)
        single = {name: ids[0] for name, ids in found.items() if len(ids) == 1}
        if len(single) == len(wanted) == len(set(single.values())):
            return _ids(single, names)
        best = max(best, single, key=len)
    known = [*filter(None, truth.image_name), *map(str, truth.image_id[:_SHOWN].tolist())]
    if several:
        problem = Problem("images", "names that are each of one image", f"{_examples(several)}, of several images")
        raise InputError(source, [problem], "name the images with their folders, as the annotations do")
    missing = [name for name in wanted if name not in best]
    if not missing:
        problem = Problem("images", "one name for each image", "several names of one image")
        raise InputError(source, [problem], "name the images with their folders, as the annotations do")
    expected = f"file names in {truth.source}, such as {_examples(known)}"
    found_text = f"{_examples(missing)} ({len(missing)} of {len(wanted)} names are not in it)"
    fix = "pass the annotations that belong to these images, or name the images as they do"
    raise InputError(source, [Problem("images", expected, found_text)], fix)


def categories_named(names: Sequence[str], used: Longs, truth: GroundTruth, source: str) -> Longs:
    """The id of the category of each name: int64 [len(names)]; of names that are not used, any id.

    Names are compared exactly, then without regard to case, spaces, hyphens and underscores. used: as in
    `images_named`. Raises InputError for names that are unknown or could be those of several categories.
    """
    wanted = [names[index] for index in used.tolist()]
    categories = truth.categories
    ids = categories.id.tolist()
    exact, loose = _by_key(categories.name, ids, str), _by_key(categories.name, ids, normalised)
    found = {name: exact.get(name) or loose.get(normalised(name), []) for name in wanted}
    wrong = [name for name, candidates in found.items() if len(candidates) != 1]
    if wrong:
        several = [name for name in wrong if found[name]]
        kind = "of several categories" if several else f"({len(wrong)} of {len(wanted)} names are not in it)"
        expected = f"names of categories in {truth.source}, such as {_examples(categories.name)}"
        problem = Problem("categories", expected, f"{_examples(several or wrong)} {kind}")
        fix = "pass the annotations that belong to these detections, or name the classes as they do"
        raise InputError(source, [problem], fix)
    return _ids({name: candidates[0] for name, candidates in found.items()}, names)


def normalised(name: str) -> str:
    """The name in lower case without spaces, hyphens and underscores."""
    return "".join(letter for letter in name.casefold() if letter not in "_- \t")


def _keys_of_images(truth: GroundTruth, wanted: Sequence[str]) -> Iterator[tuple[Mapping[str, Sequence[int]], Key]]:
    """Ids by key, and the key of a name, for each way to compare them, the strictest first."""
    ids = truth.image_id.tolist()
    yield _by_key(truth.image_name, ids, str), str
    depth = max((name.count("/") + name.count("\\") for name in chain(truth.image_name, wanted)), default=0)
    for parts in range(min(depth, _DEEPEST) + 1, 0, -1):
        key = _last(parts)
        yield _by_key(truth.image_name, ids, key), key
    by_stem = _by_key(truth.image_name, ids, _stem)
    yield by_stem, _last(1)
    yield by_stem, _stem
    yield {str(id_): [id_] for id_ in ids}, _number


_DEEPEST = 8
"""Folders that are compared."""


def _last(parts: int) -> Key:
    def key(name: str) -> str:
        return "/".join(name.replace("\\", "/").split("/")[-parts:])

    return key


def _stem(name: str) -> str:
    return PurePosixPath(_last(1)(name)).stem


def _number(name: str) -> str:
    """The file name as a number, without zeros before it: ``42`` of ``000000000042.jpg``; empty if it is none."""
    stem = _stem(name)
    return str(int(stem)) if stem.isascii() and stem.isdigit() and len(stem) <= 19 else ""


def _by_key(names: Sequence[str], ids: Sequence[int], key: Key) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for name, id_ in zip(names, ids, strict=False):
        if name:
            found.setdefault(key(name), []).append(id_)
    return found


def _found(wanted: Sequence[str], ids: Mapping[str, Sequence[int]], key: Key) -> dict[str, Sequence[int]]:
    return {name: ids[key(name)] for name in wanted if key(name) in ids}


def _ids(found: Mapping[str, int], names: Sequence[str]) -> Longs:
    return np.array([found.get(name, 0) for name in names], np.int64)


def _examples(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:_SHOWN])
    return shown + (", ..." if len(names) > _SHOWN else "")
