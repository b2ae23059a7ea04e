"""The official LVIS evaluation of boxes (AP only; it has no TIDE): python official_lvis.py GT DT."""

import sys

import numpy as np
from lvis import LVIS, LVISEval, LVISResults

np.float = float  # lvis 0.5.3 uses `np.float`, which numpy 1.24 removed

truth = LVIS(sys.argv[1])
evaluation = LVISEval(truth, LVISResults(truth, sys.argv[2]), "bbox")
evaluation.run()
print(evaluation.results["AP"])
