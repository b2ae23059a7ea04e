"""Invariants of the methods that need no labels, for any logits."""

from __future__ import annotations

from dataclasses import dataclass, replace

import adjust_twins as twins
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import longtail_cli as ltcal
from longtail_cli.choices import BackgroundName, HeadName
from longtail_cli.methods.label_free import mean_and_variance_of, mean_of
from longtail_cli.tables import Floats

METHODS = ["prior2posterior", "prior2posterior:trained=logit-adjust", "logn"]


@dataclass(frozen=True)
class Case:
    """Logits [N, K], multiples of 1/8 so that the logits of a class are equal or clearly different; and counts."""

    logits: Floats
    head: HeadName
    background: BackgroundName
    counts: list[int]

    @property
    def columns(self) -> list[int]:
        """The columns of the classes."""
        return twins.class_columns(self.logits[0].tolist(), self.background_column)

    @property
    def background_column(self) -> int | None:
        return {"none": None, "first": 0, "last": len(self.counts)}[self.background]

    def adjusted(self, spec: str) -> Floats:
        counts = self.counts if spec.endswith("logit-adjust") else None
        found: Floats = ltcal.adjust(self.logits, counts, spec, head=self.head, background=self.background)
        return found


heads: st.SearchStrategy[HeadName] = st.sampled_from(("softmax", "sigmoid"))
backgrounds: st.SearchStrategy[BackgroundName] = st.sampled_from(("none", "first", "last"))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    classes, rows = draw(st.integers(1, 5)), draw(st.integers(1, 6))
    head, background = draw(heads), draw(backgrounds)
    width = classes + (background != "none")
    eighths = draw(st.lists(st.integers(-40, 40), min_size=rows * width, max_size=rows * width))
    counts = draw(st.lists(st.integers(1, 400), min_size=classes, max_size=classes))
    return Case(np.array(eighths).reshape(rows, width) / 8, head, background, counts)


pytestmark = pytest.mark.filterwarnings("ignore::longtail_cli.errors.LtcalWarning")


@given(cases(), st.sampled_from(METHODS))
def test_logits_are_those_of_a_plain_loop(case: Case, spec: str) -> None:
    rows, log_shares = case.logits.tolist(), [float(s) for s in np.log(np.array(case.counts) / sum(case.counts))]
    expected = case.logits.copy()
    if spec == "logn":
        for column, (shift, deviation) in zip(
            case.columns, twins.log_normalized(rows, case.background_column), strict=True
        ):
            expected[:, column] = (expected[:, column] - shift) / deviation
    else:
        known = log_shares if spec.endswith("logit-adjust") else None
        prior = np.array(twins.prior_of_model(rows, case.background_column, case.head, known))
        expected[:, case.columns] -= np.log(np.maximum(prior, 1e-8)) + np.log(len(prior))
    found = case.adjusted(spec)
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)
    if case.background_column is not None:
        assert np.array_equal(found[:, case.background_column], case.logits[:, case.background_column])


@given(cases(), st.sampled_from(METHODS), st.data())
def test_permuting_the_classes_and_the_rows_permutes_the_logits(case: Case, spec: str, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(case.counts))))
    rows = data.draw(st.permutations(range(len(case.logits))))
    columns = np.arange(case.logits.shape[1])
    columns[case.columns] = columns[case.columns][order]
    mixed = replace(case, logits=case.logits[rows][:, columns], counts=[case.counts[c] for c in order])
    assert mixed.adjusted(spec) == pytest.approx(case.adjusted(spec)[rows][:, columns], rel=1e-9, abs=1e-9)


@given(cases(), st.sampled_from(METHODS))
def test_inputs_are_never_changed(case: Case, spec: str) -> None:
    before = case.logits.copy()
    case.adjusted(spec)
    assert np.array_equal(case.logits, before)


@given(cases())
def test_classes_with_the_same_logits_have_a_uniform_prior(case: Case) -> None:
    """Then nothing changes."""
    same = case.logits.copy()
    same[:, case.columns] = same[:, case.columns[:1]]
    assert replace(case, logits=same).adjusted("prior2posterior") == pytest.approx(same, rel=1e-12, abs=1e-12)


@given(cases())
def test_normalized_logits_have_deviation_1_and_mean_beta_over_sigma(case: Case) -> None:
    """Unless the logits of a class are all equal."""
    found = case.adjusted("logn")[:, case.columns]
    varied = np.ptp(case.logits[:, case.columns], axis=0) > 0
    assert found[:, varied].std(axis=0) == pytest.approx(np.ones(varied.sum()), rel=1e-9)
    deviation = np.sqrt(np.maximum(case.logits[:, case.columns].var(axis=0), 1e-11))
    least = case.logits[:, case.columns].mean(axis=0).min()
    assert found.mean(axis=0) * deviation == pytest.approx(np.full(len(deviation), least), rel=1e-9, abs=1e-9)


@given(cases(), st.lists(st.integers(0, 6), max_size=3).map(sorted))
def test_statistics_do_not_depend_on_the_blocks(case: Case, cuts: list[int]) -> None:
    blocks = np.split(case.logits, cuts)
    mean, variance = mean_and_variance_of(blocks, case.logits.shape[1])
    assert mean == pytest.approx(case.logits.mean(axis=0), rel=1e-12, abs=1e-12)
    assert variance == pytest.approx(case.logits.var(axis=0), rel=1e-12, abs=1e-12)
    assert mean_of(blocks, case.logits.shape[1]) == pytest.approx(mean, rel=1e-12, abs=1e-12)
