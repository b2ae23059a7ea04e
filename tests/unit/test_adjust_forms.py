"""The forms of the count methods on full logits against their plain-loop twins, and where the forms coincide."""

from __future__ import annotations

import math
from pathlib import Path

import adjust_twins as twins
import numpy as np
import pytest
import torch
from adjust_twins import classes_of, coupled, sigmoid
from frequency_tables import NoData, coefficients, table

import longtail_cli as ltcal
from longtail_cli.choices import VARIANTS, BackgroundName, HeadName
from longtail_cli.errors import InputError, UsageError
from longtail_cli.methods.apply import Adjuster, activated
from longtail_cli.methods.base import MethodContext
from longtail_cli.methods.registry import parse_method
from longtail_cli.tables import Floats, FrequencyTable, LogitColumns

IDS = [31, 4, 77, 12, 5]  # the order of the columns, which is not that of the table
N = [200, 3, 1, 9, 40]
TABLE = table([N[IDS.index(i)] for i in sorted(IDS)], ids=sorted(IDS))
HEADS: list[tuple[HeadName, BackgroundName]] = [
    ("softmax", "none"), ("softmax", "first"), ("softmax", "last"),
    ("sigmoid", "none"), ("sigmoid", "first"), ("sigmoid", "last"),
]  # fmt: skip
heads = pytest.mark.parametrize(("head", "background"), HEADS)


def scores_of(spec: str, head: HeadName, background: BackgroundName, logits: Floats) -> Floats:
    """The scores [N, C] after the method `spec`, in column order, computed in float64."""
    columns = LogitColumns(head, background, np.array(IDS))
    adjustment = parse_method(spec).adjustment(MethodContext(columns, TABLE, None, NoData()))
    adjuster = Adjuster(adjustment.steps, columns, torch.device("cpu"), torch.float64)
    scores = activated(adjuster(torch.tensor(logits)), adjuster.columns)[:, adjuster.columns.classes]
    found: Floats = scores.numpy()
    return found


def logits_for(background: BackgroundName) -> Floats:
    return np.random.default_rng(5).normal(0, 4, (20, len(IDS) + (background != "none")))


def background_column(background: BackgroundName) -> int | None:
    return {"none": None, "first": 0, "last": len(IDS)}[background]


def after(head: HeadName, row: list[float], background: int | None, mapped: list[float]) -> list[float]:
    return coupled(row, background, mapped) if head == "softmax" else [sigmoid(z) for z in mapped]


@pytest.mark.parametrize(("head", "background"), [("softmax", "first"), ("sigmoid", "none")])
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("strength", [0, 0.5, 1, 1.7])
@pytest.mark.parametrize("scale", ["none", "mean"])
def test_iif_weights_are_scaled_and_raised_to_the_strength(
    head: HeadName, background: BackgroundName, variant: str, strength: float, scale: str
) -> None:
    """Weights as they are, on every head, are compared in ``test_adjust_logits.py``."""
    plain = [twins.iif_weight(variant, n, float(sum(N))) for n in N]
    weights = twins.iif_weights(plain, strength, scale == "mean")
    logits, column = logits_for(background), background_column(background)
    expected = [
        after(head, row, column, [w * z for w, z in zip(weights, classes_of(row, column), strict=True)])
        for row in logits.tolist()
    ]
    found = scores_of(f"iif:{variant},strength={strength},scale={scale}", head, background, logits)
    assert found == pytest.approx(np.array(expected), rel=1e-12, abs=1e-12)


@heads
@pytest.mark.parametrize("reference", ["total", "mean", "max", "one"])
def test_logit_adjustment_relative_to_a_reference(head: HeadName, background: BackgroundName, reference: str) -> None:
    logits, column = logits_for(background), background_column(background)
    expected = []
    for row in logits.tolist():
        own = classes_of(row, column)
        mapped = [twins.logit_adjusted(z, N, c, 1.3, reference) for c, z in enumerate(own)]
        expected.append(after(head, row, column, mapped))
    found = scores_of(f"logit-adjust:tau=1.3,reference={reference}", head, background, logits)
    assert found == pytest.approx(np.array(expected), rel=1e-12, abs=1e-12)


@heads
@pytest.mark.parametrize(("form", "gamma"), [("gamma", 0.6), ("gamma", 0.0), ("cb", 0.97), ("cb", 0.3)])
@pytest.mark.parametrize(
    ("on", "renormalize"),
    [
        ("exponentials", "yes"),
        ("probabilities", "yes"),
        ("probabilities", "no"),
        ("exponentials", "no"),
        ("logits", "yes"),
    ],
)
def test_norcal_multiplies_by_its_factor(
    head: HeadName, background: BackgroundName, form: str, gamma: float, on: str, renormalize: str
) -> None:
    logits, column = logits_for(background), background_column(background)
    factors = [twins.norcal_factor(form, gamma, n) for n in N]
    expected = [twins.norcal(row, column, factors, on, renormalize == "yes", head) for row in logits.tolist()]
    spec = f"norcal:gamma={gamma},form={form},on={on},renormalize={renormalize}"
    assert scores_of(spec, head, background, logits) == pytest.approx(np.array(expected), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("gamma", [5e-324, 0.5, 0.999, 1 - 1e-15])
def test_the_class_balanced_factor_is_finite_and_at_most_1_for_any_gamma(gamma: float) -> None:
    counts = [1, 2, 1000, 10**7]
    shift = coefficients(parse_method(f"norcal:gamma={gamma!r},form=cb"), table(counts)).shift
    assert np.isfinite(shift).all()
    assert shift[0] == 0
    assert (np.diff(shift) <= 0).all()
    if gamma == 1 - 1e-15:  # the sum of n powers of a number close to 1 is n
        assert shift == pytest.approx(-np.log(counts), abs=1e-7)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("logit-adjust:tau=0.6,reference=one", "norcal:gamma=0.6"),
        ("logit-adjust:tau=1,reference=one", "balanced-softmax"),
        ("norcal:on=probabilities", "norcal"),
        ("logit-adjust:tau=1,reference=total", "logit-adjust"),
        ("iif:strength=1", "iif"),
    ],
)
def test_forms_that_are_the_same_map(one: str, other: str) -> None:
    first, second = coefficients(parse_method(one), TABLE), coefficients(parse_method(other), TABLE)
    assert first.scale.tolist() == second.scale.tolist()
    assert first.shift.tolist() == second.shift.tolist()


