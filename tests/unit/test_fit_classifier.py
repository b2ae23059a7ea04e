"""Heads trained with full batches: the optimum, every loss, samplers as weights, and the penalty."""

import numpy as np
import pytest
import torch
from fitted_rows import COUNTS, rows_of, table_of
from sklearn.linear_model import LogisticRegression

from longtail_cli.errors import InputError, UsageError
from longtail_cli.fitting.head_losses import head_loss
from longtail_cli.fitting.heads import fit_head
from longtail_cli.fitting.linear_head import FeatureRows, LinearHead
from longtail_cli.fitting.linear_solver import LinearSolver, training_rows, unpack
from longtail_cli.fitting.methods import Classifier, parse_fit_method
from longtail_cli.fitting.samplers import repeats
from longtail_cli.fitting.strengths import STRENGTHS
from longtail_cli.methods.apply import Adjuster
from longtail_cli.methods.steps import Classify, SliceSoftmax
from longtail_cli.tables import LogitColumns

SOFTMAX_LOSSES = ("ce", "iif", "balanced-softmax", "logit-adjust", "ldam", "class-balanced", "disalign", "seql", "bags")
STRENGTH = {"ldam": 10}
"""The logits of LDAM are multiplied by 30, so its penalty is weak for the same number."""

BACKGROUNDS = ("none", "first", "last")


def quiet(task, share):
    pass


def fit(spec, rows, *, table=None, given=None, seed=0):
    return fit_head(parse_fit_method(spec), rows, table or table_of(), given, seed, quiet)


def head_of(fitted):
    step = fitted.steps[0]
    assert isinstance(step, Classify)
    return step


def scores_of(fitted, rows):
    """Softmax or sigmoid scores of the rows, as the commands compute them."""
    adjuster = Adjuster(fitted.steps, rows.columns, torch.device("cpu"), torch.float64)
    logits = adjuster(torch.zeros(len(rows), 1), rows.features)
    return torch.sigmoid(logits) if fitted.columns.head == "sigmoid" else torch.softmax(logits, dim=1)


@pytest.mark.parametrize(("l2", "sampler"), [(0.1, "random"), (0.02, "class-balanced")])
def test_the_optimum_is_that_of_scikit_learn(l2, sampler):
    rows = rows_of()
    loss = head_loss(Classifier(), rows.columns, None, 0)
    times = repeats(sampler, np.array(COUNTS), rows.columns, None)
    data = training_rows(FeatureRows(rows.features, torch.arange(len(rows))), rows.target, times, loss)
    solver = LinearSolver(data, loss, lambda: None)
    found = solver.fit(solver.start(), l2, tolerance=1e-8)
    assert found.converged
    head = unpack(found.point, 5, 6)
    weight = times[rows.target.numpy()]
    features = rows.features.double().numpy()
    theirs = LogisticRegression(C=1 / (l2 * weight.sum()), tol=1e-12, solver="newton-cholesky", max_iter=100)
    theirs.fit(features, rows.target.numpy(), sample_weight=weight)
    logits = features @ head.weight.T + head.bias
    ours = logits - logits.mean(axis=1, keepdims=True)
    expected = theirs.decision_function(features)
    assert np.abs(ours - expected + expected.mean(axis=1, keepdims=True)).max() < 1e-6


@pytest.mark.parametrize("background", BACKGROUNDS)
@pytest.mark.parametrize("loss", [*SOFTMAX_LOSSES, "eql"])
def test_every_loss_ends_where_its_gradient_is_0(loss, background):
    """The gradient by autograd of the loss as a module and the penalty, on all rows at once."""
    if (loss, background) == ("eql", "none"):
        pytest.skip("refused")
    rows, l2 = rows_of(background=background), STRENGTH.get(loss, 0.05)
    fitted = fit(f"classifier:loss={loss},norm=none,l2={l2}", rows)
    assert fitted.converged
    again = head_loss(Classifier(loss=loss, norm="none"), rows.columns, table_of(), 0)
    padding = 2 * (loss == "bags" and background == "none")
    weight, bias = (torch.tensor(values[padding:]) for values in (head_of(fitted).weight, head_of(fitted).bias))
    factor = torch.tensor(again.factor)
    weight, bias = (weight / factor[:, None]).requires_grad_(), (bias / factor).requires_grad_()
    value = again.module(rows.features.double() @ weight.T + bias, rows.target) + l2 / 2 * weight.square().sum()
    gradients = torch.autograd.grad(value, [weight, bias])
    assert max(float(gradient.abs().max()) for gradient in gradients) <= 1.0001e-4
    assert float(value.detach()) == pytest.approx(fitted.curve[-1], rel=1e-9)
    assert fitted.curve[-1] < fitted.curve[0]


