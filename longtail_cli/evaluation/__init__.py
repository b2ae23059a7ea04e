"""From detections and ground truth to metrics: geometry, matching, and the reductions over the matches."""
