"""Post-hoc calibration of long-tailed classifiers and detectors."""

__version__ = "0.1.0"
