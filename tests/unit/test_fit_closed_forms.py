"""Nearest class means and tau-normalised weights."""

import numpy as np
import pytest
import torch
from fitted_rows import rows_of
from sklearn.neighbors import NearestCentroid

from longtail_cli.errors import UsageError
from longtail_cli.fitting.closed_forms import TAUS
from longtail_cli.fitting.heads import fit_head
from longtail_cli.fitting.linear_head import LinearHead
from longtail_cli.fitting.methods import parse_fit_method
from longtail_cli.methods.apply import Adjuster

WEIGHT = np.random.default_rng(0).normal(size=(5, 6)) * np.array([8, 4, 2, 1, 0.5])[:, None]
GIVEN = LinearHead(WEIGHT, np.arange(5.0))


def fit(spec, rows, given=None):
    return fit_head(parse_fit_method(spec), rows, None, given, 0, lambda task, share: None)


def logits_of(fitted, rows):
    adjuster = Adjuster(fitted.steps, rows.columns, torch.device("cpu"), torch.float64)
    return adjuster(torch.zeros(len(rows), 1), rows.features).numpy()


def changed(rows, kind):
    features = rows.features.double().numpy()
    if kind == "cl2n":
        features = features - features.mean(axis=0)
    return features if kind == "raw" else features / np.linalg.norm(features, axis=1, keepdims=True)


@pytest.mark.parametrize("kind", ["raw", "l2n", "cl2n"])
def test_the_nearest_mean_is_that_of_scikit_learn(kind):
    rows = rows_of()
    features = changed(rows, kind)
    expected = NearestCentroid().fit(features, rows.target.numpy()).predict(features)
    logits = logits_of(fit(f"ncm:features={kind}", rows), rows)
    assert logits.argmax(axis=1).tolist() == expected.tolist()


@pytest.mark.parametrize("kind", ["raw", "l2n", "cl2n"])
def test_logits_are_half_the_squared_distances(kind):
    rows = rows_of()
    features = changed(rows, kind)
    means = np.stack([features[rows.target == label].mean(axis=0) for label in range(5)])
    distances = ((features[:, None] - means) ** 2).sum(axis=2)
    logits = logits_of(fit(f"ncm:features={kind}", rows), rows)
    difference = logits + distances / 2
    assert np.allclose(difference, difference[:, :1])


@pytest.mark.parametrize("kind", ["raw", "l2n", "cl2n"])
def test_logits_are_cosines(kind):
    rows = rows_of()
    features = changed(rows, kind)
    means = np.stack([features[rows.target == label].mean(axis=0) for label in range(5)])
    lengths = np.linalg.norm(features, axis=1)[:, None] * np.linalg.norm(means, axis=1)
    expected = features @ means.T / lengths
    assert np.allclose(logits_of(fit(f"ncm:features={kind},metric=cosine", rows), rows), expected, atol=1e-7)


@pytest.mark.parametrize("spec", ["ncm", "ncm:features=cl2n", "ncm:metric=cosine"])
def test_a_class_without_rows_is_never_the_nearest(spec):
    rows = rows_of((20, 0, 8))
    fitted = fit(spec, rows)
    logits = logits_of(fitted, rows)
    assert np.isfinite(logits).all()
    assert (logits[:, 1] < logits[:, [0, 2]].min(axis=1)).all()
    assert fitted.notes[0].rows.tolist() == [False, True, False]


def test_the_background_has_a_mean_too():
    rows = rows_of(background="first")
    fitted = fit("ncm", rows)
    assert (fitted.columns.head, fitted.columns.background) == ("softmax", "first")
    assert logits_of(fitted, rows).shape[1] == 6


@pytest.mark.parametrize("tau", [0.0, 0.7, 1.0])
def test_weights_are_divided_by_a_power_of_their_length(tau):
    fitted = fit(f"tau-norm:tau={tau}", rows_of(), GIVEN)
    expected = np.linalg.norm(WEIGHT, axis=1) ** (1 - tau)
    assert np.allclose(np.linalg.norm(fitted.steps[0].weight, axis=1), expected)
    assert not fitted.steps[0].bias.any()
    assert fitted.settings == {}


def test_the_tau_with_the_best_balanced_accuracy():
    rows = rows_of(distance=2.0)
    means = np.stack([rows.features[rows.target == label].mean(dim=0).numpy() for label in range(5)])
    given = LinearHead(means * np.array([8, 4, 2, 1, 0.5])[:, None], np.zeros(5))
    fitted = fit("tau-norm", rows, given)
    assert [one.value for one in fitted.tried] == TAUS.tolist()
    for one in fitted.tried[::4]:
        found = logits_of(fit(f"tau-norm:tau={one.value}", rows, given), rows).argmax(axis=1)
        target = rows.target.numpy()
        recalls = [(found[target == label] == label).mean() for label in range(5)]
        assert one.score == pytest.approx(np.mean(recalls))
    best = max(one.score for one in fitted.tried)
    assert fitted.settings == {"tau": min(one.value for one in fitted.tried if one.score == best)}
    assert best > fitted.tried[0].score


def test_weights_of_the_background_and_of_length_0_stay():
    weight = np.concatenate([np.full((1, 6), 3.0), WEIGHT])
    weight[2] = 0
    fitted = fit("tau-norm:tau=1", rows_of(background="first"), LinearHead(weight, np.zeros(6)))
    found = fitted.steps[0].weight
    assert (found[0] == 3).all()
    assert not found[2].any()
    assert np.allclose(np.linalg.norm(found[[1, 3, 4, 5]], axis=1), 1)


def test_slices_have_no_common_scale():
    rows = rows_of()
    columns = type(rows.columns)("bags", "first", rows.columns.category_id, ((10, 20), (30, 40, 50)))
    with pytest.raises(UsageError, match="expected softmax or sigmoid, found bags"):
        fit("tau-norm:tau=1", rows_of(columns=columns), GIVEN)
