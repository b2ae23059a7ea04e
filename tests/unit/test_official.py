"""The official packages: any input is evaluated by the rules of the protocol, without side effects."""

import gzip
import json
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cases import make_case, write_case
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from longtail_cli.errors import InputError, MissingExtraError, UsageError, VerificationError
from longtail_cli.verify.official import compare, official_coco, official_lvis, official_tide

SMALL, FAR = [10.0, 10.0, 20.0, 20.0], [70.0, 70.0, 20.0, 20.0]
AP_NAMES = ["AP", "AP50", "AP75", "APs", "APm", "APl"]
LVIS_NAMES = [*AP_NAMES, "APr", "APc", "APf", "AR@300", "ARs@300", "ARm@300", "ARl@300"]
COCO_NAMES = [*AP_NAMES, "AR@1", "AR@10", "AR@100", "ARs@100", "ARm@100", "ARl@100"]


def scene(*boxes, category=1, lvis=True):
    """One 100 x 100 image with objects of one of two categories; 1 is rare, 2 frequent."""
    image = {"id": 1, "width": 100, "height": 100, "neg_category_ids": [], "not_exhaustive_category_ids": []}
    return {
        "images": [image if lvis else {"id": 1}],
        "categories": [{"id": 1, "name": "one", "frequency": "r"}, {"id": 2, "name": "two", "frequency": "f"}],
        "annotations": [
            {"id": number, "image_id": 1, "category_id": category, "bbox": box, "area": box[2] * box[3]}
            | {"segmentation": mask_of(box)}
            for number, box in enumerate(boxes, start=1)
        ],
    }


def found(box, score=0.9, **fields):
    return {"image_id": 1, "category_id": 1, "bbox": box, "score": score} | fields


def mask_of(box):
    rle = coco_mask.frPyObjects(np.array([box]), 100, 100)[0]
    return {"size": rle["size"], "counts": rle["counts"].decode()}


@pytest.fixture
def files(tmp_path):
    return lambda annotations, predictions: write_case(tmp_path, annotations, predictions)


def test_lvis_metrics_have_our_names_and_undefined_is_none(files):
    official = official_lvis(*files(scene(SMALL), [found(SMALL)]), "bbox", 300)
    assert list(official.metrics) == LVIS_NAMES
    defined = {name: value for name, value in official.metrics.items() if value is not None}
    assert defined == pytest.approx(dict.fromkeys(["AP", "AP50", "AP75", "APs", "APr", "AR@300", "ARs@300"], 1.0))
    assert official.categories == {1: pytest.approx(1.0), 2: None}


def test_coco_metrics_have_our_names_and_undefined_is_none(files):
    official = official_coco(*files(scene(SMALL, lvis=False), [found(SMALL)]), "bbox", 100)
    assert list(official.metrics) == COCO_NAMES
    assert [name for name, value in official.metrics.items() if value is None] == ["APm", "APl", "ARm@100", "ARl@100"]
    assert official.categories == {1: pytest.approx(1.0), 2: None}


