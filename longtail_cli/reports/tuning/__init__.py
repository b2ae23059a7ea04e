"""Results of `ltcal tune`, and how they are shown."""
