"""Training and tests of the judges; their networks are in `evals.extractors.networks`."""
