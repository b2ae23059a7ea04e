"""faster-coco-eval on masks (AP only): python faster_coco_eval_coco_masks.py GT DT."""

import sys

from faster_coco_eval import COCO, COCOeval_faster

truth = COCO(sys.argv[1])
evaluation = COCOeval_faster(truth, truth.loadRes(sys.argv[2]), "segm")
evaluation.run()
print(evaluation.stats_as_dict["AP_all"])
