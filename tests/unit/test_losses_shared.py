"""What all losses share: reduction, weights, rows that are ignored, types, devices and errors."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from frequency_tables import table
from losses_cases import BACKGROUNDS, CASES, LOSSES, WITHOUT_CHANCE, batch

import longtail_cli
from longtail_cli.choices import BackgroundName
from longtail_cli.errors import InputError, LtcalWarning, UsageError
from longtail_cli.losses import (
    BalancedSoftmaxLoss,
    ClassBalancedCrossEntropy,
    EqualizationLoss,
    GroupSoftmaxLoss,
    IIFCrossEntropy,
    LDAMLoss,
    SoftmaxEqualizationLoss,
)
from longtail_cli.losses.base import without_warnings
from longtail_cli.methods.apply import Adjuster, activated
from longtail_cli.methods.bags import slice_softmax

TABLE = table([900, 85, 3, 820, 1], [2500, 90, 5, 830, 2], num_images=2000, ids=[3, 4, 7, 20, 21])
every_loss = pytest.mark.parametrize(("name", "background"), CASES)


@every_loss
def test_reductions(name: str, background: BackgroundName) -> None:
    each, total, mean = (LOSSES[name](TABLE, background, reduction=one) for one in ("none", "sum", "mean"))
    logits, target = batch(each)
    losses = each(logits, target)
    assert losses.shape == (20,)
    assert (losses >= 0).all()
    torch.testing.assert_close(total(logits, target), losses.sum())
    weight = each.class_weight[target] if name in ("ldam-drw", "disalign") else torch.ones(20)  # as their authors do
    torch.testing.assert_close(mean(logits, target), losses.sum() / weight.sum())


@every_loss
def test_a_sample_weight_counts_a_row_so_often(name: str, background: BackgroundName) -> None:
    weighted, repeated = (WITHOUT_CHANCE[name](TABLE, background) for _ in range(2))
    logits, target = batch(weighted)
    times = torch.arange(20) % 3
    expected = repeated.row_losses(logits, target, repeated.draw(target)).repeat_interleave(times)
    counted = repeated.mean_weight(target).double().repeat_interleave(times)
    torch.testing.assert_close(weighted(logits, target, times), expected.sum() / counted.sum())


@every_loss
def test_ignored_rows_are_as_if_they_were_not_there(name: str, background: BackgroundName) -> None:
    loss, each = (WITHOUT_CHANCE[name](TABLE, background, reduction=one) for one in ("mean", "none"))
    logits, target = batch(loss)
    ignored = torch.arange(20) % 4 == 1
    some = target.where(~ignored, -100)
    logits.requires_grad_()
    torch.testing.assert_close(loss(logits, some), loss(logits[~ignored], target[~ignored]))
    assert (each(logits, some)[ignored] == 0).all()
    (gradient,) = torch.autograd.grad(loss(logits, some), logits)
    assert (gradient[ignored] == 0).all()
    assert (gradient[~ignored] != 0).any(dim=1).all()


@every_loss
def test_another_ignore_index(name: str, background: BackgroundName) -> None:
    usual, other = WITHOUT_CHANCE[name](TABLE, background), WITHOUT_CHANCE[name](TABLE, background, ignore_index=1)
    logits, target = batch(usual)
    torch.testing.assert_close(other(logits, target), usual(logits, target.where(target != 1, -100)))


@every_loss
@pytest.mark.parametrize("rows", ["none", "ignored", "of weight 0"])
def test_the_mean_over_nothing_is_0(name: str, background: BackgroundName, rows: str) -> None:
    loss = LOSSES[name](TABLE, background)
    logits, target = batch(loss, 0 if rows == "none" else 3)
    weight = torch.zeros(3) if rows == "of weight 0" else None
    mean = loss(logits.requires_grad_(), target.fill_(-100) if rows == "ignored" else target, weight)
    mean.backward()
    assert mean.item() == 0
    assert logits.grad is not None
    assert (logits.grad == 0).all()


@every_loss
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_halves_are_computed_in_float32(name: str, background: BackgroundName, dtype: torch.dtype) -> None:
    loss, again = (LOSSES[name](TABLE, background) for _ in range(2))
    logits, target = batch(loss)
    halves = logits.to(dtype).requires_grad_()
    value = loss(halves, target)
    assert value.dtype == torch.float32
    assert value == again(halves.float(), target)
    value.backward()
    assert halves.grad is not None
    assert halves.grad.dtype == dtype


@every_loss
def test_autocast(name: str, background: BackgroundName) -> None:
    """The logits are bfloat16; the loss is that of float32 outside autocast."""
    inside, outside = (LOSSES[name](TABLE, background) for _ in range(2))
    _, target = batch(inside)
    torch.manual_seed(0)
    layer, features = torch.nn.Linear(8, inside.width), torch.randn(20, 8)
    with torch.autocast("cpu", torch.bfloat16):
        logits = layer(features)
        value = inside(logits, target)
    assert (logits.dtype, value.dtype) == (torch.bfloat16, torch.float32)
    assert value == outside(logits.float(), target)


@every_loss
def test_float64_stays(name: str, background: BackgroundName) -> None:
    loss = LOSSES[name](TABLE, background)
    logits, target = batch(loss)
    with torch.autocast("cpu", torch.bfloat16):
        assert loss(logits, target).dtype == torch.float64


@every_loss
def test_logits_of_any_size_give_finite_losses_and_gradients(name: str, background: BackgroundName) -> None:
    loss = LOSSES[name](TABLE, background)
    logits, target = batch(loss)
    large = (logits * 1e4).float().requires_grad_()
    value = loss(large, target)
    value.backward()
    assert value.isfinite()
    assert large.grad is not None
    assert large.grad.isfinite().all()


@every_loss
def test_arguments_do_not_change(name: str, background: BackgroundName) -> None:
    loss = LOSSES[name](TABLE, background)
    logits, target = batch(loss)
    weight = torch.rand(20)
    before = [one.clone() for one in (logits, target, weight)]
    loss(logits, target, weight)
    assert all(torch.equal(one, other) for one, other in zip((logits, target, weight), before, strict=True))


@every_loss
def test_rows_can_be_taken_in_parts(name: str, background: BackgroundName) -> None:
    loss = LOSSES[name](TABLE, background)
    logits, target = batch(loss)
    drawn = loss.draw(target)
    whole = loss.row_losses(logits, target, drawn)
    parts = [loss.row_losses(logits[part], target[part], None if drawn is None else drawn[part])
             for part in (slice(0, 7), slice(7, 20))]  # fmt: skip
    torch.testing.assert_close(torch.cat(parts), whole, rtol=1e-14, atol=0)


@every_loss
def test_checkpoints_do_not_depend_on_the_loss(name: str, background: BackgroundName) -> None:
    loss = LOSSES[name](TABLE, background)
    assert loss.state_dict() == {}
    loss.load_state_dict({})


@every_loss
def test_copies_continue_with_the_same_draws(name: str, background: BackgroundName) -> None:
    loss = LOSSES[name](TABLE, background)
    logits, target = batch(loss)
    loss(logits, target)
    copies = [copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))]
    expected = loss(logits, target)
    assert [one(logits, target) == expected for one in copies] == [True, True]


@every_loss
def test_in_single_precision(name: str, background: BackgroundName) -> None:
    """For devices without float64."""
    double, single = LOSSES[name](TABLE, background), LOSSES[name](TABLE, background).float()
    logits, target = batch(double)
    torch.testing.assert_close(single(logits.float(), target), double(logits, target).float())
    assert {one.dtype for one in single.buffers()} <= {torch.float32, torch.int64, torch.bool}


@every_loss
def test_all_constants_move_with_the_loss(name: str, background: BackgroundName) -> None:
    """On the meta device, which refuses tensors of another one."""
    loss = LOSSES[name](TABLE, background)
    logits, target = batch(loss)
    drawn = loss.draw(target)
    there = loss.to("meta")
    rows = there.row_losses(logits.to("meta"), target.to("meta"), None if drawn is None else drawn.to("meta"))
    assert (rows.shape, rows.device.type) == ((20,), "meta")
    assert there.decode(logits.to("meta")).shape == (20, 5)
    assert there.mean_weight(target.to("meta")).device.type == "meta"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu() -> None:
    for name, background in CASES:
        here, there = LOSSES[name](TABLE, background), LOSSES[name](TABLE, background).to("cuda")
        logits, target = batch(here)
        value = there(logits.cuda(), target.cuda())
        torch.testing.assert_close(value.cpu(), here(logits, target), msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("name", ["seql", "bags"])
def test_draws_follow_the_seed(name: str) -> None:
    first, again, other = (LOSSES[name](TABLE, seed=seed) for seed in (5, 5, 6))
    _, target = batch(first, 200)
    drawn = [first.draw(target) for _ in range(2)]
    assert all(torch.equal(one, again.draw(target)) for one in drawn)
    assert not torch.equal(*drawn)
    assert not torch.equal(drawn[0], other.draw(target))


@every_loss
def test_columns(name: str, background: BackgroundName) -> None:
    loss = LOSSES[name](TABLE, background)
    columns = loss.columns(TABLE.category_id)
    sigmoid = name in ("eql", "class-balanced-sigmoid")
    assert columns.head == ("bags" if name == "bags" else "sigmoid" if sigmoid else "softmax")
    assert columns.background == ("none" if sigmoid else background)
    if (name, background) == ("bags", "none"):
        assert columns.width == loss.width + 2  # with the constant columns of background and foreground
    else:
        assert columns.width == loss.width


@every_loss
def test_scores(name: str, background: BackgroundName) -> None:
    """Of the classes alone, one for each; the sigmoid or softmax of the logits as the authors use them in testing."""
    loss = LOSSES[name](TABLE, background)
    logits, _ = batch(loss)
    scores = loss.decode(logits)
    assert scores.shape == (20, 5)
    assert ((scores >= 0) & (scores <= 1)).all()
    assert loss.decode(logits.half()).dtype == torch.float32
    factor = {"iif": loss.weight if name == "iif" else None, "ldam": 4.0, "ldam-drw": 4.0}.get(name, 1.0)
    classes = slice(1, 6) if background == "first" else slice(0, 5)
    if name in ("eql", "class-balanced-sigmoid"):
        torch.testing.assert_close(scores, torch.sigmoid(logits))
    elif name != "bags":
        torch.testing.assert_close(scores, torch.softmax(logits * factor, dim=1)[:, classes])


def test_the_loss_of_iif_is_that_of_its_scores() -> None:
    loss = IIFCrossEntropy(TABLE, reduction="none")
    logits, target = batch(loss)
    torch.testing.assert_close(loss(logits, target), -loss.decode(logits).gather(1, target[:, None])[:, 0].log())


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_decoded_scores_are_those_of_the_method_bags(background: BackgroundName) -> None:
    loss = GroupSoftmaxLoss(TABLE, background=background)
    logits, _ = batch(loss)
    scores = loss.decode(logits)
    if background == "none":
        constant = torch.tensor([-1000.0, 0.0]).double().expand(20, 2)
        logits = torch.cat([constant, logits], dim=1)
    columns = loss.columns(TABLE.category_id)
    adjuster = Adjuster([slice_softmax(columns)], columns, torch.device("cpu"), torch.float64)
    torch.testing.assert_close(scores, activated(adjuster(logits), adjuster.columns), rtol=1e-12, atol=1e-15)


def test_scores_without_background_sum_to_1_in_each_slice_with_its_others() -> None:
    loss = GroupSoftmaxLoss([5, 5, 50])
    scores = loss.decode(torch.zeros(1, loss.width, dtype=torch.float16))
    assert scores.dtype == torch.float32
    torch.testing.assert_close(scores, torch.tensor([[1 / 3, 1 / 3, 1 / 2]]))


def test_plain_counts_are_a_table() -> None:
    counts = [900, 85, 3, 820, 1]
    logits, target = batch(BalancedSoftmaxLoss(TABLE))
    expected = BalancedSoftmaxLoss(TABLE)(logits, target)
    for given in (counts, np.array(counts), np.array(counts, np.float32), torch.tensor(counts)):
        assert BalancedSoftmaxLoss(given)(logits, target) == expected


@pytest.mark.parametrize(
    "name",
    ["balanced-softmax", "logit-adjusted", "ldam", "ldam-drw", "class-balanced", "class-balanced-sigmoid", "disalign"],
)
def test_a_class_that_never_occurs_counts_as_the_rarest(name: str) -> None:
    with pytest.warns(LtcalWarning, match=r"1 of 3 classes never occur; counted as the rarest class .* n = 4"):
        loss = LOSSES[name]([50, 0, 4])
    logits, target = batch(loss)
    if name == "logit-adjusted":  # Σ n stays what it is
        assert loss.shift[1] == loss.shift[2]
    else:
        assert loss(logits, target) == LOSSES[name]([50, 4, 4])(logits, target)


def test_a_loss_that_is_built_without_warnings_has_its_notes() -> None:
    with without_warnings():
        (note,) = BalancedSoftmaxLoss([900, 0, 4]).notes
    assert note.rows.tolist() == [False, True, False]
    with pytest.warns(LtcalWarning, match="never occur"):
        BalancedSoftmaxLoss([900, 0, 4])


def test_iif_follows_the_zero_count_policy() -> None:
    with pytest.warns(LtcalWarning, match="never occur"):
        weight = IIFCrossEntropy([50, 0, 4, 46], zero_count="smooth").weight
    assert weight[1].item() == pytest.approx(np.log(101))
    with pytest.raises(InputError, match=r"category_id 1: expected a count above 0, found 0"):
        IIFCrossEntropy([50, 0, 4, 46], zero_count="error")


@pytest.mark.parametrize("name", ["eql", "seql", "bags"])
def test_losses_that_need_no_policy_for_zeros(name: str) -> None:
    loss = LOSSES[name](table([50, 0, 4], num_images=60), "last")
    assert loss(*batch(loss)).isfinite()


def test_the_package_is_imported_when_it_is_used() -> None:
    assert longtail_cli.losses.BalancedSoftmaxLoss is BalancedSoftmaxLoss


@pytest.mark.parametrize(
    ("frequencies", "message"),
    [
        ([], "classes: expected at least one, found none"),
        ([0, 0], "counts: expected at least one above 0, found none"),
        ([3, -1], "class 1: expected a whole number >= 0, found -1"),
        ([3, 1.5], "class 1: expected a whole number >= 0, found 1.5"),
        ([3.0, float("nan")], "class 1: expected a whole number >= 0, found nan"),
        ([[3, 4]], r"expected whole numbers >= 0, \[C\], found an array of shape \[1, 2\]"),
        (["a", "b"], r"found an array of shape \[2\] and type <U1"),
    ],
)
def test_counts_that_cannot_be_used(frequencies: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        BalancedSoftmaxLoss(frequencies)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("iif", {"background": "middle"}, "`background=`: value: expected one of none, first, last"),
        ("iif", {"reduction": "avg"}, "`reduction=`: value: expected one of none, sum, mean"),
        ("iif", {"strength": -1}, "method iif: strength"),
        ("logit-adjusted", {"zero_count": "drop"}, "method logit-adjust: zero_count"),
    ],
)
def test_options_that_cannot_be_used(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        LOSSES[name](TABLE, **options)


@pytest.mark.parametrize(
    ("loss", "options", "message"),
    [
        (LDAMLoss, {"max_margin": -0.1}, "LDAMLoss: `max_margin`: expected a number >= 0, found -0.1"),
        (LDAMLoss, {"scale": 0.0}, "LDAMLoss: `scale`: expected a number > 0, found 0.0"),
        (LDAMLoss, {"beta": 1.0}, "LDAMLoss: `beta`: expected a number >= 0 and < 1, found 1.0"),
        (ClassBalancedCrossEntropy, {"gamma": float("inf")}, "`gamma`: expected a number >= 0, found inf"),
        (ClassBalancedCrossEntropy, {"head": "bags"}, "`head=`: value: expected one of softmax, sigmoid"),
        (SoftmaxEqualizationLoss, {"gamma": 1.5}, "`gamma`: expected a number from 0 to 1, found 1.5"),
        (SoftmaxEqualizationLoss, {"lambda_": float("nan")}, "`lambda_`: expected a number from 0 to 1, found nan"),
        (GroupSoftmaxLoss, {"beta": -1.0}, "`beta`: expected a number >= 0, found -1.0"),
    ],
)
def test_numbers_out_of_range(loss: type, options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        loss(TABLE, **options)


def test_equalization_needs_background_rows() -> None:
    with pytest.raises(UsageError, match="negatives from background rows alone and diverge without"):
        EqualizationLoss(TABLE, background="none")


def test_equalization_needs_the_number_of_images() -> None:
    with pytest.raises(InputError, match=r"number of images: expected one, .* found none"):
        EqualizationLoss(table([5, 6]), background="last")


@pytest.mark.parametrize(
    ("logits", "target", "weight", "message"),
    [
        (torch.zeros(2, 5), torch.zeros(2).long(), None,
         r"logits: expected floating-point numbers \[N, 6\], for 5 classes and background=last, found .* \[2, 5\]"),
        (torch.zeros(2, 6).long(), torch.zeros(2).long(), None, r"logits: .* found int64 \[2, 6\]"),
        (torch.zeros(6), torch.zeros(2).long(), None, r"logits: .* found float32 \[6\]"),
        (torch.zeros(2, 6), torch.zeros(3).long(), None, r"target: expected int64 \[2\], .* found int64 \[3\]"),
        (torch.zeros(2, 6), torch.zeros(2, 6), None, r"target: expected int64 \[2\], .* found float32 \[2, 6\]"),
        (torch.zeros(2, 6), torch.zeros(2).int(), None, r"target: expected int64 \[2\], .* found int32 \[2\]"),
        (torch.zeros(2, 6), torch.tensor([0, 6]), None, "target of row 1: expected 0 to 5, or -100 .*, found 6"),
        (torch.zeros(2, 6), torch.tensor([0, -1]), None, "target of row 1: expected 0 to 5, or -100 .*, found -1"),
        (torch.zeros(2, 6), torch.zeros(2).long(), torch.ones(3), r"sample_weight: expected \[2\], .* found float32"),
    ],
)  # fmt: skip
def test_batches_that_do_not_fit(
    logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None, message: str
) -> None:
    with pytest.raises(UsageError, match="BalancedSoftmaxLoss: " + message):
        BalancedSoftmaxLoss(TABLE, background="last")(logits, target, weight)
