"""How a stream runs: transcript, stream state, context of a chunk, rollout, chunks to play."""
