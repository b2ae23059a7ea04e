"""Every method on full logits against its plain-loop twin: 1e-12 in float64, 1e-6 in float32."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import adjust_twins as twins
import numpy as np
import pytest
import torch
from adjust_twins import classes_of, coupled, sigmoid
from frequency_tables import NoData, table

from longtail_cli.choices import COUNTS, NORMALIZERS, VARIANTS, BackgroundName, HeadName
from longtail_cli.errors import InputError, UsageError
from longtail_cli.methods.apply import Adjuster, activated
from longtail_cli.methods.bags import slice_softmax, slices_by_count
from longtail_cli.methods.base import MethodContext
from longtail_cli.methods.registry import parse_method
from longtail_cli.tables import Floats, FrequencyTable, LogitColumns, Singles

IDS = [31, 4, 77, 12, 5]  # the order of the columns, which is not that of the table
IMAGES = {4: 3, 5: 40, 12: 9, 31: 200, 77: 1}
OBJECTS = {4: 5, 5: 41, 12: 300, 31: 4000, 77: 2}
PHI = {4: 1.0, 5: 1.3, 12: 1.9, 31: 1.7, 77: 1.0}
TABLE = replace(
    table([IMAGES[i] for i in sorted(IDS)], [OBJECTS[i] for i in sorted(IDS)], num_images=500, ids=sorted(IDS)),
    fractal_dimension=np.array([PHI[i] for i in sorted(IDS)]),
)
N, OBJ = [IMAGES[i] for i in IDS], [OBJECTS[i] for i in IDS]
RNG = np.random.default_rng(3)
BACKGROUND_COLUMN: dict[BackgroundName, int | None] = {"none": None, "first": 0, "last": len(IDS)}

Twin = Callable[[list[float], int | None], list[float]]


@dataclass(frozen=True)
class LastLayer:
    """What a file may contain besides the logits: weights [K, D] and features [N, D]."""

    weight: Singles | None = None
    features: torch.Tensor | None = None


class Files(NoData):
    """Saved parameters and a target table."""

    def learned(self, path: str, columns: LogitColumns) -> Mapping[str, Floats]:
        alpha = np.array([0.5, 2.0, 1.0, -0.25, 3.0])
        if path == "whole":  # including the background's, which is last
            return {"alpha": np.append(alpha, 0.7), "beta": np.append(alpha - 1, 0.3)}
        return {"alpha": alpha} if path == "scale" else {"alpha": alpha, "beta": alpha - 1}

    def prior(self, path: str) -> FrequencyTable:
        return table([TARGET[i] for i in sorted(IDS)], ids=sorted(IDS))


def scores_of(
    spec: str,
    head: HeadName,
    background: BackgroundName,
    logits: Floats,
    dtype: torch.dtype,
    layer: LastLayer = LastLayer(),
) -> Floats:
    """The scores [N, C] after the method `spec`, in column order."""
    columns = LogitColumns(head, background, np.array(IDS))
    context = MethodContext(columns, TABLE, layer.weight, Files())
    adjustment = parse_method(spec).adjustment(context)
    adjuster = Adjuster(adjustment.steps, columns, torch.device("cpu"), dtype)
    given = torch.tensor(logits, dtype=dtype)
    before = given.clone()
    adjusted = adjuster(given, layer.features)
    assert torch.equal(given, before)
    assert (adjuster.columns.head, adjuster.columns.width) == (adjustment.columns.head, adjustment.columns.width)
    scores = activated(adjusted, adjuster.columns)[:, adjuster.columns.classes]
    return scores.double().numpy()


def logits_for(background: BackgroundName, rows: int = 20) -> Floats:
    return RNG.normal(0, 4, (rows, len(IDS) + (background != "none")))


def check(spec: str, head: HeadName, background: BackgroundName, twin: Twin) -> None:
    logits = logits_for(background)
    expected = [twin(row, BACKGROUND_COLUMN[background]) for row in logits.tolist()]
    assert scores_of(spec, head, background, logits, torch.float64) == pytest.approx(
        np.array(expected), rel=1e-12, abs=1e-12
    )
    single = logits.astype(np.float32).astype(np.float64)
    expected = [twin(row, BACKGROUND_COLUMN[background]) for row in single.tolist()]
    assert scores_of(spec, head, background, single, torch.float32) == pytest.approx(
        np.array(expected), rel=0, abs=1e-6
    )


def by_class(head: HeadName, of: Callable[[float, int], float]) -> Twin:
    """The twin of a map of each class's logit, given its index among the classes."""

    def twin(row: list[float], background: int | None) -> list[float]:
        mapped = [of(z, c) for c, z in enumerate(classes_of(row, background))]
        return coupled(row, background, mapped) if head == "softmax" else [sigmoid(z) for z in mapped]

    return twin


