"""The metrics of rows in order, piece after piece, against those of all rows at once."""

import weakref
from dataclasses import fields, is_dataclass, replace
from io import BytesIO
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from builders import ground_truth
from parts_twin import pieces_of

from longtail_cli.errors import OutputError
from longtail_cli.evaluation import selection
from longtail_cli.evaluation.average_precision import EPSILON, curves, recall_at, single_curve
from longtail_cli.evaluation.bootstrap.resampling import Draws
from longtail_cli.evaluation.detections import Evaluation
from longtail_cli.evaluation.matching import Matches
from longtail_cli.evaluation.options import EvaluationOptions
from longtail_cli.evaluation.parts.ordered import metrics_in_order
from longtail_cli.evaluation.parts.rows import CAPPED, COUNTED, MOVED, MatchedRows, bits_of
from longtail_cli.evaluation.parts.running_curves import RunningCurve, RunningCurves, RunningRecall
from longtail_cli.evaluation.parts.running_scores import RunningBest, RunningHits
from longtail_cli.evaluation.parts.share import Rules, share_metrics
from longtail_cli.evaluation.protocol import RECALL_THRESHOLDS, Protocol
from longtail_cli.evaluation.selection import Selection
from longtail_cli.evaluation.tide import CLS, LOC, NO_OBJECT
from longtail_cli.workflow.partitioned.reduce import ReduceBucket

CATEGORIES, IMAGES, OBJECTS = 5, 30, 400
BOX = [0, 0, 40, 40]


def rows_at_random(number, rng, categories=(1, 3)):
    """Rows with every column, of scores with many ties; each object has at most one hit or fix."""
    hit, ignored = np.zeros((2, number, 4), np.uint16)
    hit[:] = rng.integers(0, 1024, (number, 4))
    ignored[:] = rng.choice([0, 1023, 960], (number, 4))
    hit[rng.random((number, 4)) < 0.7] = 0
    ignored[hit != 0] = 0
    category = rng.choice(categories, number).astype(np.int32)
    kind = rng.integers(1, 6, number).astype(np.int8)
    flags = rng.choice([COUNTED, CAPPED | COUNTED, CAPPED | COUNTED, MOVED], number).astype(np.uint8)
    moved, first = flags == MOVED, (hit[:, 0] & 1) != 0
    hit[moved], ignored[moved], kind[moved], first[moved] = 0, 0, CLS, False
    kind[first] = 0
    target = np.full(number, NO_OBJECT, np.int32)
    for c in range(CATEGORIES):
        own = np.flatnonzero((category == c) & (first | moved | (kind == LOC)))
        free = rng.permutation(np.arange(c, OBJECTS, CATEGORIES))[: len(own)]
        target[own[: len(free)]] = free
        hit[own[len(free) :]], flags[own[len(free) :]] = 0, COUNTED
    beyond = flags == COUNTED
    kind[beyond], target[beyond] = 0, NO_OBJECT
    return MatchedRows(
        category=category,
        score=rng.integers(0, 20, number) / 20,
        tie=np.sort(rng.integers(0, IMAGES, number)) << 32 | np.arange(number),
        flags=flags,
        true_positive=hit.view(np.uint64).ravel(),
        ignored=ignored.view(np.uint64).ravel(),
        rank=rng.integers(0, 20, number).astype(np.uint8),
        kind=kind,
        object=target,
        file_row=rng.permutation(number),
        iou=np.where(hit[:, 0] & 1, rng.uniform(0.5, 1, number), 0),
    )


def rules_of(draws=None, protocol="coco", **options):
    """Category c has the objects c, c + 5, ..."""
    area = np.random.default_rng(0).choice([500.0, 5000.0, 20000.0], OBJECTS)
    found = [(n % IMAGES, n % CATEGORIES, BOX) for n in range(OBJECTS)]
    truth = ground_truth(found, images=IMAGES, categories=CATEGORIES, area=area)
    truth = replace(truth, image=np.sort(truth.image))
    evaluation = Evaluation.prepare(truth, Protocol(protocol, 100), "bbox", {}, EvaluationOptions(**options), draws)
    return Rules.of(evaluation)


