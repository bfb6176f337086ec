"""The synthetic world: talking characters of which everything is known.

Text becomes words and phonemes (`lexicon`), speech with exact times (`speech`), movement
(`motion`) of a drawn person (`character`, `render`), and a clip of all of it (`clips`).
"""
