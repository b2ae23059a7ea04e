"""hotcoco computing what `ltcal report` computes for boxes (load, AP, TIDE): python hotcoco_lvis.py GT DT."""

import sys

from hotcoco import COCO, COCOeval, LVISResults

truth = COCO(sys.argv[1])
evaluation = COCOeval(truth, LVISResults(truth, sys.argv[2]), "bbox", lvis_style=True)
evaluation.evaluate()
evaluation.accumulate()
evaluation.summarize()
errors = evaluation.tide_errors()
print(evaluation.get_results()["AP"], errors["ap_base"])