@pytest.mark.parametrize("background", BACKGROUNDS)
@pytest.mark.parametrize("loss", [*SOFTMAX_LOSSES, "eql"])
def test_scores_of_the_classes_are_better_than_chance(loss, background):
    if (loss, background) == ("eql", "none"):
        pytest.skip("refused")
    rows = rows_of(background=background, distance=2.0)
    table = table_of(num_images=500)  # no class is rare for seql
    fitted = fit(f"classifier:loss={loss},norm=none,l2={STRENGTH.get(loss, 0.01)}", rows, table=table)
    scores = scores_of(fitted, rows)
    assert scores.shape[1] == len(fitted.columns) + (fitted.columns.background != "none")
    foreground = torch.full((len(rows),), True)
    target = rows.target - int(background == "first")
    if background != "none":
        foreground = (target >= 0) & (target < 5)
    right = scores[:, fitted.columns.classes].argmax(dim=1) == target
    assert right[foreground].double().mean() > 0.8


def test_columns_of_a_sigmoid_head():
    fitted = fit("classifier:loss=eql,l2=0.01", rows_of(background="last"))
    assert (fitted.columns.head, fitted.columns.background) == ("sigmoid", "none")
    assert head_of(fitted).weight.shape == (5, 6)


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_columns_of_slices(background):
    fitted = fit("classifier:loss=bags,l2=0.01", rows_of(background=background))
    classify, decode = fitted.steps
    assert isinstance(decode, SliceSoftmax)
    assert classify.columns.head == "bags"
    assert classify.columns.width == len(classify.weight)
    assert (fitted.columns.head, fitted.columns.background) == ("sigmoid", "none")


def test_the_score_of_the_foreground_is_1_without_a_background():
    fitted = fit("classifier:loss=bags,l2=0.01", rows_of())
    assert head_of(fitted).bias[:2].tolist() == [-30, 0]
    assert not head_of(fitted).weight[:2].any()


def test_cosine_heads_have_unit_weights_times_the_scale():
    fitted = fit("classifier:norm=cosine,logit_scale=8", rows_of())
    head = head_of(fitted)
    assert head.unit_length
    assert not head.bias.any()
    assert np.allclose(np.linalg.norm(head.weight, axis=1), 8)
    assert fitted.converged


def test_margins_are_those_of_cosines_unless_stated_otherwise():
    """The scale of LDAM is applied once."""
    plain, stated = (
        head_of(fit(f"classifier:loss=ldam{norm},logit_scale=8", rows_of())) for norm in ("", ",norm=cosine")
    )
    assert np.allclose(np.linalg.norm(plain.weight, axis=1), 8)
    assert plain.unit_length
    assert (plain.weight == stated.weight).all()
    assert not head_of(fit("classifier:loss=ldam,norm=none,l2=10", rows_of())).unit_length


@pytest.mark.parametrize(("loss", "rate"), [("eql", 1.76e-3), ("seql", 5e-3)])
def test_the_rate_of_rare_classes_is_that_of_the_loss(loss, rate):
    rows, table = rows_of(background="last"), table_of(num_images=5000)
    default = fit(f"classifier:loss={loss},l2=0.1", rows, table=table)
    stated = fit(f"classifier:loss={loss},l2=0.1,lambda_={rate}", rows, table=table)
    assert (head_of(default).weight == head_of(stated).weight).all()


def test_iif_heads_hold_the_weights_of_the_classes():
    """With equal counts the weights are ln C for all, and with a penalty divided by ln² C the optimum is the same."""
    rows, log = rows_of((20, 20, 20, 20)), np.log(4)
    table = table_of((20, 20, 20, 20))
    plain = fit(f"classifier:l2={0.01 / log**2}", rows, table=table)
    iif = fit("classifier:loss=iif,l2=0.01", rows, table=table)
    assert torch.allclose(scores_of(plain, rows), scores_of(iif, rows), atol=5e-3)


def test_the_strength_is_the_best_on_the_held_out_rows():
    rows = rows_of()
    fitted = fit("classifier", rows)
    assert tuple(one.value for one in fitted.tried) == STRENGTHS
    best = min(fitted.tried, key=lambda one: one.score)
    assert fitted.settings == {"l2": best.value}
    for one in fitted.tried:
        kept = rows.where(~rows.held_out)
        scores = scores_of(fit(f"classifier:l2={one.value}", kept), rows)[rows.held_out]
        target = rows.target[rows.held_out]
        own = -scores.log()[torch.arange(len(target)), target]
        means = [float(own[target == label].mean()) for label in target.unique()]
        assert one.score == pytest.approx(np.mean(means), abs=0.02)


