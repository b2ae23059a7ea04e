"""pycocotools on masks (AP only; it has no TIDE): python official_coco_masks.py GT DT."""

import sys

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

truth = COCO(sys.argv[1])
for annotation in truth.dataset["annotations"]:
    annotation.setdefault("iscrowd", 0)  # it stops at objects without this field
evaluation = COCOeval(truth, truth.loadRes(sys.argv[2]), "segm")
evaluation.evaluate()
evaluation.accumulate()
evaluation.summarize()