HEADS: list[tuple[HeadName, BackgroundName]] = [
    ("softmax", "none"), ("softmax", "first"), ("softmax", "last"),
    ("sigmoid", "none"), ("sigmoid", "first"), ("sigmoid", "last"),
]  # fmt: skip
heads = pytest.mark.parametrize(("head", "background"), HEADS)


@heads
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("normalizer", NORMALIZERS)
@pytest.mark.parametrize("count", COUNTS)
def test_iif_multiplies_by_its_weight(
    head: HeadName, background: BackgroundName, variant: str, normalizer: str, count: str
) -> None:
    counts = N if count == "image" else OBJ
    total = 500.0 if (normalizer, count) == ("images", "image") else float(sum(counts))
    weights = [twins.iif_weight(variant, n, total) for n in counts]
    spec = f"iif:variant={variant},count={count},normalizer={normalizer}"
    check(spec, head, background, by_class(head, lambda z, c: weights[c] * z))


TARGET = {4: 7, 5: 1, 12: 1, 31: 2, 77: 9}
SHIFTS: list[tuple[str, Callable[[int], float]]] = [
    ("logit-adjust:tau=1.3", lambda c: -1.3 * math.log(N[c] / sum(N))),
    ("logit-adjust:tau=0.5,count=instance", lambda c: -0.5 * math.log(OBJ[c] / sum(OBJ))),
    ("norcal:gamma=0.6", lambda c: -0.6 * math.log(N[c])),
    ("balanced-softmax", lambda c: -math.log(N[c])),
    ("balanced-softmax:count=instance", lambda c: -math.log(OBJ[c])),
    ("ldam:c=-2", lambda c: 2 * N[c] ** -0.25),
    ("target-prior", lambda c: math.log(1 / len(IDS)) - math.log(N[c] / sum(N))),
    ("target-prior:prior=file,file=t", lambda c: math.log(TARGET[IDS[c]] / 20) - math.log(N[c] / sum(N))),
]  # fmt: skip


@heads
@pytest.mark.parametrize(("spec", "shift"), SHIFTS)
def test_methods_that_shift(
    head: HeadName, background: BackgroundName, spec: str, shift: Callable[[int], float]
) -> None:
    check(spec, head, background, by_class(head, lambda z, c: z + shift(c)))


@heads
def test_temperature_divides_every_column(head: HeadName, background: BackgroundName) -> None:
    def twin(row: list[float], background: int | None) -> list[float]:
        cooled = [z / 1.9 for z in row]
        whole = twins.softmax(cooled) if head == "softmax" else [sigmoid(z) for z in cooled]
        return classes_of(whole, background)

    check("temperature:t=1.9", head, background, twin)


@heads
def test_norcal_without_normalising_divides_the_scores(head: HeadName, background: BackgroundName) -> None:
    def twin(row: list[float], background: int | None) -> list[float]:
        whole = twins.softmax(row) if head == "softmax" else [sigmoid(z) for z in row]
        return [s / n**0.6 for s, n in zip(classes_of(whole, background), N, strict=True)]

    check("norcal:gamma=0.6,renormalize=no", head, background, twin)


