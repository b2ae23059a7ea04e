"""Invariants of every method on full logits, for any counts, logits and order of the columns."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from frequency_tables import NoData, table
from hypothesis import given
from hypothesis import strategies as st

from longtail_cli.choices import BackgroundName, HeadName
from longtail_cli.methods.apply import Adjuster, activated
from longtail_cli.methods.base import MethodContext
from longtail_cli.methods.registry import parse_method, score_steps
from longtail_cli.methods.scores import AdjustableScores, logit, sigmoid
from longtail_cli.methods.target import by_confusion, by_maximum_likelihood
from longtail_cli.tables import Floats, FrequencyTable, LogitColumns, Longs, Singles

COUNTED = [
    "iif", "iif:variant=smooth", "iif:variant=base10,count=instance", "iif:variant=gombit,normalizer=images",
    "logit-adjust:tau=1.3", "norcal:gamma=0.6", "balanced-softmax", "ldam:c=-2", "target-prior",
    "logit-adjust:tau=1+iif:variant=smooth", "iif:strength=0.5,scale=mean", "logit-adjust:reference=mean",
    "norcal:gamma=0.99,form=cb", "norcal:gamma=0.6,on=logits", "norcal:on=probabilities",
]  # fmt: skip
FULL = [*COUNTED, "fracal", "none"]
DECOUPLED = [
    "norcal:gamma=0.6,renormalize=no",
    "iif+norcal:gamma=1,renormalize=no+logit-adjust",
    "norcal:0.9,form=cb,renormalize=no",
]

heads: st.SearchStrategy[HeadName] = st.sampled_from(("softmax", "sigmoid"))
backgrounds: st.SearchStrategy[BackgroundName] = st.sampled_from(("none", "first", "last"))


@dataclass(frozen=True)
class Case:
    """Logits [N, K], what their columns are, and how often the classes occur."""

    logits: Floats
    columns: LogitColumns
    frequencies: FrequencyTable

    def adjusted(self, spec: str) -> tuple[Floats, LogitColumns]:
        adjustment = parse_method(spec).adjustment(MethodContext(self.columns, self.frequencies, None, NoData()))
        adjuster = Adjuster(adjustment.steps, self.columns, torch.device("cpu"), torch.float64)
        return adjuster(torch.tensor(self.logits)).numpy(), adjuster.columns

    def scores(self, spec: str) -> Floats:
        """[N, K'], including the background's if there is one."""
        logits, columns = self.adjusted(spec)
        found: Floats = activated(torch.tensor(logits), columns).numpy()
        return found

    def class_scores(self, spec: str) -> Floats:
        """[N, C], in column order."""
        _, columns = self.adjusted(spec)
        return self.scores(spec)[:, columns.classes]


@st.composite
def cases(
    draw: st.DrawFn, head: st.SearchStrategy[HeadName] = heads, back: st.SearchStrategy[BackgroundName] = backgrounds
) -> Case:
    classes = draw(st.integers(2, 6))
    images = draw(st.lists(st.integers(1, 400), min_size=classes, max_size=classes))
    objects = [n + draw(st.integers(0, 50)) for n in images]
    ids = draw(st.lists(st.integers(0, 99), min_size=classes, max_size=classes, unique=True))
    phi = draw(st.lists(st.floats(1, 2), min_size=classes, max_size=classes))
    background = draw(back)
    width = classes + (background != "none")
    logits = draw(st.lists(st.lists(st.floats(-20, 20), min_size=width, max_size=width), min_size=1, max_size=4))
    frequencies = table(images, objects, num_images=400, ids=sorted(ids))
    return Case(
        np.array(logits),
        LogitColumns(draw(head), background, np.array(ids)),
        replace(frequencies, fractal_dimension=np.array(phi)),
    )


@given(cases(head=st.just("softmax")), st.sampled_from([*FULL, "temperature:t=1.9"]))
def test_a_softmax_head_still_sums_to_1_over_all_columns(case: Case, spec: str) -> None:
    assert case.scores(spec).sum(axis=1) == pytest.approx(np.ones(len(case.logits)), rel=1e-12)


@given(cases(), st.sampled_from([*FULL, *DECOUPLED]))
def test_scores_are_probabilities(case: Case, spec: str) -> None:
    scores = case.class_scores(spec)
    assert ((scores >= 0) & (scores <= 1)).all()


@given(cases(back=st.sampled_from(("first", "last"))), st.sampled_from(COUNTED))
def test_the_logit_of_the_background_is_bit_identical(case: Case, spec: str) -> None:
    logits, columns = case.adjusted(spec)
    column = 0 if columns.background == "first" else -1
    assert np.array_equal(logits[:, column], case.logits[:, column])


@given(cases(back=st.sampled_from(("first", "last"))), st.sampled_from([*FULL, *DECOUPLED]))
def test_the_position_of_the_background_makes_no_difference(case: Case, spec: str) -> None:
    first = case.columns.background == "first"
    moved = Case(
        np.roll(case.logits, -1 if first else 1, axis=1),
        LogitColumns(case.columns.head, "last" if first else "first", case.columns.category_id),
        case.frequencies,
    )
    assert moved.class_scores(spec) == pytest.approx(case.class_scores(spec), rel=1e-12, abs=1e-15)


@given(cases(), st.sampled_from([*FULL, *DECOUPLED]), st.data())
def test_permuting_the_columns_permutes_the_scores(case: Case, spec: str, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(case.columns))))
    logits = case.logits.copy()
    logits[:, case.columns.classes] = case.logits[:, case.columns.classes][:, order]
    mixed = Case(logits, replace(case.columns, category_id=case.columns.category_id[order]), case.frequencies)
    assert mixed.class_scores(spec) == pytest.approx(case.class_scores(spec)[:, order], rel=1e-12, abs=1e-15)


@given(cases(), st.sampled_from([*FULL, *DECOUPLED]), st.data())
def test_category_ids_make_no_difference(case: Case, spec: str, data: st.DataObject) -> None:
    """Other ids, with which the rows of the table are in another order."""
    classes = len(case.columns)
    ids = np.array(data.draw(st.lists(st.integers(0, 99), min_size=classes, max_size=classes, unique=True)))
    old_row = np.searchsorted(case.frequencies.category_id, case.columns.category_id)
    rows = old_row[np.argsort(ids)]
    renamed = Case(case.logits, replace(case.columns, category_id=ids), _rows_of(case.frequencies, rows, np.sort(ids)))
    assert renamed.class_scores(spec) == pytest.approx(case.class_scores(spec), rel=1e-12, abs=1e-15)


def _rows_of(frequencies: FrequencyTable, rows: Longs, ids: Longs) -> FrequencyTable:
    images, objects = frequencies.image_count[rows].tolist(), frequencies.instance_count[rows].tolist()
    dimension = frequencies.fractal_dimension
    assert dimension is not None
    chosen = table(images, objects, num_images=frequencies.num_images, ids=ids.tolist())
    return replace(chosen, fractal_dimension=dimension[rows])


IDENTITIES: list[tuple[str, Callable[[float, int, int], float]]] = [
    ("iif", lambda z, n, c: math.log(c) * z),
    ("iif:variant=smooth", lambda z, n, c: (math.log((n * c + 1) / (n + 1)) + 1) * z),
    ("iif:strength=0.5", lambda z, n, c: math.sqrt(math.log(c)) * z),
    ("iif:variant=smooth,strength=0", lambda z, n, c: z),
    ("iif:strength=0.5,scale=mean", lambda z, n, c: z),
    ("logit-adjust:tau=1.3", lambda z, n, c: z + 1.3 * math.log(c)),
    ("logit-adjust:tau=1.3,reference=mean", lambda z, n, c: z),
    ("logit-adjust:tau=1.3,reference=max", lambda z, n, c: z),
    ("logit-adjust:tau=1.3,reference=one", lambda z, n, c: z - 1.3 * math.log(n)),
    ("norcal:gamma=0.6", lambda z, n, c: z - 0.6 * math.log(n)),
    ("norcal:gamma=0.6,on=logits", lambda z, n, c: z / n**0.6),
    ("norcal:gamma=0.9,form=cb", lambda z, n, c: z + math.log((1 - 0.9) / (1 - 0.9**n))),
    ("balanced-softmax", lambda z, n, c: z - math.log(n)),
    ("ldam:c=-2", lambda z, n, c: z + 2 * n**-0.25),
    ("target-prior", lambda z, n, c: z),
]
"""The new logit of a class from its old one, n and the number of classes, if every class occurs n times."""


@given(cases(), st.sampled_from(IDENTITIES), st.integers(1, 400))
def test_equal_counts_give_every_class_one_map(
    case: Case, identity: tuple[str, Callable[[float, int, int], float]], n: int
) -> None:
    spec, mapped = identity
    classes = len(case.columns)
    even = replace(case, frequencies=table([n] * classes, ids=case.frequencies.category_id.tolist()))
    logits, columns = even.adjusted(spec)
    expected = [[mapped(z, n, classes) for z in row] for row in case.logits[:, columns.classes].tolist()]
    assert logits[:, columns.classes] == pytest.approx(np.array(expected), rel=1e-12, abs=1e-12)


def evenly_spread(case: Case, num_images: int) -> FrequencyTable:
    """The classes of `case`, each in 7 images and of one dimension."""
    classes = len(case.columns)
    counts = table([7] * classes, num_images=num_images, ids=case.frequencies.category_id.tolist())
    return replace(counts, fractal_dimension=np.full(classes, 1.6))


@given(
    cases(head=st.just("softmax"), back=st.just("none")),
    st.sampled_from(["logit-adjust", "norcal", "balanced-softmax", "ldam:c=-2", "target-prior", "fracal"]),
)
def test_equal_counts_leave_a_softmax_without_background_as_it_is(case: Case, spec: str) -> None:
    """A softmax does not change if the same number is added to all logits. FRACAL: with equal dimensions too."""
    even = evenly_spread(case, num_images=50)
    assert replace(case, frequencies=even).scores(spec) == pytest.approx(case.scores("none"), rel=1e-12)


@given(cases(head=st.just("sigmoid")))
def test_equal_counts_and_dimensions_square_a_sigmoid_under_fracal(case: Case) -> None:
    """With an image rate of 1 / C, w = 0 and f = 0, so s' = s²."""
    even = evenly_spread(case, num_images=7 * len(case.columns))
    found = replace(case, frequencies=even).class_scores("fracal")
    assert found == pytest.approx(case.class_scores("none") ** 2, rel=1e-12)


@given(
    cases(head=st.just("sigmoid"), back=st.just("none")),
    st.sampled_from([*COUNTED, *DECOUPLED, "temperature:t=1.9", "none"]),
)
def test_a_result_file_is_a_sigmoid_head(case: Case, spec: str) -> None:
    """A score-only adjustment gives what the full logits of a sigmoid head give."""
    case = replace(case, columns=replace(case.columns, category_id=np.sort(case.columns.category_id)))
    score = case.scores("none")
    category = np.broadcast_to(np.arange(len(case.columns)), score.shape)
    steps, _ = score_steps(parse_method(spec), case.frequencies, NoData())
    from_logits = replace(case, logits=logit(score)).scores(spec)
    adjusted = AdjustableScores(score.ravel(), category.ravel(), "prob").adjusted(*steps).reshape(score.shape)
    assert adjusted == pytest.approx(from_logits, rel=1e-12, abs=1e-12)
    z = AdjustableScores(logit(score).ravel(), category.ravel(), "logit").adjusted(*steps).reshape(score.shape)
    assert sigmoid(z) == pytest.approx(from_logits, rel=1e-12, abs=1e-12)


HIT, MISS = 8, 1
"""The number of rows of a class that look like it, per row that looks like each other class."""


def posteriors(source: list[int]) -> Singles:
    """p(class | look) [C, C] of a classifier that is calibrated on a set with `source` rows of each class."""
    joint = (np.full((len(source), len(source)), MISS) + np.eye(len(source)) * (HIT - MISS)) * source
    shares: Singles = (joint / joint.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares


def looks(counts: list[int]) -> tuple[Longs, Longs]:
    """What each row looks like, and its class, in a set with `counts` rows per class."""
    classes = len(counts)
    cells = (np.full((classes, classes), MISS) + np.eye(classes, dtype=np.int64) * (HIT - MISS)) * counts
    look, label = np.indices((classes, classes)).reshape(2, -1)
    return np.repeat(look, cells.ravel()), np.repeat(label, cells.ravel())


sets = st.integers(2, 5).flatmap(
    lambda classes: st.tuples(
        st.lists(st.integers(1, 3), min_size=classes, max_size=classes),  # so that a row is predicted as it looks
        st.lists(st.integers(1, 20), min_size=classes, max_size=classes),
    )
)


@given(sets, st.booleans())
def test_em_and_bbse_find_the_shares_of_a_shifted_set(counts: tuple[list[int], list[int]], shifted: bool) -> None:
    """Also without a shift. EM stops when no share changes by more than 1e-7, and scores are float32."""
    source, other = counts
    target = other if shifted else source
    share = np.array(target) / sum(target)
    predictions = np.array_split(posteriors(source)[looks(target)[0]], 3)
    by_em = by_maximum_likelihood(lambda: predictions, np.array(source) / sum(source))
    assert by_em == pytest.approx(share, abs=1e-5)
    look, label = looks(source)
    by_bbse = by_confusion([(posteriors(source)[look], label)], predictions, len(source))
    assert by_bbse == pytest.approx(share, abs=1e-12)
