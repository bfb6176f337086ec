"""The callback that reports progress of long work."""

from collections.abc import Callable

ProgressFn = Callable[[str, int, int], None]
"""Called with a label, the units done and their total."""
