"""faster-coco-eval in LVIS mode (AP only): python faster_coco_eval_lvis.py GT DT."""

import sys

from faster_coco_eval import COCO, COCOeval_faster

truth = COCO(sys.argv[1])
evaluation = COCOeval_faster(truth, truth.loadRes(sys.argv[2]), "bbox", lvis_style=True)
evaluation.params.maxDets = [300]
evaluation.run()
print(evaluation.stats_as_dict["AP_all"])
