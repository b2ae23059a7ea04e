"""Corrections and classifier heads learned from labelled rows: specs and tensors in, steps of an adjustment out."""
