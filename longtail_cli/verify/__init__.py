"""The official packages, run side by side with our own evaluation."""
