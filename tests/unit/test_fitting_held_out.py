"""Held-out rows of another file choose settings and are never fitted on."""

import numpy as np
import pytest
import torch

from longtail_cli.fitting.corrections import fit_correction
from longtail_cli.fitting.heads import fit_head
from longtail_cli.fitting.linear_head import LinearHead
from longtail_cli.fitting.methods import parse_fit_method
from longtail_cli.fitting.rows import LabelledRows
from longtail_cli.tables import LogitColumns

COLUMNS = LogitColumns("softmax", "none", np.arange(3))
GIVEN = LinearHead(np.eye(3, 4), np.zeros(3))


def labelled(number: int, seed: int) -> LabelledRows:
    generator = torch.Generator().manual_seed(seed)
    target = torch.randint(0, 3, (number,), generator=generator)
    features = torch.randn(number, 4, generator=generator) + torch.nn.functional.one_hot(target, 4)
    return LabelledRows(COLUMNS, target, torch.arange(number) % 5 == 0, features[:, :3].clone(), features)


ROWS, OTHERS = labelled(200, 1), labelled(50, 2)
TOGETHER = ROWS.with_held_out(OTHERS)


def silent(task: str, share: float | None) -> None:
    pass


def head(spec: str, rows: LabelledRows) -> tuple[np.ndarray, dict[str, float]]:
    fitted = fit_head(parse_fit_method(spec), rows, None, GIVEN, 0, silent)
    return fitted.steps[0].weight, dict(fitted.settings)


@pytest.mark.parametrize("spec", ["classifier:l2=0.1", "classifier:norm=cosine", "classifier:solver=sgd", "ncm", "crt"])
def test_a_head_without_a_choice_is_fitted_on_the_other_rows_alone(spec: str) -> None:
    np.testing.assert_array_equal(head(spec, TOGETHER)[0], head(spec, ROWS)[0])


def test_the_strength_is_chosen_on_them_and_the_head_fitted_on_the_other_rows() -> None:
    weight, settings = head("classifier", TOGETHER)
    alone, _ = head(f"classifier:l2={settings['l2']}", ROWS)
    np.testing.assert_allclose(weight, alone, atol=0.02)  # two searches, each up to the tolerance of the gradient
    assert np.abs(weight - head(f"classifier:l2={settings['l2']}", OTHERS)[0]).max() > 0.1


def test_tau_is_chosen_on_them() -> None:
    assert head("tau-norm", TOGETHER)[1] == head("tau-norm", OTHERS)[1]


@pytest.mark.parametrize("spec", ["temperature", "vector", "bcts:l2=0.1"])
def test_a_correction_is_fitted_on_the_other_rows(spec: str) -> None:
    together = fit_correction(parse_fit_method(spec), TOGETHER, np.ones(250), silent)
    if "l2" in together.settings and ":" not in spec:
        spec = f"{spec}:l2={together.settings['l2']}"
    alone = fit_correction(parse_fit_method(spec), ROWS, np.ones(200), silent)
    np.testing.assert_allclose(together.steps[0].scale, alone.steps[0].scale, rtol=1e-4)


def test_all_rows_are_fitted_on_in_the_end_if_they_are_a_part_of_them() -> None:
    assert ROWS.last.all()
    assert (TOGETHER.last == (torch.arange(250) < 200)).all()
