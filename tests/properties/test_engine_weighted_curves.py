"""The kernel of the bootstrap gives the same compiled and as plain Python."""

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


@given(cases())
def test_compiled_as_plain(case):
    np.testing.assert_array_equal(curves(compiled, case), curves(plain("weighted_curves"), case))
