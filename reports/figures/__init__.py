"""Figures: each function takes data and an axis, draws, and returns the axis."""
