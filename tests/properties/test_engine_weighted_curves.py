"""The kernel of the bootstrap gives the same compiled and as plain Python."""

from itertools import pairwise

import numpy as np
from engine_plain import plain
from hypothesis import given
from hypothesis import strategies as st

from longtail_cli.engine import weighted_curves as compiled
from longtail_cli.evaluation.bootstrap.resampling import LANES


@st.composite
def cases(draw):
    """Arguments of `weighted_curves`: a few curves with events of every kind."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    curves, images, thresholds = draw(st.integers(0, 3)), draw(st.integers(1, 6)), draw(st.sampled_from([1, 3, 10]))
    start, object_start = (np.append(0, np.cumsum(rng.integers(0, most, curves))) for most in (9, 30))
    events = int(start[-1])
    false_start = np.append(0, np.cumsum(rng.integers(0, 4, events)))
    hit, other = rng.integers(0, 1 << thresholds, (2, events)).astype(np.uint16)
    own = [
        rng.integers(0, images, int(number)).astype(np.int32) for number in (events, false_start[-1], object_start[-1])
    ]
    weight = rng.poisson(draw(st.sampled_from([0.5, 1, 90])), (images, LANES)).astype(np.uint8)
    return (
        start,
        own[0],
        hit,
        ~hit & other,
        false_start,
        own[1],
        object_start,
        own[2],
        weight,
        weight.view(np.uint64),
        thresholds,
    )


def curves(kernels, case):
    *arguments, thresholds = case
    ap, recall = np.empty((2, len(arguments[0]) - 1, thresholds, LANES))
    kernels.weighted_curves(*arguments, ap, recall)
    return ap, recall


def curves_of_seen(kernels, case, cut):
    """The same, with the false positives of each curve added up in two parts, and its objects in one of three sets."""
    start, image, hit, miss, false_start, false_image, object_start, object_image, weight, words, thresholds = case
    ap, recall = np.empty((2, len(start) - 1, thresholds, LANES))
    most = kernels.most_images(weight)
    for k, (first, last) in enumerate(pairwise(start.tolist())):
        events, own = slice(first, last), false_start[first : last + 1]
        total, middle = np.zeros((last - first, LANES)), int(own[0] + cut * (own[-1] - own[0]))
        kernels.add_weights(np.minimum(own, middle), false_image, words, most, total.reshape(-1))
        kernels.add_weights(np.maximum(own, middle), false_image, words, most, total.reshape(-1))
        seen = np.cumsum(total + weight[image[events]], axis=0)
        of_sets = np.array([0, 0, *object_start[k : k + 2] - object_start[k]])
        objects = object_image[object_start[k] : object_start[k + 1]]
        of_each = np.empty((2, 3, thresholds, LANES))
        kernels.curves_of_seen(
            image[events], hit[events], miss[events], own, of_sets, objects, weight, words, seen.reshape(-1), *of_each
        )
        assert np.isnan(of_each[:, :2]).all()
        ap[k], recall[k] = of_each[:, 2]
    return ap, recall


@given(cases(), st.floats(0, 1), st.booleans())
def test_compiled_as_plain(case, cut, at_once):
    expected = curves(compiled, case)
    np.testing.assert_array_equal(curves_of_seen(compiled, case, cut), expected)
    slow = plain("weighted_curves")
    np.testing.assert_array_equal(curves(slow, case) if at_once else curves_of_seen(slow, case, cut), expected)
