"""The HTML pages of reports and tunings."""
