"""What was said against what should have been: normalisers, alignment, kinds of failure."""
