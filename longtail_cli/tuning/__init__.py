"""Choosing an adjustment: spaces of specs, folds, the search, and the rule of the choice."""
