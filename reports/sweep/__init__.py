"""Checkpoints of a training in one run: recorded, scored, compared, and one of them chosen."""