def test_the_chosen_strength_is_fitted_on_all_rows():
    rows = rows_of()
    fitted = fit("classifier", rows)
    stated = fit(f"classifier:l2={fitted.settings['l2']}", rows)
    assert torch.allclose(scores_of(fitted, rows), scores_of(stated, rows), atol=2e-3)
    assert fitted.passes > stated.passes


def test_without_held_out_rows_the_strength_has_to_be_stated():
    rows = rows_of(held_out=torch.zeros(sum(COUNTS), dtype=torch.bool))
    for spec in ("classifier", "crt:solver=lbfgs"):
        with pytest.raises(UsageError, match=f"method {spec}: l2: expected a number, as there are no held-out rows"):
            fit(spec, rows)
    assert fit("classifier:l2=0.1", rows).converged


def test_a_given_head_is_where_the_search_starts():
    rows = rows_of()
    known = head_of(fit("classifier:l2=0.01", rows))
    given = LinearHead(known.weight, known.bias)
    again = fit("classifier:l2=0.01,start=given", rows, given=given)
    assert again.passes == 1
    assert (head_of(again).weight == known.weight).all()


def test_a_given_head_with_other_columns_is_refused():
    given = LinearHead(np.zeros((6, 6)), np.zeros(6))
    with pytest.raises(UsageError, match="expected 5 columns of a sigmoid head, for loss=eql, found 6 columns"):
        fit("classifier:loss=eql,start=given,l2=0.1", rows_of(background="last"), given=given)


@pytest.mark.parametrize("spec", ["classifier:start=given,l2=1", "tau-norm"])
def test_a_head_that_is_needed_and_not_known(spec):
    with pytest.raises(UsageError, match=r"head: expected the weights of the last layer, for .*, found none"):
        fit(spec, rows_of())


def test_separable_rows_without_a_penalty_have_no_minimum():
    fitted = fit("classifier:l2=0", rows_of(distance=20.0))
    assert not fitted.converged
    assert np.isfinite(head_of(fitted).weight).all()
    assert fit("classifier:l2=0.001", rows_of(distance=20.0)).converged


def test_rows_that_overlap_have_a_minimum_without_a_penalty():
    assert fit("classifier:l2=0", rows_of((60, 30), distance=0.2), table=table_of((60, 30))).converged


@pytest.mark.parametrize("loss", SOFTMAX_LOSSES)
def test_classes_without_rows_are_named_and_stay_finite(loss):
    rows = rows_of((60, 30, 0, 5, 0))
    fitted = fit(f"classifier:loss={loss},norm=none,l2={STRENGTH.get(loss, 0.01)}", rows)
    (note,) = fitted.notes
    assert note.rows.tolist() == [False, False, True, False, True]
    assert note.text.startswith("have no rows to learn from; ")
    assert np.isfinite(head_of(fitted).weight).all()
    if loss != "bags":
        assert not np.isin(scores_of(fitted, rows).argmax(dim=1).numpy(), [2, 4]).any()


def test_constant_features():
    """The head of features that say nothing gives the shares of the classes."""
    rows = rows_of(features=torch.full((sum(COUNTS), 6), 2.0))
    fitted = fit("classifier:l2=0.01", rows)
    assert fitted.converged
    assert np.allclose(scores_of(fitted, rows)[0].numpy(), np.array(COUNTS) / sum(COUNTS), atol=1e-3)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_features_that_are_not_finite(value):
    rows = rows_of()
    rows.features[17, 3] = value
    with pytest.raises(InputError, match="row 17 of the labelled rows: expected finite numbers, found NaN or infinity"):
        fit("ncm", rows)


def test_rows_without_features():
    with pytest.raises(UsageError, match="features: expected the input of the last layer of each row"):
        fit("classifier", rows_of(features=None))


@pytest.mark.parametrize("spec", ["classifier", "crt", "ncm"])
def test_features_without_numbers(spec):
    rows = rows_of(features=torch.zeros(sum(COUNTS), 0))
    with pytest.raises(InputError, match="features: expected at least one number for each row, found none"):
        fit(spec, rows)


def test_no_rows():
    rows = rows_of()
    with pytest.raises(InputError, match="expected at least one with a label, found none"):
        fit("ncm", rows.where(torch.zeros(len(rows), dtype=torch.bool)))


def test_losses_that_need_counts():
    with pytest.raises(UsageError, match="frequency table: expected one, for loss=ldam, found none"):
        fit_head(parse_fit_method("classifier:loss=ldam"), rows_of(), None, None, 0, quiet)
    assert fit_head(parse_fit_method("classifier:l2=1"), rows_of(), None, None, 0, quiet).converged


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_features_are_not_rounded_further(dtype):
    rows = rows_of()
    half = rows_of(features=rows.features.to(dtype))
    single = rows_of(features=half.features.float())
    spec = "classifier:l2=0.01"
    assert (head_of(fit(spec, half)).weight == head_of(fit(spec, single)).weight).all()


