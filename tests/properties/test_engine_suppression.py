"""The kernels of decoding give the same compiled and as plain Python."""

import numpy as np
from engine_plain import plain
from hypothesis import given
from hypothesis import strategies as st

from longtail_cli.engine import suppression as compiled


@st.composite
def cases(draw):
    """Scores with ties, a background column before or after the classes or none, and boxes that overlap."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    start = np.append(0, np.cumsum(draw(st.lists(st.integers(1, 6), max_size=3)))).astype(np.int64)
    rows, classes, first = int(start[-1]), draw(st.sampled_from([1, 4, 64, 70])), draw(st.integers(0, 1))
    scores = rng.integers(0, draw(st.sampled_from([4, 1000])), (rows, classes + 1)) / 1000
    corner = rng.integers(0, 4, (rows, draw(st.sampled_from([1, classes])), 2))
    boxes = np.concatenate([corner, corner + rng.integers(0, 4, corner.shape)], axis=2).astype(np.float32)
    return scores.astype(np.float32), first, classes, start, boxes, draw(st.sampled_from([0.0, 0.3, 2.0]))


def room(images, limit):
    return np.zeros(images * limit, np.int64), *np.zeros((2, images * limit), np.int32), np.zeros(images + 1, np.int64)


def from_scores(kernels, case, threshold, limit, size):
    scores, first, classes, start, boxes, nms_iou = case
    found, threshold = room(len(start) - 1, limit), int(np.float32(threshold).view(np.int32))
    buffers = np.empty(size, np.int64), np.empty(size, np.int32)
    image = kernels.decode_scores(
        0, scores.view(np.int32), first, classes, start, boxes, threshold, nms_iou, limit, *buffers, *found
    )
    return image, [one[: found[-1][image] if number < 3 else None] for number, one in enumerate(found)]


def from_pairs(kernels, case, threshold, limit):
    scores, first, classes, start, boxes, nms_iou = case
    pairs = np.argwhere(scores[:, first : first + classes] > np.float32(threshold))
    image = np.searchsorted(start, pairs[:, 0], side="right") - 1
    flat_index = (pairs[:, 0] - start[image]) * classes + pairs[:, 1]
    value, found = scores[pairs[:, 0], first + pairs[:, 1]].view(np.int32), room(len(start) - 1, limit)
    pair_start = np.searchsorted(pairs[:, 0], start)
    kernels.decode_pairs(flat_index, value, pair_start, classes, start, boxes, nms_iou, limit, *found)
    return len(start) - 1, [one[: found[-1][-1] if number < 3 else None] for number, one in enumerate(found)]


def same(one, other):
    assert one[0] == other[0]
    for own, its in zip(one[1], other[1], strict=True):
        np.testing.assert_array_equal(own, its)


@given(cases(), st.sampled_from([0.0, 0.001, 0.5]), st.sampled_from([1, 5]), st.sampled_from([64, 160, 4096]))
def test_compiled_as_plain(case, threshold, limit, size):
    """From scores, with too little room for the pairs too, and from pairs."""
    scored = from_scores(compiled, case, threshold, limit, size)
    same(scored, from_scores(plain("suppression"), case, threshold, limit, size))
    paired = from_pairs(compiled, case, threshold, limit)
    same(paired, from_pairs(plain("suppression"), case, threshold, limit))
    if size == 4096:
        same(scored, paired)
