"""The training loop around any stage: optimisers, schedule, EMA, log, resuming, processes."""
