"""From recordings to rows, summaries and comparisons."""