def test_norcal_and_logit_adjustment_differ_by_an_offset_of_the_foreground() -> None:
    offset = 0.6 * math.log(sum(N))
    chain = coefficients(parse_method(f"norcal:gamma=0.6+foreground:offset={offset!r}"), TABLE)
    assert chain.shift == pytest.approx(coefficients(parse_method("logit-adjust:tau=0.6"), TABLE).shift, rel=1e-14)


@heads
def test_foreground_shifts_every_class_and_not_the_background(head: HeadName, background: BackgroundName) -> None:
    if (head, background) == ("softmax", "none"):
        return
    logits, column = logits_for(background), background_column(background)
    expected = [after(head, row, column, [z - 0.7 for z in classes_of(row, column)]) for row in logits.tolist()]
    found = scores_of("foreground:offset=-0.7", head, background, logits)
    assert found == pytest.approx(np.array(expected), rel=1e-12, abs=1e-12)


def refusal(spec: str, columns: LogitColumns, frequencies: FrequencyTable | None = None) -> str:
    with pytest.raises((UsageError, InputError)) as caught:
        parse_method(spec).adjustment(MethodContext(columns, frequencies, None, NoData()))
    return str(caught.value)


def test_foreground_needs_a_background_or_a_sigmoid() -> None:
    assert "without one the offset would change nothing, found softmax, background none" in refusal(
        "foreground:offset=1", LogitColumns("softmax", "none", np.array(IDS))
    )
    bags = LogitColumns("bags", "none", np.array(sorted(IDS)), ((4, 77), (5,), (12,), (31,)))
    assert "decode the slices first: bags+METHOD" in refusal("foreground:offset=1", bags)
    assert not parse_method("foreground:offset=1").uses_counts


def test_foreground_shifts_the_scores_of_a_result_file() -> None:
    affine = coefficients(parse_method("foreground:offset=2"), table([0, 0]))
    assert (affine.scale.tolist(), affine.shift.tolist(), affine.notes) == ([1, 1], [2, 2], ())


@pytest.mark.parametrize("spec", ["iif:normit,scale=mean", "iif:relative,scale=mean,strength=0.5"])
def test_a_mean_weight_of_0_or_less_cannot_scale(spec: str) -> None:
    """Two classes have the weights w and -w; in the same images both may have p above 0.5, or be in all of them."""
    columns = LogitColumns("softmax", "none", np.array([1, 2]))
    message = "weights: expected a mean above 0, for scale=mean, found"
    assert message in refusal(spec, columns, table([30, 10]))
    assert message in refusal(f"{spec},normalizer=images", columns, table([90, 80], num_images=100))
    assert message in refusal("iif:scale=mean,normalizer=images", columns, table([5, 5], num_images=5))


def test_negative_weights_keep_their_sign_and_strength_0_has_no_notes() -> None:
    """One class has more than half of the images."""
    counts = table([60, 20, 20, 0])
    plain = coefficients(parse_method("iif:relative"), counts)
    rooted = coefficients(parse_method("iif:relative,strength=0.5"), counts)
    assert rooted.scale == pytest.approx(np.sign(plain.scale) * np.sqrt(np.abs(plain.scale)), rel=1e-15)
    assert len(rooted.notes) == len(plain.notes) == 2
    none = coefficients(parse_method("iif:relative,strength=0"), counts)
    assert (none.scale.tolist(), none.notes) == ([1.0] * 4, ())


@pytest.mark.parametrize("policy", ["max", "smooth"])
def test_a_class_that_never_occurs_has_a_replaced_count_in_the_reference(policy: str) -> None:
    counts, replaced = [0, 30, 2], [2, 30, 2] if policy == "max" else [1, 30, 2]
    for reference in ("mean", "max", "one"):
        spec = f"logit-adjust:zero_count={policy},reference={reference}"
        expected = [twins.logit_adjusted(0.0, replaced, c, 1.0, reference) for c in range(3)]
        assert coefficients(parse_method(spec), table(counts)).shift == pytest.approx(expected, rel=1e-13, abs=1e-13)


def test_scaled_and_milder_iif_on_the_example_detector() -> None:
    """The figures of docs/logits.md, in percent."""
    folder = Path(__file__).parents[2] / "examples" / "digit_scenes"
    report = ltcal.evaluate(
        folder / "logits.npz",
        folder / "val.json",
        frequencies=ltcal.count(folder / "train.json"),
        methods=["iif", "iif:strength=0.5,scale=mean"],
        max_dets=20,
    )
    frame = report.to_frame().set_index(["run", "metric"])["value"] * 100
    assert [round(frame["iif", f"bbox/{name}"], 1) for name in ("AP", "APr")] == [36.9, 29.7]
    found = [frame["iif:strength=0.5,scale=mean", f"bbox/{name}"] for name in ("AP", "APr", "APc", "APf")]
    assert np.round(found, 1).tolist() == [48.6, 36.0, 54.3, 53.5]
    assert frame["iif:strength=0.5,scale=mean", "tide/bbox/FalsePos"] == pytest.approx(10.6, abs=0.05)
