"""Every metric against pycocotools 2.0.11, to 1e-12, on generated files."""

import pytest
from cases import make_case, write_case
from side_by_side import assert_same_metrics, ours

from longtail_cli.errors import VerificationError
from longtail_cli.verify.official import official_coco

CAPS = (100, 100, 2, 30)


def both(tmp_path, case, iou_type="bbox", max_dets=100):
    paths = write_case(tmp_path, *case)
    return ours(*paths, "coco", iou_type, max_dets=max_dets), official_coco(*paths, iou_type, max_dets)


@pytest.mark.parametrize("seed", range(100))
def test_boxes(tmp_path, seed):
    """Every fourth case with a cap of 2 per image and category, every fourth with one of 30."""
    assert_same_metrics(*both(tmp_path, make_case(seed, protocol="coco"), max_dets=CAPS[seed % 4]))


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("iou_type", ["bbox", "segm"])
def test_masks(tmp_path, seed, iou_type):
    """Results with masks, half of them with boxes that disagree; the others get boxes from their masks."""
    case = make_case(seed, protocol="coco", masks=True)
    assert_same_metrics(*both(tmp_path, case, iou_type, max_dets=CAPS[seed % 4]))


@pytest.mark.parametrize("seed", range(4))
def test_more_than_100_detections_of_a_category_on_an_image(tmp_path, seed):
    case = make_case(seed, protocol="coco", crowded_image=True)
    assert_same_metrics(*both(tmp_path, case))


@pytest.mark.parametrize("seed", range(10))
def test_a_single_detection(tmp_path, seed):
    annotations, predictions = make_case(seed, protocol="coco", sure_hit=True)
    assert_same_metrics(*both(tmp_path, (annotations, predictions[:1])))


@pytest.mark.parametrize("seed", range(5))
def test_no_objects(tmp_path, seed):
    annotations, predictions = make_case(seed, protocol="coco")
    mine, official = both(tmp_path, (annotations | {"annotations": []}, predictions))
    assert_same_metrics(mine, official)
    assert mine.metrics["AP"] is None


@pytest.mark.parametrize("seed", range(10))
def test_annotation_id_0_is_an_id_like_any_other(tmp_path, seed):
    """Unlike the official code, which takes id 0 for "no match"; `official_coco` numbers annotations from 1."""
    annotations, predictions = make_case(seed, protocol="coco", sure_hit=True)
    numbered = [entry | {"id": number} for number, entry in enumerate(annotations["annotations"])]
    assert_same_metrics(*both(tmp_path, (annotations | {"annotations": numbered}, predictions)))


@pytest.mark.parametrize("seed", range(10))
def test_lvis_files_by_the_rules_of_coco(tmp_path, seed):
    """Only the boxes count: lists of judged categories and `ignore` have no effect here."""
    assert_same_metrics(*both(tmp_path, make_case(seed, protocol="lvis")))


def test_no_detections_at_all(tmp_path):
    """Unlike the official code, which fails: nothing was found, so a category with objects has AP 0, not no AP."""
    annotations, _ = make_case(2, protocol="coco", sure_hit=True)
    paths = write_case(tmp_path, annotations, [])
    mine = ours(*paths, "coco", "bbox")
    assert (mine.metrics["AP"], mine.metrics["AR@1"], mine.metrics["AR@100"]) == (0.0, 0.0, 0.0)
    counted = [entry for entry in annotations["annotations"] if not entry.get("iscrowd")]
    expected = dict.fromkeys(mine.categories) | {entry["category_id"]: 0.0 for entry in counted}
    assert mine.categories == expected
    with pytest.raises(VerificationError, match="IndexError"):
        official_coco(*paths, "bbox", 100)
