"""The kernels of the evaluation of detections do compiled what they do uncompiled."""

import numpy as np
import pytest
from builders import detections, ground_truth, masks_of
from engine_plain import plain
from hypothesis import given, settings
from hypothesis import strategies as st

from longtail_cli.evaluation import average_precision, geometry, matching, reliability, selection, tide, tidecv
from longtail_cli.evaluation.detections import DetectionMetrics, Evaluation
from longtail_cli.evaluation.options import EvaluationOptions
from longtail_cli.evaluation.protocol import Protocol

CALLERS = {
    "curves": (average_precision,),
    "geometry": (geometry,),
    "matching": (matching,),
    "ordering": (selection,),
    "reliability": (reliability,),
    "tide": (tide, tidecv),
}


PLAIN = {name: plain(name) for name in CALLERS}

where = st.tuples(st.integers(0, 2), st.integers(0, 2))
box = st.tuples(*[st.integers(0, 5)] * 2, *[st.integers(0, 6)] * 2).map(lambda b: [8.0 * side for side in b])
objects = st.lists(st.tuples(where, box, st.booleans()), min_size=1, max_size=8)
found = st.lists(st.tuples(where, st.integers(0, 20), box), max_size=20)
pairs = st.lists(where, max_size=4)


def picture(xywh: list[float]) -> np.ndarray:
    x, y, w, h = (int(side) // 8 for side in xywh)
    pixels = np.zeros((11, 11), bool)
    pixels[y : y + h, x : x + w] = True
    pixels[5, ::3] = True
    return pixels


def evaluated(known, seen, negative, partial, protocol, iou_type, mode) -> DetectionMetrics:
    known_masks = masks_of([picture(xywh) for _, xywh, _ in known])
    seen_masks = masks_of([picture(xywh) for *_, xywh in seen])
    truth = ground_truth(
        [(*at, xywh) for at, xywh, _ in known], images=3, categories=3, crowd=[crowd for *_, crowd in known],
        negative=negative, not_exhaustive=partial, masks=known_masks,
    )  # fmt: skip
    table = detections([(*at, score / 20, xywh) for at, score, xywh in seen], masks=seen_masks)
    options = EvaluationOptions(fixed_ap=True, pooled_ap=True, reliability=True, per_category=True, tide=mode)
    evaluation = Evaluation.prepare(truth, Protocol(protocol, 4), iou_type, {}, options)
    return evaluation.metrics(table, evaluation.candidates(table))


@pytest.mark.parametrize("iou_type", ["bbox", "segm"])
@pytest.mark.parametrize("mode", ["aligned", "tidecv"])
@pytest.mark.parametrize("protocol", ["lvis", "coco"])
@given(known=objects, seen=found, negative=pairs, partial=pairs)
@settings(max_examples=15)
def test_compiled_kernels_equal_uncompiled_ones(known, seen, negative, partial, protocol, iou_type, mode):
    compiled = evaluated(known, seen, negative, partial, protocol, iou_type, mode)
    with pytest.MonkeyPatch.context() as patch:
        for name, callers in CALLERS.items():
            for caller in callers:
                patch.setattr(caller, "engine", PLAIN[name])
        patch.setattr(tide, "curves", PLAIN["curves"])
        uncompiled = evaluated(known, seen, negative, partial, protocol, iou_type, mode)
    assert repr(compiled) == repr(uncompiled)
