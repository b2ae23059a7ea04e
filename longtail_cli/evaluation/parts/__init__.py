"""Evaluation in parts: matched by images, reduced by categories, and merged into the metrics of the whole."""
