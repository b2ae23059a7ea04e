"""Writes what Ultralytics 8.4.190 saves: ultralytics.json with `save_json`, and the folder yolo with `save_txt` and
`save_conf`.

The validator's own methods write them, for detections that are given instead of predicted:

    python tests/data/frameworks/write_ultralytics.py
"""

import json
from pathlib import Path
from types import SimpleNamespace

import torch
from digit_scenes import CATEGORIES, HEIGHT, IMAGES, NAMES, WIDTH, of_image
from ultralytics.models.yolo.detect.val import DetectionValidator

HERE = Path(__file__).parent

validator = SimpleNamespace(jdict=[], class_map=list(range(1, len(CATEGORIES) + 1)), names=dict(enumerate(NAMES)))
(HERE / "yolo").mkdir(exist_ok=True)
for image in IMAGES:
    boxes, scores, categories = of_image(image)
    found = {
        "bboxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        "conf": torch.tensor(scores),
        "cls": torch.tensor([CATEGORIES.index(one) for one in categories], dtype=torch.float32),
    }
    DetectionValidator.pred_to_json(validator, found, {"im_file": f"val/scene_{image}.png"})
    labels = HERE / "yolo" / f"scene_{image}.txt"
    labels.unlink(missing_ok=True)
    DetectionValidator.save_one_txt(validator, found, True, (HEIGHT, WIDTH), labels)
few = {f"scene_{image}" for image in IMAGES[:17]}
(HERE / "ultralytics.json").write_text(json.dumps([one for one in validator.jdict if one["image_id"] in few]))
