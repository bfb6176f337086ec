"""The harness: records what a system streams and scores it; never imports the model."""

from typing import Any


def __getattr__(name: str) -> Any:
    """Imports `evals.evaluate` late, so that ``import evals`` stays quick."""
    if name == "evaluate":
        from evals.evaluate import evaluate

        return evaluate
    raise AttributeError(name)
