"""What `ltcal inspect` found out about a file: model, JSON, text."""
