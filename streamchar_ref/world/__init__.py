"""The synthetic world: talking characters of which everything is known.

Text becomes words and phonemes (`lexicon`), speech with exact times (`speech`), movement
(`motion`) of a drawn person (`character`, `render`), and a clip of all of it (`clips`).
"""

MB_PER_HOUR = 26
"""Of a corpus of speech, as measured; `corpus.bytes_per_hour` is what it takes at most."""
