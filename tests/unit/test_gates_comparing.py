"""Which reports can be compared."""

from dataclasses import replace

import pytest

from longtail_cli.reports.gates.comparing import differences
from longtail_cli.reports.model import Signature

LVIS = Signature("0.1.0", "lvis", 300, ("bbox",), "aligned", 19809, 1203, "ab" * 32, None, "cd" * 32)
CLASSIFIER = Signature("0.1.0", "classification", None, (), "off", 8, 2, "ab" * 32, None, None)


def test_the_same_rules_on_the_same_data_can_be_compared():
    assert differences(LVIS, LVIS) == ()
    assert differences(CLASSIFIER, CLASSIFIER) == ()


@pytest.mark.parametrize(
    ("baseline", "sentence"),
    [
        (
            {"annotations_sha256": "ef" * 32, "images": 5000},
            "annotations: 19,809 images, 1,203 categories, SHA-256 abababababab here, 5,000 images, 1,203 categories, "
            "SHA-256 efefefefefef in the baseline; evaluate both on the same file",
        ),
        ({"protocol": "coco"}, "protocol: lvis here, coco in the baseline; evaluate both with the same `protocol=`"),
        ({"max_dets": 100}, "max_dets: 300 here, 100 in the baseline; evaluate both with the same `max_dets=`"),
        (
            {"iou_types": ("segm",)},
            "IoU types: bbox here, segm in the baseline; write the baseline with `iou_types='bbox'`",
        ),
        ({"tide": "tidecv"}, "TIDE: aligned here, tidecv in the baseline; evaluate both with the same `tide=`"),
        (
            {"groups_sha256": "ef" * 32},
            "frequency groups: categories are in other groups here than in the baseline; evaluate both with the "
            "same `frequencies=`",
        ),
        (
            {"groups_sha256": None},
            "frequency groups: some here, none in the baseline; evaluate both with the same `frequencies=`",
        ),
    ],
)
def test_a_difference_of_rules_or_data_is_reported_with_a_fix(baseline, sentence):
    assert differences(LVIS, replace(LVIS, **baseline)) == (sentence,)


@pytest.mark.parametrize(
    "baseline",
    [
        {"version": "9.9.9"},
        {"frequencies_sha256": "ef" * 32},
        {"tide": "off"},
        {"iou_types": ("bbox", "segm")},
    ],
)
def test_what_does_not_change_metrics_is_not_a_difference(baseline):
    assert differences(LVIS, replace(LVIS, **baseline)) == ()


class TestTideRules:
    NEW = replace(LVIS, tide_rules=2)

    def test_figures_by_earlier_rules_are_not_compared(self):
        assert differences(self.NEW, LVIS) == (
            "TIDE: the baseline follows earlier rules of `tide='aligned'` (ltcal 0.1.0); write it again with this "
            "version, or evaluate with `tide='off'`",
        )

    def test_nor_by_later_ones(self):
        assert differences(self.NEW, replace(LVIS, tide_rules=3, version="0.9.0")) == (
            "TIDE: the baseline follows later rules of `tide='aligned'` (ltcal 0.9.0); update ltcal, "
            "or evaluate with `tide='off'`",
        )

    @pytest.mark.parametrize("without", ["here", "there"])
    def test_without_tide_on_one_side_they_do_not_matter(self, without):
        off = replace(LVIS, tide="off")
        assert differences(*((off, self.NEW) if without == "here" else (self.NEW, off))) == ()

    def test_tidecv_has_one_set_of_rules(self):
        assert differences(replace(LVIS, tide="tidecv"), replace(LVIS, tide="tidecv")) == ()


def test_a_breakdown_that_only_the_baseline_has_is_not_a_difference():
    assert differences(replace(LVIS, tide="off"), LVIS) == ()


def test_the_baseline_must_hold_every_iou_type():
    (sentence,) = differences(replace(LVIS, iou_types=("bbox", "segm")), LVIS)
    assert sentence.startswith("IoU types: bbox and segm here, bbox in the baseline")
    assert sentence.endswith("write the baseline with `iou_types='bbox'` and `iou_types='segm'`")


def test_all_differences_are_reported():
    names = [sentence.split(":")[0] for sentence in differences(CLASSIFIER, LVIS)]
    assert names == ["protocol", "max_dets", "frequency groups"]
    other = replace(CLASSIFIER, annotations_sha256="ef" * 32)
    assert differences(CLASSIFIER, other)[0].startswith("labels: 8 images, 2 categories")
