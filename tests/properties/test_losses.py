"""Identities and invariants of the losses, for any counts and logits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from frequency_tables import table
from hypothesis import given, settings
from hypothesis import strategies as st
from losses_cases import BACKGROUNDS, CASES, LOSSES, WITHOUT_CHANCE, batch

from longtail_cli.choices import BackgroundName
from longtail_cli.losses import BalancedSoftmaxLoss, GroupSoftmaxLoss, IIFCrossEntropy, LogitAdjustedLoss, LongTailLoss
from longtail_cli.methods.prior import REFERENCES, Reference
from longtail_cli.tables import FrequencyTable

seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=15)  # of each of many losses
backgrounds: st.SearchStrategy[BackgroundName] = st.sampled_from(BACKGROUNDS)


def counted(seed: int) -> FrequencyTable:
    """2 to 9 classes, none with more than half of the images."""
    rng = np.random.default_rng(seed)
    count = np.exp(rng.uniform(0, 8, rng.integers(2, 10))).astype(np.int64)
    count = np.append(count, count.max())
    return table(count.tolist(), (2 * count).tolist(), num_images=int(count.sum()))


def permuted(frequencies: FrequencyTable, order: np.ndarray) -> FrequencyTable:
    """The same counts for other classes."""
    return table(
        frequencies.image_count[order].tolist(), frequencies.instance_count[order].tolist(),
        num_images=frequencies.num_images,
    )  # fmt: skip


def class_columns(loss: LongTailLoss) -> torch.Tensor:
    """The column of each class, int64 [C]."""
    if isinstance(loss, GroupSoftmaxLoss):
        return loss.column
    return torch.arange(loss.classes) + (loss.background == "first" and loss.width > loss.classes)


@pytest.mark.parametrize(("name", "background"), CASES)
@few
@given(seed=seeds)
def test_permuting_the_classes_commutes(name: str, background: BackgroundName, seed: int) -> None:
    frequencies = counted(seed)
    order = np.random.default_rng(seed).permutation(len(frequencies))
    loss = WITHOUT_CHANCE[name](frequencies, background)
    other = WITHOUT_CHANCE[name](permuted(frequencies, order), background)
    logits, target = batch(loss, seed=seed)
    moved = logits.clone()
    moved[:, class_columns(other)] = logits[:, class_columns(loss)[order]]
    shift = int(background == "first")
    new_target = np.arange(loss.targets)
    new_target[order + shift] = np.arange(len(order)) + shift
    torch.testing.assert_close(
        other(moved, torch.tensor(new_target)[target]), loss(logits, target), rtol=1e-10, atol=1e-10
    )


@pytest.mark.parametrize("name", LOSSES)
@few
@given(seed=seeds)
def test_the_side_of_the_background_does_not_matter(name: str, seed: int) -> None:
    frequencies = counted(seed)
    first, last = (WITHOUT_CHANCE[name](frequencies, side) for side in ("first", "last"))
    logits, target = batch(first, seed=seed)
    if name == "bags":  # [background, foreground], slices; or slices, [foreground, background]
        moved = torch.cat([logits[:, 2:], logits[:, [1, 0]]], dim=1)
    else:
        moved = logits if first.width == first.classes else logits.roll(-1, dims=1)
    torch.testing.assert_close(last(moved, (target - 1) % first.targets), first(logits, target), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", ["balanced-softmax", "logit-adjusted", "disalign", "ldam-drw", "class-balanced"])
@few
@given(count=st.integers(1, 10**6), classes=st.integers(2, 9))
def test_with_uniform_counts_the_weights_are_1_and_the_shifts_equal(name: str, count: int, classes: int) -> None:
    loss = LOSSES[name]([count] * classes)
    for buffer in loss.buffers():
        torch.testing.assert_close(buffer, buffer[:1].expand(classes))
    if hasattr(loss, "class_weight"):
        torch.testing.assert_close(loss.class_weight, torch.ones(classes).double())


@pytest.mark.parametrize("name", ["balanced-softmax", "logit-adjusted", "disalign"])
@few
@given(count=st.integers(1, 10**6), seed=seeds)
def test_with_uniform_counts_it_is_cross_entropy(name: str, count: int, seed: int) -> None:
    loss = LOSSES[name]([count] * 5)
    logits, target = batch(loss, seed=seed)
    torch.testing.assert_close(loss(logits, target), torch.nn.functional.cross_entropy(logits, target))


@few
@given(count=st.integers(1, 10**6), seed=seeds)
def test_with_uniform_counts_iif_is_cross_entropy_at_a_temperature(count: int, seed: int) -> None:
    """Of 1 / ln C, as w = ln(K / n) = ln C; of 1 with the weights divided by their mean."""
    raw, scaled = IIFCrossEntropy([count] * 5), IIFCrossEntropy([count] * 5, scale="mean")
    logits, target = batch(raw, seed=seed)
    cross_entropy = torch.nn.functional.cross_entropy
    torch.testing.assert_close(raw(logits, target), cross_entropy(logits * np.log(5), target))
    torch.testing.assert_close(scaled(logits, target), cross_entropy(logits, target))


@given(seed=seeds, background=backgrounds, reference=st.sampled_from(REFERENCES))
def test_logit_adjustment_of_strength_1_is_balanced_softmax(
    seed: int, background: BackgroundName, reference: Reference
) -> None:
    options = {"background": background, "reference": reference}
    frequencies = counted(seed)
    adjusted = LogitAdjustedLoss(frequencies, tau=1.0, **options)  # type: ignore[arg-type]
    balanced = BalancedSoftmaxLoss(frequencies, **options)  # type: ignore[arg-type]
    logits, target = batch(adjusted, seed=seed)
    assert adjusted(logits, target) == balanced(logits, target)


@given(seed=seeds)
def test_without_a_background_the_reference_does_not_matter(seed: int) -> None:
    frequencies = counted(seed)
    losses = [LogitAdjustedLoss(frequencies, tau=0.8, reference=one) for one in REFERENCES]
    logits, target = batch(losses[0], seed=seed)
    for loss in losses[1:]:
        torch.testing.assert_close(loss(logits, target), losses[0](logits, target))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("logit-adjusted", {"tau": 0.0}),
        ("iif", {"strength": 0.0}),
        ("disalign", {"exponent": 0.0, "background_weight": 1.0}),
        ("class-balanced", {"beta": 0.0, "gamma": 0.0}),
        ("seql", {"gamma": 0.0}),
        ("ldam", {"max_margin": 0.0, "scale": 1.0}),
    ],
)
@few
@given(seed=seeds, background=backgrounds)
def test_with_strength_0_it_is_cross_entropy(
    name: str, options: dict[str, float], seed: int, background: BackgroundName
) -> None:
    kind = type(LOSSES[name]([1, 1]))
    loss = kind(counted(seed), background=background, **options)
    logits, target = batch(loss, seed=seed)
    torch.testing.assert_close(loss(logits, target), torch.nn.functional.cross_entropy(logits, target))
