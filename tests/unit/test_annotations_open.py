"""Annotations are opened once, from a file or from memory."""

import dataclasses
import gzip
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from longtail_cli.errors import InputError, UsageError
from longtail_cli.files.annotations.reader import open_annotations
from longtail_cli.tables import GroundTruth

SQUARE = [[10.0, 10.0, 30.0, 10.0, 30.0, 30.0, 10.0, 30.0]]
IMAGES = [{"id": i, "width": 60, "height": 40} for i in (30, 0, 12)]
CATEGORIES = [{"id": 7, "name": "cat"}, {"id": 0, "name": "dog"}]
ANNOTATIONS = [
    {"id": 5, "image_id": 12, "category_id": 7, "bbox": [10, 10, 20.5, 20], "area": 400.0, "segmentation": SQUARE},
    {"id": 0, "image_id": 0, "category_id": 0, "bbox": [1, 2, 3, 4], "area": 12.0, "segmentation": SQUARE},
]
COCO = {"images": IMAGES, "categories": CATEGORIES, "annotations": ANNOTATIONS}
LVIS = {
    **COCO,
    "images": [{**image, "neg_category_ids": [7], "not_exhaustive_category_ids": []} for image in IMAGES],
    "categories": [
        {**one, "frequency": letter, "image_count": 3} for one, letter in zip(CATEGORIES, "rc", strict=True)
    ],
}


def columns_of(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


def arrays_of(rows: list[dict[str, Any]]) -> dict[str, Any]:
    kept = {"segmentation", "neg_category_ids", "not_exhaustive_category_ids"}
    return {name: values if name in kept else np.array(values) for name, values in columns_of(rows).items()}


def write(folder: Path, document: Any, name: str = "val.json") -> Path:
    path = folder / name
    text = json.dumps(document).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def assert_equal(one: GroundTruth, other: GroundTruth) -> None:
    """Equal in all but their source."""
    for field in dataclasses.fields(GroundTruth):
        if field.name in ("categories", "masks"):
            assert str(getattr(one, field.name)) == str(getattr(other, field.name))
        elif field.name != "source":
            np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))


@pytest.mark.parametrize("name", ["val.json", "val.json.gz"])
def test_what_a_file_is(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, COCO, name)
    with open_annotations(path) as file:
        assert file.source == str(path)
        assert file.sha256() == hashlib.sha256(path.read_bytes()).hexdigest()
        assert file.read().id.tolist() == [5, 0]
        assert file.read(masks=True).masks is not None
        occurrences, left_out = file.occurrences()
    assert (len(occurrences.image), left_out) == (2, 0)
    with open_annotations(str(path)) as file:
        assert file.read().source == str(path)


@pytest.mark.parametrize("name", ["val.json", "val.json.gz"])
def test_a_file_that_is_replaced_stays_the_one_that_was_opened(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, COCO, name)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with open_annotations(path) as file:
        write(tmp_path, {**COCO, "annotations": []}, f"new.{name}").replace(path)
        assert file.sha256() == digest
        assert file.read().id.tolist() == [5, 0]
        assert len(file.occurrences()[0].image) == 2


@pytest.mark.parametrize("name", ["val.json", "val.json.gz"])
@pytest.mark.parametrize("document", [LVIS, {**COCO, "images": []}, [1]])
def test_a_file_that_is_modified_in_place_is_refused(tmp_path: Path, name: str, document: Any) -> None:
    path = write(tmp_path, COCO, name)
    with open_annotations(path) as file:
        before = path.stat().st_mtime_ns
        write(tmp_path, document, name)
        os.utime(path, ns=(before + 1_000_000, before + 1_000_000))
        for use in (file.read, file.occurrences, file.sha256):
            with pytest.raises(InputError, match="found a change"):
                use()


@pytest.mark.parametrize("document", [COCO, LVIS])
@pytest.mark.parametrize("form", [list, tuple, columns_of, arrays_of, pd.DataFrame])
def test_a_document_in_memory(tmp_path: Path, document: dict[str, Any], form: Any) -> None:
    in_memory = {"info": object(), **{name: form(rows) for name, rows in document.items()}}
    with open_annotations(write(tmp_path, document)) as file, open_annotations(in_memory, "val") as held:
        assert held.source == "val"
        assert_equal(held.read(masks=True), file.read(masks=True))
        assert held.read().source == "val"
        assert held.occurrences()[1] == 0
        assert len(held.sha256()) == 64


