"""The detections of `tests/framework_scenes.py`, without the package, for the environments of frameworks."""

import json
from pathlib import Path

EXAMPLES = Path(__file__).parents[3] / "examples" / "digit_scenes"
WIDTH, HEIGHT = 160, 120

_whole = json.loads((EXAMPLES / "val.json").read_bytes())
IMAGES = [one["id"] for one in _whole["images"][:30]]
CATEGORIES = [one["id"] for one in _whole["categories"]]
NAMES = [one["name"] for one in _whole["categories"]]
DETECTIONS = [
    one
    for one in json.loads((EXAMPLES / "predictions.json").read_bytes())
    if one["image_id"] in IMAGES and one["score"] > 0.2
]


def of_image(image):
    """The boxes as two corners, the scores and the category ids of an image, as lists."""
    found = [one for one in DETECTIONS if one["image_id"] == image]
    boxes = [[x, y, x + width, y + height] for x, y, width, height in (one["bbox"] for one in found)]
    return boxes, [one["score"] for one in found], [one["category_id"] for one in found]
