"""Adjusted logits and boxes in, detections out."""
