"""Labels of proposals from annotations, the draw of background rows, and the images that are held out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from longtail_cli.errors import InputError, UsageError
from longtail_cli.files.logits.metadata import Declared
from longtail_cli.files.logits.reader import LogitsFile, open_logits
from longtail_cli.tables import GroundTruth
from longtail_cli.workflow.label_proposals import (
    IGNORED,
    LabelledProposals,
    ProposalOptions,
    labelled_proposals,
    labels_of_proposals,
)
from longtail_cli.workflow.locate_detections import look_up
from longtail_cli.workflow.progress import no_progress
from tests.builders import ground_truth
from tests.decode_twins import iou

SOFTMAX = Declared("softmax", "last", np.arange(3))
CLASSIFIER = Declared("softmax", "none", np.arange(3))
ALL = ProposalOptions(negatives=math.inf)


def proposals(
    boxes: Any, image_id: Any = None, declared: Declared = SOFTMAX, logits: Any = None, **more: Any
) -> LogitsFile:
    """A file with these boxes, xyxy, in image 0 unless stated, and the logits 0, 1, 2, ... row by row."""
    boxes = torch.tensor(boxes, dtype=torch.float32)
    assert declared.category_id is not None
    width = len(declared.category_id) + (declared.background != "none")
    rows = torch.arange(len(boxes) * width, dtype=torch.float32).reshape(-1, width)
    ids = torch.zeros(len(boxes), dtype=torch.int64) if image_id is None else torch.tensor(image_id)
    columns = {"logits": rows if logits is None else torch.tensor(logits), "image_id": ids, "boxes": boxes, **more}
    return open_logits(columns, declared, "proposals")


def labels(file: LogitsFile, truth: GroundTruth, options: ProposalOptions = ALL) -> list[int]:
    assert file.image_id is not None
    image, _ = look_up("image_id", file.image_id, truth.image_id, "")
    return labels_of_proposals(file, truth, image, options, no_progress).tolist()


def labelled(file: LogitsFile, truth: GroundTruth, options: ProposalOptions = ALL) -> LabelledProposals:
    tensors = ["logits", "features"] if file.has_features else ["logits"]
    return labelled_proposals(file, truth, options, tensors, no_progress)  # type: ignore[arg-type]


def plain_label(box: list[float], image: int, truth: GroundTruth, options: ProposalOptions) -> int:
    """The rules, one object at a time."""
    highest, best, in_crowd = 0.0, None, 0.0
    x1, y1, x2, y2 = box
    for number in np.flatnonzero(truth.image == image).tolist():
        x, y, w, h = truth.bbox[number].tolist()
        if truth.crowd[number]:
            shared = max(min(x2, x + w) - max(x1, x), 0) * max(min(y2, y + h) - max(y1, y), 0)
            in_crowd = max(in_crowd, shared / ((x2 - x1) * (y2 - y1)))
        elif iou(box, [x, y, x + w, y + h]) > highest:
            highest, best = iou(box, [x, y, x + w, y + h]), number
    if best is not None and highest >= options.foreground_iou:
        return IGNORED if truth.ignore[best] else int(truth.category[best])
    return IGNORED if highest >= options.background_iou or in_crowd >= 0.5 else len(truth.categories)


@pytest.mark.parametrize("options", [ALL, ProposalOptions(0.6, 0.3, math.inf), ProposalOptions(0.2, 0.1, math.inf)])
@pytest.mark.parametrize("seed", range(3))
def test_labels_equal_the_plain_twin(options: ProposalOptions, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(seed)
    objects = [
        (int(random.integers(8)), int(random.integers(3)), [*random.integers(0, 12, 2), *random.integers(1, 12, 2)])
        for _ in range(40)
    ]
    truth = ground_truth(
        objects, images=8, categories=3, crowd=list(random.random(40) < 0.2), ignore=list(random.random(40) < 0.2)
    )  # fmt: skip
    corner = random.integers(0, 12, (300, 2))
    boxes = np.hstack([corner, corner + random.integers(1, 12, (300, 2))]).astype(float)
    image = np.sort(random.integers(0, 8, 300))
    monkeypatch.setattr("longtail_cli.workflow.label_proposals.BOXES", 70)
    found = labels(proposals(boxes, image), truth, options)
    assert found == [plain_label(box, int(own), truth, options) for box, own in zip(boxes.tolist(), image, strict=True)]
    assert {0, 1, 3, IGNORED} <= set(found)


def test_the_thresholds_belong_to_the_higher_label() -> None:
    truth = ground_truth([(0, 2, [0, 0, 10, 10])], categories=3)
    boxes = [[0, 0, 10, 5], [0, 0, 10, 4], [0, 0, 10, 3]]  # IoU 0.5, 0.4 and 0.3
    assert labels(proposals(boxes), truth, ProposalOptions(0.5, 0.4)) == [2, IGNORED, 3]
    assert labels(proposals(boxes), truth) == [2, 3, 3]


def test_of_equal_objects_the_first_counts() -> None:
    truth = ground_truth([(0, 2, [0, 0, 10, 10]), (0, 1, [0, 0, 10, 10])], categories=3)
    assert labels(proposals([[0, 0, 10, 10]]), truth) == [2]


def test_proposals_in_a_crowd_are_ignored_unless_they_match_an_object() -> None:
    objects = [(0, 0, [0.0, 0.0, 100.0, 100.0]), (0, 1, [10.0, 10.0, 10.0, 10.0])]
    truth = ground_truth(objects, categories=3, crowd=[True, False])
    boxes = [[50, 50, 60, 60], [95, 50, 105, 60], [96, 50, 106, 60], [10, 10, 20, 20]]
    assert labels(proposals(boxes), truth) == [IGNORED, IGNORED, 3, 1]


def test_objects_of_other_categories_make_ignored_rows() -> None:
    truth = ground_truth([(0, 1, [0, 0, 10, 10]), (0, 3, [50, 50, 10, 10])], categories=4)
    file = proposals([[0, 0, 10, 10], [50, 50, 60, 60], [80, 80, 90, 90]])
    assert labels(file, truth) == [1, IGNORED, 3]


def test_the_box_of_the_highest_class_decides() -> None:
    truth = ground_truth([(0, 1, [0, 0, 10, 10])], categories=3)
    here, there = [0, 0, 10, 10], [50, 50, 60, 60]
    logits = [[0.0, 2.0, 1.0, 9.0], [2.0, 0.0, 1.0, 9.0]]
    assert labels(proposals([[there, here, there]] * 2, logits=logits), truth) == [1, 3]
    first = Declared("softmax", "first", np.arange(3))
    shifted = [[9.0, 0.0, 2.0, 1.0], [9.0, 2.0, 0.0, 1.0]]
    assert labels(proposals([[there, here, there]] * 2, declared=first, logits=shifted), truth) == [1, 3]


@pytest.mark.parametrize(
    ("head", "background", "targets"),
    [
        ("softmax", "last", [1, 3]),
        ("softmax", "first", [2, 0]),
        ("softmax", "none", [1]),
        ("sigmoid", "none", [1, 3]),
        ("sigmoid", "first", [2, 0]),
    ],
)
def test_targets_are_columns(head: Any, background: Any, targets: list[int]) -> None:
    truth = ground_truth([(0, 1, [0, 0, 10, 10])], categories=3)
    file = proposals([[0, 0, 10, 10], [50, 50, 60, 60]], declared=Declared(head, background, np.arange(3)))
    found = labelled(file, truth)
    assert found.rows.target.tolist() == targets
    assert found.counts.background == 1


@pytest.mark.parametrize("background", ["first", "last"])
def test_columns_are_in_order_of_id(background: Any) -> None:
    truth = ground_truth([(0, 0, [0, 0, 10, 10]), (0, 2, [50, 50, 10, 10])], categories=3)
    boxes, features = [[0, 0, 10, 10], [50, 50, 60, 60]], torch.tensor([[5.0], [6.0]])
    file = proposals(boxes, declared=Declared("softmax", background, np.array([2, 0, 1])), features=features)
    rows = labelled(file, truth).rows
    assert rows.columns.category_id.tolist() == [0, 1, 2]
    assert rows.logits is not None
    assert rows.features is not None
    if background == "last":
        assert rows.logits.tolist() == [[1, 2, 0, 3], [5, 6, 4, 7]]
        assert rows.target.tolist() == [0, 2]
    else:
        assert rows.logits.tolist() == [[0, 2, 3, 1], [4, 6, 7, 5]]
        assert rows.target.tolist() == [1, 3]
    assert rows.features.tolist() == [[5], [6]]


def scene(images: int = 20) -> tuple[LogitsFile, GroundTruth]:
    """In each image one object of class 0, or of class 1 in every other one, and 1 + 9 proposals, with features."""
    objects = [(image, int(image % 2 == 0), [0.0, 0.0, 10.0, 10.0]) for image in range(images)]
    boxes = [[0, 0, 10, 10], *([20 + n, 20, 30 + n, 30] for n in range(9))] * images
    index = torch.arange(images * 10)
    file = proposals(boxes, (index // 10).tolist(), features=index[:, None].half())
    return file, ground_truth(objects, images=images + 1, categories=3)


def index_of(found: LabelledProposals) -> np.ndarray:
    """The row of the file that each row of a scene is, which its only feature states: int64 [n]."""
    features = found.rows.features
    assert features is not None
    assert features.dtype == torch.float16
    return features[:, 0].long().numpy()


@pytest.mark.parametrize(
    ("negatives", "kept"), [(3.0, 60), (0.5, 10), (0.0, 0), (8.96, 179), (100.0, 180), (math.inf, 180)]
)
def test_background_rows_are_drawn_for_each_row_with_a_class(negatives: float, kept: int) -> None:
    found = labelled(*scene(), ProposalOptions(negatives=negatives))
    assert (found.counts.foreground, found.counts.background, found.counts.ignored) == (20, 180, 0)
    assert found.counts.kept_background == kept
    assert len(found.rows) == 20 + kept
    assert (found.rows.target == 3).sum() == kept
    index = index_of(found)
    assert (np.diff(index) > 0).all()
    assert ((index % 10 == 0) == (found.rows.target != 3).numpy()).all()


def test_the_draw_depends_on_the_seed_alone() -> None:
    one, same, other = (labelled(*scene(), ProposalOptions(seed=seed)) for seed in (0, 0, 1))
    assert index_of(one).tolist() == index_of(same).tolist()
    assert index_of(one).tolist() != index_of(other).tolist()
    assert one.rows.held_out.tolist() == same.rows.held_out.tolist()


def test_whole_images_are_held_out_spread_over_the_rarest_categories() -> None:
    found = labelled(*scene())
    image = index_of(found) // 10
    held = np.unique(image[found.rows.held_out.numpy()])
    assert found.counts.images == 20
    assert len(held) == 4
    assert not set(held) & set(image[~found.rows.held_out.numpy()])
    assert (held % 2 == 0).sum() == 2


def test_a_single_image_is_not_held_out() -> None:
    assert not labelled(*scene(images=1)).rows.held_out.any()


def test_only_what_is_needed_is_kept() -> None:
    file, truth = scene()
    rows = labelled_proposals(file, truth, ALL, ["features"], no_progress).rows
    assert rows.logits is None
    assert rows.features is not None


def test_unknown_images_are_refused() -> None:
    truth = ground_truth([(0, 1, [0, 0, 10, 10])], categories=3)
    with pytest.raises(InputError, match="`image_id` of 1 of 2 entries"):
        labelled(proposals([[0, 0, 10, 10]] * 2, [0, 7]), truth)


def test_unknown_classes_are_refused() -> None:
    truth = ground_truth([(0, 1, [0, 0, 10, 10])], categories=2)
    with pytest.raises(InputError, match="`category_id` of 1 of 3 entries"):
        labelled(proposals([[0, 0, 10, 10]]), truth)


def test_boxes_that_match_nothing_are_refused() -> None:
    truth = ground_truth([(0, 1, [0, 0, 10, 10])], categories=3)
    with pytest.raises(InputError, match=r"at least one with an IoU of 0\.5 or more") as caught:
        labelled(proposals([[0, 0, 1, 1]]), truth)
    assert "x1, y1, x2, y2 in pixels" in caught.value.fix


def test_classification_logits_have_no_proposals() -> None:
    file = open_logits({"logits": np.zeros((2, 3), np.float32)}, CLASSIFIER)
    with pytest.raises(InputError, match="`image_id` and `boxes`"):
        labelled(file, ground_truth([], categories=3))


def test_missing_features_are_refused() -> None:
    truth = ground_truth([(0, 1, [0, 0, 10, 10])], categories=3)
    with pytest.raises(InputError, match="`features`"):
        labelled_proposals(proposals([[0, 0, 10, 10]]), truth, ALL, ["features"], no_progress)


@pytest.mark.parametrize(
    "values",
    [{"background_iou": 0.6}, {"foreground_iou": 1.5}, {"background_iou": 0.05}, {"foreground_iou": math.nan},
     {"negatives": -1.0}, {"negatives": math.nan}],
)  # fmt: skip
def test_options_out_of_range_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="labels of proposals"):
        ProposalOptions(**values)  # type: ignore[arg-type]
