"""The figures that papers print, from the curves of all categories."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from longtail_cli.evaluate.average_precision import Curves, mean
from longtail_cli.evaluate.protocol import AREA_NAMES, GROUPS, Protocol, ProtocolName
from longtail_cli.tables import Bools, Floats

SIZES = ("s", "m", "l")
AP50, AP75 = 0, 5  # rows of IOU_THRESHOLDS


RANKS: dict[ProtocolName, tuple[int, ...]] = {"lvis": (), "coco": (1, 10)}
"""Detections of each image and category that further recalls are limited to."""


def headline(
    curves: Curves, ranked: Mapping[int, Floats], protocol: Protocol, groups: Mapping[str, Bools]
) -> dict[str, float | None]:
    """AP, AP50, AP75, APs/m/l, APr/c/f and the recalls, fractions in [0, 1], None where undefined.

    ranked: COCO's recalls with the best 1 and 10 detections of each image and category, float64 [10, C] by that number.
    groups: bool [C] by group name; a group that is absent has an undefined AP.

    Every figure is a mean over the defined categories (and thresholds). LVIS reports AR@300 with its sizes, COCO
    AR@1, AR@10 and AR@100 with the sizes of the last.
    """
    ap = curves.ap[:, :, 0]
    nowhere = np.zeros(ap.shape[1], bool)
    figures = {"AP": mean(ap), "AP50": mean(ap[AP50]), "AP75": mean(ap[AP75])}
    figures |= {f"AP{size}": mean(curves.ap[:, :, AREA_NAMES.index(size)]) for size in SIZES}
    figures |= {f"AP{group}": mean(ap[:, groups.get(group, nowhere)]) for group in GROUPS}
    figures |= {f"AR@{rank}": mean(recall) for rank, recall in ranked.items()}
    figures[f"AR@{protocol.max_dets}"] = mean(curves.recall[:, :, 0])
    for size in SIZES:
        figures[f"AR{size}@{protocol.max_dets}"] = mean(curves.recall[:, :, AREA_NAMES.index(size)])
    return figures


def grouped_ap(ap: Floats, groups: Mapping[str, Bools]) -> dict[str, float | None]:
    """AP, APr, APc and APf of `ap`, float64 [10, C]."""
    nowhere = np.zeros(ap.shape[1], bool)
    return {"AP": mean(ap)} | {f"AP{group}": mean(ap[:, groups.get(group, nowhere)]) for group in GROUPS}


def per_category(curves: Curves, protocol: Protocol) -> list[dict[str, float | None]]:
    """AP, AP50, AP75, APs/m/l and AR of each category, in category order; None where undefined."""
    columns = {"AP": curves.ap[:, :, 0].mean(axis=0), "AP50": curves.ap[AP50, :, 0], "AP75": curves.ap[AP75, :, 0]}
    columns |= {f"AP{size}": curves.ap[:, :, AREA_NAMES.index(size)].mean(axis=0) for size in SIZES}
    columns[f"AR@{protocol.max_dets}"] = curves.recall[:, :, 0].mean(axis=0)
    values = {name: [None if np.isnan(x) else x for x in column.tolist()] for name, column in columns.items()}
    return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
