"""Each loss against a plain-loop twin from the code of its authors."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from frequency_tables import table
from losses_twins import (
    balanced_softmax,
    class_balanced_softmax,
    effective_number_weights,
    equalization,
    focal_sigmoid,
    focal_softmax,
    generalised_reweighting,
    group_softmax,
    iif,
    iif_gradient,
    iif_weight,
    ldam,
    logit_adjusted,
    softmax_equalization,
    weighted_cross_entropy,
)

from longtail_cli.choices import VARIANTS, BackgroundName, VariantName
from longtail_cli.losses import (
    BalancedSoftmaxLoss,
    ClassBalancedCrossEntropy,
    DisAlignLoss,
    EqualizationLoss,
    GroupSoftmaxLoss,
    IIFCrossEntropy,
    LDAMLoss,
    LogitAdjustedLoss,
    LongTailLoss,
    SoftmaxEqualizationLoss,
)
from longtail_cli.methods.prior import Reference

IMAGES = [900, 85, 3, 820, 1]
INSTANCES = [2500, 90, 5, 830, 2]
TABLE = table(IMAGES, INSTANCES, num_images=2000, ids=[3, 4, 7, 20, 21])
BACKGROUNDS: list[BackgroundName] = ["none", "first", "last"]

Batch = tuple[torch.Tensor, torch.Tensor, list[list[float]], list[int]]


def batch(loss: LongTailLoss, rows: int = 12) -> Batch:
    """Logits and targets, as tensors and as lists; every target occurs."""
    rng = np.random.default_rng(0)
    logits = 2 * rng.standard_normal((rows, loss.width))
    target = np.concatenate([np.arange(loss.targets), rng.integers(0, loss.targets, rows - loss.targets)])
    return torch.tensor(logits), torch.tensor(target), logits.tolist(), target.tolist()


def columns(values: list[float], background: BackgroundName, of_background: float) -> list[float]:
    """One value for each target."""
    return {"none": values, "first": [of_background, *values], "last": [*values, of_background]}[background]


def same(loss: LongTailLoss, logits: torch.Tensor, target: torch.Tensor, expected: float) -> None:
    assert loss(logits, target).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("background", BACKGROUNDS)
def test_iif(variant: VariantName, background: BackgroundName) -> None:
    loss = IIFCrossEntropy(TABLE, variant=variant, background=background)
    logits, target, rows, targets = batch(loss)
    weight = columns([iif_weight(variant, n, sum(IMAGES)) for n in IMAGES], background, 1.0)
    same(loss, logits, target, iif(rows, targets, weight))


@pytest.mark.parametrize(
    ("options", "counts", "total"),
    [({"count": "instance"}, INSTANCES, sum(INSTANCES)), ({"normalizer": "images"}, IMAGES, 2000)],
)
def test_iif_counts(options: dict[str, str], counts: list[int], total: int) -> None:
    loss = IIFCrossEntropy(TABLE, **options)  # type: ignore[arg-type]
    logits, target, rows, targets = batch(loss)
    same(loss, logits, target, iif(rows, targets, [iif_weight("raw", n, total) for n in counts]))


def test_iif_strength_and_scale() -> None:
    loss = IIFCrossEntropy(TABLE, strength=0.5, scale="mean", background="last")
    logits, target, rows, targets = batch(loss)
    raw = [iif_weight("raw", n, sum(IMAGES)) for n in IMAGES]
    weight = [math.sqrt(w / (math.fsum(raw) / len(raw))) for w in raw]
    same(loss, logits, target, iif(rows, targets, [*weight, 1.0]))


@pytest.mark.parametrize("variant", VARIANTS)
def test_iif_gradient_is_that_of_the_paper(variant: VariantName) -> None:
    loss = IIFCrossEntropy(TABLE, variant=variant, background="first", reduction="sum")
    logits, target, rows, targets = batch(loss)
    loss(logits.requires_grad_(), target).backward()
    weight = [1.0, *(iif_weight(variant, n, sum(IMAGES)) for n in IMAGES)]
    expected = [iif_gradient(row, y, weight) for row, y in zip(rows, targets, strict=True)]
    torch.testing.assert_close(logits.grad, torch.tensor(expected, dtype=torch.float64), rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize(
    ("reference", "divisor"),
    [("total", sum(IMAGES)), ("mean", math.prod(IMAGES) ** (1 / 5)), ("max", max(IMAGES)), ("one", 1)],
)
@pytest.mark.parametrize("background", BACKGROUNDS)
def test_logit_adjusted(reference: Reference, divisor: float, background: BackgroundName) -> None:
    loss = LogitAdjustedLoss(TABLE, tau=1.3, reference=reference, background=background)
    logits, target, rows, targets = batch(loss)
    factor = columns([n / divisor for n in IMAGES], background, 1.0)
    same(loss, logits, target, logit_adjusted(rows, targets, factor, 1.3))


def test_balanced_softmax() -> None:
    loss = BalancedSoftmaxLoss(TABLE)
    logits, target, rows, targets = batch(loss)
    same(loss, logits, target, balanced_softmax(rows, targets, IMAGES))
    same(BalancedSoftmaxLoss(TABLE, count="instance"), logits, target, balanced_softmax(rows, targets, INSTANCES))


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_ldam(background: BackgroundName) -> None:
    loss = LDAMLoss(TABLE, max_margin=0.4, scale=5.0, background=background)
    logits, target, rows, targets = batch(loss)
    counts = columns(list(map(float, IMAGES)), background, math.inf)
    same(loss, logits, target, ldam(rows, targets, counts, 0.4, 5.0, [1.0] * loss.targets))


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_ldam_with_deferred_reweighting(background: BackgroundName) -> None:
    loss = LDAMLoss(TABLE, scale=5.0, beta=0.999, reweight_from=2, background=background)
    logits, target, rows, targets = batch(loss)
    counts = columns(list(map(float, IMAGES)), background, math.inf)
    weight = columns(effective_number_weights(IMAGES, 0.999), background, 1.0)
    plain, weighted = (ldam(rows, targets, counts, 0.5, 5.0, one) for one in ([1.0] * loss.targets, weight))
    for epoch, expected in enumerate([plain, plain, weighted, weighted]):
        loss.set_epoch(epoch)
        same(loss, logits, target, expected)


@pytest.mark.parametrize("background", BACKGROUNDS)
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_class_balanced(background: BackgroundName, gamma: float) -> None:
    loss = ClassBalancedCrossEntropy(TABLE, beta=0.99, gamma=gamma, background=background, background_weight=0.7)
    logits, target, rows, targets = batch(loss)
    weight = columns(effective_number_weights(IMAGES, 0.99), background, 0.7)
    if gamma == 0:
        same(loss, logits, target, class_balanced_softmax(rows, targets, weight))
    same(loss, logits, target, focal_softmax(rows, targets, weight, gamma))


@pytest.mark.parametrize(("background", "index"), [("none", None), ("first", 0), ("last", 5)])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_class_balanced_sigmoid(background: BackgroundName, index: int | None, gamma: float) -> None:
    loss = ClassBalancedCrossEntropy(TABLE, beta=0.99, gamma=gamma, head="sigmoid", background=background)
    logits, target, rows, targets = batch(loss)
    weight = columns(effective_number_weights(IMAGES, 0.99), background, 1.0)
    same(loss, logits, target, focal_sigmoid(rows, targets, weight, gamma, index))


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_disalign(background: BackgroundName) -> None:
    loss = DisAlignLoss(TABLE, exponent=0.8, background=background, background_weight=0.3)
    logits, target, rows, targets = batch(loss)
    weight = columns(generalised_reweighting(IMAGES, 0.8), background, 0.3)
    same(loss, logits, target, weighted_cross_entropy(rows, targets, weight))


@pytest.mark.parametrize(("background", "index"), [("first", 0), ("last", 5)])
@pytest.mark.parametrize("lambda_", [0.0, 0.0015, 0.02, 1.0])
def test_equalization(background: BackgroundName, index: int, lambda_: float) -> None:
    loss = EqualizationLoss(TABLE, lambda_=lambda_, background=background)
    logits, target, rows, targets = batch(loss)
    same(loss, logits, target, equalization(rows, targets, [n / 2000 for n in IMAGES], lambda_, index))


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_softmax_equalization(background: BackgroundName) -> None:
    loss = SoftmaxEqualizationLoss(TABLE, lambda_=0.02, gamma=0.6, background=background)
    logits, target, rows, targets = batch(loss, rows=300)
    drawn = SoftmaxEqualizationLoss(TABLE, lambda_=0.02, gamma=0.6, background=background).draw(target)
    same(loss, logits, target, softmax_equalization(rows, targets, drawn.tolist()))

    shift = int(background == "first")
    background_target = {"none": None, "first": 0, "last": 5}[background]
    rare = (2 + shift, 4 + shift)  # 3 and 1 of 2,000 images
    allowed = torch.tensor([[j in rare and j != y and y != background_target for j in range(len(row))]
                            for row, y in zip(rows, targets, strict=True)])  # fmt: skip
    assert not (drawn & ~allowed).any()
    assert drawn[allowed].double().mean().item() == pytest.approx(0.6, abs=0.05)


@pytest.mark.parametrize("gamma", [0.0, 1.0])
def test_softmax_equalization_at_the_ends_of_gamma(gamma: float) -> None:
    loss = SoftmaxEqualizationLoss(TABLE, lambda_=0.02, gamma=gamma)
    drawn = loss.draw(torch.arange(5))
    assert drawn.tolist() == [[gamma == 1 and j in (2, 4) and j != y for j in range(5)] for y in range(5)]


def slices(background: BackgroundName) -> list[list[tuple[int, ...]]]:
    """The targets of each column: slices of instance counts 5 and 2 (< 10), 90 (< 100), 830 (< 1000) and 2500."""
    shift = int(background == "first")
    members = [[2, 4], [1], [3], [0]]
    every = [c + shift for c in range(5)]
    background_target = {"none": (), "first": (0,), "last": (5,)}[background]
    found = []
    for group in members:
        own = [c + shift for c in group]
        others = tuple(c for c in every if c not in own) + background_target
        found.append([others, *((c,) for c in own)])
    if background == "first":
        return [[(0,), tuple(every)], *found]
    return found if background == "none" else [*found, [tuple(every), (5,)]]


@pytest.mark.parametrize("background", BACKGROUNDS)
@pytest.mark.parametrize("beta", [0.0, 0.5, 8.0])
def test_group_softmax(background: BackgroundName, beta: float) -> None:
    loss = GroupSoftmaxLoss(TABLE, beta=beta, background=background)
    logits, target, rows, targets = batch(loss, rows=40)
    layout = slices(background)
    assert loss.width == sum(map(len, layout))
    selected = GroupSoftmaxLoss(TABLE, beta=beta, background=background).draw(target).T > 0
    same(loss, logits, target, group_softmax(rows, targets, layout, selected.tolist()))

    background_slice = {"none": None, "first": 0, "last": len(layout) - 1}[background]
    for index, columns_of_slice in enumerate(layout):
        others = torch.tensor([y in columns_of_slice[0] for y in targets])
        members = int((~others).sum())
        chosen = int((selected[index] & others).sum())
        if index == background_slice:
            assert selected[index].all()
        else:
            assert selected[index][~others].all()
            assert chosen == min(int(beta * members), len(targets) - members)


def test_a_slice_without_rows_of_its_classes_selects_none() -> None:
    loss = GroupSoftmaxLoss(TABLE, background="last")
    weight = loss.draw(torch.tensor([0, 0, 5, 5]))  # class 0 is in the fourth slice; 5 is the background
    assert weight.tolist() == [[0, 0, 0, 1, 1]] * 4


@pytest.mark.parametrize(
    "loss",
    [
        IIFCrossEntropy(TABLE, background="last"),
        BalancedSoftmaxLoss(TABLE, background="first"),
        LogitAdjustedLoss(TABLE, tau=0.7),
        LDAMLoss(TABLE, scale=3.0, reweight_from=0, background="first"),
        ClassBalancedCrossEntropy(TABLE, gamma=1.5),
        ClassBalancedCrossEntropy(TABLE, gamma=1.5, head="sigmoid", background="last"),
        DisAlignLoss(TABLE, background="first"),
        EqualizationLoss(TABLE, lambda_=0.02, background="last"),
        SoftmaxEqualizationLoss(TABLE, lambda_=0.02, background="first"),
        GroupSoftmaxLoss(TABLE, background="first"),
        GroupSoftmaxLoss(TABLE),
    ],
    ids=repr,
)
def test_gradients(loss: LongTailLoss) -> None:
    logits, target, _, _ = batch(loss, rows=7)
    target[0] = loss.ignore_index
    drawn = loss.draw(target)
    assert torch.autograd.gradcheck(lambda z: loss.row_losses(z, target, drawn), logits.requires_grad_())
