"""Features of recordings: the canonical encode, extractors run over it, and what is kept."""
