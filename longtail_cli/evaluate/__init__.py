"""From detections and ground truth to figures: geometry, matching, and the reductions over the matches."""
