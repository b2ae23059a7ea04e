"""Generate logits like those of an LVIS detector or an ImageNet classifier, identical for the same arguments.

    python benchmarks/generate_logits.py detection OUT_DIR --images 200
    python benchmarks/generate_logits.py classification OUT_DIR --rows 1000000

Detection: 1,000 proposals per image, 1,203 classes and a background column, float16. Most proposals are background; a
tenth are near an object, have a high logit for its class, and overlap. Classification: 1,000 classes, float32, labels.
The shards have 512 MB; `OUT_DIR.freq.csv` next to the folder is a long-tailed frequency table, and for detection
`OUT_DIR.json` are annotations of the objects.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from longtail_cli.files.logits.writer import LogitsWriter

CLASSES, PROPOSALS, OBJECTS, NEGATIVE = 1203, 1000, 12, 40
CLASSIFIER_CLASSES, BLOCK_ROWS = 1000, 20_000
IMAGE = torch.tensor([640.0, 480.0])


def boxes_of(generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Proposals [P, 4] xyxy, and the index of the object that each is near, -1 for background."""
    corner = torch.rand(PROPOSALS, 2, generator=generator) * IMAGE * 0.8
    size = torch.exp(torch.rand(PROPOSALS, 2, generator=generator) * 4 + 1.5)
    object_index = torch.full((PROPOSALS,), -1)
    object_index[: PROPOSALS // 10] = torch.arange(PROPOSALS // 10) % OBJECTS
    jitter = torch.randn(PROPOSALS, 2, generator=generator) * 0.05
    near = object_index >= 0
    first = object_index[near]
    corner[near] = corner[first] + jitter[near] * size[first]
    size[near] = size[first]
    return torch.cat([corner, corner + size], dim=1), object_index


def proposals_of(generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits [P, C + 1], background last, and boxes [P, 4] of one image; the class indices of its objects.

    The first boxes are those of the objects.
    """
    boxes, object_index = boxes_of(generator)
    logits = torch.randn(PROPOSALS, CLASSES + 1, generator=generator) * 1.5 - torch.linspace(0, 4, CLASSES + 1)
    classes = (torch.rand(OBJECTS, generator=generator) ** 2 * CLASSES).long()
    near = (object_index >= 0).nonzero()[:, 0]
    logits[near, classes[object_index[near]]] += 12
    logits[:, CLASSES] = torch.randn(PROPOSALS, generator=generator) + 11
    return logits, boxes, classes


def write_detection(folder: Path, images: int) -> None:
    generator = torch.Generator().manual_seed(0)
    ids = range(1, CLASSES + 1)
    objects: list[tuple[torch.Tensor, torch.Tensor]] = []
    with LogitsWriter(folder, head="softmax", background="last", category_ids=ids) as writer:
        for image in range(images):
            logits, boxes, classes = proposals_of(generator)
            writer.append(logits, image_id=image + 1, boxes=boxes)
            objects.append((boxes[: len(classes)], classes))
    write_frequencies(folder, list(ids))
    write_annotations(folder, objects)


def write_annotations(folder: Path, objects: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
    """LVIS annotations: boxes [O, 4] xyxy and class indices [O] of each image, whose other classes are negative."""
    images, annotations = [], []
    for number, (boxes, classes) in enumerate(objects, 1):
        absent = sorted({(7 * number + 11 * step) % CLASSES + 1 for step in range(NEGATIVE)} - set(classes.tolist()))
        images.append({"id": number, "file_name": f"{number}.jpg", "width": 640, "height": 480,
                       "neg_category_ids": absent, "not_exhaustive_category_ids": []})  # fmt: skip
        for box, index in zip(boxes.tolist(), classes.tolist(), strict=True):
            x, y, width, height = box[0], box[1], box[2] - box[0], box[3] - box[1]
            annotations.append({"id": len(annotations) + 1, "image_id": number, "category_id": index + 1,
                                "bbox": [x, y, width, height], "area": width * height, "iscrowd": 0})  # fmt: skip
    frequency = ["f", "c", "r"]
    categories = [
        {"id": index + 1, "name": str(index + 1), "frequency": frequency[3 * index // CLASSES]}
        for index in range(CLASSES)
    ]
    document = {"images": images, "annotations": annotations, "categories": categories}
    folder.with_name(folder.name + ".json").write_text(json.dumps(document))


def write_classification(folder: Path, rows: int) -> None:
    generator = torch.Generator().manual_seed(0)
    with LogitsWriter(
        folder, head="softmax", background="none", category_ids=range(CLASSIFIER_CLASSES), dtype="float32"
    ) as writer:
        for begin in range(0, rows, BLOCK_ROWS):
            number = min(BLOCK_ROWS, rows - begin)
            labels = torch.randint(CLASSIFIER_CLASSES, (number,), generator=generator)
            logits = torch.randn(number, CLASSIFIER_CLASSES, generator=generator) * 2
            logits[torch.arange(number), labels] += 8 * torch.rand(number, generator=generator)
            writer.append(logits, labels=labels)
    write_frequencies(folder, list(range(CLASSIFIER_CLASSES)))


def write_frequencies(folder: Path, ids: list[int]) -> None:
    lines = ["category_id,image_count,instance_count"]
    lines += [
        f"{category},{int(5000 * 0.994**index) + 1},{int(9000 * 0.994**index) + 1}"
        for index, category in enumerate(ids)
    ]
    folder.with_name(folder.name + ".freq.csv").write_text("\n".join(lines) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["detection", "classification"])
    parser.add_argument("folder", type=Path, metavar="OUT_DIR")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    if options.kind == "detection":
        write_detection(options.folder, options.images)
    else:
        write_classification(options.folder, options.rows)


if __name__ == "__main__":
    main()
