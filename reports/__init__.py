"""Files to tables, figures and a page; computes no metric."""

from typing import Any


def __getattr__(name: str) -> Any:
    """Imports `reports.load_runs` late, so that ``import reports`` stays quick."""
    if name == "load_runs":
        from reports.load import load_runs

        return load_runs
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
