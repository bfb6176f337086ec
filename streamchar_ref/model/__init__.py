"""The joint audio-video DiT and what it is made of."""
