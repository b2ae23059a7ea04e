"""Resamples of the images: the metrics of each, from one set of matches."""
