"""Coefficients of methods that add, divide or change nothing, and of chains."""

import math

import numpy as np
import pytest
from frequency_tables import coefficients, table

from longtail_cli.errors import InputError
from longtail_cli.methods.base import Method
from longtail_cli.methods.prior import LabelDistributionAwareMargin, LogitAdjustment, NorCal
from longtail_cli.methods.registry import parse_method
from longtail_cli.methods.uniform import Temperature, Unchanged

TABLE = table([2, 30, 500], [3, 90, 2000])


def test_logit_adjustment_subtracts_tau_ln_p() -> None:
    affine = coefficients(LogitAdjustment(tau=1.5), TABLE)
    assert affine.scale.tolist() == [1, 1, 1]
    assert affine.shift == pytest.approx([-1.5 * math.log(n / 532) for n in (2, 30, 500)], rel=1e-14)


def test_norcal_divides_by_n_to_the_gamma() -> None:
    affine = coefficients(NorCal(gamma=0.6), TABLE)
    assert np.exp(affine.shift) == pytest.approx([n**-0.6 for n in (2, 30, 500)], rel=1e-14)


def test_ldam_subtracts_c_over_the_fourth_root_of_n() -> None:
    affine = coefficients(LabelDistributionAwareMargin(c=0.5), TABLE)
    assert affine.shift == pytest.approx([-0.5 / n**0.25 for n in (2, 30, 500)], rel=1e-14)


@pytest.mark.parametrize("spec", ["logit-adjust:1.0", "norcal:1.0", "ldam:1.0"])
def test_count_instance_uses_the_object_counts(spec: str) -> None:
    by_objects = coefficients(parse_method(f"{spec},count=instance"), TABLE)
    as_images = coefficients(parse_method(spec), table([3, 90, 2000]))
    assert by_objects.shift.tolist() == as_images.shift.tolist()


@pytest.mark.parametrize("spec", ["logit-adjust:1.0", "norcal:1.0", "ldam:1.0"])
def test_a_class_that_never_occurs_counts_as_the_rarest_that_does(spec: str) -> None:
    affine = coefficients(parse_method(spec), table([0, 30, 2]))
    assert affine.shift[0] == affine.shift[2]
    assert [note.rows.tolist() for note in affine.notes] == [[True, False, False]]


def test_smooth_counts_it_as_1_of_k_plus_1() -> None:
    counts = table([0, 30, 2])
    assert coefficients(LogitAdjustment(zero_count="smooth"), counts).shift[0] == pytest.approx(math.log(33))
    assert coefficients(NorCal(zero_count="smooth"), counts).shift[0] == 0
    assert coefficients(LabelDistributionAwareMargin(2.0, zero_count="smooth"), counts).shift[0] == -2


def test_error_refuses_it() -> None:
    with pytest.raises(InputError, match="category_id 1: expected a count above 0, found 0"):
        coefficients(NorCal(zero_count="error"), table([0, 30, 2]))


@pytest.mark.parametrize(
    "method", [Unchanged(), LogitAdjustment(tau=0), NorCal(gamma=0), LabelDistributionAwareMargin(0), Temperature(1)]
)
def test_the_identity_changes_nothing(method: Method) -> None:
    affine = coefficients(method, TABLE)
    assert affine.scale.tolist() == [1, 1, 1]
    assert affine.shift.tolist() == [0, 0, 0]


def test_temperature_divides_and_needs_no_counts() -> None:
    assert coefficients(Temperature(2.0), table([0, 0])).scale.tolist() == [0.5, 0.5]
    assert not Temperature(2.0).uses_counts
    assert not Unchanged().uses_counts


def test_chained_methods_are_applied_from_left_to_right() -> None:
    """(z / 2) - ln p, and (z - ln p) / 2."""
    log_p = np.log(np.array([2, 30, 500]) / 532)
    first_cooled = coefficients(parse_method("temperature:2+logit-adjust:1"), TABLE)
    then_cooled = coefficients(parse_method("logit-adjust:1+temperature:2"), TABLE)
    assert first_cooled.scale.tolist() == then_cooled.scale.tolist() == [0.5] * 3
    assert first_cooled.shift == pytest.approx(-log_p, rel=1e-15)
    assert then_cooled.shift == pytest.approx(-log_p / 2, rel=1e-15)


def test_a_chain_needs_counts_if_one_method_does_and_keeps_all_notes() -> None:
    assert parse_method("none+iif").uses_counts
    assert not parse_method("none+temperature:2").uses_counts
    assert len(coefficients(parse_method("iif+norcal"), table([0, 3, 5])).notes) == 2
