"""Metrics of several takes of one prompt: recordings that differ in their seed alone."""

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from evals.protocols.base import BaseMetric, Features, Score, Unscored
from evals.recording.recording import Recording


@dataclass(frozen=True, kw_only=True)
class SeedTake:
    """One take of a prompt.

    Attributes:
        recording: Of one seed.
        features: What the extractors found in it.
    """

    recording: Recording
    features: Features


class TakesMetric(BaseMetric):
    """A metric with one value for all takes of a system of one prompt.

    Attributes:
        is_relative: Whether it is relative to the takes of the reference system.
    """

    is_relative: bool = False

    @abstractmethod
    def measure_takes(self, takes: Sequence[SeedTake], reference: Sequence[SeedTake]) -> Score:
        """Measures the takes of one prompt and changes nothing.

        Args:
            takes: In the order of their seeds, at least two.
            reference: Of the reference system for the same prompt; none if it has not two.

        Returns:
            The value, with the number of takes in the components.

        Raises:
            Unscored: If the number cannot be had; the reason goes into the row.
        """

    def score_takes(self, takes: Sequence[SeedTake], reference: Sequence[SeedTake] = ()) -> Score:
        """Measures one prompt; what cannot be measured is NaN with its reason.

        Args:
            takes: Of one system, in the order of their seeds; some may have failed.
            reference: Of the reference system.

        Returns:
            The value or the reason.
        """
        try:
            usable = usable_takes(takes)
            self.check_domain(usable[0].recording.domain)
            return self.measure_takes(usable, reference)
        except Unscored as why:
            return Score(value=math.nan, weight=0.0, status=why.status, reason=why.reason)


def usable_takes(takes: Sequence[SeedTake]) -> list[SeedTake]:
    """Returns the takes that were recorded.

    Args:
        takes: Of one prompt.

    Returns:
        Two or more.

    Raises:
        Unscored: If there are fewer; never applicable with one seed, and a failure of whoever
            failed the others.
    """
    if len(takes) < 2:
        raise Unscored(
            "one seed; diversity needs two of a prompt: streamchar record SYSTEM --seed S"
        )
    failed = [take.recording for take in takes if take.recording.error]
    if len(takes) - len(failed) < 2:
        blamed = next((r for r in failed if r.error_status == "evaluator_failure"), failed[0])
        raise Unscored(
            f"{len(failed)} of {len(takes)} seeds failed, two are needed: {blamed.error}",
            blamed.error_status,
        )
    return [take for take in takes if not take.recording.error]
