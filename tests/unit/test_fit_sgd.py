"""Heads trained by a schedule: samplers, learning rates, presets, and steps as torch takes them."""

import numpy as np
import pytest
import torch
from fitted_rows import COUNTS, rows_of, table_of

from longtail_cli.errors import InputError, UsageError
from longtail_cli.fitting.head_losses import head_loss
from longtail_cli.fitting.heads import fit_head
from longtail_cli.fitting.linear_head import FeatureRows, LinearHead
from longtail_cli.fitting.methods import Classifier, parse_fit_method
from longtail_cli.fitting.samplers import epoch, repeats
from longtail_cli.fitting.schedules import OWN, PRESETS, Schedule, schedule_of
from longtail_cli.fitting.sgd import train

COLUMNS = rows_of().columns
COUNT = np.array(COUNTS)


def head_of(spec, rows=None, given=None, seed=0):
    fitted = fit_head(parse_fit_method(spec), rows or rows_of(), table_of(), given, seed, lambda task, share: None)
    return fitted.steps[0], fitted


def test_all_rows_once():
    assert repeats("random", COUNT, COLUMNS, None).tolist() == [1] * 5


def test_classes_as_large_as_the_largest():
    assert (repeats("class-balanced", COUNT, COLUMNS, None) * COUNT).tolist() == pytest.approx([60] * 5)


def test_classes_in_proportion_to_the_root_of_their_rows():
    found = repeats("square-root", COUNT, COLUMNS, None) * COUNT
    assert found.sum() == pytest.approx(COUNT.sum())
    assert (found / np.sqrt(COUNT)).tolist() == pytest.approx([found[0] / np.sqrt(60)] * 5)


def test_repeat_factors():
    """The counts of the table over 100,000 images: rates 6e-4 to 3e-5, all below 1e-3; over 1,000 all are above."""
    found = repeats("rfs", COUNT, COLUMNS, table_of(num_images=100_000))
    assert found.tolist() == pytest.approx(np.sqrt(100 / COUNT).tolist())
    assert repeats("rfs", COUNT, COLUMNS, table_of(num_images=1000)).tolist() == [1] * 5


@pytest.mark.parametrize("table", [None, table_of(num_images=None)])
def test_repeat_factors_need_image_rates(table):
    with pytest.raises(UsageError, match="image rates: expected the number of images that were counted"):
        repeats("rfs", COUNT, COLUMNS, table)


@pytest.mark.parametrize("sampler", ["class-balanced", "square-root", "rfs"])
@pytest.mark.parametrize("background", ["first", "last"])
def test_the_background_keeps_its_share(sampler, background):
    count = np.insert(COUNT, 0 if background == "first" else 5, 330)
    columns = rows_of(background=background).columns
    found = repeats(sampler, count, columns, table_of(num_images=100_000)) * count
    foreground = found[columns.classes].sum()
    assert found.sum() - foreground == pytest.approx(3 * foreground)


def test_classes_without_rows_do_not_count():
    found = repeats("class-balanced", np.array([8, 0, 2]), rows_of((8, 0, 2)).columns, None)
    assert found.tolist() == [1, 1, 4]


