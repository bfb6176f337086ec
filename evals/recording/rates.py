"""Frame and sample rate of the canonical encode, which all extractors read."""

FPS = 25
SAMPLE_RATE = 16_000
