"""Parts on a Ray cluster. Ray schedules, retries and moves data; the work is that of one process."""
