"""Invariants of every method, for any counts and scores."""

import math

import numpy as np
import pytest
from frequency_tables import coefficients, table
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from longtail_cli.choices import COUNTS, NORMALIZERS, SCORE_SPACES, VARIANTS, ScoreSpace, VariantName, ZeroCountName
from longtail_cli.errors import InputError
from longtail_cli.methods.bags import BalancedGroupSoftmax
from longtail_cli.methods.base import Method
from longtail_cli.methods.fracal import FractalCalibration
from longtail_cli.methods.iif import SCALES, InverseImageFrequency, iif_weights
from longtail_cli.methods.label_free import TRAININGS, LogitNormalization, PriorToPosterior
from longtail_cli.methods.learned import DisAlign, LearnableWeightScaling, TauNormalized, VectorScaling
from longtail_cli.methods.prior import (
    CALIBRATED,
    REFERENCES,
    BalancedSoftmax,
    LabelDistributionAwareMargin,
    LogitAdjustment,
    NorCal,
)
from longtail_cli.methods.registry import Chain, parse_method
from longtail_cli.methods.scores import AdjustableScores
from longtail_cli.methods.steps import ColumnAffine
from longtail_cli.methods.target import TARGETS, TargetPrior
from longtail_cli.methods.uniform import Foreground, Temperature, Unchanged
from longtail_cli.tables import FrequencyTable

numbers = st.floats(0, 1e6)
open_shares = st.floats(0, 1, exclude_min=True, exclude_max=True)
policies = st.sampled_from(("max", "smooth"))
counted = st.sampled_from(COUNTS)
steps = st.one_of(
    st.just(Unchanged()),
    st.builds(InverseImageFrequency, st.sampled_from(VARIANTS), counted, st.sampled_from(NORMALIZERS), policies),
    st.builds(LogitAdjustment, numbers, counted, policies),
    st.builds(NorCal, numbers, counted, policies),
    st.builds(InverseImageFrequency, st.sampled_from(VARIANTS), strength=st.floats(0, 4)),
    st.builds(LogitAdjustment, numbers, counted, policies, st.sampled_from(REFERENCES)),
    st.builds(NorCal, numbers, counted, policies, on=st.sampled_from(CALIBRATED)),
    st.builds(NorCal, open_shares, counted, policies, form=st.just("cb"), on=st.sampled_from(CALIBRATED)),
    st.builds(Foreground, st.floats(-1e6, 1e6)),
    st.builds(LabelDistributionAwareMargin, st.floats(-1e6, 1e6), counted, policies),
    st.builds(Temperature, st.floats(1e-6, 1e6)),
)
methods = st.one_of(steps, st.lists(steps, min_size=2, max_size=3).map(lambda chosen: Chain(tuple(chosen))))
scores = st.lists(st.one_of(st.floats(0, 1), st.floats(0.9, 1), st.sampled_from([0.0, 0.5, 1.0])), max_size=12)


@st.composite
def tables(draw: st.DrawFn) -> FrequencyTable:
    """At least one class occurs; some classes may never occur, and some may be in every image."""
    num_images = draw(st.integers(1, 1000))
    images = draw(st.lists(st.integers(0, num_images), min_size=1, max_size=8).filter(any))
    objects = [n and n + draw(st.integers(0, 50)) for n in images]
    return table(images, objects, num_images=num_images)


def permuted(frequencies: FrequencyTable, order: list[int]) -> FrequencyTable:
    images, objects = frequencies.image_count[order], frequencies.instance_count[order]
    return table(images.tolist(), objects.tolist(), num_images=frequencies.num_images)


def plain_weight(n: int, total: int, variant: VariantName) -> float:
    """The formulas one class at a time, 0 < n < total; the quantile of the normal by scipy."""
    p = n / total
    return {
        "raw": lambda: math.log(total / n),
        "smooth": lambda: math.log((total + 1) / (n + 1)) + 1,
        "relative": lambda: math.log((total - n) / n),
        "base2": lambda: math.log2(total / n),
        "base10": lambda: math.log10(total / n),
        "normit": lambda: -norm.ppf(p),
        "gombit": lambda: -math.log(-math.log1p(-p)),
    }[variant]()


@given(st.lists(st.integers(1, 10**7), min_size=2, max_size=8), st.sampled_from(VARIANTS))
def test_weights_are_those_of_a_plain_loop(counts: list[int], variant: VariantName) -> None:
    plain = [plain_weight(n, sum(counts), variant) for n in counts]
    assert iif_weights(np.array(counts), float(sum(counts)), variant).value == pytest.approx(
        plain, rel=1e-12, abs=1e-12
    )


@given(tables(), methods)
def test_coefficients_are_finite_and_notes_name_classes(frequencies: FrequencyTable, method: Method) -> None:
    affine = coefficients(method, frequencies)
    assert np.isfinite(affine.scale).all()
    assert np.isfinite(affine.shift).all()
    assert all(note.rows.any() for note in affine.notes)


@given(tables(), methods, st.data())
def test_permuting_the_classes_permutes_the_coefficients(
    frequencies: FrequencyTable, method: Method, data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(frequencies))))
    plain, mixed = coefficients(method, frequencies), coefficients(method, permuted(frequencies, order))
    assert mixed.scale.tolist() == plain.scale[order].tolist()
    assert mixed.shift.tolist() == plain.shift[order].tolist()


