"""Small valid contents of every format, of which the readers' inputs are made: three images, three classes."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import torch
from pycocotools import mask as coco_mask
from safetensors.torch import save

IMAGES = [
    {"id": i, "width": 10, "height": 8, "neg_category_ids": [7], "not_exhaustive_category_ids": [1]} for i in (4, 0, 9)
]
CATEGORIES = [
    {"id": c, "name": name, "frequency": group, "image_count": count, "instance_count": count + 1}
    for c, name, group, count in ((3, "gnu", "r", 2), (1, "cow, wild", "c", 30), (7, "emu", "f", 900))
]
_BOXES = ([1, 1, 4, 3], [0, 2, 5, 5], [3.5, 1.25, 4, 4], [1, 1, 4, 4])
_PIXELS = np.zeros((8, 10), np.uint8, order="F")
_PIXELS[1:5, 1:4] = 1
_MASKS: tuple[Any, ...] = (
    [[1, 1, 5, 1, 5, 5], [0, 0, 3, 0, 0, 3.5]],
    {"size": [8, 10], "counts": [9, 4, 4, 4, 59]},
    {"size": [8, 10], "counts": coco_mask.encode(_PIXELS)["counts"].decode()},
)
OBJECTS = [
    {"id": i, "image_id": (4, 0)[i % 2], "category_id": (3, 1)[i % 2], "bbox": _BOXES[i], "area": 12.5, "iscrowd": 0}
    | {"segmentation": _MASKS[i % 3]}
    for i in range(4)
]
RESULTS = [
    {"image_id": (4, 0, 9)[i % 3], "category_id": (3, 1, 7)[i % 3], "bbox": _BOXES[i % 4], "score": (9 - i) / 10}
    for i in range(5)
]
NAMED_RESULTS = [{**one, "image_id": f"0{one['image_id']}"} for one in RESULTS]
YOLO = {
    "labels/4.txt": b"0 0.3 0.375 0.4 0.375 0.9\n2 0.55 0.4 0.4 5e-01 0.625\n",
    "labels/0.txt": b"1 0.25 0.5625 0.5 0.625 0.75\n",
    "labels/9.txt": b"",
}
VOC = {"voc/det_test_gnu.txt": b"4 0.9 2 2 5 4\n0 0.5 1 3 5.5 7\n", "voc/det_test_emu.txt": b"9 0.25 4.5 2.2 7 5\n"}
MASK_RESULTS = [
    {"image_id": (4, 0)[i % 2], "category_id": (3, 1)[i % 2], "segmentation": _MASKS[1 + i % 2], "score": 0.5 + i / 10}
    for i in range(4)
]

_CLASS_NAMES = {one["id"]: one["name"] for one in CATEGORIES}


def _corners(bbox: Any) -> list[float]:
    x, y, width, height = bbox
    return [float(x), float(y), float(x + width), float(y + height)]


def text(document: object) -> bytes:
    """A document as JSON."""
    return json.dumps(document).encode()


LVIS = text({"images": IMAGES, "categories": CATEGORIES, "annotations": OBJECTS})
COCO = text(
    {
        "images": [{"id": image["id"], "width": 10, "height": 8} for image in IMAGES],
        "categories": [{"id": category["id"], "name": category["name"]} for category in CATEGORIES],
        "annotations": [{**one, "iscrowd": int(one["id"] == 1)} for one in OBJECTS],
    }
)
FREQUENCIES = (
    b"category_id,name,image_count,instance_count,group,image_rate\n"
    b'1,"cow, wild",30,31,c,0.03\n3,gnu,2,3,r,0.002\n7,emu,900,901,f,0.9\n'
)
CLASS_FREQUENCIES = b"category_id,image_count,instance_count,group\n1,30,31,medium\n3,2,3,few\n7,900,901,many\n"
INATURALIST = text(
    {
        "images": [{"id": image["id"]} for image in IMAGES],
        "categories": [{"id": category["id"]} for category in CATEGORIES],
        "annotations": [
            {"id": n, "image_id": image["id"], "category_id": CATEGORIES[0]["id"]} for n, image in enumerate(IMAGES)
        ],
    }
)
FREQUENCIES_JSON = text(
    {
        "format": "ltcal-frequency/1",
        "num_images": 1000,
        "classes": [
            {"category_id": one["id"], **{key: one[key] for key in ("name", "image_count", "instance_count")}}
            for one in CATEGORIES
        ],
    }
)
DETECTOR = {"format": "ltcal-logits/1", "head": "softmax", "background": "last", "category_ids": [3, 1, 7]}
CLASSIFIER = {"format": "ltcal-logits/1", "head": "softmax", "background": "none", "category_ids": [1, 3, 7]}
MASK_TABLE = pa.Table.from_pylist([{**one, "segmentation": _MASKS[2]} for one in RESULTS])
"""Results with boxes and masks, compressed."""
GATES = b"""[tool.ltcal.gate]
baseline = "before.json"
gate-on = "value"
allow-undefined = true
runs = ["pred"]

