"""The harness: records what a system streams and scores it; never imports the model."""

from typing import Any

__all__ = ["Results", "evaluate"]


def __getattr__(name: str) -> Any:
    """Imports `evals.scoring.evaluate` late, so that ``import evals`` stays quick."""
    if name in __all__:
        from evals.scoring import evaluate as library

        return getattr(library, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
