"""The plots of a report, drawn by the same code for pages, papers and notebooks."""
