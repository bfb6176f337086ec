"""Array computations: statistics, Frechet distances, SyncNet scores, curves over playing time."""
