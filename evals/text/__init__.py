"""Text: verbalisation and normalisers, word alignment, kinds of error, progress in a transcript."""
