"""TIDE: `tidecv` mode against tidecv 1.0.1 to 1e-9, `aligned` mode against a plain loop, on generated files."""

import pytest
from cases import make_case, write_case
from side_by_side import TIDE_TOLERANCE, our_tide, ours
from twins import aligned_tide

from longtail_cli.errors import VerificationError
from longtail_cli.evaluation.protocol import DEFAULT_MAX_DETS
from longtail_cli.verify.official import compare, official_tide

HERE, THERE = [0.0, 0.0, 10.0, 10.0], [40.0, 40.0, 10.0, 10.0]

PROTOCOLS = pytest.mark.parametrize("protocol", ["lvis", "coco"])
IOU_TYPES = pytest.mark.parametrize("iou_type", ["bbox", "segm"])
TWIN_TOLERANCE = 1e-12


def assert_same_as_tidecv(folder, case, protocol, iou_type="bbox"):
    paths = write_case(folder, *case)
    letters = {category["id"]: category.get("frequency") for category in case[0]["categories"]}
    groups = {group: [id_ for id_, letter in letters.items() if letter == group] for group in set(letters.values())}
    groups.pop(None, None)
    mine = our_tide(*paths, protocol, iou_type, mode="tidecv")
    assert compare(mine, official_tide(*paths, iou_type, protocol, groups), TIDE_TOLERANCE) == ()


def assert_same_as_twin(folder, case, protocol, iou_type="bbox", max_dets=None):
    mine = our_tide(*write_case(folder, *case), protocol, iou_type, mode="aligned", max_dets=max_dets)
    cap = max_dets or DEFAULT_MAX_DETS[protocol]
    twin = aligned_tide(*case, protocol=protocol, iou_type=iou_type, max_dets=cap)
    assert compare(mine, twin, TWIN_TOLERANCE) == ()


@PROTOCOLS
@pytest.mark.parametrize("seed", range(40))
def test_tidecv_boxes(tmp_path, protocol, seed):
    """With the means over r, c and f if the categories have letters."""
    assert_same_as_tidecv(tmp_path, make_case(seed, protocol=protocol, sure_hit=True), protocol)


@PROTOCOLS
@IOU_TYPES
@pytest.mark.parametrize("seed", range(10))
def test_tidecv_masks(tmp_path, protocol, iou_type, seed):
    case = make_case(seed, protocol=protocol, masks=True, sure_hit=True)
    assert_same_as_tidecv(tmp_path, case, protocol, iou_type)


@PROTOCOLS
def test_tidecv_has_one_cap_for_the_image(tmp_path, protocol):
    """Its cap is 300 or 100 detections per image over all categories, under COCO too."""
    case = make_case(0, protocol=protocol, crowded_image=True, sure_hit=True)
    assert_same_as_tidecv(tmp_path, case, protocol)


@PROTOCOLS
@pytest.mark.parametrize("seed", range(40))
def test_aligned_boxes(tmp_path, protocol, seed):
    """Every third case with a cap of 3."""
    case = make_case(seed, protocol=protocol)
    assert_same_as_twin(tmp_path, case, protocol, max_dets=3 if seed % 3 == 0 else None)


@PROTOCOLS
@IOU_TYPES
@pytest.mark.parametrize("seed", range(10))
def test_aligned_masks(tmp_path, protocol, iou_type, seed):
    assert_same_as_twin(tmp_path, make_case(seed, protocol=protocol, masks=True), protocol, iou_type)


@PROTOCOLS
@pytest.mark.parametrize("seed", range(10))
def test_aligned_ap50_is_that_of_the_report(tmp_path, protocol, seed):
    paths = write_case(tmp_path, *make_case(seed, protocol=protocol))
    tide = our_tide(*paths, protocol, "bbox", mode="aligned")
    assert compare({"AP50": tide["AP50"]}, {"AP50": ours(*paths, protocol, "bbox").metrics["AP50"]}, 1e-12) == ()


@pytest.mark.parametrize("other", [-1, 2])
def test_category_minus_one(tmp_path, other):
    """Tidecv takes an image that does not judge category -1 to judge none: its id stands for any category there."""
    annotations = {
        "images": [{"id": 1, "neg_category_ids": [], "not_exhaustive_category_ids": []}],
        "categories": [{"id": 1, "name": "one"}, {"id": other, "name": "other"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": HERE, "area": 100.0}],
    }
    found = [
        {"image_id": 1, "category_id": 1, "bbox": box, "score": score} for box, score in ((THERE, 0.9), (HERE, 0.5))
    ]
    paths = write_case(tmp_path, annotations, found)
    mine = our_tide(*paths, "lvis", "bbox", mode="tidecv")
    official = official_tide(*paths, "bbox", "lvis")
    assert mine["AP50"] == pytest.approx(0.5)
    assert official["AP50"] == pytest.approx(1.0 if other == -1 else 0.5)


@PROTOCOLS
def test_no_detections_at_all(tmp_path, protocol):
    """Unlike tidecv, which fails: every object is missed. Without them nothing is wrong, but no category is left."""
    annotations, _ = make_case(2, protocol=protocol, sure_hit=True)
    case = annotations, []
    assert_same_as_twin(tmp_path, case, protocol)
    paths = write_case(tmp_path, *case)
    mine = our_tide(*paths, protocol, "bbox", mode="tidecv")
    assert (mine["AP50"], mine["main"]["Bkg"], mine["main"]["Miss"]) == (0.0, 0.0, None)
    with pytest.raises(VerificationError, match="ZeroDivisionError"):
        official_tide(*paths, "bbox", protocol)
