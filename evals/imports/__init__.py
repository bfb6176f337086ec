"""Results of other harnesses as rows of a run, with metrics and protocols of their own."""
