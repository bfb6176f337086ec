"""Features of one recording, as metrics read them."""

from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any, TypeVar

from evals.features.missing import Arrays, Missing
from evals.protocols.base import Features, Unscored

T = TypeVar("T")


class FeatureView(Mapping[str, Arrays]):
    """Features of one recording; looking up what is missing raises `Unscored`.

    Arrays are read-only: metrics share them, across samples those of a reference picture.
    """

    def __init__(self, found: Mapping[str, Arrays | Missing]) -> None:
        self._arrays = {n: arrays for n, arrays in found.items() if not isinstance(arrays, Missing)}
        self._missing = {n: why for n, why in found.items() if isinstance(why, Missing)}
        self._made: dict[Hashable, Any] = {}
        for arrays in self._arrays.values():
            for array in arrays.values():
                array.setflags(write=False)

    def __getitem__(self, name: str) -> Arrays:
        if name in self._missing:
            raise Unscored(self._missing[name].reason, self._missing[name].status)
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def made(self, key: Hashable, make: Callable[[], T]) -> T:
        """Returns what was made under a key, or makes it; an exception is kept by nobody."""
        if key not in self._made:
            self._made[key] = make()
        found: T = self._made[key]
        return found

    def forget(self) -> None:
        """Drops what metrics made of the features, which may be larger than these."""
        self._made.clear()

    def logs(self) -> list[str]:
        """Tracebacks of extractors that failed."""
        return [why.log for why in self._missing.values() if why.log]


def made_once(features: Features, key: Hashable, make: Callable[[], T]) -> T:
    """Makes something of a recording's features once for all metrics that need it.

    Args:
        features: Of one recording.
        key: Says what is made, with all settings.
        make: Makes it.

    Returns:
        What it made now or before; plain mappings keep nothing.
    """
    return features.made(key, make) if isinstance(features, FeatureView) else make()
