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


def broken_down(truth, found, mode="aligned", protocol="coco", groups=None, max_dets=100):
    wanted = EvaluationOptions(fixed_ap=False, pooled_ap=False, per_category=False, tide=mode)
    evaluation = Evaluation.prepare(truth, Protocol(protocol, max_dets), "bbox", groups or {}, wanted)
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
        # the object of category 1 is missed; without it nothing is wrong with that category, which tidecv leaves out
        assert result.main == only(Both=0.25, Miss=0.5 if mode == "aligned" else 0.25)

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


@pytest.mark.parametrize("mode", ["aligned", "tidecv"])
class TestIgnored:
    """Detections that AP ignores explain missed objects; they are on a curve only once that error is fixed."""

    def test_a_category_that_is_not_annotated_exhaustively(self, mode):
        truth = ground_truth([(0, 0, HERE), (0, 1, THERE)], categories=2, negative=[], not_exhaustive=[(0, 0)])
        found = detections([(0, 0, 0.9, HERE), (0, 0, 0.8, THERE)])
        assert broken_down(truth, found, mode, "lvis").tide.main == only(Cls=0.5)

    def test_its_localisation(self, mode):
        truth = ground_truth([(0, 0, HERE)], negative=[], not_exhaustive=[(0, 0)])
        result = broken_down(truth, detections([(0, 0, 0.9, NEAR)]), mode, "lvis").tide
        assert result.AP50 == 0.0
        assert result.main == only(Loc=1.0)

    def test_a_category_that_the_image_does_not_judge(self, mode):
        truth = ground_truth([(0, 0, HERE), (0, 1, THERE)], categories=3, negative=[])
        found = detections([(0, 0, 0.9, HERE), (0, 2, 0.8, THERE)])
        result = broken_down(truth, found, mode, "lvis").tide
        assert pytest.approx(0.5) == result.AP50
        assert result.main == only(Cls=0.5)

    def test_one_inside_a_crowd(self, mode):
        truth = ground_truth([(0, 0, HERE), (0, 1, HERE)], categories=2, crowd=[True, False])
        assert broken_down(truth, detections([(0, 0, 0.9, HERE)]), mode).tide.main == only(Cls=1.0)

    def test_the_best_of_all_detections_that_point_to_an_object_is_fixed(self, mode):
        """If that is an ignored one, the others are left out when their error is fixed."""
        truth = ground_truth([(0, 0, HERE), (0, 0, THERE)], categories=2, negative=[])
        found = detections([(0, 1, 0.9, THERE), (0, 0, 0.8, [35.0, 0.0, 10.0, 10.0]), (0, 0, 0.7, HERE)])
        half, behind = 51 / 101, 51 / 101 / 2
        result = broken_down(truth, found, mode, "lvis").tide
        assert pytest.approx(behind) == result.AP50
        # with the Loc error gone, one of two objects is found first; with the Cls error fixed, it comes third of three
        assert result.main == only(Loc=half - behind, Cls=(51 + 50 * 2 / 3) / 101 - behind)


def test_a_detection_beyond_the_limit_of_its_image_explains_nothing():
    truth = ground_truth([(0, 0, HERE), (0, 1, THERE)], categories=3, negative=[])
    found = detections([(0, 0, 0.9, HERE), (0, 2, 0.8, THERE)])
    assert broken_down(truth, found, protocol="lvis", max_dets=1).tide.main == only(Miss=0.5)


class TestEmptiedCategory:
    """A category keeps its place in the mean if a fix removes all of its objects."""

    def result(self, *found):
        # of three rare categories the last has no hit
        truth = ground_truth([(0, 0, HERE), (0, 1, HERE), (1, 1, THERE), (1, 2, THERE)], images=2, categories=3)
        seen = [(0, 0, 0.9, FAR), (0, 0, 0.8, HERE), (0, 1, 0.9, HERE), *found]
        return broken_down(truth, detections(seen), groups={"r": np.ones(3, bool)}).tide.groups["r"]

    def test_counts_as_before_if_it_has_a_false_positive(self):
        result = self.result((1, 2, 0.7, FAR))
        assert pytest.approx((1 / 2 + 51 / 101) / 3) == result.AP50
        assert result.special["FalseNeg"] == pytest.approx(50 / 101 / 3)  # left out, it would be 0.415
        assert result.main["Miss"] == pytest.approx(50 / 101 / 3)

    def test_counts_as_perfect_if_nothing_else_was_wrong(self):
        result = self.result()
        assert result.special["FalseNeg"] == pytest.approx((50 / 101 + 1) / 3)
        assert result.main["Miss"] == pytest.approx((50 / 101 + 1) / 3)

    def test_so_a_false_positive_less_never_lowers_the_gain(self):
        assert self.result().special["FalseNeg"] > self.result((1, 2, 0.1, FAR)).special["FalseNeg"]


class TestFalsePositivesAtRecall:
    def counts(self, found, objects=5):
        truth = ground_truth([(image, image % 2, HERE) for image in range(objects)], images=max(objects, 1),
                             categories=2)  # fmt: skip
        return broken_down(truth, detections(found), groups={"r": np.array([True, False])}).tide

    def test_all_categories_are_on_one_curve(self):
        hits = [(0, 0, 0.9, HERE), (1, 1, 0.5, HERE), (2, 0, 0.3, HERE)]
        wrong = [(3, 0, 0.7, FAR), (3, 1, 0.6, FAR), (3, 1, 0.4, FAR), (3, 0, 0.2, FAR)]
        result = self.counts(hits + wrong)
        assert result.false_positives == {"FP@R40": 2, "FP@R60": 3}
        assert result.groups["r"].false_positives == {"FP@R40": 1, "FP@R60": 1}

    def test_a_false_positive_with_the_score_of_the_last_hit_counts_in_any_order(self):
        seen = [(0, 0, 0.9, HERE), (1, 1, 0.5, HERE), (3, 0, 0.5, FAR), (2, 0, 0.5, FAR)]
        assert self.counts(seen).false_positives["FP@R40"] == self.counts(seen[::-1]).false_positives["FP@R40"] == 2

    def test_undefined_below_that_recall_and_without_objects(self):
        assert self.counts([(0, 0, 0.9, HERE), (1, 1, 0.5, HERE)]).false_positives == {"FP@R40": 0, "FP@R60": None}
        assert self.counts([(0, 0, 0.9, HERE)], 0).false_positives == {"FP@R40": None, "FP@R60": None}

    def test_ignored_detections_do_not_count(self):
        truth = ground_truth([(0, 0, HERE)], categories=2, negative=[])
        found = detections([(0, 1, 0.9, FAR), (0, 0, 0.5, HERE)])
        assert broken_down(truth, found, protocol="lvis").tide.false_positives == {"FP@R40": 0, "FP@R60": 0}


def test_groups_are_means_over_their_categories():
    truth = ground_truth([(0, 0, HERE), (0, 1, THERE)], categories=3)
    found = detections([(0, 0, 0.9, FAR), (0, 0, 0.5, HERE), (0, 1, 0.9, THERE)])
    groups = {"r": np.array([True, False, False]), "f": np.array([False, True, False]), "c": np.array([False] * 3)}
    by_group = broken_down(truth, found, groups=groups).tide.groups
    assert by_group["r"].main == only(Bkg=0.5)
    assert by_group["f"].main == only()
    assert by_group["c"].AP50 is None
    assert by_group["c"].main["Bkg"] is None
