"""Annotations and results of some of the images equal those of files that hold only them."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import Entry, make_case, write_case
from opened import read_annotations, read_results

from longtail_cli.evaluation.protocol import Protocol, objects_of
from longtail_cli.tables import Masks
from longtail_cli.workflow.image_subset import objects_by_part, results_of, truth_of, truths_of


def of_images(annotations: Entry, predictions: list[Entry], images: set[int]) -> tuple[Entry, list[Entry]]:
    return {
        **annotations,
        "images": [one for one in annotations["images"] if one["id"] in images],
        "annotations": [one for one in annotations["annotations"] if one["image_id"] in images],
    }, [one for one in predictions if one["image_id"] in images]


def assert_equal(one: Any, other: Any, skip: frozenset[str] = frozenset()) -> None:
    assert type(one) is type(other)
    for name in (field.name for field in fields(one) if field.name not in skip):
        mine, wanted = getattr(one, name), getattr(other, name)
        if isinstance(mine, Masks):
            assert_equal(mine, wanted)
        elif isinstance(mine, np.ndarray):
            assert mine.dtype == wanted.dtype, name
            np.testing.assert_array_equal(mine, wanted, err_msg=name)
        elif name != "categories":
            assert mine == wanted, name


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(("protocol", "masks"), [("lvis", False), ("lvis", True), ("coco", True)])
def test_the_tables_are_those_of_smaller_files(tmp_path: Path, protocol: Any, masks: bool, seed: int) -> None:
    annotations, found = make_case(seed, protocol=protocol, masks=masks, sure_hit=True)
    ids = sorted(one["id"] for one in annotations["images"])
    keep = np.random.default_rng(seed).random(len(ids)) < 0.6
    keep[seed % len(ids)] = True
    chosen = {id_ for id_, kept in zip(ids, keep, strict=True) if kept}
    for name in ("whole", "part"):
        (tmp_path / name).mkdir()
    whole = write_case(tmp_path / "whole", annotations, found)
    part = write_case(tmp_path / "part", *of_images(annotations, found, chosen))
    truth = truth_of(read_annotations(whole[0], masks=masks), keep)
    expected = read_annotations(part[0], masks=masks)
    listed = np.array([one["id"] for one in annotations["images"]])
    assert truth.image_id[np.argsort(truth.image_position)].tolist() == [id_ for id_ in listed if id_ in chosen]
    assert_equal(truth, replace(expected, source=truth.source), frozenset({"categories"}))
    assert truth.categories.id.tolist() == read_annotations(whole[0]).categories.id.tolist()
    geometry = frozenset({"segmentation" if masks else "bbox"})
    results = read_results(whole[1], fields=geometry)
    smaller = results_of(results, np.isin(results.image_id, sorted(chosen)))
    if len(smaller):
        assert_equal(smaller, replace(read_results(part[1], fields=geometry), source=smaller.source))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("protocol", "masks"), [("lvis", False), ("coco", True)])
def test_parts_of_the_images_are_those_of_each_part(tmp_path: Path, protocol: Any, masks: bool, seed: int) -> None:
    annotations, found = make_case(seed, protocol=protocol, masks=masks, sure_hit=True)
    truth = read_annotations(write_case(tmp_path, annotations, found)[0], masks=masks)
    part = np.random.default_rng(seed).integers(0, 4, len(truth.image_id)).astype(np.int32)
    every = objects_of(truth, Protocol("coco", 1))
    rows = objects_by_part(truth, part, 4)
    for number, own in enumerate(truths_of(truth, part, 4)):
        assert_equal(own, truth_of(truth, part == number))
        objects = objects_of(own, Protocol("coco", 1))
        assert truth.id[every.row[rows[number]]].tolist() == own.id[objects.row].tolist()
    assert number == 3


def test_all_images_are_the_same_annotations(tmp_path: Path) -> None:
    annotations, found = make_case(3, protocol="lvis", masks=True, sure_hit=True)
    truth = read_annotations(write_case(tmp_path, annotations, found)[0], masks=True)
    assert_equal(truth_of(truth, np.ones(len(truth.image_id), bool)), truth)


def test_no_images_leave_the_categories(tmp_path: Path) -> None:
    annotations, found = make_case(3, protocol="lvis", sure_hit=True)
    truth = read_annotations(write_case(tmp_path, annotations, found)[0])
    empty = truth_of(truth, np.zeros(len(truth.image_id), bool))
    assert (len(empty.image_id), len(empty.id)) == (0, 0)
    assert len(empty.categories) == len(truth.categories)
