"""The synthetic world: talking characters with complete ground truth.

Text becomes words and phonemes (`lexicon`), speech with exact times (`speech`), motion (`motion`)
of a drawn character (`character`, `render`), and a clip of all of these (`clips`).
"""

MB_PER_HOUR = 26
"""Measured size of a speech corpus; `corpus.bytes_per_hour` is an upper bound."""
