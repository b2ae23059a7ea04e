"""Every metric against lvis 0.5.3, to 1e-12, on generated files."""

import pytest
from cases import make_case, write_case
from side_by_side import assert_same_metrics, ours

from longtail_cli.errors import VerificationError
from longtail_cli.verify.official import official_lvis

CAPS = (300, 300, 4)


def both(tmp_path, case, iou_type="bbox", max_dets=300):
    paths = write_case(tmp_path, *case)
    return ours(*paths, "lvis", iou_type, max_dets=max_dets), official_lvis(*paths, iou_type, max_dets)


@pytest.mark.parametrize("seed", range(100))
def test_boxes(tmp_path, seed):
    """Every third case with a cap of 4, which many images exceed."""
    assert_same_metrics(*both(tmp_path, make_case(seed, protocol="lvis"), max_dets=CAPS[seed % 3]))


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("iou_type", ["bbox", "segm"])
def test_masks(tmp_path, seed, iou_type):
    """Results with masks, half of them with boxes that disagree; the others get boxes from their masks."""
    case = make_case(seed, protocol="lvis", masks=True)
    assert_same_metrics(*both(tmp_path, case, iou_type, max_dets=CAPS[seed % 3]))


@pytest.mark.parametrize("seed", range(4))
def test_more_than_300_detections_on_an_image(tmp_path, seed):
    case = make_case(seed, protocol="lvis", crowded_image=True)
    assert_same_metrics(*both(tmp_path, case))


@pytest.mark.parametrize("seed", range(10))
def test_a_single_detection(tmp_path, seed):
    annotations, predictions = make_case(seed, protocol="lvis", sure_hit=True)
    assert_same_metrics(*both(tmp_path, (annotations, predictions[:1])))


@pytest.mark.parametrize("seed", range(5))
def test_no_objects(tmp_path, seed):
    annotations, predictions = make_case(seed, protocol="lvis")
    mine, official = both(tmp_path, (annotations | {"annotations": []}, predictions))
    assert_same_metrics(mine, official)
    assert mine.metrics["AP"] is None


@pytest.mark.parametrize("seed", range(10))
def test_annotation_id_0_is_an_id_like_any_other(tmp_path, seed):
    """Unlike the official code, which takes id 0 for "no match"; `official_lvis` numbers annotations from 1."""
    annotations, predictions = make_case(seed, protocol="lvis", sure_hit=True)
    numbered = [entry | {"id": number} for number, entry in enumerate(annotations["annotations"])]
    assert_same_metrics(*both(tmp_path, (annotations | {"annotations": numbered}, predictions)))


def test_no_detections_at_all(tmp_path):
    """Unlike the official code, which fails: nothing was found, so a category with objects has AP 0, not no AP."""
    annotations, _ = make_case(2, protocol="lvis", sure_hit=True)
    paths = write_case(tmp_path, annotations, [])
    mine = ours(*paths, "lvis", "bbox")
    assert (mine.metrics["AP"], mine.metrics["AR@300"]) == (0.0, 0.0)
    counted = [entry for entry in annotations["annotations"] if entry["area"] > 0 and not entry.get("ignore")]
    expected = dict.fromkeys(mine.categories) | {entry["category_id"]: 0.0 for entry in counted}
    assert mine.categories == expected
    with pytest.raises(VerificationError, match="IndexError"):
        official_lvis(*paths, "bbox", 300)