def assert_same(one, other, name="metrics"):
    """To the last bit, also in the types of arrays."""
    assert type(one) is type(other), name
    if isinstance(one, np.ndarray):
        np.testing.assert_array_equal(one, other, err_msg=name, strict=True)
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), name
        for key, value in one.items():
            assert_same(value, other[key], f"{name} {key}")
    elif is_dataclass(one):
        for field in fields(one):
            assert_same(getattr(one, field.name), getattr(other, field.name), f"{name} {field.name}")
    else:
        assert one == other, name


@pytest.mark.parametrize(("most_rows", "highest"), [(10, 1.0), (60, 1.5)])
def test_metrics_of_each_category_are_those_of_its_rows_at_once(most_rows, highest, monkeypatch):
    """Also of those without rows, before, between and after the others, and if only the first scores are above 1."""
    for name in ("selection", "parts.share"):
        monkeypatch.setattr(f"longtail_cli.evaluation.{name}.FIXED_AP_PER_CATEGORY", 50)
    rng = np.random.default_rng(most_rows)
    rules = rules_of(Draws(IMAGES, 40, 0), fixed_ap=True, pooled_ap=True, reliability=True, thresholds=True)
    rows, category = rows_at_random(300, rng), np.arange(CATEGORIES)
    rows = replace(rows, score=highest * rows.score)
    found = metrics_in_order(rules, category, pieces_of(rows, most_rows, rng), BytesIO)
    for c, one in zip(category, found, strict=True):
        assert_same(one, share_metrics(rules, np.array([c]), rows.at(rows.category == c)))


def test_pieces_are_released():
    """Each before the next is asked for, whether or not it is in order already."""
    rng = np.random.default_rng(0)
    rows = rows_at_random(300, rng, [1]).in_order_of_evaluation()

    def pieces():
        before = None
        for low, high in pairwise([0, 100, 200, 300]):
            assert before is None or before() is None
            piece = rows.at(np.arange(low, high) if low else rng.permutation(high))
            before = weakref.ref(piece.tie)
            yield piece
            del piece

    rules = rules_of(Draws(IMAGES, 2, 0), fixed_ap=True, reliability=True)
    (found,) = metrics_in_order(rules, np.array([1]), pieces(), BytesIO)
    assert found.curves.ap[0, 0, 0] > 0


@pytest.mark.parametrize("hits", [0.02, 0.9])
def test_running_curves_are_those_of_the_engine(hits):
    """With as many hits as objects, so that precision is read at every recall."""
    rng, number = np.random.default_rng(1), 3000
    rows = rows_at_random(number, rng, [1])
    true_positive, ignored = bits_of(rows.true_positive).copy(), bits_of(rows.ignored).copy()
    true_positive[rng.random(number) > hits] = 0
    ignored[true_positive != 0] = 0
    objects = np.array([[np.count_nonzero(true_positive[:, 0] & 1), 2 * number, 0, 777]])
    start, rank = np.array([0, number]), rng.integers(0, 20, number)
    matches = Matches(
        Selection(np.arange(number), start, rank), true_positive, ignored, np.zeros(0, np.int32), objects, np.zeros(0)
    )
    running, recall = RunningCurves(objects[0]), RunningRecall(10, int(objects[0, 0]))
    for low, high in pairwise([0, 1, 2, 900, 900, 2500, number]):
        running.add(true_positive[low:high], ignored[low:high])
        recall.add(rank[low:high].astype(np.uint8), true_positive[low:high])
    assert_same(running.curves(), curves(matches))
    np.testing.assert_array_equal(recall.recall(), recall_at(matches, 10), strict=True)


@pytest.mark.parametrize("objects", [0, 1, 50, 1000, 3333])
def test_a_running_curve_is_a_single_curve(objects):
    rng = np.random.default_rng(objects)
    hit = rng.random(4000) < 0.3
    hit[np.flatnonzero(hit)[objects:]] = False
    curve = RunningCurve(objects)
    for low, high in pairwise([0, 10, 11, 11, 3000, 4000]):
        curve.add(np.flatnonzero(hit[low:high]) + 1, high - low)
    whole = single_curve(np.array([0, len(hit)]), hit, np.array([objects]), RECALL_THRESHOLDS, EPSILON)
    assert (curve.ap, curve.hits, curve.detections) == (whole[0], hit.sum(), 4000)


