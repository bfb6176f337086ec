"""Statistics, Frechet distances, SyncNet's confidence and curves over playing time, on arrays."""
