"""Logits files: ``ltcal-logits/1``, read and written batch by batch."""
