"""Small valid contents of every format, of which the readers' inputs are made: three images, three classes."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
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
MASK_RESULTS = [
    {"image_id": (4, 0)[i % 2], "category_id": (3, 1)[i % 2], "segmentation": _MASKS[1 + i % 2], "score": 0.5 + i / 10}
    for i in range(4)
]


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
runs = ["pred.json"]

[tool.ltcal.gate.fail-under]
"bbox/AP" = 0.0
"bbox/APr" = [0.0, 0]

[tool.ltcal.gate.max-drop]
"bbox/AP" = [0.5, "99%"]
"""


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


def npz(tensors: Mapping[str, torch.Tensor]) -> bytes:
    return archive({f"{name}.npy": npy(one.numpy()) for name, one in tensors.items()})


def safetensors(tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, Any] | None = None) -> bytes:
    texts = {key: one if isinstance(one, str) else json.dumps(one) for key, one in (metadata or {}).items()}
    content = save({name: one.contiguous() for name, one in tensors.items()}, texts or None)
    end = 8 + int.from_bytes(content[:8], "little")
    header = text(dict(sorted(json.loads(content[8:end]).items())) | ({"__metadata__": texts} if texts else {}))
    return len(header).to_bytes(8, "little") + header + content[end:]  # the library writes keys in any order


def pt(values: Mapping[str, Any]) -> bytes:
    file = io.BytesIO()
    torch.save(dict(values), file)
    return file.getvalue()


def npy(array: np.ndarray[Any, Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def classifier_tensors() -> dict[str, torch.Tensor]:
    """Six rows, three classes."""
    return {"logits": torch.arange(18).reshape(6, 3) % 5 / 2, "labels": torch.arange(6) % 3}


def detector_tensors() -> dict[str, torch.Tensor]:
    """Six proposals in three images, three classes and a background."""
    corner = torch.arange(6, dtype=torch.float32)[:, None]
    return {
        "logits": (torch.arange(24).reshape(6, 4) % 7 / 2).half(),
        "image_id": torch.tensor([4, 4, 0, 0, 9, 9]),
        "boxes": torch.cat([corner, corner, corner + 3, corner + 4], dim=1),
    }
