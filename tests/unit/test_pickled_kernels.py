"""The kernels that read pickled detections, beside their plain twins."""

from __future__ import annotations

import io
import pickle
import zipfile
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from engine_plain import plain
from framework_scenes import FILES

from longtail_cli.engine import pickled
from longtail_cli.errors import InputError
from longtail_cli.files.pickles import load_pickle

KERNELS = pytest.mark.parametrize("kernel", [pickled, plain("pickled")], ids=["compiled", "plain"])
RUNS = {"size": [8, 10], "counts": "04"}
DETECTION: dict[str, Any] = {"image_id": 7, "category_id": 2, "bbox": [1.0, 2.0, 3.0, -0.0], "score": 0.1}


def detection(**other: Any) -> dict[str, Any]:
    """With a box of its own, as every detection has."""
    return {**DETECTION, "bbox": [*DETECTION["bbox"]], **other}


IMAGES = [
    {"image_id": 7, "instances": [detection(), detection(segmentation=RUNS, note=[{"a": 1.5, "b": True}, None])]},
    {"image_id": -5, "instances": [detection(image_id=-5, category_id=70_000)]},
    {"image_id": 2**40, "instances": []},
    {"image_id": 3},
]


def detections(kernel: ModuleType, data: bytes) -> Any:
    """What `scan_detections` fills, or None."""
    images, rows = len(data) // kernel.SHORTEST_IMAGE + 1, len(data) // kernel.SHORTEST_DETECTION + 1
    columns: list[npt.NDArray[Any]] = [
        np.zeros(shape, kind)
        for shape, kind in (
            ((images,), "i8"), ((images, 2), "i8"), ((images,), "i8"), ((rows,), "i8"), ((rows,), "u8"),
            ((rows, 4), "u8"), ((rows, 2), "i8"), ((rows, 2), "i8"),
        )
    ]  # fmt: skip
    number, found, end = kernel.scan_detections(np.frombuffer(data, np.uint8), *columns)
    return None if end < 0 else [one[:number].tolist() for one in columns[:3]] + [one[:found] for one in columns[3:]]