@pytest.mark.parametrize("seed", range(5))
def test_coco_metrics_are_those_of_summarize(files, seed):
    annotations, predictions = make_case(seed, protocol="coco", sure_hit=True)
    for entry in annotations["annotations"]:
        entry.setdefault("iscrowd", 0)
    paths = files(annotations, predictions)
    known = COCO(paths[0])
    evaluation = COCOeval(known, known.loadRes(str(paths[1])), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    summary = [None if value == -1 else value for value in evaluation.stats]
    assert list(official_coco(*paths, "bbox", 100).metrics.values()) == summary


def test_the_cap_is_applied_and_in_the_names(files):
    paths = files(scene(SMALL, FAR), [found(SMALL), found(FAR, 0.8)])
    assert official_lvis(*paths, "bbox", 1).metrics["AR@1"] == 0.5
    assert official_lvis(*paths, "bbox", 2).metrics["AR@2"] == 1.0
    coco = official_coco(*paths, "bbox", 1).metrics
    assert (coco["AR@1"], coco["AR@10"], coco["ARs@1"]) == (0.5, 0.5, 0.5)
    assert official_coco(*paths, "bbox", 2).metrics["AR@2"] == 1.0


@pytest.mark.parametrize("official", [official_lvis, official_coco])
def test_boxes_next_to_masks_are_dropped(files, official):
    """With its box, the false positive would count as large; its mask is small, like the object."""
    masks = [found(SMALL, 0.5, segmentation=mask_of(SMALL)), found(FAR, 0.9, segmentation=mask_of(FAR))]
    with_boxes = [entry | {"bbox": [0.0, 0.0, 100.0, 100.0]} for entry in masks]
    metrics = official(*files(scene(SMALL), with_boxes), "segm", 100).metrics
    assert metrics["APs"] == pytest.approx(0.5)
    assert official(*files(scene(SMALL), masks), "segm", 100).metrics == metrics


def test_masks_as_uncompressed_run_lengths_and_boxes_from_masks(files):
    """The square covers rows and columns 10 to 29: after 1,010 pixels, 20 columns of 20 on and 80 off."""
    counts = [1010, *[20, 80] * 19, 20, 7070]
    entry = found(SMALL, segmentation={"size": [100, 100], "counts": counts})
    del entry["bbox"]
    paths = files(scene(SMALL), [entry])
    for iou_type in ("bbox", "segm"):
        assert official_lvis(*paths, iou_type, 300).metrics["AP"] == pytest.approx(1.0)
        assert official_coco(*paths, iou_type, 100).metrics["AP"] == pytest.approx(1.0)
        for protocol in ("lvis", "coco"):
            assert official_tide(*paths, iou_type, protocol)["AP50"] == pytest.approx(1.0)


def test_annotation_id_0_is_found(files):
    """On the file as it is, the official code takes the matched id 0 for "no match"."""
    annotations = scene(SMALL, lvis=False)
    annotations["annotations"][0] |= {"id": 0, "iscrowd": 0}
    paths = files(annotations, [found(SMALL)])
    known = COCO(paths[0])
    evaluation = COCOeval(known, known.loadRes(str(paths[1])), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == 0.0
    assert official_coco(*paths, "bbox", 100).metrics["AP"] == pytest.approx(1.0)
    paths[0].write_text(json.dumps(scene(SMALL) | {"annotations": annotations["annotations"]}))
    assert official_lvis(*paths, "bbox", 300).metrics["AP"] == pytest.approx(1.0)


def test_groups_from_the_file_from_a_table_or_none(files):
    annotations = scene(SMALL)
    paths = files(annotations, [found(SMALL)])
    for frequency, defined in [(None, "APr"), ({1: "c", 2: "f"}, "APc")]:
        metrics = official_lvis(*paths, "bbox", 300, frequency).metrics
        assert [name for name in ("APr", "APc", "APf") if metrics[name] is not None] == [defined]
    for category in annotations["categories"]:
        del category["frequency"]
    metrics = official_lvis(*files(annotations, [found(SMALL)]), "bbox", 300).metrics
    assert (metrics["APr"], metrics["APc"], metrics["APf"]) == (None, None, None)
    assert metrics["AP"] == pytest.approx(1.0)


@pytest.mark.parametrize("protocol", ["lvis", "coco"])
def test_tide_as_fractions(files, protocol):
    """The false positive is ranked first: AP 1/2, and without it 1."""
    tide = official_tide(*files(scene(SMALL), [found(SMALL, 0.5), found(FAR, 0.9)]), "bbox", protocol)
    assert tide["AP50"] == pytest.approx(0.5)
    assert tide["main"] == pytest.approx({"Cls": 0, "Loc": 0, "Both": 0, "Dupe": 0, "Bkg": 0.5, "Miss": 0})
    assert tide["special"] == pytest.approx({"FalsePos": 0.5, "FalseNeg": 0})


def test_tide_of_groups_is_the_mean_over_their_categories(files):
    paths = files(scene(SMALL), [found(SMALL, 0.5), found(FAR, 0.9), found(FAR, 0.9, category_id=2)])
    groups = official_tide(*paths, "bbox", "coco", {"r": [1], "c": [], "f": [2]})["groups"]
    assert (groups["r"]["AP50"], groups["r"]["main"]["Bkg"]) == (pytest.approx(0.5), pytest.approx(0.5))
    assert (groups["c"]["AP50"], groups["c"]["special"]["FalsePos"]) == (None, None)
    # a false positive in a category without objects gives AP 0 in tidecv, and no AP once it is removed
    assert (groups["f"]["AP50"], groups["f"]["main"]["Bkg"]) == (0.0, None)


def test_compressed_files_and_parquet(tmp_path, files):
    annotations, predictions = make_case(3, protocol="lvis", masks=True)
    plain = files(annotations, predictions)
    packed = [path.with_suffix(".json.gz") for path in plain]
    for path, to in zip(plain, packed, strict=True):
        to.write_bytes(gzip.compress(path.read_bytes()))
    columns = tmp_path / "predictions.parquet"
    rows = [entry | {"segmentation": compress(entry["segmentation"])} for entry in predictions]
    pd.DataFrame(rows).to_parquet(columns)
    expected = official_lvis(*plain, "segm", 300)
    assert official_lvis(*packed, "segm", 300) == expected
    assert official_lvis(plain[0], columns, "segm", 300) == expected


@pytest.mark.parametrize("name", ["predictions.json", "predictions.json.gz", "predictions.parquet", "missing.json"])
def test_files_that_cannot_be_read(tmp_path, files, name):
    annotations, _ = files(scene(SMALL), [])
    path = tmp_path / name
    if "missing" not in name:
        path.write_bytes(gzip.compress(b"[{") if path.suffix == ".gz" else b"[{")
    with pytest.raises(InputError, match=str(path)):
        official_lvis(annotations, path, "bbox", 300)


def compress(rle):
    if isinstance(rle["counts"], list):
        rle = coco_mask.frPyObjects(rle, *rle["size"])
        rle["counts"] = rle["counts"].decode()
    return {"size": rle["size"], "counts": rle["counts"]}


def test_there_are_no_side_effects(files, capfd):
    paths = files(scene(SMALL), [found(SMALL)])
    before = [path.read_bytes() for path in paths]
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    official_lvis(*paths, "bbox", 300)
    official_coco(*paths, "bbox", 100)
    official_tide(*paths, "bbox", "lvis")
    assert [path.read_bytes() for path in paths] == before
    assert sorted(path.name for path in paths[0].parent.iterdir()) == ["annotations.json", "predictions.json"]
    assert (root.handlers, root.level) == (handlers, level)
    assert not hasattr(np, "float")
    assert sys.modules["lvis.eval"].np is np
    assert capfd.readouterr() == ("", "")


WITHOUT_OPENCV = """
import sys
from pathlib import Path

class NoOpenCV:
    def find_spec(self, name, path=None, target=None):
        if name == "cv2":
            raise ImportError("libGL.so.1: cannot open shared object file")

sys.meta_path.insert(0, NoOpenCV())
from longtail_cli.verify.official import official_lvis, official_tide
paths = Path(sys.argv[1]), Path(sys.argv[2])
print(round(official_lvis(*paths, "bbox", 300).metrics["AP"], 6))
print(round(official_tide(*paths, "bbox", "lvis")["AP50"], 6))
print("cv2" in sys.modules)
"""


def test_opencv_is_not_needed(files):
    paths = files(scene(SMALL), [found(SMALL)])
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", WITHOUT_OPENCV, *map(str, paths)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1.0", "1.0", "False"]


@pytest.mark.parametrize("package", ["lvis", "tidecv"])
def test_a_package_that_is_not_installed(files, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)  # so that Python cannot import it
    paths = files(scene(SMALL), [found(SMALL)])
    with pytest.raises(MissingExtraError, match=f"(?s)package {package}.*pip install 'ltcal\\[verify\\]'"):
        official_lvis(*paths, "bbox", 300) if package == "lvis" else official_tide(*paths, "bbox", "lvis")


@pytest.mark.parametrize(
    "official",
    [
        lambda *paths: official_lvis(*paths, "bbox", 300),
        lambda *paths: official_coco(*paths, "bbox", 100),
        lambda *paths: official_tide(*paths, "bbox", "coco"),
    ],
    ids=["lvis", "pycocotools", "tidecv"],
)
def test_a_failure_of_the_official_code_is_an_error(files, official):
    paths = files(scene(SMALL), [])
    with pytest.raises(VerificationError, match=f"{paths[1]}: .* found a crash, ") as failure:
        official(*paths)
    assert failure.value.exit_code == 1


def test_lvis_needs_the_lists_of_judged_categories(files):
    with pytest.raises(UsageError, match="neg_category_ids"):
        official_lvis(*files(scene(SMALL, lvis=False), [found(SMALL)]), "bbox", 300)


def test_compare():
    official = {"AP": 0.5, "APr": None, "AR@300": 0.25, "main": {"Cls": 0.125}}
    assert compare({**official, "APfixed": 1.0}, official, 0.0) == ()
    assert compare(official | {"AP": 0.5 + 1e-10}, official, 1e-9) == ()
    assert compare(official | {"AP": 0.6}, official, 1e-9) == (("AP", 0.6, 0.5),)
    assert compare(official | {"APr": 0.0}, official, 1e-9) == (("APr", 0.0, None),)
    assert compare(official | {"main": {"Cls": None}}, official, 1e-9) == (("main.Cls", None, 0.125),)
    assert compare({"AP": 0.5}, {"AP": 0.5, "AR@300": 0.25}, 1e-9) == (("AR@300", None, 0.25),)
    (nan,) = compare({"AP": float("nan")}, {"AP": 0.5}, 1e-9)
    assert nan.name == "AP"
