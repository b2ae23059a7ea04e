"""The resamples of a category whose rows come in order, piece after piece, are those of all its rows at once."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from builders import detections, ground_truth
from hypothesis import given, settings
from hypothesis import strategies as st
from parts_twin import rows_of_parts

from longtail_cli.evaluation.bootstrap import ordered_events
from longtail_cli.evaluation.bootstrap.resampling import LANES, Draws
from longtail_cli.evaluation.detections import Evaluation
from longtail_cli.evaluation.options import EvaluationOptions
from longtail_cli.evaluation.parts import ordered_resamples
from longtail_cli.evaluation.parts.ordered_resamples import OrderedResamples
from longtail_cli.evaluation.parts.resamples import FIXED
from longtail_cli.evaluation.parts.share import Rules, share_metrics
from longtail_cli.evaluation.protocol import Protocol

IMAGES, CATEGORIES = 6, 3


def boxes(rng, number):
    """Of all sizes, few different ones, so that many overlap."""
    corner, side = rng.integers(0, 3, (number, 2)), rng.integers(1, 9, (number, 2))
    return (16.0 * np.column_stack([corner, side])).tolist()


def scene(rng, protocol, options, sizes, draws):
    """An evaluation of random objects, and the rows of random detections, with many ties."""

    def cells(number):
        return list(zip(*(rng.integers(0, most, number).tolist() for most in (IMAGES, CATEGORIES)), strict=True))

    known, seen = rng.integers(0, 40), rng.integers(1, 200)
    special = rng.random(known) < 0.2
    truth = ground_truth(
        [(*at, xywh) for at, xywh in zip(cells(known), boxes(rng, known), strict=True)],
        images=IMAGES, categories=CATEGORIES, negative=cells(6), not_exhaustive=cells(3), crowd=special, ignore=special,
    )  # fmt: skip
    score = rng.integers(0, 9, seen) / 8
    found = detections(
        [(*at, one, xywh) for at, one, xywh in zip(cells(seen), score.tolist(), boxes(rng, seen), strict=True)]
    )
    evaluation = Evaluation.prepare(truth, protocol, "bbox", {}, options, draws, resampled_sizes=sizes)
    (rows,) = rows_of_parts(evaluation, found, [0] * IMAGES, 1)
    return Rules.of(evaluation), rows


def in_order(rules, category, rows, cuts):
    """The resamples of rows of a category, cut before some of them."""
    rows = rows.at(np.lexsort((rows.tie, -rows.score)))
    resamples = OrderedResamples(rules, category, BytesIO())
    for piece in np.split(np.arange(len(rows)), cuts):
        resamples.add(rows.at(piece))
    return resamples.curves()


def assert_equal(found, expected):
    assert list(found) == list(expected)
    for name, curves in expected.items():
        assert list(found[name]) == list(curves)
        for curve, one in curves.items():
            assert found[name][curve].ranges == one.ranges
            for field in ("curve", "values"):
                np.testing.assert_array_equal(
                    getattr(found[name][curve], field), getattr(one, field), f"{name} {curve}"
                )


@pytest.mark.parametrize("protocol", [Protocol("lvis", 8), Protocol("coco", 3)])
@given(
    seed=st.integers(0, 2**32 - 1), sizes=st.booleans(), with_tide=st.booleans(), wide=st.booleans(),
    number=st.integers(1, 3), read=st.integers(1, 40), held=st.sampled_from([1, 1 << 28]),
)  # fmt: skip
@settings(max_examples=12)
def test_rows_in_order_give_what_all_rows_give(protocol, seed, sizes, with_tide, wide, number, read, held):
    rng = np.random.default_rng(seed)
    options = EvaluationOptions(tide="aligned" if with_tide else "off", fixed_ap=wide)
    draws = Draws(IMAGES, LANES * number - 5, seed)
    rules, rows = scene(rng, protocol, options, sizes, draws)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ordered_events, "READ", read)
        patch.setattr(ordered_resamples, "HELD", held)
        for category in range(CATEGORIES):
            own = rows.at(rows.category == category)
            cuts = np.sort(rng.integers(0, len(own) + 1, rng.integers(0, 6)))
            expected = share_metrics(rules, np.array([category]), own).resampled
            expected = {name: curves for name, curves in expected.items() if name != FIXED}
            assert_equal(in_order(rules, category, own, cuts), expected)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is full, as Linux has it")
def test_a_full_disk_is_an_error():
    rules, rows = scene(np.random.default_rng(0), Protocol("lvis", 8), EvaluationOptions(), True, Draws(IMAGES, 1, 0))
    with Path("/dev/full").open("r+b", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        OrderedResamples(rules, 0, file).add(rows.at(rows.category == 0))
