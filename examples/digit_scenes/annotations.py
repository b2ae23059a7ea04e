"""Annotation files in COCO's format with the fields of LVIS v1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scenes import HEIGHT, WIDTH, Scene, draw

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
CATEGORY_ID = (3, 5, 8, 13, 17, 20, 26, 31, 34, 40)  # with gaps and not from 0, as in many real sets
RAREST, COMMONEST = 10, 100  # LVIS: rare up to 10 training images, common up to 100, frequent above


@dataclass(frozen=True, slots=True)
class Labelling:
    """The annotations of one scene.

    annotated: bool [G], whether each digit of the scene has an annotation.
    negative: digits that are stated to be absent.
    not_exhaustive: digits of which some in the scene have no annotation.
    """

    annotated: npt.NDArray[np.bool_]
    negative: list[int]
    not_exhaustive: list[int]


def label_scene(scene: Scene, rng: np.random.RandomState, *, exhaustive: bool) -> Labelling:
    """About half of the absent digits become negatives; unless exhaustive, a third of the repeated ones lose a copy."""
    annotated = np.ones(len(scene.digit), bool)
    negative, not_exhaustive = [], []
    for digit in range(len(NAMES)):
        positions = np.flatnonzero(scene.digit == digit)
        if len(positions) == 0 and draw(rng, 0, 2):
            negative.append(digit)
        if len(positions) > 1 and not exhaustive and draw(rng, 0, 3) == 0:
            not_exhaustive.append(digit)
            annotated[positions[draw(rng, 0, len(positions))]] = False
    return Labelling(annotated, negative, not_exhaustive)


def image_entry(image_id: int, split: str, labelling: Labelling) -> dict[str, object]:
    return {
        "id": image_id,
        "file_name": f"{split}/{image_id:06d}.png",
        "width": WIDTH,
        "height": HEIGHT,
        "neg_category_ids": [CATEGORY_ID[digit] for digit in labelling.negative],
        "not_exhaustive_category_ids": [CATEGORY_ID[digit] for digit in labelling.not_exhaustive],
    }


def annotation_entries(first_id: int, image_id: int, scene: Scene, labelling: Labelling) -> list[dict[str, object]]:
    """One entry for each annotated digit; its mask is the whole box, so that area = width * height."""
    entries: list[dict[str, object]] = []
    for row in np.flatnonzero(labelling.annotated):
        x0, y0, x1, y1 = scene.boxes[row].tolist()
        entries.append(
            {
                "id": first_id + len(entries),
                "image_id": image_id,
                "category_id": CATEGORY_ID[scene.digit[row]],
                "bbox": [x0, y0, x1 - x0, y1 - y0],
                "area": (x1 - x0) * (y1 - y0),
                "segmentation": [[x0, y0, x1, y0, x1, y1, x0, y1]],
                "iscrowd": 0,
            }
        )
    return entries


def category_entries(train_scenes: list[Scene]) -> list[dict[str, object]]:
    """The classes with their counts in the training scenes, which LVIS puts into the val file as well."""
    entries: list[dict[str, object]] = []
    for digit, name in enumerate(NAMES):
        copies = np.array([(scene.digit == digit).sum() for scene in train_scenes])
        image_count = int((copies > 0).sum())
        entries.append(
            {
                "id": CATEGORY_ID[digit],
                "name": name,
                "synset": "zero.n.02" if digit == 0 else f"{name}.n.01",
                "frequency": "r" if image_count <= RAREST else "c" if image_count <= COMMONEST else "f",
                "image_count": image_count,
                "instance_count": int(copies.sum()),
            }
        )
    return entries


def annotation_file(
    split: str,
    first_image_id: int,
    scenes: list[Scene],
    labellings: list[Labelling],
    categories: list[dict[str, object]],
) -> dict[str, object]:
    """The whole file of a split; image ids count up from `first_image_id`, annotation ids from 1."""
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for image_id, (scene, labelling) in enumerate(zip(scenes, labellings, strict=True), first_image_id):
        images.append(image_entry(image_id, split, labelling))
        annotations += annotation_entries(len(annotations) + 1, image_id, scene, labelling)
    info = {"description": f"digit_scenes {split}: scenes made from scikit-learn's digits", "version": "1"}
    return {"info": info, "images": images, "annotations": annotations, "categories": categories}
