"""Corrections learned on labelled logits, against plain twins and the libraries that have them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from longtail_cli.errors import InputError, UsageError
from longtail_cli.fitting.affine_loss import BLOCK
from longtail_cli.fitting.corrections import fit_correction
from longtail_cli.fitting.fitted import Fitted
from longtail_cli.fitting.methods import LogitsFit, parse_fit_method
from longtail_cli.fitting.rows import LabelledRows
from longtail_cli.fitting.strengths import STRENGTHS
from longtail_cli.methods.apply import Adjuster
from longtail_cli.methods.steps import ColumnAffine, ConfidenceAffine
from longtail_cli.tables import Floats, LogitColumns
from longtail_cli.tuning.likelihood import best_inverse, losses
from tests import correction_twins as twins

ALL = ["temperature", "bcts", "class-temperature", "vector", "lws", "disalign", "disalign:confidence=none"]


def rows_of(
    number: int = 240, classes: int = 4, head: str = "softmax", background: str = "none", seed: int = 0
) -> LabelledRows:
    """Rows of a long-tailed problem whose logits are too large and too low for rare classes; every fifth held out."""
    random = np.random.default_rng(seed)
    width = classes + (background != "none")
    target = np.sort(random.choice(width, number, p=0.5 ** np.arange(width) / (0.5 ** np.arange(width)).sum()))
    logits = 2 * random.normal(size=(number, width)) - 0.7 * np.arange(width)
    logits[np.arange(number), target] += 2.5
    return LabelledRows(
        LogitColumns(head, background, np.arange(classes) * 3 + 1),  # type: ignore[arg-type]
        torch.from_numpy(target),
        torch.arange(number) % 5 == 0,
        torch.from_numpy(logits).float(),
        torch.from_numpy(random.normal(size=(number, 3))).float(),
    )


def fitted(spec: str, rows: LabelledRows, weight: Floats | None = None) -> Fitted:
    method = parse_fit_method(spec)
    assert isinstance(method, LogitsFit)
    return fit_correction(method, rows, np.ones(len(rows)) if weight is None else weight, lambda task, share: None)


def logits_of(rows: LabelledRows) -> Floats:
    assert rows.logits is not None
    return rows.logits.double().numpy()


def affine_of(found: Fitted) -> ColumnAffine:
    (step,) = found.steps
    assert isinstance(step, ColumnAffine)
    return step


def test_the_inverse_temperature_is_that_of_newtons_method() -> None:
    rows, memory = rows_of(), torch.empty(240, 4)
    weight = np.random.default_rng(1).random(240)

    def loss(inverse: float) -> tuple[float, float]:
        assert rows.logits is not None
        sums = weight @ losses(rows.logits.clone(), rows.target, inverse, memory)
        return float(sums[1]), float(sums[2])

    found = fitted("temperature", rows, weight)
    assert found.converged
    assert found.tried == ()
    np.testing.assert_allclose(affine_of(found).scale, best_inverse(loss), rtol=1e-5)
    np.testing.assert_allclose(found.settings["temperature"], 1 / best_inverse(loss), rtol=1e-5)
    assert not affine_of(found).shift.any()


def test_the_temperature_is_that_of_scikit_learn() -> None:
    random = np.random.default_rng(3)
    target = random.integers(0, 3, 400)
    inputs = random.normal(size=(400, 5)) + np.eye(3, 5)[target]
    model = LogisticRegression(C=100.0).fit(inputs[:60], target[:60])
    logits = torch.from_numpy(model.decision_function(inputs)).double()
    calibrated = CalibratedClassifierCV(FrozenEstimator(model), method="temperature").fit(inputs[60:], target[60:])
    columns, held_out = LogitColumns("softmax", "none", np.arange(3)), torch.zeros(340, dtype=torch.bool)
    found = fitted("temperature", LabelledRows(columns, torch.from_numpy(target[60:]), held_out, logits[60:], None))
    expected = calibrated.calibrated_classifiers_[0].calibrators[0].beta_
    np.testing.assert_allclose(affine_of(found).scale, expected, rtol=1e-5)


def test_a_softmax_regression_on_the_logits_of_two_classes_is_vector_scaling() -> None:
    """With 2 classes, logits (0, z) and no penalty, the difference of the new logits is that of logistic regression."""
    rows = rows_of(classes=2)
    z = logits_of(rows)[:, 1:]
    both = replace(rows, logits=torch.from_numpy(np.hstack([np.zeros_like(z), z])))
    model = LogisticRegression(C=np.inf, tol=1e-10).fit(z, rows.target.numpy())
    found = affine_of(fitted("vector:l2=0", both))
    np.testing.assert_allclose(found.scale[1], model.coef_[0, 0], rtol=1e-5)
    np.testing.assert_allclose(found.shift[1] - found.shift[0], model.intercept_[0], rtol=1e-5)


@pytest.mark.parametrize(
    ("spec", "mapped", "penalised"),
    [
        ("temperature", twins.temperature, [0]),
        ("bcts:l2=0.01", twins.bcts, [0, 1, 1, 1, 1]),
        ("class-temperature:l2=0.01", twins.class_temperature, [1] * 4),
        ("lws:l2=0.01", twins.lws, [1] * 4),
        ("vector:l2=0.01", twins.vector, [1] * 8),
        ("vector:l2=0", twins.vector, [0] * 8),
    ],
)
@pytest.mark.parametrize("head", ["softmax", "sigmoid"])
def test_equals_the_plain_twin(spec: str, mapped: twins.Map, penalised: list[int], head: str) -> None:
    rows, weight = rows_of(head=head), np.random.default_rng(2).random(240)
    l2 = float(spec.partition("l2=")[2] or 0)
    row_losses = twins.cross_entropy if head == "softmax" else twins.binary_cross_entropy
    target = rows.target.numpy()
    x, value = twins.least(mapped, logits_of(rows), target, weight, l2, np.array(penalised, float), row_losses)
    found = fitted(spec, rows, weight)
    assert found.converged
    np.testing.assert_allclose(found.curve[-1], value, rtol=1e-9)
    np.testing.assert_allclose(found.curve[0], weight @ row_losses(logits_of(rows), target) / weight.sum(), rtol=1e-12)
    step = affine_of(found)
    np.testing.assert_allclose(logits_of(rows) * step.scale + step.shift, mapped(logits_of(rows), x), atol=2e-4)


@pytest.mark.parametrize("confidence", ["features", "logits", "none"])
def test_disalign_equals_the_authors_definition(confidence: str) -> None:
    rows, weight = rows_of(), twins.generalised_weights(rows_of().target.numpy(), 0.8)
    assert rows.features is not None
    assert rows.logits is not None
    inputs = (rows.features if confidence == "features" else rows.logits).double().numpy()
    mapped = twins.vector if confidence == "none" else twins.disalign(inputs)
    penalised = np.ones(8) if confidence == "none" else np.append(np.ones(8 + inputs.shape[1]), 0)
    _, value = twins.least(mapped, logits_of(rows), rows.target.numpy(), weight, 0.01, penalised)
    found = fitted(f"disalign:exponent=0.8,confidence={confidence},l2=0.01", rows)
    assert found.converged
    np.testing.assert_allclose(found.curve[-1], value, rtol=1e-6)
    assert isinstance(found.steps[0], ColumnAffine if confidence == "none" else ConfidenceAffine)


@pytest.mark.parametrize("spec", ["disalign:l2=0.01", "disalign:l2=0.01,confidence=logits"])
def test_the_steps_give_the_loss_of_the_fit(spec: str) -> None:
    rows = rows_of()
    found = fitted(f"{spec},exponent=0", rows)
    assert rows.logits is not None
    adjuster = Adjuster(found.steps, rows.columns, torch.device("cpu"), torch.float64)
    new = adjuster(rows.logits, rows.features).numpy()
    (step,) = found.steps
    assert isinstance(step, ConfidenceAffine)
    penalty = 0.01 / 2 * sum((one**2).sum() for one in (step.scale, step.shift, step.weight))
    np.testing.assert_allclose(twins.cross_entropy(new, rows.target.numpy()).mean() + penalty, found.curve[-1])


@pytest.mark.parametrize("background", ["first", "last"])
def test_rows_of_the_background_weigh_1_in_disalign(background: str) -> None:
    rows = rows_of(classes=3, background=background)
    target, classes = rows.target.numpy(), rows.columns.classes
    foreground = (target >= classes.start) & (target < classes.stop)
    weight = np.ones(len(target))
    weight[foreground] = twins.generalised_weights(target[foreground] - classes.start, 1.2)
    start = weight @ twins.cross_entropy(logits_of(rows), target) / weight.sum()
    assert fitted("disalign:confidence=none,l2=0.01", rows).curve[0] == pytest.approx(start, rel=1e-12)


@pytest.mark.parametrize("spec", ["lws:l2=0.01", "class-temperature:l2=0.01", "disalign:confidence=none,l2=0.01"])
@pytest.mark.parametrize("background", ["first", "last"])
def test_the_background_keeps_its_logit(spec: str, background: str) -> None:
    step = affine_of(fitted(spec, rows_of(classes=3, background=background)))
    column = 0 if background == "first" else 3
    assert step.scale[column] == 1
    assert step.shift[column] == 0
    assert (np.delete(step.scale, column) != 1).all()


@pytest.mark.parametrize("spec", ["bcts:l2=0.01", "vector:l2=0.01"])
def test_the_background_is_learned_with_a_shift(spec: str) -> None:
    assert affine_of(fitted(spec, rows_of(classes=3, background="last"))).shift[3] != 0


@pytest.mark.parametrize("spec", ALL)
def test_permuting_the_classes_permutes_the_result(spec: str) -> None:
    rows, order = rows_of(), torch.tensor([2, 0, 3, 1])
    assert rows.logits is not None
    permuted = replace(rows, logits=rows.logits[:, order], target=torch.argsort(order)[rows.target])
    one, other = (Adjuster(fitted(spec, of).steps, rows.columns, torch.device("cpu"), torch.float64)
                  for of in (rows, permuted))  # fmt: skip
    assert permuted.logits is not None
    new = one(rows.logits, rows.features)[:, order]
    np.testing.assert_allclose(other(permuted.logits, rows.features).numpy(), new.numpy(), atol=1e-3)


@pytest.mark.parametrize("spec", ["temperature", "bcts:l2=0.01"])
def test_a_constant_added_to_a_row_changes_nothing(spec: str) -> None:
    rows = rows_of()
    assert rows.logits is not None
    shifted = replace(rows, logits=rows.logits.double() + torch.arange(240.0).double()[:, None])
    one, other = affine_of(fitted(spec, rows)), affine_of(fitted(spec, shifted))
    np.testing.assert_allclose(other.scale, one.scale, atol=1e-6)
    np.testing.assert_allclose(other.shift, one.shift, atol=1e-6)


@pytest.mark.parametrize("spec", ALL)
def test_logits_that_are_right_stay_as_they_are(spec: str) -> None:
    """Each pair of columns is as often right as the logits say: 3 rows of 4 with odds of 3."""
    logits = torch.tensor([[np.log(3.0), 0.0], [0.0, np.log(3.0)]]).repeat_interleave(4, dim=0).repeat(10, 1)
    target = torch.tensor([0, 0, 0, 1, 1, 1, 1, 0]).repeat(10)
    held_out = torch.arange(80) >= 40
    rows = LabelledRows(LogitColumns("softmax", "none", np.arange(2)), target, held_out, logits, torch.ones(80, 1))
    (step,) = fitted(spec, rows).steps
    if isinstance(step, ColumnAffine):
        np.testing.assert_allclose(step.scale, 1, atol=1e-5)
    else:
        assert isinstance(step, ConfidenceAffine)
        np.testing.assert_allclose(step.scale, 0, atol=1e-5)
    np.testing.assert_allclose(step.shift, 0, atol=1e-5)


@pytest.mark.parametrize("spec", ALL)
def test_the_same_rows_give_the_same_bytes(spec: str) -> None:
    one, other = fitted(spec, rows_of()), fitted(spec, rows_of())
    assert repr(one) == repr(other)


@pytest.mark.parametrize("spec", ["bcts", "class-temperature", "vector", "lws", "disalign:confidence=none"])
def test_classes_without_rows_get_no_numbers_of_their_own(spec: str) -> None:
    rows = rows_of()
    kept = rows.where(rows.target != 1)
    found = fitted(f"{spec}{',' if ':' in spec else ':'}l2=0", kept)
    step = affine_of(found)
    assert found.converged
    assert step.shift[1] == 0
    assert step.scale[1] == (pytest.approx(1 / found.settings["temperature"]) if spec == "bcts" else 1)
    assert np.abs(step.shift).max() < 10
    (note,) = found.notes
    assert note.rows.tolist() == [False, True, False, False]
    assert note.text == "have no rows to learn from; they get no scale and no shift of their own"


def test_classes_without_rows_count_in_a_single_temperature() -> None:
    rows = rows_of()
    kept = rows.where(rows.target != 1)
    found = fitted("temperature", kept)
    assert found.curve[0] == pytest.approx(twins.cross_entropy(logits_of(kept), kept.target.numpy()).mean())
    assert found.notes == ()


def test_rows_of_weight_0_do_not_count() -> None:
    rows = rows_of()
    weight = (rows.target != 1).double().numpy()
    one, other = fitted("vector:l2=0.1", rows, weight), fitted("vector:l2=0.1", rows.where(rows.target != 1))
    np.testing.assert_array_equal(affine_of(one).scale, affine_of(other).scale)
    assert len(one.notes) == 1


def test_background_rows_of_a_sigmoid_head_have_no_column() -> None:
    rows = rows_of(head="sigmoid")
    target = torch.where(torch.arange(240) % 3 == 0, 4, rows.target)
    penalised, one = np.array([0.0, 1, 1, 1, 1]), np.ones(240)
    _, value = twins.least(twins.bcts, logits_of(rows), target.numpy(), one, 0.1, penalised, twins.binary_cross_entropy)
    found = fitted("bcts:l2=0.1", replace(rows, target=target))
    assert found.curve[-1] == pytest.approx(value, rel=1e-9)
    assert found.notes == ()


def test_the_penalty_is_chosen_on_the_held_out_rows_and_all_rows_are_fitted() -> None:
    rows = rows_of()
    assert rows.logits is not None
    kept, held = rows.where(~rows.held_out), rows.where(rows.held_out)
    found = fitted("vector", rows)
    assert [one.value for one in found.tried] == list(STRENGTHS)
    for one in found.tried:
        step = affine_of(fitted(f"vector:l2={one.value}", kept))
        each = twins.cross_entropy(logits_of(held) * step.scale + step.shift, held.target.numpy())
        means = [each[held.target.numpy() == c].mean() for c in range(4) if (held.target == c).any()]
        assert one.score == pytest.approx(np.mean(means), abs=1e-5)
    best = min(found.tried, key=lambda one: one.score)
    assert found.settings == {"l2": best.value}
    again = fitted(f"vector:l2={best.value}", rows)
    np.testing.assert_allclose(affine_of(found).scale, affine_of(again).scale, atol=1e-4)
    assert found.passes > again.passes


def test_held_out_rows_of_another_file_are_never_fitted() -> None:
    rows = rows_of()
    apart, kept = fitted("vector", replace(rows, apart=True)), rows.where(~rows.held_out)
    alone = fitted(f"vector:l2={apart.settings['l2']}", kept)
    assert [one.score for one in apart.tried] == [one.score for one in fitted("vector", rows).tried]
    np.testing.assert_allclose(affine_of(apart).scale, affine_of(alone).scale, atol=1e-4)


def test_weights_are_not_changed() -> None:
    weight = np.full(240, 2.0)
    weight.setflags(write=False)
    fitted("vector:l2=0.1", rows_of(), weight)
    fitted("disalign:l2=0.1", rows_of(), weight)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float64(dtype: torch.dtype) -> None:
    rows = rows_of()
    assert rows.logits is not None
    half = replace(rows, logits=rows.logits.to(dtype))
    double = replace(rows, logits=rows.logits.to(dtype).double())
    np.testing.assert_array_equal(
        affine_of(fitted("vector:l2=0.1", half)).scale, affine_of(fitted("vector:l2=0.1", double)).scale
    )


def test_more_rows_than_a_block_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = fitted("disalign:l2=0.1", rows_of())
    monkeypatch.setattr("longtail_cli.fitting.affine_loss.BLOCK", 400)
    parts = fitted("disalign:l2=0.1", rows_of())
    assert BLOCK > 240 * 4
    np.testing.assert_allclose(parts.curve[-1], whole.curve[-1], rtol=1e-9)


@pytest.mark.parametrize("spec", ["temperature", "bcts:l2=0", "vector:l2=0", "lws:l2=0", "class-temperature:l2=0"])
def test_rows_that_are_all_right_end_at_finite_numbers(spec: str) -> None:
    target = torch.arange(40) % 4
    logits = 3 * torch.eye(4)[target]
    columns = LogitColumns("softmax", "none", np.arange(4))
    found = fitted(spec, LabelledRows(columns, target, torch.zeros(40, dtype=torch.bool), logits, None))
    assert found.converged
    assert found.curve[-1] < 1e-5
    assert np.isfinite(affine_of(found).scale).all()


def test_a_result_that_is_not_finite_is_refused() -> None:
    rows = rows_of()
    huge = replace(rows, logits=torch.full((240, 4), 1e308, dtype=torch.float64) * torch.tensor([1.0, -1, 1, -1]))
    with pytest.raises(InputError, match=r"method vector:l2=0\.1: result: expected finite numbers, found an overflow"):
        fitted("vector:l2=0.1", huge)


def test_a_confidence_on_features_needs_features() -> None:
    with pytest.raises(UsageError, match=r"`features` .*, found none") as caught:
        fitted("disalign", replace(rows_of(), features=None))
    assert "confidence=logits or confidence=none" in caught.value.fix


@pytest.mark.parametrize("head", ["bags", "none"])
def test_only_softmax_and_sigmoid_heads_are_fitted(head: str) -> None:
    with pytest.raises(UsageError, match=f"head: expected softmax or sigmoid, found {head}"):
        fitted("temperature", rows_of(head=head))


def test_rows_without_logits_are_refused() -> None:
    with pytest.raises(UsageError, match="logits: expected "):
        fitted("temperature", replace(rows_of(), logits=None))


def test_no_rows_are_refused() -> None:
    with pytest.raises(UsageError, match="rows: expected at least one that counts, found none of 240"):
        fitted("temperature", rows_of(), np.zeros(240))


@pytest.mark.parametrize(("held_out", "counts"), [(False, "240 rows to fit on, 0"), (True, "0 rows to fit on, 240")])
def test_a_choice_needs_rows_of_both_parts(held_out: bool, counts: str) -> None:
    rows = replace(rows_of(), held_out=torch.full((240,), held_out))
    with pytest.raises(UsageError, match=f"found {counts} held out"):
        fitted("vector", rows)
    assert fitted("vector:l2=0.1", rows).converged


def test_progress_is_reported() -> None:
    told: list[tuple[str, float | None]] = []
    method = parse_fit_method("lws")
    assert isinstance(method, LogitsFit)
    fit_correction(method, rows_of(), np.ones(240), lambda task, share: told.append((task, share)))
    assert told[0] == ("choosing l2 of lws", 0.0)
    assert told[-1] == ("fitting lws", None)
