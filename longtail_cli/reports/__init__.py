"""The one result model and the pure functions that render it."""