[tool.ltcal.gate.fail-under]
"bbox/AP" = 0.0
"bbox/APr" = [0.0, 0]

[tool.ltcal.gate.max-drop]
"bbox/AP" = [0.5, "99%"]
"""


CORNERS = pa.table(
    {
        "image_id": [one["image_id"] for one in RESULTS],
        "class_name": pa.array([_CLASS_NAMES[one["category_id"]] for one in RESULTS]).dictionary_encode(),
        "confidence": [one["score"] for one in RESULTS],
        **{side: [_corners(one["bbox"])[at] for one in RESULTS] for at, side in enumerate(("x1", "y1", "x2", "y2"))},
    }
)
"""Results with names of classes, and corners."""


def csv_text(table: pa.Table) -> bytes:
    file = io.BytesIO()
    pa.csv.write_csv(table.cast(pa.schema([(one.name, _plain(one.type)) for one in table.schema])), file)
    return file.getvalue()


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def lines_text(entries: list[dict[str, Any]]) -> bytes:
    """JSON Lines."""
    return b"".join(text(one) + b"\n" for one in entries)


def arrow(table: pa.Table, compression: str | None = None) -> bytes:
    """An Arrow file, which Feather files are."""
    file = io.BytesIO()
    with pa.ipc.new_file(file, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as out:
        out.write_table(table, max_chunksize=2)
    return file.getvalue()


def parquet(table: pa.Table) -> bytes:
    file = io.BytesIO()
    pq.write_table(table, file)
    return file.getvalue()


def archive(members: Mapping[str, bytes], packing: int = zipfile.ZIP_STORED) -> bytes:
    """A zip archive, the same whenever it is made."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        for name, content in members.items():
            packed.writestr(zipfile.ZipInfo(name), content, packing)
    return file.getvalue()


def image_dicts() -> list[dict[str, torch.Tensor]]:
    """Boxes, labels, scores and masks of the first image; the other two have none."""
    masks = torch.zeros(2, 1, 8, 10, dtype=torch.bool)
    masks[:, 0, 1:5, 1:4] = True
    corners = torch.tensor([[1.0, 1, 5, 4], [3.5, 1.25, 7.5, 5.25]])
    found = {"boxes": corners, "labels": torch.tensor([3, 1]), "scores": torch.tensor([0.9, 0.5]), "masks": masks}
    return [found, *[{name: one[:0] for name, one in found.items()}] * 2]


def npz(tensors: Mapping[str, torch.Tensor]) -> bytes:
    return archive({f"{name}.npy": npy(one.numpy()) for name, one in tensors.items()})


