"""How a chunk is sampled: flow algebra, sampler settings, and the one chunk sampler."""
