"""Gates: limits on metrics, what can be compared, and verdicts in words."""
