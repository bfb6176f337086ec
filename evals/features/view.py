"""Features of one recording, as metrics read them."""

from collections.abc import Iterator, Mapping

from evals.features.missing import Arrays, Missing
from evals.protocols.base import Unscored


class FeatureView(Mapping[str, Arrays]):
    """Features of one recording; looking up what is missing raises `Unscored`."""

    def __init__(self, found: Mapping[str, Arrays | Missing]) -> None:
        self._arrays = {n: arrays for n, arrays in found.items() if not isinstance(arrays, Missing)}
        self._missing = {n: why for n, why in found.items() if isinstance(why, Missing)}

    def __getitem__(self, name: str) -> Arrays:
        if name in self._missing:
            raise Unscored(self._missing[name].reason, self._missing[name].status)
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def logs(self) -> list[str]:
        """Tracebacks of extractors that failed."""
        return [why.log for why in self._missing.values() if why.log]