def test_equal_scores_that_go_on_in_the_next_piece():
    """A threshold keeps the false positives of its score that come in later pieces, and counts it once."""
    score = np.array([0.9, 0.8, 0.8, 0.8, 0.8, 0.5, 0.5])
    hit = np.array([True, True, False, False, True, False, True])
    zeros = np.zeros(len(score), np.uint64)
    rows = MatchedRows(
        zeros.astype(np.int32), score, np.arange(len(score)), np.full(len(score), CAPPED), hit.astype(np.uint64), zeros,
        iou=hit * np.where(score == 0.5, 0.5, 0.75),
    )  # fmt: skip
    running = RunningHits()
    for low, high in pairwise([0, 2, 3, 4, 6, 7]):
        running.add(rows.at(slice(low, high)))
    objects, counted, f1, lrp = running.points(6)
    assert (objects, counted) == (6, 7)
    assert (f1.threshold, f1.value) == (0.5, 2 * 4 / (7 + 6))
    assert (lrp.threshold, lrp.precision) == (0.8, 3 / 5)
    assert running.true_positives(3).gap.tolist() == [0.25, 0.25, 0.25, 0.5]


def test_the_best_rows_of_pieces_are_the_first_of_the_file_in_a_tie(monkeypatch):
    monkeypatch.setattr(selection, "FIXED_AP_PER_CATEGORY", 3)
    score, file_row = np.array([0.9, 0.7, 0.7, 0.7, 0.7, 0.7, 0.6]), np.array([6, 5, 1, 4, 0, 3, 2])
    flags = np.array([MOVED, 0, COUNTED, 0, 0, 0, 0], np.uint8)
    zeros = np.zeros(7, np.uint64)
    rows = MatchedRows(zeros.astype(np.int32), score, np.arange(7), flags, zeros, zeros, file_row=file_row)
    best = RunningBest()
    for low, high, expected in ((0, 1, []), (1, 2, [5]), (2, 4, [1, 4, 5]), (4, 5, [0, 1, 4]), (5, 7, [0, 1, 3])):
        best.add(rows.at(slice(low, high)))
        assert best.rows().file_row.tolist() == expected


def test_rows_in_the_order_of_evaluation_stay_as_they_are():
    rows = rows_at_random(200, np.random.default_rng(0))
    ordered = rows.in_order_of_evaluation()
    assert ordered.tie.tolist() == rows.tie[np.lexsort((rows.tie, -rows.score, rows.category))].tolist()
    assert ordered.in_order_of_evaluation() is ordered
    assert rows.at(slice(0)).in_order_of_evaluation().tie.tolist() == []


def tables_of(rows, most_rows, rng):
    return (pa.table(piece.columns) for piece in pieces_of(rows, most_rows, rng))


def test_a_bucket_in_pieces_has_the_metrics_and_the_digest_of_the_whole():
    rng, rules = np.random.default_rng(0), rules_of(tide="off")
    rows = rows_at_random(300, rng)
    reduce = ReduceBucket((rules,), 2, True, 50)
    bucket, whole = reduce(1, pa.table(rows.columns))
    same, found = reduce.in_pieces(1, tables_of(rows, 50, rng))
    assert (bucket, same) == (1, 1)
    assert [one.category.tolist() for one in found.metrics] == [[1], [3]]
    ap = np.concatenate([one.curves.ap for one in found.metrics], axis=1)
    np.testing.assert_array_equal(ap, whole.metrics[0].curves.ap, strict=True)
    assert found.order == whole.order
    assert reduce.in_pieces(1, tables_of(rows.at(rows.tie != rows.tie[0]), 9, rng))[1].order != whole.order
    assert replace(reduce, digested=False).in_pieces(1, tables_of(rows, 50, rng))[1].order is None


def test_resamples_need_room_for_a_temporary_file(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    rng = np.random.default_rng(0)
    reduce = ReduceBucket((rules_of(Draws(IMAGES, 2, 0)),), 1, False, 50)
    with pytest.raises(OutputError, match=r"temporary file: expected room .*, found No such file or directory"):
        reduce.in_pieces(0, tables_of(rows_at_random(60, rng), 50, rng))


def test_an_error_of_reading_a_piece_is_not_one_of_the_temporary_file():
    rng = np.random.default_rng(0)

    def pieces():
        yield from tables_of(rows_at_random(60, rng), 50, rng)
        raise OSError("a piece cannot be read")

    with pytest.raises(OSError, match="a piece cannot be read"):
        ReduceBucket((rules_of(Draws(IMAGES, 2, 0)),), 1, False, 50).in_pieces(0, pieces())