@heads
@pytest.mark.parametrize(("spec", "beta"), [("lws:file=scale", 0), ("disalign:file=f", 1), ("vector:file=f", 1)])
def test_learned_parameters(head: HeadName, background: BackgroundName, spec: str, beta: int) -> None:
    alpha = [0.5, 2.0, 1.0, -0.25, 3.0]
    check(spec, head, background, by_class(head, lambda z, c: alpha[c] * z + beta * (alpha[c] - 1)))


def test_learned_parameters_of_the_background() -> None:
    alpha = [0.5, 2.0, 1.0, -0.25, 3.0]

    def twin(row: list[float], background: int | None) -> list[float]:
        whole = [a * z + a - 1 for a, z in zip(alpha, row[:-1], strict=True)] + [0.7 * row[-1] + 0.3]
        return twins.softmax(whole)[:-1]

    check("vector:file=whole", "softmax", "last", twin)


@heads
def test_fracal(head: HeadName, background: BackgroundName) -> None:
    rates, phi = [n / 500 for n in N], [PHI[i] for i in IDS]

    def twin(row: list[float], background: int | None) -> list[float]:
        if head == "softmax":
            return twins.fracal_softmax(row, background, rates, phi, 2.0)
        return twins.fracal_sigmoid(classes_of(row, background), rates, phi, 2.0)

    check("fracal", head, background, twin)


@heads
@pytest.mark.parametrize("bias", ["drop", "keep"])
def test_tau_norm_recomputes_the_logits(head: HeadName, background: BackgroundName, bias: str) -> None:
    """The bias of every column counts, or none does; the background's weights keep their length."""
    width, column = len(IDS) + (background != "none"), BACKGROUND_COLUMN[background]
    weight, features = RNG.normal(size=(width, 3)).astype(np.float32), RNG.normal(size=(20, 3)).astype(np.float32)
    biases = RNG.normal(size=width)
    rows = []
    for f in features.tolist():
        dot = [sum(a * b for a, b in zip(w, f, strict=True)) for w in weight.tolist()]
        length = [1.0 if c == column else math.sqrt(sum(a * a for a in w)) for c, w in enumerate(weight.tolist())]
        new = [d / one**0.7 + (bias == "keep") * b for d, one, b in zip(dot, length, biases.tolist(), strict=True)]
        rows.append(classes_of(twins.softmax(new) if head == "softmax" else [sigmoid(z) for z in new], column))
    layer = LastLayer(weight, torch.from_numpy(features))
    logits = features.astype(np.float64) @ weight.astype(np.float64).T + biases
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-5)):
        found = scores_of(f"tau-norm:tau=0.7,bias={bias}", head, background, logits, dtype, layer)
        assert found == pytest.approx(np.array(rows), rel=tolerance, abs=tolerance)


@heads
def test_methods_follow_one_another(head: HeadName, background: BackgroundName) -> None:
    """Also after a step whose result is binary logits."""

    def twin(row: list[float], background: int | None) -> list[float]:
        cooled = [z / 2 for z in row]
        whole = twins.softmax(cooled) if head == "softmax" else [sigmoid(z) for z in cooled]
        divided = [s / n for s, n in zip(classes_of(whole, background), N, strict=True)]
        return [sigmoid(3 * math.log(s / (1 - s))) for s in divided]

    check("temperature:t=2+norcal:gamma=1,renormalize=no+temperature:t=0.3333333333333333", head, background, twin)


SLICES = ((4, 77), (5,), (12,), (31,))  # by objects: below 10, 100, 1000, and more


@pytest.mark.parametrize("known", [True, False])
def test_bags_takes_a_softmax_in_each_slice(known: bool) -> None:
    """The slices are in the metadata, or are those of the instance counts."""
    assert slices_by_count(TABLE) == SLICES
    columns = LogitColumns("bags", "none", np.array(sorted(IDS)), SLICES if known else None)
    adjustment = parse_method("bags").adjustment(MethodContext(columns, TABLE, None, Files()))
    logits = RNG.normal(0, 4, (20, 11))
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-6)):
        given = torch.tensor(logits, dtype=dtype)
        expected = [list(dict(sorted(twins.bags(row, SLICES).items())).values()) for row in given.tolist()]
        adjuster = Adjuster(adjustment.steps, columns, torch.device("cpu"), dtype)
        scores = activated(adjuster(given), adjuster.columns)
        assert scores.double().numpy() == pytest.approx(np.array(expected), rel=tolerance, abs=tolerance)


