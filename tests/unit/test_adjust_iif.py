"""IIF: what K is, how zero counts are replaced, and that every weight is finite."""

from statistics import NormalDist

import numpy as np
import pytest
from frequency_tables import table

from longtail_cli.choices import VARIANTS, ZERO_COUNT_POLICIES, VariantName, ZeroCountName
from longtail_cli.errors import InputError
from longtail_cli.methods.iif import IifWeights, InverseImageFrequency, iif_weights, normalizing_total

UNBOUNDED: tuple[VariantName, ...] = ("relative", "normit", "gombit")
"""Variants whose formula is -inf if p = 1."""


def noted(weights: IifWeights) -> dict[str, list[int]]:
    """The text of each note up to its first comma or semicolon, and its rows."""
    return {note.text.split(";")[0].split(",")[0]: np.flatnonzero(note.rows).tolist() for note in weights.notes}


def test_weights_multiply_and_add_nothing() -> None:
    affine = InverseImageFrequency().coefficients(table([1, 9, 90]))
    assert affine.scale == pytest.approx(np.log([100, 100 / 9, 100 / 90]), rel=1e-15)
    assert affine.shift.tolist() == [0, 0, 0]
    assert affine.notes == ()


def test_k_is_the_sum_of_the_counts_or_the_number_of_images() -> None:
    counts = table([1, 9, 90], [1, 30, 400], num_images=95)
    assert normalizing_total(counts, "image", "occurrences") == 100
    assert normalizing_total(counts, "image", "images") == 95
    assert normalizing_total(counts, "instance", "occurrences") == 431
    assert normalizing_total(counts, "instance", "images") == 431


def test_count_instance_uses_the_object_counts() -> None:
    counts = table([1, 1], [1, 3])
    assert InverseImageFrequency(count="instance").coefficients(counts).scale == pytest.approx(np.log([4, 4 / 3]))


def test_the_images_normalizer_needs_the_number_of_images() -> None:
    with pytest.raises(InputError, match="number of images: expected one, for normalizer=images, found none"):
        InverseImageFrequency(normalizer="images").coefficients(table([1, 9]))


@pytest.mark.parametrize("variant", [variant for variant in VARIANTS if variant != "smooth"])
def test_max_gives_a_class_that_never_occurs_the_largest_weight(variant: VariantName) -> None:
    weights = iif_weights(np.array([0, 2, 8]), 10.0, variant, "max")
    assert weights.value[0] == weights.value[1] == weights.value.max()
    assert noted(weights)["never occur"] == [0]


def test_smooth_counts_a_class_that_never_occurs_as_1_of_k_plus_1() -> None:
    of = {variant: iif_weights(np.array([0, 2, 8]), 10.0, variant, "smooth").value[0] for variant in VARIANTS}
    assert of["raw"] == pytest.approx(np.log(11 / 1))
    assert of["relative"] == pytest.approx(np.log((11 - 1) / 1))
    assert of["base2"] == pytest.approx(np.log2(11))
    assert of["base10"] == pytest.approx(np.log10(11))
    assert of["normit"] == pytest.approx(-NormalDist().inv_cdf(1 / 11))
    assert of["gombit"] == pytest.approx(-np.log(-np.log(1 - 1 / 11)))


@pytest.mark.parametrize("policy", ZERO_COUNT_POLICIES)
def test_the_smooth_variant_is_finite_for_classes_that_never_occur(policy: ZeroCountName) -> None:
    weights = iif_weights(np.array([0, 10]), 10.0, "smooth", policy)
    assert weights.value == pytest.approx([np.log(11) + 1, 1.0])
    assert noted(weights) == {"never occur": [0]}


def test_error_names_the_classes_that_never_occur() -> None:
    method = InverseImageFrequency(zero_count="error")
    with pytest.raises(InputError, match=r"2 problems\n  category_id 7: .*\n  category_id 9: ") as caught:
        method.coefficients(table([0, 3, 0], ids=[7, 8, 9]))
    assert "zero-count policy max or smooth" in str(caught.value)


def test_the_other_weights_do_not_depend_on_the_policy() -> None:
    of = [iif_weights(np.array([0, 2, 8]), 10.0, "raw", policy).value[1:].tolist() for policy in ("max", "smooth")]
    assert of[0] == of[1]


@pytest.mark.parametrize("variant", UNBOUNDED)
def test_a_class_in_every_image_gets_the_smallest_weight_of_the_others(variant: VariantName) -> None:
    weights = iif_weights(np.array([10, 2, 5]), 10.0, variant)
    assert weights.value[0] == weights.value[2] == weights.value.min()
    assert noted(weights)["have p = 1"] == [0]


@pytest.mark.parametrize("variant", UNBOUNDED)
def test_a_single_class_keeps_its_logits_if_the_formula_is_infinite(variant: VariantName) -> None:
    weights = iif_weights(np.array([10]), 10.0, variant)
    assert weights.value.tolist() == [1.0]
    assert noted(weights) == {"have p = 1": [0]}


@pytest.mark.parametrize("variant", ["raw", "base2", "base10"])
def test_a_single_class_otherwise_gets_weight_0_and_a_note(variant: VariantName) -> None:
    weights = iif_weights(np.array([10]), 10.0, variant)
    assert weights.value.tolist() == [0.0]
    assert noted(weights) == {"have weight 0: all their scores become equal": [0]}


@pytest.mark.parametrize(("variant", "negative"), [("relative", [1, 2]), ("normit", [1, 2]), ("gombit", [2])])
def test_negative_weights_are_named(variant: VariantName, negative: list[int]) -> None:
    weights = iif_weights(np.array([4, 6, 9]), 10.0, variant)  # gombit is negative above p = 1 - 1/e
    assert np.flatnonzero(weights.value < 0).tolist() == negative
    assert noted(weights) == {"have a negative weight": negative}


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_classes_give_no_weights(variant: VariantName) -> None:
    assert len(iif_weights(np.zeros(0, np.int64), 0.0, variant).value) == 0


@pytest.mark.parametrize("variant", VARIANTS)
def test_counts_that_are_all_0_are_refused(variant: VariantName) -> None:
    with pytest.raises(InputError, match="counts: expected at least one above 0, found none"):
        iif_weights(np.array([0, 0]), 0.0, variant)


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_class_can_be_in_more_images_than_there_are(variant: VariantName) -> None:
    with pytest.raises(InputError, match="category_id 5: expected a count of at most the total, 8, found 9"):
        iif_weights(np.array([9, 2]), 8.0, variant, ids=np.array([5, 6]))