def test_an_epoch_holds_rows_as_often_as_stated():
    times = torch.tensor([1.0, 2.25, 0.5, 0.0], dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    count = sum(torch.bincount(epoch(times, generator), minlength=4) for _ in range(2000)) / 2000
    assert count.tolist()[0] == 1
    assert count.tolist()[3] == 0
    assert count.tolist() == pytest.approx(times.tolist(), abs=0.04)


def test_epochs_are_in_random_order():
    generator = torch.Generator().manual_seed(0)
    times = torch.ones(50, dtype=torch.float64)
    one, other = epoch(times, generator).tolist(), epoch(times, generator).tolist()
    assert sorted(one) == sorted(other) == list(range(50))
    assert one != other


def test_rates_of_a_cosine():
    schedule = Schedule(4, 0.2, 0.9, 0, 1, "random", "new")
    assert [schedule.rate(number) for number in range(5)] == pytest.approx(
        [0.2, 0.1 * (1 + 0.5**0.5), 0.1, 0.1 * (1 - 0.5**0.5), 0]
    )


def test_rates_with_steps():
    rates = [PRESETS["bags-lvis"].schedule.rate(number) for number in range(12)]
    assert rates == pytest.approx([0.01] * 8 + [0.001] * 3 + [0.0001])


def test_rates_that_stay():
    schedule = PRESETS["iif-imagenet-lt"].schedule
    assert [schedule.rate(number) for number in range(schedule.epochs)] == [2e-5] * 5


@pytest.mark.parametrize(
    ("preset", "expected"),
    [
        ("iif-imagenet-lt", (5, 2e-5, 0.9, 1e-4, 256, "random", "given")),
        ("crt-imagenet-lt", (10, 0.2, 0.9, 5e-4, 512, "class-balanced", "new")),
        ("crt-inaturalist18", (30, 0.2, 0.9, 1e-4, 512, "class-balanced", "new")),
    ],
)
def test_a_preset_is_what_its_authors_state(preset, expected):
    method = Classifier(loss=PRESETS[preset].loss, solver="sgd", preset=preset)
    found = schedule_of(method)
    assert found == PRESETS[preset].schedule
    assert expected == (
        found.epochs, found.lr, found.momentum, found.weight_decay, found.batch, found.sampler, found.start,
    )  # fmt: skip


def test_stated_parameters_override_a_preset():
    spec = "classifier:solver=sgd,preset=crt-imagenet-lt,lr=0.1,batch=64,sampler=random,weight_decay=0"
    found = schedule_of(parse_fit_method(spec))
    assert (found.lr, found.batch, found.sampler, found.weight_decay) == (0.1, 64, "random", 0)
    assert (found.epochs, found.momentum, found.start) == (10, 0.9, "new")


def test_without_a_preset():
    assert schedule_of(Classifier(solver="sgd")) == OWN
    assert schedule_of(Classifier(solver="sgd", epochs=3.0)).epochs == 3


def test_a_preset_of_another_loss_is_refused():
    with pytest.raises(UsageError, match="loss: expected iif, which preset=iif-cifar is for, found ce"):
        schedule_of(Classifier(solver="sgd", preset="iif-cifar"))


def test_every_preset_can_be_chosen():
    for name, preset in PRESETS.items():
        assert schedule_of(Classifier(loss=preset.loss, solver="sgd", preset=name)) == preset.schedule


def test_steps_are_those_of_torch():
    rows = rows_of()
    loss = head_loss(Classifier(), rows.columns, None, 0)
    schedule = Schedule(3, 0.05, 0.9, 0.01, 16, "random", "given", "constant")
    start = LinearHead(np.random.default_rng(0).normal(size=(5, 6)), np.zeros(5))
    times = torch.ones(len(rows), dtype=torch.float64)
    features = FeatureRows(rows.features, torch.arange(len(rows)))
    found = train(features, rows.target, times, loss, schedule, start, cosine=None, seed=7, progress=lambda share: None)
    model = torch.nn.Linear(6, 5)
    model.load_state_dict({"weight": torch.tensor(start.weight), "bias": torch.tensor(start.bias)})
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=0.01)
    generator = torch.Generator().manual_seed(7)
    for _ in range(3):
        for batch in torch.split(epoch(times, generator), 16):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(rows.features[batch]), rows.target[batch]).backward()
            optimizer.step()
    assert np.allclose(found.head.weight, model.weight.detach().numpy(), atol=1e-6)
    assert np.allclose(found.head.bias, model.bias.detach().numpy(), atol=1e-6)
    assert found.rows == 3 * len(rows)


def test_the_loss_falls():
    _, fitted = head_of("classifier:solver=sgd,epochs=5,batch=16")
    assert len(fitted.curve) == 5
    assert fitted.curve[-1] < 0.7 * fitted.curve[0]
    assert (fitted.passes, fitted.converged) == (5, True)


def test_a_loss_that_grows_has_not_converged():
    """Features on a large scale, so that steps of lr=0.1 are too long."""
    assert head_of("classifier:solver=sgd")[1].converged
    fitted = head_of("classifier:solver=sgd", rows_of(features=rows_of().features * 1e6))[1]
    assert fitted.curve[-1] > fitted.curve[0]
    assert not fitted.converged


def test_a_small_rate_stays_near_the_given_head():
    given = LinearHead(np.random.default_rng(0).normal(size=(5, 6)), np.zeros(5))
    step, _ = head_of("classifier:solver=sgd,start=given,lr=1e-6,weight_decay=0", given=given)
    assert np.allclose(step.weight, given.weight, atol=1e-3)
    assert not np.allclose(step.weight, given.weight, atol=1e-9)


def test_cosine_heads_have_no_bias():
    step, _ = head_of("classifier:solver=sgd,norm=cosine,logit_scale=8,epochs=2,batch=16")
    assert step.unit_length
    assert not step.bias.any()
    assert np.allclose(np.linalg.norm(step.weight, axis=1), 8)


def test_retraining_draws_classes_evenly():
    _, fitted = head_of("crt:preset=crt-places-lt")
    assert len(fitted.curve) == 10
    assert fitted.passes == -(-10 * 5 * 60 // sum(COUNTS))


def test_retraining_with_full_batches_is_the_classifier_with_balanced_rows():
    ours, _ = head_of("crt:solver=lbfgs,l2=0.01")
    same, _ = head_of("classifier:sampler=class-balanced,l2=0.01")
    assert (ours.weight == same.weight).all()


def test_a_rate_that_is_far_too_large_is_reported():
    with pytest.raises(InputError, match="head: expected finite weights, found NaN or infinity"):
        head_of("classifier:solver=sgd,lr=1000,weight_decay=10,batch=4")
