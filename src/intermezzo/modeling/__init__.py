"""Encoders, packed batches, and one module per task format (encode -> head -> loss -> decode)."""