@given(st.integers(1, 1000), st.integers(1, 8), methods)
def test_equal_counts_treat_all_classes_alike(count: int, classes: int, method: Method) -> None:
    affine = coefficients(method, table([count] * classes, num_images=count))
    assert len(set(affine.scale.tolist())) == len(set(affine.shift.tolist())) == 1


@given(tables(), st.sampled_from(VARIANTS), st.sampled_from(NORMALIZERS), policies)
def test_a_rarer_class_never_gets_a_smaller_weight(
    frequencies: FrequencyTable, variant: VariantName, normalizer: str, policy: ZeroCountName
) -> None:
    method = parse_method(f"iif:{variant},normalizer={normalizer},zero_count={policy}")
    by_count = coefficients(method, frequencies).scale[np.argsort(frequencies.image_count, kind="stable")]
    assert (np.diff(by_count) <= 0).all()


@given(tables(), st.sampled_from(VARIANTS), st.floats(0, 4), st.data())
def test_scaled_weights_have_mean_1_before_the_strength(
    frequencies: FrequencyTable, variant: VariantName, strength: float, data: st.DataObject
) -> None:
    """The same for every order of the classes; or there is no mean to divide by."""
    order = data.draw(st.permutations(range(len(frequencies))))
    method = InverseImageFrequency(variant, strength=strength, scale="mean")
    try:
        found = coefficients(method, frequencies).scale
    except InputError:
        plain = coefficients(InverseImageFrequency(variant), frequencies).scale
        assert plain.mean() < 1e-5 * np.abs(plain).mean() or not plain.any()
        return
    assert coefficients(method, permuted(frequencies, order)).scale.tolist() == found[order].tolist()
    whole = coefficients(InverseImageFrequency(variant, scale="mean"), frequencies).scale
    assert whole.mean() == pytest.approx(1, rel=1e-9)
    assert found == pytest.approx(np.sign(whole) * np.abs(whole) ** strength if strength else 1, rel=1e-12)


names = st.text(st.characters(codec="utf-8", exclude_characters=",+\0"), min_size=1).map(str.strip).filter(bool)
others = st.one_of(
    st.builds(NorCal, numbers, counted, policies, st.sampled_from(("yes", "no"))),
    st.builds(BalancedSoftmax, counted, policies),
    st.builds(FractalCalibration, numbers, policies),
    st.builds(TargetPrior, st.sampled_from(TARGETS), st.just("") | names, counted, policies),
    st.builds(LearnableWeightScaling, names),
    st.builds(DisAlign, names),
    st.builds(VectorScaling, names),
    st.builds(TauNormalized, numbers),
    st.just(BalancedGroupSoftmax()),
    st.builds(InverseImageFrequency, strength=st.floats(0, 4), scale=st.sampled_from(SCALES)),
    st.builds(PriorToPosterior, st.just("") | names, st.sampled_from(TRAININGS), counted, policies),
    st.builds(LogitNormalization, st.just("") | names),
)


@given(methods | others | st.lists(steps | others, min_size=2, max_size=3).map(lambda chosen: Chain(tuple(chosen))))
def test_a_spec_parses_back(method: Method) -> None:
    assert parse_method(method.spec) == method


@given(tables(), methods, st.data(), st.sampled_from(SCORE_SPACES))
def test_inputs_are_never_changed(
    frequencies: FrequencyTable, method: Method, data: st.DataObject, space: ScoreSpace
) -> None:
    score = np.array(data.draw(scores))
    category = np.array(
        data.draw(st.lists(st.integers(0, len(frequencies) - 1), min_size=len(score), max_size=len(score))), np.int64
    )
    affine = coefficients(method, frequencies)
    inputs = (score, category, frequencies.image_count, frequencies.instance_count, affine.scale, affine.shift)
    before = [column.copy() for column in inputs]
    AdjustableScores(score, category, space).adjusted(ColumnAffine(affine.scale, affine.shift))
    assert all(np.array_equal(was, now) for was, now in zip(before, inputs, strict=True))


@given(scores, st.floats(1e-6, 1e6), st.floats(-1e6, 1e6), st.sampled_from(SCORE_SPACES))
def test_the_order_within_a_class_is_kept_strictly(
    values: list[float], scale: float, shift: float, space: ScoreSpace
) -> None:
    score = np.array(values)
    affine = ColumnAffine(np.array([scale]), np.array([shift]))
    result = AdjustableScores(score, np.zeros(len(score), np.int64), space).adjusted(affine)
    assert np.array_equal(np.sign(score[:, None] - score), np.sign(result[:, None] - result))
    assert np.isfinite(result).all()
    if space == "prob":
        assert ((result >= 0) & (result <= 1)).all()


@given(scores, st.floats(0.1, 4), st.floats(-10, 10))
def test_scores_are_those_of_a_plain_loop(values: list[float], scale: float, shift: float) -> None:
    """To 1e-12, far above the distance of adjacent floats, which separate scores near 0 and 1."""
    inside = [min(max(s, 5e-324), 1 - 2**-53) for s in values]
    z = [scale * (math.log(s) - math.log1p(-s)) + shift for s in inside]
    plain = [1 / (1 + math.exp(-x)) if x > -700 else 0.0 for x in z]
    affine = ColumnAffine(np.array([scale]), np.array([shift]))
    result = AdjustableScores(np.array(values), np.zeros(len(values), np.int64), "prob").adjusted(affine)
    assert result == pytest.approx(plain, rel=1e-12, abs=1e-12)
