"""Where work on parts of the data runs: one after another on this machine, or on a Ray cluster."""