@pytest.mark.parametrize(
    "spec",
    ["classifier:loss=bags,l2=0.1", "classifier:norm=cosine,logit_scale=8", "crt", "classifier:loss=seql,l2=0.1"],
)
def test_equal_seeds_give_equal_bytes(spec):
    one, same, other = (fit(spec, rows_of(), table=table_of(num_images=100_000), seed=seed) for seed in (1, 1, 2))
    assert head_of(one).weight.tobytes() == head_of(same).weight.tobytes()
    assert one.curve == same.curve
    if "seql" not in spec:
        assert head_of(one).weight.tobytes() != head_of(other).weight.tobytes()


def test_rows_stay_as_they_are():
    rows = rows_of()
    before = rows.features.clone()
    for spec in ("classifier:l2=0.1", "classifier:norm=cosine,logit_scale=8", "ncm:features=cl2n", "crt"):
        fit(spec, rows)
    assert torch.equal(rows.features, before)


def test_progress_is_reported():
    calls = []
    method = parse_fit_method("classifier:l2=0.1")
    fitted = fit_head(method, rows_of(), None, None, 0, lambda task, share: calls.append((task, share)))
    assert calls == [("fitting the head", None)] * fitted.passes


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            "classifier:lr=0.1",
            "lr: expected the default, as loss=ce, solver=lbfgs, norm=none does not use it, found 0.1",
        ),
        ("classifier:solver=sgd,l2=0.1", "l2: expected the default"),
        (
            "classifier:norm=cosine,l2=5",
            "l2: expected the default, as loss=ce, solver=lbfgs, norm=cosine does not use it",
        ),
        ("classifier:max_margin=0.3", "max_margin: expected the default"),
        ("crt:l2=5", "l2: expected the default, as solver=sgd does not use it, found 5.0"),
        ("crt:solver=lbfgs,preset=crt-places-lt", "preset: expected the default, as solver=lbfgs does not use it"),
    ],
)
def test_parameters_that_are_not_used_are_refused(spec, message):
    with pytest.raises(UsageError, match=message):
        parse_fit_method(spec)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("classifier:solver=sgd,epochs=1.5", "epochs: expected a whole number from 1 to 1e.06, or auto, found 1.5"),
        ("classifier:solver=sgd,batch=700.7", "batch: expected a whole number from 1 to 1e.06, or auto, found 700.7"),
        ("platt:least=2.5", "least: expected a whole number from 1 to 1e.06, found 2.5"),
        ("platt:sizes=1.5", "sizes: expected a whole number from 1 to 16, found 1.5"),
        ("spline:bins=7.5", "bins: expected a whole number from 1 to 1000, found 7.5"),
    ],
)
def test_numbers_that_have_to_be_whole(spec, message):
    with pytest.raises(UsageError, match=message):
        parse_fit_method(spec)


def test_what_lists_the_parameters_of_a_fit():
    with pytest.raises(UsageError, match="Fix: `ltcal methods` with `fit=True` lists the parameters and their ranges"):
        parse_fit_method("vector:l2=-1")
    assert parse_fit_method("platt").spec == "platt"


def test_few_images_of_a_class_make_it_rare_for_eql():
    rates = table_of(num_images=10_000)
    rows = rows_of(background="last")
    spared = fit("classifier:loss=eql,l2=0.01,lambda_=0.001", rows, table=rates)
    plain = fit("classifier:loss=eql,l2=0.01,lambda_=0", rows, table=rates)
    rare = scores_of(spared, rows)[:, 3:].mean() - scores_of(plain, rows)[:, 3:].mean()
    assert rare > 0


def test_background_rows_of_a_sigmoid_head():
    """It has no column for them; heads that are learned from them have one, unless their loss has none."""
    softmax = rows_of(background="last")
    columns = LogitColumns("sigmoid", "none", softmax.columns.category_id)
    rows = rows_of(background="last", columns=columns)
    for spec in ("classifier:l2=0.1", "ncm", "classifier:loss=bags,l2=0.1", "classifier:loss=eql,l2=0.1"):
        found, expected = fit(spec, rows), fit(spec, softmax)
        assert found.columns.background == expected.columns.background
        assert (head_of(found).weight == head_of(expected).weight).all()
    given = LinearHead(head_of(found).weight, head_of(found).bias)
    assert fit("classifier:loss=eql,l2=0.1,start=given", rows, given=given).passes == 1
    assert len(fit("tau-norm", rows, given=given).tried) == 21
