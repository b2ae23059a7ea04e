"""hotcoco computing what `ltcal report --protocol coco` computes for masks (load, AP, TIDE): GT DT."""

import sys

from hotcoco import COCO, COCOeval

truth = COCO(sys.argv[1])
evaluation = COCOeval(truth, truth.load_res(sys.argv[2]), "segm")
evaluation.evaluate()
evaluation.accumulate()
evaluation.summarize()
print(evaluation.get_results()["AP"], evaluation.tide_errors()["ap_base"])
