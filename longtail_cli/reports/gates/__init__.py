"""Gates: limits on figures, what may be compared, and verdicts in words."""