def test_the_digest_is_that_of_the_content() -> None:
    digest = open_annotations(COCO).sha256()
    assert open_annotations({**COCO}).sha256() == digest
    assert open_annotations({**COCO, "images": IMAGES[:1]}).sha256() != digest
    assert open_annotations({name: np.array(rows, object) for name, rows in COCO.items()}).sha256() == digest


def test_missing_values_of_a_frame_are_fields_left_out() -> None:
    annotations = pd.DataFrame([*ANNOTATIONS, {**ANNOTATIONS[0], "id": 3, "iscrowd": 1}])
    assert annotations["iscrowd"].dtype == np.float64
    truth = open_annotations({**COCO, "annotations": annotations}).read()
    assert truth.crowd.tolist() == [False, False, True]
    images = pd.DataFrame(IMAGES).astype({"height": "Int64"})
    images.loc[0, "height"] = pd.NA
    assert open_annotations({**COCO, "images": images}).read().image_size.tolist() == [[40, 60], [40, 60], [0, 60]]
    columns = {**columns_of(IMAGES), "width": [60, None, float("nan")]}
    assert open_annotations({**COCO, "images": columns}).read().image_size.tolist() == [[40, 0], [40, 0], [40, 60]]


@pytest.mark.parametrize("form", [list, columns_of, arrays_of, pd.DataFrame])
def test_annotations_alone(form: Any) -> None:
    rows = [{name: row[name] for name in ("image_id", "category_id", "bbox")} for row in ANNOTATIONS]
    with open_annotations(form(rows)) as file:
        truth = file.read()
        occurrences, left_out = file.occurrences()
    assert truth.source == "annotations"
    assert truth.image_id.tolist() == [0, 12]
    assert truth.categories.id.tolist() == [0, 7]
    assert truth.id.tolist() == [1, 2]
    assert truth.area.tolist() == [410.0, 12.0]
    assert truth.bbox.tolist() == [[10, 10, 20.5, 20], [1, 2, 3, 4]]
    assert (occurrences.num_images, occurrences.category.tolist(), left_out) == (2, [1, 0], 0)


def test_annotations_alone_keep_what_they_state() -> None:
    truth = open_annotations(ANNOTATIONS).read()
    assert truth.id.tolist() == [5, 0]
    assert truth.area.tolist() == [400.0, 12.0]


def test_counting_needs_ids_alone() -> None:
    occurrences, _ = open_annotations({"image_id": np.array([4, 4, 2]), "category_id": [1, 1, 9]}).occurrences()
    assert occurrences.image.tolist() == [1, 1, 0]
    assert occurrences.category.tolist() == [0, 0, 1]


def complaint(source: Any) -> str:
    with pytest.raises(InputError) as error:
        open_annotations(source, "val").read()
    message = str(error.value)
    assert message.startswith("val: ")
    return message


def test_faults_in_memory_name_the_entry() -> None:
    wrong = [ANNOTATIONS[0], {**ANNOTATIONS[1], "image_id": "a", "area": float("nan")}]
    message = complaint({**COCO, "annotations": wrong})
    assert 'annotations[1] (id 0), `image_id`: expected an integer, found "a"' in message
    bare = [{"image_id": 1, "category_id": 2}, {"image_id": "a", "category_id": 2, "bbox": 3}, 7]
    message = complaint(bare)
    assert "annotations[0] (id 1): expected a field `bbox`, found only `id`, `image_id`, `category_id`" in message
    assert 'annotations[1] (id 2), `image_id`: expected an integer, found "a"' in message
    assert "annotations[2]: expected an object, found 7" in message
    assert "keys: expected a key `categories`, found `images`, `annotations`" in complaint(
        {"images": IMAGES, "annotations": []}
    )
    assert "keys: expected a key `images`" in complaint({})
    assert "`images`: expected at least one entry" in complaint([])


def test_columns_must_have_one_length() -> None:
    message = complaint({"image_id": [1, 2], "category_id": [1]})
    assert "columns: expected the same number of values in each, found 2 of `image_id`, 1 of `category_id`" in message


@pytest.mark.parametrize("source", [3, None, iter(ANNOTATIONS)])
def test_what_is_not_annotations(source: Any) -> None:
    with pytest.raises(UsageError, match="annotations: annotations: expected a path, a document, annotations or a"):
        open_annotations(source)
