"""The official packages, run side by side with ours."""
