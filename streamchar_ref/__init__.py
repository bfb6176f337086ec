"""StreamChar: the reference model, its world, and what both share with the harness."""

__version__ = "0.1.0"
