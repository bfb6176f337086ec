"""StreamChar: the reference model, the world it is trained on, and what both share with the harness."""

__version__ = "0.1.0"
