"""The same detections as plain COCO results and as frameworks save them, and what their reports must agree on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner
from pycocotools import mask as mask_utils

from longtail_cli.cli import main

SCENES = Path(__file__).parents[1] / "examples" / "digit_scenes"
FILES = Path(__file__).parent / "data" / "frameworks"
"""Files that frameworks wrote, each by the script beside it."""
IMAGES = 30
SCORE = 0.2


@dataclass(frozen=True)
class Scenes:
    """Detections on 30 images of 10 categories, whose ids are neither contiguous nor from 0, and their annotations."""

    named: bool = False
    """Whether the stems of the file names are words, such as scene_361, instead of the ids."""

    @cached_property
    def annotations(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(_few()[0])
        if self.named:
            found["images"] = [{**one, "file_name": f"val/scene_{one['id']}.png"} for one in found["images"]]
        return found

    @cached_property
    def category_ids(self) -> list[int]:
        return [one["id"] for one in self.annotations["categories"]]

    @cached_property
    def detections(self) -> list[dict[str, Any]]:
        """COCO results, ordered by image; some images have none."""
        found: list[dict[str, Any]] = json.loads(_few()[1])
        return found

    def masked(self) -> list[dict[str, Any]]:
        """The detections with their boxes as masks, in compressed run lengths."""
        return [{**one, "segmentation": _rectangle(one["bbox"])} for one in self.detections]


@cache
def _few() -> tuple[str, str]:
    """The annotations and the detections of the first images, as JSON, so that every caller gets its own."""
    whole = json.loads((SCENES / "val.json").read_bytes())
    found = json.loads((SCENES / "predictions.json").read_bytes())
    images = whole["images"][:IMAGES]
    ids = {one["id"] for one in images}
    objects = [one for one in whole["annotations"] if one["image_id"] in ids]
    detections = [one for one in found if one["image_id"] in ids and one["score"] > SCORE]
    return json.dumps({**whole, "images": images, "annotations": objects}), json.dumps(detections)


def _rectangle(bbox: list[float]) -> dict[str, Any]:
    x, y, width, height = (round(value) for value in bbox)
    mask = np.zeros((120, 160), np.uint8, order="F")
    mask[max(y, 0) : y + height, max(x, 0) : x + width] = 1
    found = mask_utils.encode(mask)
    return {"size": [120, 160], "counts": found["counts"].decode()}


def written(folder: Path, scenes: Scenes, detections: list[dict[str, Any]]) -> tuple[Path, Path]:
    """The paths of the detections as plain COCO results, and of the annotations, both written to `folder`."""
    plain, annotations = folder / "plain.json", folder / "val.json"
    plain.write_text(json.dumps(detections))
    annotations.write_text(json.dumps(scenes.annotations))
    return plain, annotations


def figures(predictions: Path, annotations: Path, *options: str) -> dict[str, Any]:
    """All metrics of the only run of a report, to the last digit."""
    out = annotations.parent / "figures.json"
    arguments = ["report", str(predictions), "--annotations", str(annotations), "--fixed-ap", "--json", str(out)]
    result = CliRunner().invoke(main, [*arguments, "--per-category", *options])
    assert result.exit_code == 0, result.output
    (run,) = json.loads(out.read_bytes())["runs"]
    return {name: run[name] for name in ("metrics", "tide", "categories")}


def refusal(*arguments: str) -> str:
    """The message of a command that ends with exit code 2."""
    result = CliRunner().invoke(main, list(arguments))
    assert result.exit_code == 2, result.output
    return result.output
