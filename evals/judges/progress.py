"""Lines of progress while judges are trained and measured."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
LogFn = Callable[[str], None]
"""Takes one line."""


def counted(items: Iterable[Item], every: int, what: str, log: LogFn) -> Iterator[Item]:
    """Passes items on and logs how many were done, after each so many of them."""
    for number, item in enumerate(items, 1):
        yield item
        if number % every == 0:
            log(f"{number} {what}")
