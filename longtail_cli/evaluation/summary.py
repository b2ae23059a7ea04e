"""The headline metrics (AP, AP50, AR, ...), from the curves of all categories."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from longtail_cli.choices import ProtocolName
from longtail_cli.evaluation.average_precision import Curves
from longtail_cli.evaluation.protocol import AREA_NAMES, GROUPS, Protocol
from longtail_cli.metrics import Value, defined, mean
from longtail_cli.tables import Bools, Floats

SIZES = ("s", "m", "l")
AP50, AP75 = 0, 5  # rows of IOU_THRESHOLDS

RANKS: dict[ProtocolName, tuple[int, ...]] = {"lvis": (), "coco": (1, 10)}
"""Additional limits, in detections per image and category, at which recall is reported."""


def headline(
    curves: Curves, ranked: Mapping[int, Floats], protocol: Protocol, groups: Mapping[str, Bools]
) -> dict[str, Value]:
    """AP, AP50, AP75, APs/m/l, APr/c/f and the recalls.

    ranked: recalls with the best 1 and 10 detections of each image and category (COCO), float64 [10, C] by number.
    groups: bool [C] by group name; the AP of an absent group is None.

    Every metric is a mean over the defined categories (and thresholds). LVIS reports AR@300 with its sizes, COCO
    AR@1, AR@10 and AR@100 with the sizes of the last. Curves over all sizes alone, [10, C, 1], have no metrics by size.
    """
    ap = curves.ap[:, :, 0]
    metrics = {"AP": mean(ap), "AP50": mean(ap[AP50]), "AP75": mean(ap[AP75])}
    sizes = SIZES if curves.ap.shape[2] == len(AREA_NAMES) else ()
    metrics |= {f"AP{size}": mean(curves.ap[:, :, AREA_NAMES.index(size)]) for size in sizes}
    metrics |= _by_group(ap, groups)
    metrics |= {f"AR@{rank}": mean(recall) for rank, recall in ranked.items()}
    metrics[f"AR@{protocol.max_dets}"] = mean(curves.recall[:, :, 0])
    for size in sizes:
        metrics[f"AR{size}@{protocol.max_dets}"] = mean(curves.recall[:, :, AREA_NAMES.index(size)])
    return metrics


def grouped_ap(ap: Floats, groups: Mapping[str, Bools]) -> dict[str, Value]:
    """AP, APr, APc and APf of `ap`, float64 [10, C]."""
    return {"AP": mean(ap)} | _by_group(ap, groups)


def _by_group(ap: Floats, groups: Mapping[str, Bools]) -> dict[str, Value]:
    empty = np.zeros(ap.shape[1], bool)
    return {f"AP{group}": mean(ap[:, groups.get(group, empty)]) for group in GROUPS}


def per_category(curves: Curves, protocol: Protocol) -> list[dict[str, Value]]:
    """AP, AP50, AP75, APs/m/l and AR of each category, in category order."""
    columns = {"AP": curves.ap[:, :, 0].mean(axis=0), "AP50": curves.ap[AP50, :, 0], "AP75": curves.ap[AP75, :, 0]}
    columns |= {f"AP{size}": curves.ap[:, :, AREA_NAMES.index(size)].mean(axis=0) for size in SIZES}
    columns[f"AR@{protocol.max_dets}"] = curves.recall[:, :, 0].mean(axis=0)
    values = {name: defined(column) for name, column in columns.items()}
    return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
