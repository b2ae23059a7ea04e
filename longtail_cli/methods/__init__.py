"""Methods that adjust logits or scores: one module per family."""
