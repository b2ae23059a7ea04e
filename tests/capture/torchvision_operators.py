"""torchvision's compiled operators, or Python replacements if those do not load.

They do not load with a torch that was built for other hardware, and torchvision cannot be imported without them. Its
models run if the replacements are registered first. Import this module before torchvision.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

NMS = "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
ROI_ALIGN = (
    "roi_align(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, SymInt pooled_width, "
    "int sampling_ratio, bool aligned) -> Tensor"
)


def iou(a: Sequence[float], b: Sequence[float]) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    overlap = max(width, 0.0) * max(height, 0.0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - overlap
    return overlap / union if union > 0 else 0.0


def greedy_nms(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """Rows kept, best score first; a plain loop."""
    rows, kept = boxes.tolist(), []
    for row in scores.argsort(descending=True, stable=True).tolist():
        if all(iou(rows[row], rows[better]) <= iou_threshold for better in kept):
            kept.append(row)
    return torch.tensor(kept, dtype=torch.int64)


def sampled_roi_align(
    feature: torch.Tensor, rois: torch.Tensor, scale: float, height: int, width: int, ratio: int, aligned: bool
) -> torch.Tensor:
    """One bilinear sample in the middle of each bin: enough for a network with random weights."""
    pooled = []
    for image, x1, y1, x2, y2 in rois.tolist():
        x = (x1 + (x2 - x1) * (torch.arange(width) + 0.5) / width) * scale
        y = (y1 + (y2 - y1) * (torch.arange(height) + 0.5) / height) * scale
        grid = torch.stack(
            torch.meshgrid(2 * x / feature.shape[3] - 1, 2 * y / feature.shape[2] - 1, indexing="xy"), dim=-1
        )
        one = feature[int(image)][None]
        pooled.append(torch.nn.functional.grid_sample(one, grid[None], align_corners=False, padding_mode="border"))
    return torch.cat(pooled) if pooled else feature.new_zeros((0, feature.shape[1], height, width))


def _compiled_operators_load(package: Path) -> bool:
    try:
        for library in package.glob("_C*.so"):
            torch.ops.load_library(str(library))
    except OSError:
        return False
    return hasattr(torch.ops.torchvision, "nms")


def _replacements(package: Path) -> torch.library.Library | None:
    if _compiled_operators_load(package):
        return None
    library = torch.library.Library("torchvision", "DEF")
    library.define(NMS.replace("nms", "qnms"))  # must be defined, but is never called
    for schema, function in ((NMS, greedy_nms), (ROI_ALIGN, sampled_roi_align)):
        library.define(schema)
        library.impl(schema.split("(")[0], function, "CPU")
    importlib.import_module("torchvision")
    for module in ("torchvision.extension", "torchvision.ops.roi_align"):
        vars(sys.modules[module])["_has_ops"] = lambda: True
    return library


_found = importlib.util.find_spec("torchvision")
REPLACEMENTS = _replacements(Path(str(_found.origin)).parent) if _found else None  # kept alive for all tests
