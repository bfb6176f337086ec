"""Training: a stage says what its loss is, the loop around it does the rest."""
