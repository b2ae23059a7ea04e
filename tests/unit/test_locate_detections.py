"""Detections of files with equal boxes share their memory."""

from dataclasses import replace

import numpy as np
from builders import detections

from longtail_cli.workflow.locate_detections import sharing

ENTRIES = [(0, 1, 0.5, (0, 0, 4, 4)), (1, 0, 0.25, (2, 2, 6, 3))]


def test_equal_boxes_are_kept_once() -> None:
    before, after = detections(ENTRIES), detections([(*entry[:2], 0.75, entry[3]) for entry in ENTRIES])
    found = sharing(after, before)
    assert found.score.tolist() == [0.75, 0.75]
    for name in ("image", "category", "bbox", "area"):
        assert np.shares_memory(getattr(found, name), getattr(before, name))


def test_other_detections_stay_as_they_are() -> None:
    before = detections(ENTRIES)
    others = [detections(ENTRIES[::-1]), detections(ENTRIES[:1]), replace(before, area=before.area + 1)]
    assert all(sharing(other, before) is other for other in others)
    assert sharing(before, None) is before
