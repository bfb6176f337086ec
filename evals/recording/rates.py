"""Rates of the canonical encode, at which every extractor reads a recording."""

FPS = 25
SAMPLE_RATE = 16_000
