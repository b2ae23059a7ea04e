"""From adjusted logits and boxes to detections."""
