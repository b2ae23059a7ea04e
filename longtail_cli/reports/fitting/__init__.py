"""What `ltcal fit` says of a fit, as a document and as text."""
