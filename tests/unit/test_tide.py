"""TIDE: each error on a scene with just that error."""

import numpy as np
import pytest
from builders import detections, ground_truth

from longtail_cli.evaluation.detections import Evaluation
from longtail_cli.evaluation.options import EvaluationOptions
from longtail_cli.evaluation.protocol import Protocol

HERE, THERE, FAR = [0.0, 0.0, 10.0, 10.0], [30.0, 0.0, 10.0, 10.0], [80.0, 80.0, 10.0, 10.0]
NEAR = [5.0, 0.0, 10.0, 10.0]  # IoU 1/3 with HERE
TOUCHING = [9.0, 0.0, 10.0, 10.0]  # IoU 1/19 with HERE
MAIN = ("Cls", "Loc", "Both", "Dupe", "Bkg", "Miss")


def broken_down(truth, found, mode="aligned", protocol="coco", groups=None):
    wanted = EvaluationOptions(fixed_ap=False, pooled_ap=False, per_category=False, tide=mode)
    evaluation = Evaluation.prepare(truth, Protocol(protocol, 100), "bbox", groups or {}, wanted)
    return evaluation.metrics(found, evaluation.candidates(found))


def only(**gains):
    return {name: pytest.approx(gains.get(name, 0.0)) for name in MAIN}


@pytest.mark.parametrize("mode", ["aligned", "tidecv"])
class TestOneError:
    """A false positive at score 0.9 before a hit at 0.5 halves AP50; fixing it restores the other half."""

    def result(self, mode, wrong, objects=((0, 0, THERE),), categories=2):
        # category 1 has no objects unless the test adds some
        truth = ground_truth(list(objects), categories=categories)
        return broken_down(truth, detections([wrong, (0, 0, 0.5, THERE)]), mode).tide

    def test_background(self, mode):
        result = self.result(mode, (0, 0, 0.9, FAR))
        assert pytest.approx(0.5) == result.AP50
        assert result.main == only(Bkg=0.5)
        assert result.special == {"FalsePos": pytest.approx(0.5), "FalseNeg": pytest.approx(0.0)}

    def test_duplicate(self, mode):
        truth = ground_truth([(0, 0, HERE), (0, 0, THERE)])
        found = detections([(0, 0, 0.9, HERE), (0, 0, 0.8, HERE), (0, 0, 0.5, THERE)])
        assert broken_down(truth, found, mode).tide.main == only(Dupe=50 / 101 * (1 - 2 / 3))

    def test_localisation(self, mode):
        truth = ground_truth([(0, 0, HERE), (0, 0, THERE)])
        found = detections([(0, 0, 0.9, NEAR), (0, 0, 0.5, THERE)])
        result = broken_down(truth, found, mode).tide
        assert pytest.approx(51 / 101 / 2) == result.AP50
        assert result.main == only(Loc=1 - 51 / 101 / 2)
        # half of the objects are found, at precision 1/2
        assert result.special["FalseNeg"] == pytest.approx(0.5 - 51 / 101 / 2)

    def test_class(self, mode):
        truth = ground_truth([(0, 1, HERE), (0, 0, THERE)], categories=2)
        found = detections([(0, 0, 0.9, HERE), (0, 0, 0.5, THERE)])
        result = broken_down(truth, found, mode).tide
        assert pytest.approx(0.25) == result.AP50  # 1/2 and 0
        assert result.main == only(Cls=0.75)

    def test_both(self, mode):
        truth = ground_truth([(0, 1, HERE), (0, 0, THERE)], categories=2)
        found = detections([(0, 0, 0.9, NEAR), (0, 0, 0.5, THERE)])
        result = broken_down(truth, found, mode).tide
        # the object of category 1 is missed; without it that category is undefined and leaves the mean
        assert result.main == only(Both=0.25, Miss=0.25)

    def test_missed(self, mode):
        truth = ground_truth([(0, 0, HERE), (0, 0, THERE)])
        result = broken_down(truth, detections([(0, 0, 0.5, THERE)]), mode).tide
        assert result.main == only(Miss=50 / 101)
        assert result.special == {"FalsePos": pytest.approx(0.0), "FalseNeg": pytest.approx(50 / 101)}


def test_overlap_below_a_tenth_is_background():
    truth = ground_truth([(0, 0, HERE), (0, 0, THERE)])
    found = detections([(0, 0, 0.9, TOUCHING), (0, 0, 0.5, THERE)])
    main = broken_down(truth, found).tide.main
    assert main["Loc"] == 0.0
    assert main["Bkg"] > 0.0


def test_of_several_errors_on_one_object_only_the_best_scored_is_fixed():
    truth = ground_truth([(0, 0, HERE)])
    one = broken_down(truth, detections([(0, 0, 0.9, NEAR)])).tide
    many = broken_down(truth, detections([(0, 0, 0.9, NEAR), (0, 0, 0.8, NEAR), (0, 0, 0.7, NEAR)])).tide
    assert one.main == many.main == only(Loc=1.0)


def test_aligned_ap50_is_the_reports():
    truth = ground_truth([(0, 0, HERE), (1, 0, HERE)], images=2, categories=2, negative=[(0, 1)])
    found = detections([(0, 0, 0.9, HERE), (0, 1, 0.8, FAR), (1, 0, 0.7, FAR), (1, 0, 0.6, HERE)])
    result = broken_down(truth, found, protocol="lvis")
    assert result.headline["AP50"] == result.tide.AP50


def test_a_category_with_detections_and_no_objects_is_left_out_or_counts_as_zero():
    truth = ground_truth([(0, 0, HERE)], categories=2)
    found = detections([(0, 0, 0.9, HERE), (0, 1, 0.8, FAR)])
    assert pytest.approx(1.0) == broken_down(truth, found, "aligned").tide.AP50
    assert pytest.approx(0.5) == broken_down(truth, found, "tidecv").tide.AP50


def test_a_detection_that_the_protocol_ignores_makes_no_error_in_aligned_and_does_in_tidecv():
    truth = ground_truth([(0, 0, HERE), (0, 1, THERE)], categories=2, negative=[], not_exhaustive=[(0, 0)])
    # category 0 is not annotated exhaustively; its unmatched detection covers the missed object of category 1
    found = detections([(0, 0, 0.9, HERE), (0, 0, 0.8, THERE)])
    assert broken_down(truth, found, "aligned", "lvis").tide.main == only(Miss=0.5)
    assert broken_down(truth, found, "tidecv", "lvis").tide.main == only(Cls=0.5)


def test_groups_are_means_over_their_categories():
    truth = ground_truth([(0, 0, HERE), (0, 1, THERE)], categories=3)
    found = detections([(0, 0, 0.9, FAR), (0, 0, 0.5, HERE), (0, 1, 0.9, THERE)])
    groups = {"r": np.array([True, False, False]), "f": np.array([False, True, False]), "c": np.array([False] * 3)}
    by_group = broken_down(truth, found, groups=groups).tide.groups
    assert by_group["r"].main == only(Bkg=0.5)
    assert by_group["f"].main == only()
    assert by_group["c"].AP50 is None
    assert by_group["c"].main["Bkg"] is None
