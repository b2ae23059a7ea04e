"""Logits in, calibrated logits out: one module a family of methods."""
