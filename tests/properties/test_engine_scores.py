"""The kernels that sort and move scores do compiled what they do uncompiled."""

import numpy as np
import pytest
from engine_plain import plain
from hypothesis import given, settings
from hypothesis import strategies as st

from longtail_cli.engine import ordering
from longtail_cli.methods import scores
from longtail_cli.methods.steps import ColumnAffine

PLAIN_ORDERING, PLAIN_SCORES = plain("ordering"), plain("scores")

in_unit = st.sampled_from([0.0, 5e-324, 1e-300, 0.5, float(np.nextafter(0.5, 1)), 1.0, float(np.nextafter(1, 0))])
anywhere = st.sampled_from([0.0, -0.0, 3.5, -2.5, 1e308, -1.7976931348623157e308])
affine = st.tuples(st.sampled_from([1.0, 0.0, -1.0, 10.0, 0.1, 1e300]), st.sampled_from([0.0, 1.0, -50.0, 800.0]))


@pytest.mark.parametrize(("space", "values"), [("prob", in_unit), ("logit", anywhere)])
@given(data=st.data(), maps=st.lists(affine, min_size=3, max_size=3))
@settings(max_examples=60)
def test_adjusted_scores(space, values, data, maps):
    rows = data.draw(st.lists(st.tuples(st.integers(0, 2), values), max_size=30))
    score = np.array([value for _, value in rows], np.float64)
    category = np.array([c for c, _ in rows], np.int32)
    affine = ColumnAffine(*map(np.array, zip(*maps, strict=True)))
    compiled = scores.AdjustableScores(score, category, space).adjusted(affine)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scores, "engine", PLAIN_SCORES)
        patch.setattr(scores, "ordering", PLAIN_ORDERING)
        uncompiled = scores.AdjustableScores(score, category, space).adjusted(affine)
    assert compiled.tobytes() == uncompiled.tobytes()


@given(st.integers(0, 10**6), st.integers(60, 200), st.booleans())
@settings(max_examples=20)
def test_long_categories_are_sorted_by_radix(seed, number, coarse):
    rng = np.random.default_rng(seed)
    score = rng.normal(size=number).round(1 if coarse else 17)
    start = np.array([0, number // 3, number])
    found = [rng.permutation(number)]
    found.append(found[0].copy())
    for module, rows in zip((ordering, PLAIN_ORDERING), found, strict=True):
        expected = np.concatenate([own[np.argsort(-score[own], kind="stable")] for own in np.split(rows, start[1:2])])
        module.best_first(0, 2, start, score.view(np.int64), -(2**63), rows)
        assert rows.tolist() == expected.tolist()
