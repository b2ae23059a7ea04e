"""Post-hoc calibration of long-tailed classifiers and detectors.

The functions behind the commands are in `longtail_cli.workflow`: `compute_freq`, `rescore`, `report`, `verify`.
"""

__version__ = "0.1.0"
