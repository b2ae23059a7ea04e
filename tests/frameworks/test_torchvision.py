"""Detections by image, of torchvision, torchmetrics and transformers: the same metrics as COCO results; refusals."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from framework_scenes import FILES, Scenes, figures, refusal, written

from longtail_cli.errors import InputError
from longtail_cli.files import reading
from longtail_cli.files.frameworks.formats import detection_format
from longtail_cli.files.outline import outline_of
from longtail_cli.files.results.file import open_results
from longtail_cli.tables import Results

SCENES = Scenes()
BOXES = frozenset({"bbox"})
BOTH = frozenset({"bbox", "masks"})
IMAGE = {
    "boxes": torch.tensor([[1.0, 2, 5, 9], [0, 0, 2.5, 3]]),
    "labels": torch.tensor([3, 1]),
    "scores": torch.tensor([0.5, 0.25]),
}
EMPTY = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64), "scores": torch.zeros(0)}


def saved(tmp_path: Path, value: Any) -> Path:
    path = tmp_path / "predictions.pt"
    torch.save(value, path)
    return path


def read(path: Path, fields: frozenset[str] = BOXES) -> Results:
    with open_results(path) as file:
        return file.read(fields)


def complaint(tmp_path: Path, value: Any) -> str:
    with pytest.raises(InputError) as error:
        read(saved(tmp_path, value), BOTH)
    return str(error.value)


def as_coco(predictions: list[Any], category: Callable[[int], int] = int) -> list[dict[str, Any]]:
    """The tensors as COCO results. category: the id of a label."""
    ids = [one["id"] for one in SCENES.annotations["images"]]
    return [
        {"image_id": image, "category_id": category(label), "bbox": [x1, y1, x2 - x1, y2 - y1], "score": score}
        for image, found in zip(ids, predictions, strict=False)
        for (x1, y1, x2, y2), label, score in zip(
            *(found[key].tolist() for key in ("boxes", "labels", "scores")), strict=True
        )
    ]


# The same metrics as COCO results


def test_torchvision(tmp_path: Path) -> None:
    path = FILES / "torchvision.pt"
    plain, annotations = written(tmp_path, SCENES, as_coco(torch.load(path)))
    found = figures(path, annotations)
    assert found == figures(plain, annotations)
    scenes, _ = written(tmp_path, SCENES, SCENES.detections)
    assert found["metrics"]["bbox"]["AP"] == pytest.approx(figures(scenes, annotations)["metrics"]["bbox"]["AP"])


def test_transformers(tmp_path: Path) -> None:
    path = FILES / "detr.pt"
    plain, annotations = written(tmp_path, SCENES, as_coco(torch.load(path), SCENES.category_ids.__getitem__))
    assert figures(path, annotations) == figures(plain, annotations)


def test_dicts_by_image_id(tmp_path: Path) -> None:
    """The argument of `CocoEvaluator.update` in the references of torchvision, in an order of its own."""
    predictions = torch.load(FILES / "torchvision.pt")
    by_id = dict(zip([one["id"] for one in SCENES.annotations["images"]], predictions, strict=True))
    path = saved(tmp_path, dict(reversed(by_id.items())))
    plain, annotations = written(tmp_path, SCENES, as_coco(predictions))
    assert figures(path, annotations) == figures(plain, annotations)


def test_masks_of_torchmetrics() -> None:
    path = FILES / "torchmetrics.pt"
    masks = torch.load(path)["preds"][0]["masks"].numpy()
    results = read(path, BOTH)
    assert results.masks is not None
    assert len(results.masks) == len(results) == len(masks) == 2
    for row, pixels in enumerate(masks):
        begin, end = results.masks.start[row : row + 2]
        runs = results.masks.counts[begin:end]
        columns = np.repeat(np.arange(len(runs)) % 2, runs)
        assert np.array_equal(columns.reshape(pixels.shape[::-1]).T, pixels)


# What a file holds


def test_a_list_is_in_the_order_of_the_images(tmp_path: Path) -> None:
    results = read(saved(tmp_path, [EMPTY, IMAGE, EMPTY, IMAGE]))
    assert results.image_id.tolist() == [1, 1, 3, 3]
    assert results.category_id.tolist() == [3, 1, 3, 1]
    assert results.score.tolist() == [0.5, 0.25] * 2
    assert results.bbox is not None
    assert results.bbox.tolist() == IMAGE["boxes"].tolist() * 2
    convention = results.convention
    assert (convention.images, convention.categories, convention.boxes) == ("position", "id", "xyxy")
    assert convention.listed == 4
    assert "in the order of the annotations" in convention.notes[-1]


IDS = [
    ([{**IMAGE, "image_id": 7}, {**EMPTY, "image_id": 9}], ("id", [7, 7], ())),
    ([{**IMAGE, "image_id": torch.tensor([7])}], ("id", [7, 7], ())),
    ([{**IMAGE, "image_id": torch.tensor(7)}], ("id", [7, 7], ())),
    ({4: EMPTY, 7: IMAGE}, ("id", [7, 7], ())),
    ({"a.jpg": EMPTY, "b.jpg": IMAGE}, ("name", [1, 1], ("a.jpg", "b.jpg"))),
    ([{**IMAGE, "image_id": "b"}, {**IMAGE, "image_id": "b"}], ("name", [0, 0, 0, 0], ("b",))),
    ([[IMAGE, EMPTY], [IMAGE]], ("position", [0, 0, 2, 2], ())),
    ({"preds": [EMPTY, IMAGE], "target": [EMPTY, EMPTY]}, ("position", [1, 1], ())),
    ((EMPTY, IMAGE), ("position", [1, 1], ())),
    (IMAGE, ("position", [0, 0], ())),
]


@pytest.mark.parametrize(("value", "expected"), IDS)
def test_images(tmp_path: Path, value: Any, expected: tuple[str, list[int], tuple[str, ...]]) -> None:
    results = read(saved(tmp_path, value))
    convention = results.convention
    assert (convention.images, results.image_id.tolist(), convention.image_names) == expected


LABELS = [
    ([IMAGE], "id"),
    ([EMPTY, {**IMAGE, "labels": torch.tensor([0, 4])}], "index"),
    ([{name: IMAGE[name] for name in ("scores", "labels", "boxes")}], "index"),
]


@pytest.mark.parametrize(("value", "expected"), LABELS)
def test_labels(tmp_path: Path, value: Any, expected: str) -> None:
    convention = read(saved(tmp_path, value)).convention
    assert convention.categories == expected
    assert ("labels are taken for 0 to C - 1" in " ".join(convention.notes)) == (expected == "index")


def plain_lists(image: dict[str, torch.Tensor]) -> dict[str, Any]:
    return {name: one.tolist() for name, one in image.items()}


WRITTEN = [
    ("x.pkl", lambda images: pickle.dumps(images)),
    ("x.pkl", lambda images: pickle.dumps([{name: one.numpy() for name, one in image.items()} for image in images])),
    ("x.pkl", lambda images: pickle.dumps(list(map(plain_lists, images)))),
    ("x.json", lambda images: json.dumps(list(map(plain_lists, images))).encode()),
]


@pytest.mark.parametrize(("name", "content"), WRITTEN)
def test_pickles_and_json(tmp_path: Path, name: str, content: Callable[[Any], bytes]) -> None:
    path = tmp_path / name
    path.write_bytes(content([EMPTY, IMAGE]))
    results = read(path)
    assert results.image_id.tolist() == [1, 1]
    assert results.bbox is not None
    assert results.bbox.tolist() == IMAGE["boxes"].tolist()


def test_json_by_image(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"a.jpg": plain_lists(IMAGE), "b.jpg": plain_lists(EMPTY)}))
    assert read(path).convention.image_names == ("a.jpg", "b.jpg")


def test_a_line_of_json_for_each_image(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    images = [{"image_id": "a.jpg", **plain_lists(IMAGE)}, {"image_id": "b.jpg", **plain_lists(EMPTY)}]
    path.write_text("\n".join(map(json.dumps, images)))
    results = read(path)
    assert results.convention.image_names == ("a.jpg", "b.jpg")
    assert results.score.tolist() == [0.5, 0.25]
    path.write_text(path.read_text()[:-3])
    with pytest.raises(InputError, match="expected JSON, found"):
        read(path)


MASKS = torch.zeros(2, 1, 4, 5)
MASKS[0, 0, 1:, 2] = 0.75


@pytest.mark.parametrize("masks", [MASKS, MASKS > 0.5, (MASKS > 0.5).to(torch.uint8), MASKS[:, 0]])
def test_masks_of_any_type(tmp_path: Path, masks: torch.Tensor) -> None:
    path = saved(tmp_path, [{**IMAGE, "masks": masks}, {**EMPTY, "masks": masks[:0]}])
    with open_results(path) as file:
        assert file.fields == BOTH
    found = read(path, BOTH).masks
    assert found is not None
    assert found.size.tolist() == [[4, 5], [4, 5]]
    assert found.counts.tolist() == [9, 3, 8, 20]


# What is refused

PROBLEMS = [
    ({"boxes": torch.zeros(2, 5)}, "image 1, `boxes`: expected four numbers for each box, found float32 [2, 5]"),
    ({"boxes": torch.zeros(8)}, "image 1, `boxes`: expected numbers [n, 4], found float32 [8]"),
    ({"boxes": "none"}, "image 1, `boxes`: expected numbers [n, 4], found none"),
    ({"boxes": [[1, 2, 3, 4], [1]]}, "image 1, `boxes`: expected numbers [n, 4], found [[1, 2, 3, 4], [1]]"),
    ({"boxes": torch.full((2, 4), np.inf)}, "image 1, detection 0, box: expected four finite numbers within"),
    ({"scores": torch.zeros(3)}, "image 1, `boxes`: expected one for each of the 3 scores, found 2"),
    ({"scores": torch.tensor([0.5, np.nan])}, "image 1, detection 1, score: expected a finite number, found nan"),
    ({"scores": torch.zeros(2, 2)}, "image 1, `scores`: expected numbers [n], found float32 [2, 2]"),
    ({"labels": torch.tensor([0.5, 1])}, "image 1, `labels`: expected whole numbers, found 0.5"),
    ({"labels": ["cat", "dog"]}, "image 1, `labels`: expected numbers [n], found ['cat', 'dog']"),
    ({"labels": torch.tensor([1])}, "image 1, `labels`: expected one for each of the 2 scores, found 1"),
    ({"masks": torch.zeros(2, 3, 4, 4)}, "image 1, `masks`: expected numbers [2, 1, height, width], found float32"),
    ({"image_id": 1.5}, "image 1, `image_id`: expected an integer or a name, found 1.5"),
    ({"image_id": True}, "image 1, `image_id`: expected an integer or a name, found True"),
    ({"image_id": 7}, "image 0: expected an `image_id`, which other images have, found none"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "expected"), PROBLEMS)
def test_an_image(tmp_path: Path, fields: dict[str, Any], expected: str) -> None:
    assert expected in complaint(tmp_path, [EMPTY, {**IMAGE, **fields}])


def test_masks_of_some_images(tmp_path: Path) -> None:
    message = complaint(tmp_path, [{**IMAGE, "masks": MASKS}, IMAGE])
    assert "image 1: expected `masks`, which other images have, found none" in message


def test_images_without_a_field(tmp_path: Path) -> None:
    target = {name: IMAGE[name] for name in ("boxes", "labels")}
    assert "image 0: expected `scores`, found only `boxes`, `labels`" in complaint(tmp_path, [target])
    expected = "image 1: expected a dict of `boxes`, `scores` and `labels`, found 7"
    assert expected in complaint(tmp_path, [IMAGE, 7])


def test_an_array_that_is_named_over_and_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small pickle can refer to one array so often that all of them together would fill a machine."""
    monkeypatch.setattr(reading, "UNPACKED_BYTES", 1 << 16)
    message = complaint(tmp_path, [{name: one.repeat_interleave(50, 0) for name, one in IMAGE.items()}] * 2000)
    assert "expected content that unpacks to at most 100 times its packed size" in message


def test_lists_of_another_length_than_the_annotations(tmp_path: Path) -> None:
    _, annotations = written(tmp_path, SCENES, [])
    path = saved(tmp_path, [IMAGE])
    message = refusal("report", str(path), "--annotations", str(annotations))
    assert "images: expected 30, one for each image in" in message


OTHERS: list[Any] = [
    {"logits": torch.zeros(2, 3), "boxes": torch.zeros(2, 4), "labels": torch.zeros(2)},
    {"scores": torch.zeros(2, 3), "labels": torch.zeros(2)},
    [torch.zeros(2)],
]


@pytest.mark.parametrize("value", OTHERS)
def test_other_files_of_torch_are_not_taken_for_it(tmp_path: Path, value: Any) -> None:
    known = detection_format(outline_of(saved(tmp_path, value)))
    assert known is None or known.module != "torchvision"
