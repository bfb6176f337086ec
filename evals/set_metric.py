"""Metrics of a whole set of recordings against a reference set, such as Frechet distances."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from evals.metrics.base import Features, NotMeasured, Score


class SetMetric(ABC):
    """A metric with one value for all recordings of a system in a suite.

    Attributes:
        name: The field's standard term, lower case.
        unit: ``1`` for ratios and squared feature distances.
        higher_is_better: Direction.
        domain: ``world`` or ``real`` if a network behind it was trained for one, else ``any``.
        is_default: Whether ``score`` computes it unless told otherwise.
        needs: Names of the extractors whose features it reads.
        protocol: Name and version, e.g. ``fvd/stylegan-v@1``.
        params: All settings of its own; extractors and input add theirs to the hash.
    """

    name: str
    unit: str
    higher_is_better: bool | None
    domain: str = "any"
    is_default: bool = True
    needs: tuple[str, ...] = ()
    protocol: str
    params: Mapping[str, Any]

    @abstractmethod
    def measure_set(self, features: Sequence[Features], reference: Sequence[Features]) -> Score:
        """Measures one set against another and changes nothing.

        Args:
            features: Of each recording of the system.
            reference: Of each recording of the reference set.

        Returns:
            The value, with the sizes of both sets in the components.

        Raises:
            NotMeasured: If the number cannot be had; the reason goes into the row.
        """

    def score_set(self, features: Sequence[Features], reference: Sequence[Features]) -> Score:
        """Measures one set; what cannot be measured is NaN with its reason."""
        try:
            if not reference:
                raise NotMeasured("there is no reference set to compare with")
            return self.measure_set(features, reference)
        except NotMeasured as why:
            return Score(value=math.nan, weight=0.0, status=why.status, reason=why.reason)