def safetensors(tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, Any] | None = None) -> bytes:
    texts = {key: one if isinstance(one, str) else json.dumps(one) for key, one in (metadata or {}).items()}
    content = save({name: one.contiguous() for name, one in tensors.items()}, texts or None)
    end = 8 + int.from_bytes(content[:8], "little")
    header = text(dict(sorted(json.loads(content[8:end]).items())) | ({"__metadata__": texts} if texts else {}))
    return len(header).to_bytes(8, "little") + header + content[end:]  # the library writes keys in any order


def pt(values: Any) -> bytes:
    file = io.BytesIO()
    torch.save(values, file)
    return file.getvalue()


def npy(array: np.ndarray[Any, Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def detectron2_predictions(masks: bool) -> bytes:
    """As the evaluator saves `RESULTS`, or `MASK_RESULTS` with boxes; category ids count from 0."""
    index = {one: at for at, one in enumerate(sorted((3, 1, 7)))}
    entries = [{**one, "bbox": [1.0, 2.0, 3.0, 4.0]} for one in MASK_RESULTS[1::2]] if masks else RESULTS
    saved = [{**one, "category_id": index[one["category_id"]]} for one in entries]
    images = [{"image_id": key, "instances": [one for one in saved if one["image_id"] == key]} for key in (4, 0, 9)]
    file = io.BytesIO()
    torch.save(images, file)
    return file.getvalue()


def mmdetection_results(version: int) -> bytes:
    """Of version 2, `RESULTS` by class; or of version 3, by image."""
    index = {one: at for at, one in enumerate(sorted((3, 1, 7)))}
    by_class, by_image = [], []
    for key in (4, 0, 9):
        entries = [one for one in RESULTS if one["image_id"] == key]
        rows = np.array([[*one["bbox"], one["score"]] for one in entries], "f4").reshape(-1, 5)
        rows[:, 2:4] += rows[:, :2]
        labels = np.array([index[one["category_id"]] for one in entries])
        by_class.append([rows[labels == label] for label in range(3)])
        arrays = {"bboxes": rows[:, :4].copy(), "scores": rows[:, 4].copy(), "labels": labels}
        predicted = {name: torch.from_numpy(array) for name, array in arrays.items()}
        by_image.append({"img_id": key, "ori_shape": (8, 10), "pred_instances": predicted})
    return pickle.dumps(by_class if version == 2 else by_image, 2)


def classifier_tensors() -> dict[str, torch.Tensor]:
    """Six rows, three classes."""
    return {"logits": torch.arange(18).reshape(6, 3) % 5 / 2, "labels": torch.arange(6) % 3}


def query_tensors() -> dict[str, torch.Tensor]:
    """Two queries for each of three images, as transformers has them; three classes and a background."""
    return {
        "logits": (torch.arange(24).reshape(3, 2, 4) % 7 / 2),
        "pred_boxes": (torch.arange(24).reshape(3, 2, 4) % 5 + 1) / 8,
        "image_id": torch.tensor([4, 0, 9]),
        "orig_size": torch.tensor([[8, 10]] * 3),
    }


def predicted() -> bytes:
    """The same as `Trainer.predict` returns it, batch by batch with labels, pickled."""
    arrays = {name: one.numpy() for name, one in query_tensors().items()}
    spans = (slice(0, 2), slice(2, 3))
    predictions = [({"loss_ce": np.float32(0.5)}, arrays["logits"][one], arrays["pred_boxes"][one]) for one in spans]
    labels = [
        [{name: arrays[name][[row]].ravel() for name in ("image_id", "orig_size")} for row in range(3)[one]]
        for one in spans
    ]
    return pickle.dumps((predictions, labels, {"test_loss": 0.5}), protocol=4)


def detector_tensors() -> dict[str, torch.Tensor]:
    """Six proposals in three images, three classes and a background."""
    corner = torch.arange(6, dtype=torch.float32)[:, None]
    return {
        "logits": (torch.arange(24).reshape(6, 4) % 7 / 2).half(),
        "image_id": torch.tensor([4, 4, 0, 0, 9, 9]),
        "boxes": torch.cat([corner, corner, corner + 3, corner + 4], dim=1),
    }
