"""Rows of matches, and the metrics of shares of the categories, on scenes small enough to work out by hand."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from builders import detections, ground_truth
from parts_twin import assert_equal, in_parts, rows_of_parts

from longtail_cli.evaluation.bootstrap import resampling
from longtail_cli.evaluation.bootstrap.resampling import Draws, drawn_once
from longtail_cli.evaluation.detections import Evaluation
from longtail_cli.evaluation.options import EvaluationOptions
from longtail_cli.evaluation.parts.counting import CountFalse
from longtail_cli.evaluation.parts.resamples import CurveStore, ShareCurves
from longtail_cli.evaluation.parts.rows import CAPPED, COUNTED, FALSE, MOVED, MatchedRows
from longtail_cli.evaluation.parts.share import Rules, share_metrics
from longtail_cli.evaluation.protocol import Protocol
from longtail_cli.evaluation.selection import FIXED_AP_PER_CATEGORY
from longtail_cli.evaluation.tide import CLS, LOC, NO_ERROR, NO_OBJECT

BOX, SHIFTED, FAR = [0, 0, 40, 40], [20, 0, 40, 40], [60, 60, 20, 20]


def prepared(truth, options=None, protocol="coco", cap=100, draws=None):
    return Evaluation.prepare(truth, Protocol(protocol, cap), "bbox", {}, options or EvaluationOptions(), draws)


@pytest.fixture
def truth():
    """Two images with an object of each of two categories."""
    return ground_truth([(0, 0, BOX), (0, 1, FAR), (1, 0, BOX), (1, 1, FAR)], images=2, categories=2)


def test_what_a_row_holds(truth):
    seen = detections([(1, 0, 0.9, BOX), (1, 0, 0.8, SHIFTED), (1, 0, 0.7, FAR), (0, 0, 0.6, SHIFTED)])
    first, second = rows_of_parts(prepared(truth), seen, [0, 1], 2)
    assert first.tie.tolist() == [0]
    assert first.kind.tolist() == [LOC]
    assert first.object.tolist() == [0]
    assert second.tie.tolist() == [1 << 32, (1 << 32) + 1, (1 << 32) + 2, (1 << 32) + 2]
    assert second.image.tolist() == [1, 1, 1, 1]
    assert second.category.tolist() == [0, 0, 0, 1]
    assert second.flags.tolist() == [CAPPED | COUNTED, *[CAPPED | COUNTED | FALSE] * 2, MOVED]
    assert (second.true_positive & 1).tolist() == [1, 0, 0, 0]
    assert second.rank.tolist() == [0, 1, 2, 0]
    assert second.kind[[0, 2, 3]].tolist() == [NO_ERROR, CLS, CLS]
    assert second.object[[0, 2, 3]].tolist() == [2, NO_OBJECT, 3]


def test_rows_have_the_columns_that_the_options_need(truth):
    def columns(protocol="coco", **options):
        evaluation = prepared(truth, EvaluationOptions(**options), protocol)
        return set(rows_of_parts(evaluation, detections([]), [0, 0], 1)[0].columns)

    always = {"category", "score", "tie", "flags", "true_positive", "ignored"}
    truth = replace(truth, negative=np.zeros((0, 2), np.int32), not_exhaustive=np.zeros((0, 2), np.int32))
    assert columns("lvis", tide="off") == always
    assert columns(tide="off") == {*always, "rank"}
    assert columns("lvis") == {*always, "kind", "object"}
    assert columns("lvis", tide="off", fixed_ap=True) == {*always, "file_row"}
    assert columns("lvis", tide="off", reliability=True) == {*always, "iou"}


def test_detections_beyond_the_limits_have_rows_for_fixed_ap_alone(truth):
    seen = detections([(0, 0, 0.9, BOX), (0, 0, 0.8, BOX)])
    limited, wide = EvaluationOptions(tide="off"), EvaluationOptions(tide="off", fixed_ap=True)
    assert len(rows_of_parts(prepared(truth, limited, cap=1), seen, [0, 0], 1)[0]) == 1
    rows = rows_of_parts(prepared(truth, wide, cap=1), seen, [0, 0], 1)[0]
    assert rows.flags.tolist() == [CAPPED | COUNTED, COUNTED]


def test_detections_that_no_image_judges_only_count_towards_the_limit_of_fixed_ap(truth):
    truth = replace(
        truth, image=np.zeros(4, np.int32), negative=np.zeros((0, 2), np.int32),
        not_exhaustive=np.zeros((0, 2), np.int32),
    )  # fmt: skip
    evaluation = prepared(truth, EvaluationOptions(tide="off", fixed_ap=True), "lvis")
    rows = rows_of_parts(evaluation, detections([(1, 0, 0.9, BOX)]), [0, 0], 1)[0]
    assert rows.flags.tolist() == [0]


def test_rows_can_be_sent(truth):
    rules = Rules.of(prepared(truth, draws=Draws(2, 3, 0)))
    rows = rows_of_parts(prepared(truth), detections([(0, 0, 0.9, BOX)]), [0, 0], 1)[0]
    rules, rows = pickle.loads(pickle.dumps((rules, rows)))
    share = pickle.loads(pickle.dumps(share_metrics(rules, np.arange(2), rows)))
    assert share.curves.ap[0, :, 0].tolist() == [pytest.approx(51 / 101), 0.0]


def test_categories_without_rows_have_an_ap_of_zero_or_none_without_objects():
    truth = ground_truth([(0, 0, BOX)], categories=3)
    evaluation = prepared(truth, EvaluationOptions(per_category=True))
    seen = detections([(0, 1, 0.9, FAR)])
    found = in_parts(evaluation, seen, [0], 1, buckets=3, seed=0)
    assert [one["AP"] for one in found.per_category] == [0.0, None, None]
    assert_equal(found, evaluation.metrics(seen, evaluation.candidates(seen)))


def test_no_detections_at_all(truth):
    options = EvaluationOptions(fixed_ap=True, pooled_ap=True, reliability=True, per_category=True)
    evaluation, none = prepared(truth, options, draws=Draws(2, 3, 0)), detections([])
    found = in_parts(evaluation, none, [0, 1], 3, buckets=2, seed=0)
    assert found.headline["AP"] == 0.0
    assert_equal(found, evaluation.metrics(none, evaluation.candidates(none)))


def test_rows_of_parts_are_in_order_and_keep_it_when_a_few_are_added():
    def rows(tie):
        none = np.zeros(len(tie), np.uint64)
        zeros = np.zeros(len(tie))
        return MatchedRows(
            zeros.astype(np.int32), np.array(tie, float), np.array(tie, np.int64), zeros.astype(np.uint8), none, none
        )

    first = rows([5, 2, 9]).in_order()
    assert first.tie.tolist() == [2, 5, 9]
    assert first.in_order() is first
    joined = first.with_rows(rows([9, 1, 5, 12]))
    assert joined.tie.tolist() == [1, 2, 5, 5, 9, 9, 12]
    assert joined.score.tolist() == joined.tie.tolist()
    assert first.with_rows(rows([])).tie.tolist() == [2, 5, 9]


def test_ties_at_the_limit_of_fixed_ap_go_to_the_earlier_rows_of_the_file():
    """More than 10,000 detections of a category with equal scores, in a file that is not in the order of the images."""
    images, per_image = 60, 180
    rng = np.random.default_rng(0)
    truth = ground_truth([(image, 0, BOX) for image in range(images)], images=images)
    image = rng.permutation(np.repeat(np.arange(images), per_image))
    assert len(image) > FIXED_AP_PER_CATEGORY
    score = rng.integers(1, 3, len(image)) / 2
    seen = detections([
        (i, 0, s, BOX if hit else FAR)
        for i, s, hit in zip(image.tolist(), score.tolist(), rng.random(len(image)) < 0.004, strict=True)
    ])  # fmt: skip
    options = EvaluationOptions(fixed_ap=True, pooled_ap=True, tide="off")
    evaluation = prepared(truth, options)
    whole = evaluation.metrics(seen, evaluation.candidates(seen))
    part = rng.integers(0, 4, images)
    assert_equal(in_parts(evaluation, seen, part, 4, buckets=1, seed=1), whole)
    tables = rows_of_parts(evaluation, seen, part, 4)
    by_image = MatchedRows.joined([replace(one, file_row=one.tie) for one in tables])
    other = share_metrics(Rules.of(evaluation), np.arange(1), by_image)
    assert other.fixed.mean() != whole.fixed["AP"]  # so the order of the file does matter here


def test_false_positives_are_counted_in_any_tables():
    score, category = np.array([0.9, 0.8, 0.8, 0.4]), np.array([0, 1, 1, 0], np.int32)
    flags = np.array([FALSE, 0, FALSE, FALSE], np.uint8)
    count = CountFalse({"": {"FP@R40": 0.8, "FP@R60": None}}, {"": np.ones(2, bool)}, np.array([0.5, 0.8]))
    whole = count(category, score, flags)
    assert whole.above == {"": {"FP@R40": 2}}
    assert whole.between.tolist() == [1, 0, 2]
    parts = [count(category[own], score[own], flags[own]) for own in ([0, 3], [1, 2], [])]
    assert [one.above[""]["FP@R40"] for one in parts] == [1, 1, 0]
    total = count.total(parts)
    assert total.above == whole.above
    assert total.between.tolist() == whole.between.tolist()


def test_calibration_errors_need_confidences_in_every_part(truth):
    """The scores of one part are confidences, those of the other are not."""
    evaluation = prepared(truth, EvaluationOptions(reliability=True, tide="off"))
    seen = detections([(0, 0, 0.9, BOX), (1, 1, 1.5, BOX)])
    found = in_parts(evaluation, seen, [0, 1], 2, buckets=2, seed=0)
    assert found.reliability.errors["all"] == {"D-ECE": None, "LaECE": None}
    assert_equal(found, evaluation.metrics(seen, evaluation.candidates(seen)))


def test_curves_of_resamples_are_sent_without_those_that_none_defines(truth):
    rules = Rules.of(prepared(truth, draws=Draws(2, 40, 0)))
    rows = rows_of_parts(prepared(truth), detections([(0, 0, 0.9, BOX)]), [0, 0], 1)[0]
    found = share_metrics(rules, np.array([1]), rows.at(rows.category == 1)).resampled["headline"]["AP"]
    assert found.ranges == 4
    assert found.curve.tolist() == [1, 3]  # over all sizes, and of small objects: category 1 of 2 has no others
    assert found.values.shape == (2, 2, 10, 32)


def test_curves_in_a_file_are_those_in_memory(tmp_path):
    rng = np.random.default_rng(0)
    first, second = (ShareCurves(1, np.arange(k), rng.random((3, k, 2, 32))) for k in (4, 5))
    with (tmp_path / "curves").open("w+b") as file:
        store = CurveStore(file)
        stored = [store.add(one) for one in (first, second)]
        for number in (2, 0, 1):
            for one, other in zip((first, second), stored, strict=True):
                np.testing.assert_array_equal(other.lanes(number), one.lanes(number), strict=True)
        assert file.seek(0, 2) == first.values.nbytes + second.values.nbytes


def test_draws_that_fit_in_memory_are_made_once(monkeypatch):
    draws = Draws(5, 7, 3)
    held = drawn_once(draws)
    assert (held.images, held.number) == (5, 7)
    assert all((held.weight(b) == draws.weight(b)).all() for b in range(7))
    monkeypatch.setattr(resampling, "HELD", 34)
    assert drawn_once(draws) is draws