def test_every_count_bound_of_bags_starts_a_slice() -> None:
    counts = table([1] * 8, [0, 9, 10, 99, 100, 999, 1000, 5000])
    assert slices_by_count(counts) == ((1, 2), (3, 4), (5, 6), (7, 8))


def test_the_columns_of_bags_classes_follow_from_the_slices() -> None:
    step = slice_softmax(LogitColumns("bags", "none", np.array([1, 2, 3]), ((3, 1), (), (2,))))
    assert step.bounds.tolist() == [0, 2, 5, 6, 8]
    assert step.column.tolist() == [4, 7, 3]
    assert step.foreground == 1


def test_bags_reads_the_column_order_of_eqlv2() -> None:
    """In its `GroupSoftmax` the slices with classes come first, and the last slice is [others, background]."""
    ours, theirs = (LogitColumns("bags", where, np.array(sorted(IDS)), SLICES) for where in ("first", "last"))
    logits = torch.tensor(RNG.normal(0, 4, (20, 11)))
    moved = torch.cat([logits[:, 2:], logits[:, [1, 0]]], dim=1)
    scores = [
        activated(Adjuster([slice_softmax(columns)], columns, torch.device("cpu"), torch.float64)(z), adjusted)
        for columns, z in ((ours, logits), (theirs, moved))
        for adjusted in [LogitColumns("sigmoid", "none", columns.category_id)]
    ]
    assert scores[0].numpy() == pytest.approx(scores[1].numpy(), rel=1e-12)


def refusal(
    spec: str, columns: LogitColumns, frequencies: FrequencyTable | None = TABLE, weight: Singles | None = None
) -> str:
    with pytest.raises((UsageError, InputError)) as caught:
        parse_method(spec).adjustment(MethodContext(columns, frequencies, weight, Files()))
    return str(caught.value)


PLAIN = LogitColumns("softmax", "none", np.array(IDS))
GROUPED = LogitColumns("bags", "none", np.array(sorted(IDS)), SLICES)


def test_missing_requirements_are_named() -> None:
    assert "`frequencies=`: frequency table: expected one, for the method iif, found none" in refusal(
        "iif", PLAIN, None
    )
    assert "expected `weight` [K, D] of the classifier" in refusal("tau-norm", PLAIN)
    layer = np.eye(5, 3, dtype=np.float32)
    assert "`weight`, class column 3: expected a vector that is not 0" in refusal("tau-norm", PLAIN, weight=layer)
    assert "it recomputes the logits: apply it first" in refusal("temperature:t=2+tau-norm", PLAIN, weight=layer)
    assert "expected softmax or sigmoid, found bags" in refusal("iif", GROUPED)
    assert "decode the slices first: bags+METHOD" in refusal("norcal", GROUPED)
    assert "decode the slices first: bags+METHOD" in refusal("vector:file=f", GROUPED)
    assert "head: expected bags, found softmax" in refusal("bags", PLAIN)
    assert "frequency table: columns: expected `fractal_dimension`" in refusal(
        "fracal", PLAIN, replace(TABLE, fractal_dimension=None)
    )
    assert "expected one, for the image rates" in refusal("fracal", PLAIN, replace(TABLE, num_images=None))
    assert "expected softmax without background" in refusal(
        "target-prior:prior=em", LogitColumns("softmax", "last", np.array(IDS))
    )
    assert "file: expected a name for prior=file and prior=bbse" in refusal("target-prior:prior=file", PLAIN)
    assert "parameters: expected alpha, found alpha, beta" in refusal("lws:file=f", PLAIN)
    ungrouped = replace(GROUPED, bags=None)
    assert "the slices of the bags head, found none" in refusal("temperature:t=2", ungrouped)
    assert "frequency table: expected one, for the method bags without slices" in refusal("bags", ungrouped, None)
