"""COCO and LVIS annotation files become tables; all faults of a file are reported together."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from opened import read_annotations, read_occurrences

from longtail_cli.errors import InputError
from longtail_cli.evaluation.geometry import mask_areas

SQUARE = [[10.0, 10.0, 30.0, 10.0, 30.0, 30.0, 10.0, 30.0]]


def an_object(number: int, image: int, category: int, **fields: Any) -> dict[str, Any]:
    box = {"bbox": [10, 10, 20.5, 20], "area": 400.0, "segmentation": SQUARE}
    return {"id": number, "image_id": image, "category_id": category, **box, **fields}


def coco() -> dict[str, Any]:
    """Ids out of order, with gaps, 0 and a negative one; image 30 has no objects."""
    return {
        "info": {"year": 2014},
        "images": [{"id": i, "width": 60, "height": 40, "file_name": f"{i}.jpg"} for i in (30, 0, 12)],
        "categories": [{"id": 7, "name": "cat"}, {"id": 0, "name": "dog, small"}, {"id": -2, "name": "🐟"}],
        "annotations": [an_object(5, 12, 7), an_object(0, 0, 0, iscrowd=1), an_object(9, 12, -2, ignore=1)],
    }


def lvis() -> dict[str, Any]:
    data = coco()
    for image, absent, partial in zip(data["images"], ([7], [], [0, -2]), ([], [0], [7]), strict=True):
        image |= {"neg_category_ids": absent, "not_exhaustive_category_ids": partial}
    for category, letter, count in zip(data["categories"], "frc", (500, 3, 50), strict=True):
        category |= {"frequency": letter, "image_count": count, "instance_count": 2 * count}
    return data


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write_to(data: Any, name: str = "val.json") -> Path:
        path = tmp_path / name
        path.write_text(data if isinstance(data, str) else json.dumps(data))
        return path

    return write_to


def message_of(path: Path, **options: bool) -> str:
    with pytest.raises(InputError) as error:
        read_annotations(path, **options)
    return str(error.value)


def test_columns_of_a_coco_file(write: Any) -> None:
    truth = read_annotations(write(coco()))
    assert truth.categories.id.tolist() == [-2, 0, 7]
    assert truth.categories.name == ("🐟", "dog, small", "cat")
    assert truth.categories.frequency is None
    assert truth.categories.image_count is None
    assert truth.image_id.tolist() == [0, 12, 30]
    assert truth.image_position.tolist() == [1, 2, 0]
    assert truth.image_size.tolist() == [[40, 60]] * 3
    assert truth.id.tolist() == [5, 0, 9]
    assert truth.image.tolist() == [1, 0, 1]
    assert truth.category.tolist() == [2, 1, 0]
    assert truth.bbox.tolist() == [[10, 10, 20.5, 20]] * 3
    assert truth.area.tolist() == [400.0] * 3
    assert truth.crowd.tolist() == [False, True, False]
    assert truth.ignore.tolist() == [False, False, True]
    assert truth.masks is None
    assert not truth.federated


def test_lists_and_letters_of_an_lvis_file(write: Any) -> None:
    truth = read_annotations(write(lvis()))
    assert truth.categories.frequency == ("c", "r", "f")
    assert truth.categories.image_count is not None
    assert truth.categories.image_count.tolist() == [50, 3, 500]
    assert truth.federated
    assert truth.negative is not None
    assert truth.negative.tolist() == [[1, 0], [1, 1], [2, 2]]  # (image, category) by index
    assert truth.not_exhaustive is not None
    assert truth.not_exhaustive.tolist() == [[0, 1], [1, 2]]


def test_lists_that_are_all_empty_are_federated(write: Any) -> None:
    data = lvis()
    for image in data["images"]:
        image |= {"neg_category_ids": [], "not_exhaustive_category_ids": []}
    truth = read_annotations(write(data))
    assert truth.federated
    assert truth.negative is not None
    assert truth.negative.shape == (0, 2)


def test_masks_are_read_on_request(write: Any) -> None:
    masks = read_annotations(write(coco()), masks=True).masks
    assert masks is not None
    assert masks.size.tolist() == [[40, 60]] * 3
    assert mask_areas(masks).tolist() == [400.0] * 3


def test_sizes_are_not_needed_for_boxes(write: Any) -> None:
    data = coco()
    for image in data["images"]:
        del image["width"], image["height"]
    assert read_annotations(write(data)).image_size.tolist() == [[0, 0]] * 3
    message = message_of(write(data), masks=True)
    assert "3 problems" in message
    assert "images[0] (id 30): expected a height and a width above 0, found height None, width None" in message


def test_a_file_without_objects(write: Any) -> None:
    truth = read_annotations(write(coco() | {"annotations": []}), masks=True)
    assert truth.bbox.shape == (0, 4)
    assert truth.masks is not None
    assert len(truth.masks) == 0


def test_gzip_reads_the_same(write: Any, tmp_path: Path) -> None:
    plain = write(lvis())
    packed = tmp_path / "val.json.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    np.testing.assert_array_equal(read_annotations(packed).id, read_annotations(plain).id)


def test_crowd_and_ignored_objects_do_not_count(write: Any) -> None:
    occurrences, left_out = read_occurrences(write(coco()))
    assert occurrences.num_images == 3
    assert occurrences.image.tolist() == [1]
    assert occurrences.category.tolist() == [2]
    assert left_out == 2


def test_counting_needs_no_boxes(write: Any) -> None:
    data = coco()
    data["annotations"] = [{"image_id": 12, "category_id": 7, "bbox": "missing"}] * 2
    occurrences, _ = read_occurrences(write(data))
    assert occurrences.category.tolist() == [2, 2]


@pytest.mark.parametrize("true", [1, True])
def test_flags_may_be_booleans(write: Any, true: object) -> None:
    data = coco()
    data["annotations"] = [an_object(1, 0, 0, iscrowd=true)]
    assert read_annotations(write(data)).crowd.tolist() == [True]


def test_all_kinds_of_faults_are_reported_together(write: Any) -> None:
    data = lvis()
    data["images"].append(data["images"][0])
    data["categories"].append(data["categories"][0])
    data["categories"][2]["frequency"] = "x"
    data["images"][1]["neg_category_ids"] = [99]
    data["annotations"] += [
        an_object(5, 12, 7, bbox=[0, 0, -1, 3]),
        an_object(6, 12, 7, area=-1),
        an_object(7, 77, 7),
        an_object(8, 12, 88),
    ]
    message = message_of(write(data))
    assert message.splitlines()[0].endswith("val.json: 9 problems")
    for line in (
        "images[3]: expected a unique id, found id 30, which images[0] has too",
        "categories[3]: expected a unique id, found id 7, which categories[0] has too",
        "categories[2] (id -2), `frequency`: expected r, c or f, found 'x'",
        "images[1] (id 0), `neg_category_ids`: expected ids of `categories`, found 99",
        "annotations[5], `image_id`: expected an id of `images`, found 77",
        "annotations[6], `category_id`: expected an id of `categories`, found 88",
        "annotations[3]: expected a unique id, found id 5, which annotations[0] has too",
        "annotations[3] (id 5), `bbox`: expected [x, y, width, height] with sizes of 0 or more, found [0.0, ",
        "annotations[4] (id 6), `area`: expected 0 or more pixels, found -1.0",
    ):
        assert line in message


def test_images_without_lists_among_images_with_them(write: Any) -> None:
    data = lvis()
    del data["images"][1]["neg_category_ids"]
    message = message_of(write(data))
    assert "images[1] (id 0): expected `neg_category_ids`, as other images are federated (LVIS)" in message
    assert "give every image both lists (LVIS; they may be empty) or neither (COCO)" in message


def test_lvis_fields_on_some_categories_only(write: Any) -> None:
    data = lvis()
    del data["categories"][1]["image_count"]
    assert "categories[1] (id 0): expected a field `image_count`, as others have it" in message_of(write(data))


def test_string_ids_name_the_mapping(write: Any) -> None:
    data = coco()
    data["annotations"] = [an_object(i, 12, 7) | {"image_id": f"{i}.jpg"} for i in range(20)]
    message = message_of(write(data))
    assert "20 problems" in message
    assert 'annotations[3] (id 3), `image_id`: expected an integer, found "3.jpg"' in message
    assert "... and 10 more" in message
    assert "ids must be integers: replace each file name or string by the integer id" in message


def test_faults_of_fields_in_all_lists(write: Any) -> None:
    data = coco()
    del data["images"][0]["id"]
    data["categories"][1]["name"] = 3
    data["annotations"][0]["bbox"] = [1, 2, 3]
    data["annotations"][1]["bbox"][1] = None
    data["annotations"][2]["image_id"] = 12.5
    data["annotations"].append("nothing")
    message = message_of(write(data))
    assert "6 problems" in message
    for line in (
        "images[0]: expected a field `id`, found only `width`, `height`, `file_name`",
        "categories[1] (id 0), `name`: expected a string, found 3",
        "annotations[0] (id 5), `bbox`: expected a list of length 4, found [1,2,3]",
        "annotations[1] (id 0), `bbox[1]`: expected a number, found null",
        "annotations[2] (id 9), `image_id`: expected an integer, found 12.5",
        'annotations[3]: expected an object, found "nothing"',
    ):
        assert line in message


def test_nan_and_infinity_are_named(write: Any) -> None:
    data = coco()
    data["annotations"][0]["bbox"][2] = float("nan")
    data["annotations"][1]["area"] = float("-inf")
    data["categories"][0]["name"] = 'a "NaN" in a string, NaN'
    message = message_of(write(data))
    assert "2 problems" in message
    assert "annotations[0] (id 5), `bbox[2]`: expected a number, found NaN" in message
    assert "annotations[1] (id 0), `area`: expected a number, found -Infinity" in message


def test_nan_in_a_field_that_is_skipped(write: Any) -> None:
    text = json.dumps(coco() | {"info": {"loss": float("nan")}})
    assert f"byte {text.index('NaN')}: expected valid JSON, found 'NaN" in message_of(write(text))


def test_numbers_out_of_range(write: Any) -> None:
    text = json.dumps(coco()).replace("20.5", "1e999", 1)
    assert "annotations[0], `bbox[2]`: expected a value that can be read" in message_of(write(text))
    data = coco()
    data["images"][0]["id"] = 2**70
    assert f"images[0] (id {2**70}), `id`: expected an integer <= {2**63 - 1}" in message_of(write(data))


@pytest.mark.parametrize("key", ["images", "categories", "annotations"])
def test_missing_keys(write: Any, key: str) -> None:
    data = coco()
    del data[key]
    message = message_of(write(data))
    assert f"keys: expected a key `{key}`, found `info`" in message
    assert "an object with the lists `images`, `categories`, `annotations`" in message


def test_a_result_file_is_recognised(write: Any) -> None:
    message = message_of(write([{"image_id": 1, "category_id": 1, "score": 0.5}]))
    assert "top level: expected an object, found a list, as result files (predictions) have it" in message


def test_sections_that_are_not_lists(write: Any) -> None:
    assert "`annotations`: expected a list of objects, found {}" in message_of(write(coco() | {"annotations": {}}))


def test_no_images_and_no_categories(write: Any) -> None:
    message = message_of(write(coco() | {"images": [], "categories": []}), masks=True)
    assert "`images`: expected at least one entry, found an empty list" in message
    assert "`categories`: expected at least one entry, found an empty list" in message


def test_a_truncated_file_names_its_end(write: Any) -> None:
    text = json.dumps(coco())[:300]
    assert "content: expected a whole JSON document, found the end of the file, at byte 300" in message_of(write(text))


def test_what_is_not_json_names_the_byte(write: Any) -> None:
    text = json.dumps(coco()).replace('"annotations": [', '"annotations": [oops ', 1)
    assert f"byte {text.index('oops')}: expected valid JSON, found 'oops" in message_of(write(text))


def test_a_repeated_key(write: Any) -> None:
    text = json.dumps(coco()).replace('"images": ', '"images": [{"id": "a"}], "images": ', 1)
    assert "found Expected `int`, got `str` - at `$.images[0].id`" in message_of(write(text))


def test_text_that_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "val.json"
    path.write_bytes(json.dumps(coco()).encode().replace(b'"cat"', b'"c\xe9t"'))
    assert "categories[0]: expected a value that can be read" in message_of(path)


def test_an_empty_file(write: Any) -> None:
    assert "found an empty file (0 bytes)" in message_of(write(""))


def test_a_missing_file(tmp_path: Path) -> None:
    assert "No such file" in message_of(tmp_path / "nowhere.json")


def test_mask_faults_come_with_the_others(write: Any) -> None:
    data = coco()
    data["annotations"][0]["segmentation"] = []
    data["annotations"][1]["segmentation"] = {"size": [4, 4], "counts": [16]}
    data["annotations"][2]["area"] = -3
    message = message_of(write(data), masks=True)
    assert "annotations[0] (id 5), `segmentation`: expected at least one polygon, found an empty list" in message
    assert "annotations[1] (id 0), `segmentation`: expected the size of the image" in message
    assert "annotations[2] (id 9), `area`: expected 0 or more pixels, found -3.0" in message


def test_objects_without_masks(write: Any) -> None:
    data = coco()
    del data["annotations"][0]["segmentation"]
    assert "annotations[0] (id 5): expected a field `segmentation`" in message_of(write(data), masks=True)
