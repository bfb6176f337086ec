"""Benchmarks of metrics, numerics, voices and the world."""
