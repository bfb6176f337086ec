"""Metrics of a whole set of recordings against a reference set, such as Frechet distances."""

import math
from abc import abstractmethod
from collections.abc import Sequence

from evals.protocols.base import BaseMetric, Features, Score, Unscored


class SetMetric(BaseMetric):
    """A metric with one value for all recordings of a system in a suite."""

    @abstractmethod
    def measure_set(self, features: Sequence[Features], reference: Sequence[Features]) -> Score:
        """Measures one set against another and changes nothing.

        Args:
            features: Of each recording of the system.
            reference: Of each recording of the reference set.

        Returns:
            The value, with the sizes of both sets in the components.

        Raises:
            Unscored: If the number cannot be had; the reason goes into the row.
        """

    def score_set(
        self, features: Sequence[Features], reference: Sequence[Features], *, domain: str
    ) -> Score:
        """Measures one set of a domain; what cannot be measured is NaN with its reason."""
        try:
            self.check_domain(domain)
            if not reference:
                raise Unscored("no reference set: name its system with --reference")
            return self.measure_set(features, reference)
        except Unscored as why:
            return Score(value=math.nan, weight=0.0, status=why.status, reason=why.reason)
