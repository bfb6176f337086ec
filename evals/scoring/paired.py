"""Two systems on the same samples, as arrays.

Shape letters: N pairs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from evals.numerics.effects import Effect, probability_of_superiority, standardised_difference
from evals.numerics.power import paired_spread
from evals.protocols.info import Direction
from evals.scoring.results import ScoreRow
from evals.scoring.summary import bootstrap_clusters


@dataclass(frozen=True, kw_only=True)
class PairedValues:
    """Values of two systems in one metric, sample by sample and seed by seed.

    Attributes:
        first: Of one system; absolute values where zero is best.
        second: Of the other.
        weights: Mean weight of both.
        clusters: Pairs that are no independent witnesses have the same number.
        prompts: Number of the prompt.
        direction: Which values are better.
    """

    first: Float[np.ndarray, " N"]
    second: Float[np.ndarray, " N"]
    weights: Float[np.ndarray, " N"]
    clusters: Int[np.ndarray, " N"]
    prompts: Int[np.ndarray, " N"]
    direction: Direction

    @classmethod
    def of(
        cls,
        pairs: Sequence[tuple[ScoreRow, ScoreRow]],
        identities: Mapping[str, str],
        *,
        direction: Direction,
    ) -> "PairedValues":
        """Takes the values of rows that share prompt and seed.

        Args:
            pairs: Rows with a value, of one metric and protocol.
            identities: See `evals.scoring.summary.bootstrap_clusters`.
            direction: Of the metric.

        Returns:
            The values.
        """
        values = np.array([[row.value for row in pair] for pair in pairs], dtype=np.float64)
        values = np.abs(values) if direction is Direction.ZERO else values
        names = [f"{row.suite}/{row.sample_id}" for row, _ in pairs]
        return cls(
            first=values[:, 0],
            second=values[:, 1],
            weights=np.array([(one.weight + other.weight) / 2 for one, other in pairs]),
            clusters=bootstrap_clusters([row for row, _ in pairs], identities),
            prompts=np.unique(names, return_inverse=True)[1],
            direction=direction,
        )

    @property
    def num_prompts(self) -> int:
        """Prompts, whatever the number of their seeds."""
        return len(np.unique(self.prompts))

    def sizes(self) -> dict[str, float]:
        """Returns spread and effect sizes under their names in `evals.scoring.compare`."""
        differences = self.first - self.second
        shared = {"weights": self.weights, "clusters": self.clusters}
        spread = paired_spread(differences, **shared, prompts=self.prompts)
        sizes = {"spread": np.nan if spread is None else spread.spread}
        sizes |= _ends("effect", standardised_difference(differences, **shared))
        if self.direction is not Direction.NONE:
            costs = -differences if self.direction is Direction.HIGHER else differences
            sizes |= _ends("superiority", probability_of_superiority(costs, **shared))
        return sizes


def _ends(name: str, effect: Effect) -> dict[str, float]:
    return {name: effect.value, f"{name}_low": effect.low, f"{name}_high": effect.high}
