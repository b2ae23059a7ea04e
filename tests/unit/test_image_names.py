"""The file names of images, and how many images two files share."""

import gzip
import json

import pytest

from longtail_cli.errors import InputError
from longtail_cli.files.annotations.reader import open_annotations
from longtail_cli.workflow.oracle import images_in

IMAGES = [
    {"id": 7, "file_name": "train/7.jpg", "coco_url": "http://example.org/val2017/8.jpg"},
    {"id": -3, "coco_url": "http://example.org/val2017/000000397133.jpg", "height": 4},
    {"id": 0},
    {"id": 9, "file_name": 9, "coco_url": None},
]
NAMES = {7: "train/7.jpg", -3: "val2017/000000397133.jpg", 0: "", 9: ""}
DOCUMENT = {"images": IMAGES, "annotations": [{"anything": float("inf")}]}


def names_of(source):
    with open_annotations(source) as file:
        return file.image_names()


def test_names_of_files(tmp_path):
    text = json.dumps({**DOCUMENT, "annotations": [{"broken": "entry"}]})
    (tmp_path / "val.json").write_text(text)
    (tmp_path / "val.json.gz").write_bytes(gzip.compress(text.encode()))
    assert names_of(tmp_path / "val.json") == names_of(tmp_path / "val.json.gz") == NAMES


def test_names_of_a_document_in_memory():
    assert names_of({"images": IMAGES, "categories": [], "annotations": []}) == NAMES


def test_names_and_tables_can_be_read_from_one_file(tmp_path):
    document = {"images": IMAGES[:1], "categories": [{"id": 1}], "annotations": []}
    (tmp_path / "val.json").write_text(json.dumps(document))
    with open_annotations(tmp_path / "val.json") as file:
        assert file.read().image_id.tolist() == list(file.image_names()) == [7]


def test_an_id_that_is_not_an_integer_is_refused(tmp_path):
    (tmp_path / "val.json").write_text('{"images": [{"id": "a.jpg"}]}')
    with pytest.raises(InputError, match="ids must be integers"):
        names_of(tmp_path / "val.json")


@pytest.mark.parametrize(
    ("images", "tuned_on", "shared"),
    [
        ({1: "a", 2: "b"}, {2: "b", 3: "c"}, 1),
        ({1: "a", 2: "b"}, {2: "other", 3: "b"}, 0),
        ({1: "", 2: ""}, {2: "", 3: ""}, 1),
        ({1: "a"}, {1: ""}, 0),
        ({1: "a"}, {}, 0),
    ],
)
def test_an_image_is_the_same_by_id_and_name(images, tuned_on, shared):
    assert images_in(images, tuned_on) == shared
