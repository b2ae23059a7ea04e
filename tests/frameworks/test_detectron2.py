"""detectron2's instances_predictions.pth, and its JSON files."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from framework_scenes import FILES, Scenes, figures, refusal, written

from longtail_cli.errors import InputError
from longtail_cli.files.recognise import kind_of
from longtail_cli.files.results.file import open_results
from longtail_cli.tables import Results

BOXES, BOTH = frozenset({"bbox"}), frozenset({"bbox", "masks"})
PREDICTIONS, MASKS = FILES / "instances_predictions.pth", FILES / "instances_predictions_masks.pth"
DETECTION: dict[str, Any] = {"image_id": 7, "category_id": 2, "bbox": [1.0, 2.0, 3.0, 4.0], "score": 0.5}


def read(path: Path, fields: frozenset[str] = BOXES) -> Results:
    with open_results(path) as file:
        return file.read(fields)


def saved(folder: Path, images: object) -> Path:
    path = folder / "instances_predictions.pth"
    torch.save(images, path)
    return path


def refused(path: Path, fields: frozenset[str] = BOXES) -> str:
    with pytest.raises(InputError) as caught:
        read(path, fields)
    return str(caught.value)


def test_boxes_have_the_metrics_of_plain_json(tmp_path: Path) -> None:
    scenes = Scenes()
    plain, annotations = written(tmp_path, scenes, scenes.detections)
    assert figures(PREDICTIONS, annotations) == figures(plain, annotations)


def test_masks_have_the_metrics_of_plain_json(tmp_path: Path) -> None:
    scenes = Scenes()
    plain, annotations = written(tmp_path, scenes, [one for one in scenes.masked() if one["score"] > 0.5])
    for kind in ("segm", "bbox"):
        assert figures(MASKS, annotations, "--iou-type", kind) == figures(plain, annotations, "--iou-type", kind)


@pytest.mark.parametrize("name", ["coco_instances_results.json", "lvis_instances_results.json"])
def test_the_json_files_of_the_evaluators_are_coco_results(tmp_path: Path, name: str) -> None:
    scenes = Scenes()
    plain, annotations = written(tmp_path, scenes, scenes.masked())
    (tmp_path / name).write_bytes(plain.read_bytes())
    assert figures(tmp_path / name, annotations, "--iou-type", "segm") == figures(
        plain, annotations, "--iou-type", "segm"
    )


def test_the_convention_is_that_of_the_evaluator() -> None:
    results, scenes = read(PREDICTIONS), Scenes()
    convention = results.convention
    assert (convention.images, convention.categories, convention.boxes, convention.listed) == (
        "id",
        "index",
        "xywh",
        30,
    )
    assert set(results.category_id.tolist()) <= set(range(len(scenes.category_ids)))
    assert results.image_id.tolist() == [one["image_id"] for one in scenes.detections]
    assert kind_of(PREDICTIONS) == "results"


def test_fields() -> None:
    with open_results(PREDICTIONS) as plain, open_results(MASKS) as masked:
        assert (plain.fields, masked.fields) == (BOXES, BOTH)


VARIANTS: dict[str, dict[str, Any]] = {
    "keypoints are skipped": {"keypoints": [1.5, 2.5, 2.0] * 17},
    "an unknown field is skipped": {"embedding": {"deep": [[1, -70000], {"a": None}], "b": True}},
    "whole numbers": {"bbox": [1, 2, 3, 4], "score": 1},
    "arrays and NumPy numbers": {
        "bbox": np.array([1.0, 2, 3, 4]),
        "score": np.float32(0.5),
        "category_id": np.int64(2),
    },
    "large ids": {"category_id": 2**40},
    "a text that is also a field": {"note": "score"},
}


@pytest.mark.parametrize("extra", VARIANTS.values(), ids=VARIANTS.keys())
def test_other_fields_and_types(tmp_path: Path, extra: dict[str, Any]) -> None:
    held = {**DETECTION, **extra}
    results = read(saved(tmp_path, [{"image_id": 7, "instances": [held, DETECTION]}]))
    assert results.category_id.tolist() == [int(held["category_id"]), 2]
    assert results.score.tolist() == [held["score"], 0.5]
    assert results.bbox is not None
    assert results.bbox.tolist() == [[1, 2, 3, 4], [1, 2, 3, 4]]


def test_the_kernel_and_the_general_reader_agree(tmp_path: Path) -> None:
    """Protocol 4 is read in general, 2 by the kernel; more than a thousand entries are written in batches."""

    def image(key: int, count: int) -> dict[str, Any]:
        return {"image_id": key, "instances": [{**DETECTION, "image_id": key, "score": i / 4000} for i in range(count)]}

    images = [image(10**number, count) for number, count in enumerate((0, 1, 2, 1000, 1001, 2002))]
    results = []
    for protocol in (2, 4):
        path = tmp_path / f"{protocol}.pth"
        torch.save(images, path, pickle_protocol=protocol)
        results.append(read(path))
    assert all(np.array_equal(getattr(results[0], name), getattr(results[1], name)) for name in ("image_id", "score"))
    assert len(results[0]) == 4006


def test_images_without_instances_count(tmp_path: Path) -> None:
    results = read(
        saved(tmp_path, [{"image_id": 1, "instances": []}, {"image_id": 7, "instances": [DETECTION]}, {"image_id": 9}])
    )
    assert (results.convention.listed, results.image_id.tolist()) == (3, [7])


@pytest.mark.parametrize("protocol", [2, 4])
def test_names_of_images(tmp_path: Path, protocol: int) -> None:
    images = [{"image_id": name, "instances": [{**DETECTION, "image_id": name}]} for name in ("000042", "é")]
    path = tmp_path / "named.pth"
    torch.save(images, path, pickle_protocol=protocol)
    results = read(path)
    assert results.convention.images == "name"
    assert [results.convention.image_names[i] for i in results.image_id] == ["000042", "é"]


def test_predictions_gathered_from_several_processes(tmp_path: Path) -> None:
    """Each process has its own copies of the keys, written in turns."""
    ranks = [pickle.loads(pickle.dumps([{"image_id": 7, "instances": [DETECTION] * 2}] * 2)) for _ in range(2)]
    images = [image for pair in zip(*ranks, strict=True) for image in pair]
    assert len(read(saved(tmp_path, images))) == 8


def test_proposals_are_ignored(tmp_path: Path) -> None:
    """They are an object of detectron2, of which nothing is imported."""
    module = "detectron2.structures.instances"
    proposals = (
        b"c"
        + module.encode()
        + b"\nInstances\n)\x81}(X\x07\0\0\0_fieldsX\x05\0\0\0boxesX\x0b\0\0\0_image_sizeK\x04u"
        + b"b"
    )
    plain = pickle.dumps([{"image_id": 7, "instances": [DETECTION], "proposals": "HERE"}], 2)
    start = plain.index(b"X\x04\0\0\0HERE")
    path = tmp_path / "predictions.pkl"
    path.write_bytes(plain[:start] + proposals + plain[plain.index(b"u", start) :])
    assert read(path).score.tolist() == [0.5]


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "no score": ({"score": ...}, "image 0, detection 0: expected a field `score`, found only `image_id`"),
    "text": ({"score": "high"}, "image 0, detection 0, `score`: expected a number, found 'high'"),
    "NaN": ({"score": float("nan")}, "entry 0 (image_id 7), score: expected a finite number, found nan"),
    "three sides": ({"bbox": [1.0, 2.0, 3.0]}, "`bbox`: expected four numbers, found a value of type list"),
    "infinite": ({"bbox": [1.0, 2.0, 3.0, float("inf")]}, "entry 0 (image_id 7), box: expected four finite numbers"),
    "category": ({"category_id": 1.5}, "`category_id`: expected an integer, found 1.5"),
    "another image": ({"image_id": 8}, "`image_id`: expected that of its image, found 8"),
}


@pytest.mark.parametrize(("change", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    held = {name: value for name, value in {**DETECTION, **change}.items() if value is not ...}
    assert message in refused(saved(tmp_path, [{"image_id": 7, "instances": [held]}]))


@pytest.mark.parametrize("counts", ["04", b"04", [80]])
def test_run_lengths_of_a_mask(tmp_path: Path, counts: object) -> None:
    images = [{"image_id": 7, "instances": [{**DETECTION, "segmentation": {"size": [8, 10], "counts": counts}}] * 2}]
    if counts == [80]:
        masks = read(saved(tmp_path, images), BOTH).masks
        assert masks is not None
        assert masks.counts.tolist() == [80, 80]
    else:  # four pixels
        assert "run lengths of pixels that add up" in refused(saved(tmp_path, images), BOTH)


def test_masks_that_some_lack(tmp_path: Path) -> None:
    masked = {**DETECTION, "segmentation": {"size": [8, 10], "counts": [80]}}
    path = saved(tmp_path, [{"image_id": 7, "instances": [masked, DETECTION]}])
    assert "entry 1 (image_id 7): expected a field `segmentation`, which other entries have" in refused(path, BOTH)
    assert len(read(path)) == 2


def test_a_damaged_archive(tmp_path: Path) -> None:
    content = bytearray(PREDICTIONS.read_bytes())
    content[content.index(b"G", 2000) + 3] ^= 1
    path = tmp_path / "damaged.pth"
    path.write_bytes(content)
    assert "Bad CRC-32 for file" in refused(path)


def test_what_runs_code_is_refused(tmp_path: Path) -> None:
    path, mark = tmp_path / "bad.pkl", tmp_path / "mark"
    images = [{"image_id": 7, "instances": [DETECTION], "proposals": _Run(str(mark))}]
    path.write_bytes(pickle.dumps(images, 2))
    annotations = tmp_path / "val.json"
    annotations.write_text(json.dumps(Scenes().annotations))
    assert "found the object `os.mkdir`" in refusal("report", str(path), "--annotations", str(annotations)).replace(
        "posix", "os"
    )
    assert not mark.exists()


class _Run:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return __import__("os").mkdir, (self.path,)