def arrays(kernel: ModuleType, data: bytes) -> Any:
    """What `scan_arrays` fills, or None."""
    lists, rows = np.zeros(len(data) + 1, np.int64), np.zeros(len(data) // kernel.SHORTEST_ARRAY + 1, np.int64)
    values = np.zeros(len(data), np.uint8)
    images, number, filled, end = kernel.scan_arrays(np.frombuffer(data, np.uint8), lists, rows, values)
    return None if end < 0 else [lists[:images].tolist(), rows[:number].tolist(), values[:filled].tobytes()]


def tensors(kernel: ModuleType, data: bytes) -> Any:
    """What `scan_tensors` fills, or None."""
    ids, rows = np.zeros((2, len(data) // kernel.SHORTEST_IMAGE + 1), np.int64)
    values = np.zeros((3, len(data)), np.uint8)
    images, found, end = kernel.scan_tensors(np.frombuffer(data, np.uint8), ids, rows, values.reshape(-1))
    if end < 0:
        return None
    labels, scores, boxes = (part[: found * width].tobytes() for part, width in zip(values, (8, 4, 16), strict=True))
    return [ids[:images].tolist(), rows[:images].tolist(), labels, scores, boxes]


def prediction(number: int, **other: Any) -> dict[str, Any]:
    """An image of MMDetection 3 with so many detections; `other` fields, of the instances if these have them."""
    random = torch.Generator().manual_seed(number)
    held: dict[str, Any] = {
        "labels": torch.arange(number),
        "scores": torch.rand(number, generator=random),
        "bboxes": torch.rand(number, 4, generator=random),
    }
    more = {name: other.pop(name) for name in [*other] if name in (*held, "masks")}
    return {"img_id": number, "pred_instances": {**held, **more}, **other}


ABOUT = {
    "img_path": "é/\U0001f600.jpg",
    "ori_shape": (480, 640),
    "scale_factor": (1.5, 1.5),
    "flip": False,
    "angle": None,
}
PREDICTIONS = [prediction(number, **ABOUT) for number in (2, 0, 300)]


def loaded(data: bytes) -> Any:
    """As `tensors`, by the general reader; None if it refuses."""
    try:
        images = load_pickle(data, "x.pkl")
    except InputError:
        return None
    held = [image["pred_instances"] for image in images]
    columns = [b"".join(one[name].tobytes() for one in held) for name in ("labels", "scores", "bboxes")]
    return [[image["img_id"] for image in images], [len(one["labels"]) for one in held], *columns]


@KERNELS
def test_tensors(kernel: ModuleType) -> None:
    data = pickle.dumps(PREDICTIONS, 2)
    found = tensors(kernel, data)
    assert found == loaded(data)
    assert found[:2] == [[2, 0, 300], [2, 0, 300]]


@KERNELS
def test_the_first_detections_of_longer_tensors(kernel: ModuleType) -> None:
    """A slice is saved with the whole of its storage."""
    scores, boxes = torch.arange(9.0)[4:6], torch.arange(40.0).reshape(10, 4)[1:3]
    data = pickle.dumps([prediction(2, scores=scores, bboxes=boxes)], 2)
    assert tensors(kernel, data) == loaded(data)


UNLIKE_TENSORS = {
    "protocol 4": pickle.dumps(PREDICTIONS, 4),
    "no images of this kind": pickle.dumps(IMAGES, 2),
    "masks": pickle.dumps([prediction(1, masks=[])], 2),
    "float64": pickle.dumps([prediction(1, scores=torch.zeros(1, dtype=torch.float64))], 2),
    "labels of 32 bits": pickle.dumps([prediction(1, labels=torch.zeros(1, dtype=torch.int32))], 2),
    "columns of a larger tensor": pickle.dumps([prediction(2, scores=torch.zeros(2, 5)[:, 4])], 2),
    "columns first": pickle.dumps([prediction(2, bboxes=torch.zeros(4, 2).t())], 2),
    "five columns": pickle.dumps([prediction(2, bboxes=torch.zeros(2, 5))], 2),
    "fewer scores": pickle.dumps([prediction(2, scores=torch.zeros(1))], 2),
    "a tensor as the id": pickle.dumps([prediction(2, img_id=torch.tensor(1))], 2),
    "a name as the id": pickle.dumps([prediction(2, img_id="a")], 2),
    "no id": pickle.dumps([{"pred_instances": prediction(2)["pred_instances"]}], 2),
    "a list as another field": pickle.dumps([prediction(2, note=[1])], 2),
    "a tuple of four": pickle.dumps([prediction(2, note=(1, 2, 3, 4))], 2),
}


@KERNELS
@pytest.mark.parametrize("data", UNLIKE_TENSORS.values(), ids=UNLIKE_TENSORS.keys())
def test_tensors_that_are_unlike_are_left_to_others(kernel: ModuleType, data: bytes) -> None:
    assert tensors(kernel, data) is None


HOSTILE_TENSORS = {
    "more rows than numbers": (b"K\x02\x85", b"K\x7f\x85"),
    "an offset beyond the end": (b"K\0K\x02\x85", b"K\x7fK\x02\x85"),
    "a storage of more numbers": (b"q\x01a.\x02\0\0", b"q\x01a.\x02\0\x01"),
    "another length of the storage": (b"cpuq\x03K\x02", b"cpuq\x03K\x03"),
    "another function": (b"_load_from_bytes", b"_load_from_bytez"),
    "another encoding": (b"latin1", b"latin2"),
    "broken text": (b"ABC", b"A\xffC"),
    "text that could be shorter": (b"ABC", b"\xe0\x80\x80"),
    "beyond the last character": (b"ABCD", b"\xf4\x90\x80\x80"),
}


@pytest.mark.parametrize(("old", "new"), HOSTILE_TENSORS.values(), ids=HOSTILE_TENSORS.keys())
def test_hostile_tensors_are_taken_by_no_reader(old: bytes, new: bytes) -> None:
    whole = pickle.dumps([prediction(2, note="ABCD")], 2)
    data = whole.replace(old, new)
    assert data != whole
    assert (tensors(pickled, data), tensors(plain("pickled"), data)) == (None, None)
    assert loaded(data) is None or old.startswith((b"cpu", b"q\x01a"))


@KERNELS
def test_detections(kernel: ModuleType) -> None:
    data = pickle.dumps(IMAGES, 2)
    ids, names, rows, category, score, box, size, counts = detections(kernel, data)
    assert (ids, names, rows) == ([7, -5, 2**40, 3], [[0, 0]] * 4, [2, 1, 0, -1])
    assert category.tolist() == [2, 2, 70_000]
    assert score.view(np.float64).tolist() == [0.1] * 3
    assert np.array_equal(box, np.array([DETECTION["bbox"]] * 3).view(np.uint64))
    assert size[1].tolist() == [8, 10]
    assert [data[begin:end] for begin, end in counts.tolist()] == [b"", b"04", b""]


@KERNELS
def test_names_of_images(kernel: ModuleType) -> None:
    data = pickle.dumps([{"image_id": name, "instances": [detection(image_id=name)]} for name in ("a", "bc")], 2)
    ids, names, rows, *_ = detections(kernel, data)
    assert (ids, [data[begin:end] for begin, end in names], rows) == ([0, 0], [b"a", b"bc"], [1, 1])


@KERNELS
def test_arrays(kernel: ModuleType) -> None:
    images = [[np.full((n, 5), n / 7, "f4") for n in (0, 3, 1)], [np.zeros((0, 5), "f4")] * 1, []]
    lists, rows, values = arrays(kernel, pickle.dumps(images, 2))
    assert (lists, rows) == ([3, 1, 0], [0, 3, 1, 0])
    assert np.array_equal(np.frombuffer(values, "f4"), np.repeat(np.float32([3 / 7, 1 / 7]), [15, 5]))


UNLIKE = {
    "protocol 4": pickle.dumps(IMAGES, 4),
    "a dict": pickle.dumps({"image_id": 1}, 2),
    "text in place of a number": pickle.dumps([{"image_id": 7, "instances": [{**DETECTION, "score": "1"}]}], 2),
    "no score": pickle.dumps([{"image_id": 7, "instances": [{"image_id": 7}]}], 2),
    "another image": pickle.dumps([{"image_id": 8, "instances": [DETECTION]}], 2),
    "the same detection twice": pickle.dumps([{"image_id": 7, "instances": [DETECTION, DETECTION]}], 2),
    "a set": pickle.dumps([{"image_id": 7, "instances": [], "more": {1}}], 2),
    "a name that is a field": pickle.dumps([{"image_id": "score", "instances": []}], 2),
    "float64": pickle.dumps([[np.zeros((1, 5))]], 2),
    "four columns": pickle.dumps([[np.zeros((1, 4), "f4")]], 2),
    "columns first": pickle.dumps([[np.asfortranarray(np.zeros((2, 5), "f4"))]], 2),
}


@KERNELS
@pytest.mark.parametrize("data", UNLIKE.values(), ids=UNLIKE.keys())
def test_what_is_unlike_is_left_to_others(kernel: ModuleType, data: bytes) -> None:
    assert detections(kernel, data) is None
    assert arrays(kernel, data) is None


@KERNELS
def test_a_pickle_that_is_cut_off_anywhere(kernel: ModuleType) -> None:
    for read, images in (
        (detections, IMAGES),
        (arrays, [[np.ones((n, 5), "f4") for n in (0, 2, 1)]]),
        (tensors, [prediction(1)]),
    ):
        data = pickle.dumps(images, 2)
        assert all(read(kernel, data[:end]) is None for end in range(0, len(data), 2))


def test_both_read_damaged_pickles_alike() -> None:
    """Every second byte in turn has another value."""
    rng = np.random.default_rng(0)
    for read, images in (
        (detections, IMAGES),
        (arrays, [[np.ones((n, 5), "f4") for n in (0, 1)]]),
        (tensors, [prediction(1)]),
    ):
        whole = pickle.dumps(images, 2)
        for at in range(0, len(whole), 2):
            data = whole[:at] + bytes([int(rng.integers(256))]) + whole[at + 1 :]
            assert repr(read(pickled, data)) == repr(read(plain("pickled"), data))


def test_damaged_tensors_are_read_as_the_general_reader_does_or_not_at_all() -> None:
    """Each byte in turn has another value."""
    rng = np.random.default_rng(0)
    whole = pickle.dumps(PREDICTIONS[:2], 2)
    taken = 0
    for at in range(len(whole)):
        data = whole[:at] + bytes([int(rng.integers(256))]) + whole[at + 1 :]
        found = tensors(pickled, data)
        assert found is None or found == loaded(data)
        taken += found is not None
    assert taken > 50  # mostly where the byte is of a label, a score or a box


def test_real_files_are_read_by_the_kernels() -> None:
    """They are not left to the general reader, which is slow."""
    for name in ("instances_predictions.pth", "instances_predictions_masks.pth"):
        with zipfile.ZipFile(io.BytesIO((FILES / name).read_bytes())) as archive:
            (member,) = (one for one in archive.namelist() if one.endswith("/data.pkl"))
            assert detections(pickled, archive.read(member)) is not None
    assert arrays(pickled, (FILES / "mmdetection2.pkl").read_bytes()) is not None
    assert tensors(pickled, (FILES / "mmdetection3.pkl").read_bytes()) is not None
