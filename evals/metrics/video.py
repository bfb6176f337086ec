"""Frechet distances between the videos of a system and a reference set.

A Frechet distance falls with the number of features even when nothing else changes: two draws
from one 400-dimensional Gaussian with a covariance of trace 6.6 are 6.4 apart with 32 features
each and 0.3 with 2048. So both sets are cut to one size, the size is in every row, and rows of
different sizes do not compare (`evals.scoring.compare` refuses them). The kernel distance, KVD or
KID, has no such bias.

Shape letters: N features, D dimensions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evals.numerics.frechet import (
    JackknifeInterval,
    frechet_distance,
    jackknife_interval,
    kernel_distance,
)
from evals.numerics.kernel import kernel_jackknife
from evals.numerics.statistics import MIN_CLUSTERS
from evals.protocols.base import Features, Score, Unscored
from evals.protocols.info import NON_NEGATIVE, UNBOUNDED, Axis, Level
from evals.protocols.set_metric import SetMetric

MIN_FEATURES = 32
"""Below it the distance of a set to itself is about as large as the whole covariance."""
MAX_FEATURES = 2048
"""As many as published tables use; more cost time and change what the number compares with."""
JACKKNIFE_GROUPS = 16
_FEATURES = {
    "i3d": "I3D, clips of 16 frames",
    "inception": "Inception-v3, frames",
    "lite0": "EfficientNet-Lite0, frames",
    "fvd_world": "a network of the drawn world, clips of 16 frames",
}
"""Start of an extractor's name -> network and what one feature is of."""


@dataclass(frozen=True, kw_only=True)
class FeatureSet:
    """Features of several videos.

    Attributes:
        vectors: [N, D].
        video: Which video each is from, [N].
    """

    vectors: np.ndarray
    video: np.ndarray

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def num_videos(self) -> int:
        """Videos with at least one feature."""
        return len(np.unique(self.video))

    def draw(self, count: int, seed: int) -> "FeatureSet":
        """Takes ``count`` features at random, in their order; all if there are no more."""
        if count >= len(self):
            return self
        chosen = np.random.default_rng(seed).choice(len(self), count, replace=False)
        chosen.sort()
        return FeatureSet(vectors=self.vectors[chosen], video=self.video[chosen])


class FrechetMetric(SetMetric):
    """Squared Frechet distance of the features of one extractor.

    Args:
        name: Published name, or that of a stand-in.
        protocol: Name and version.
        extractor: Whose array ``features`` [N, D] is compared.
        counted: What one feature is of, for the row: ``frame`` or ``clip``.
        ddof: 1 for the sample covariance, 0 for 1/N.
        label: Name in tables.
        level: Where it is shown.
        replaces: See `BaseMetric`.
        is_project_specific: See `BaseMetric`.
        domain: Of the network behind the features.
        is_default: Whether it is computed unless told otherwise.
        seed: Of the draw that cuts the larger set to the size of the smaller.
        max_features: Of a set; the rest is left out at random.
    """

    axis = Axis.VIDEO
    unit = "1"
    higher_is_better = False
    bounds = NON_NEGATIVE

    def __init__(
        self,
        *,
        name: str,
        protocol: str,
        extractor: str,
        counted: str,
        ddof: int,
        label: str = "",
        level: Level = Level.DETAIL,
        replaces: str = "",
        is_project_specific: bool = False,
        domain: str = "any",
        is_default: bool = True,
        seed: int = 0,
        max_features: int = MAX_FEATURES,
    ) -> None:
        self.name = name
        self.label, self.level, self.replaces = label, level, replaces
        self.is_project_specific = is_project_specific
        self.distinction = next(
            (words for start, words in _FEATURES.items() if extractor.startswith(start)), extractor
        )
        self.domain = domain
        self.protocol = protocol
        self.needs = (extractor,)
        self.is_default = is_default
        self.params: Mapping[str, Any] = {
            "counted": counted,
            "ddof": ddof,
            "min_features": MIN_FEATURES,
            "max_features": max_features,
            "equal_sizes": "larger set cut at random",
            "seed": seed,
            "interval": f"jackknife over videos in at most {JACKKNIFE_GROUPS} groups a set",
        }
        self._ddof, self._seed, self._counted = ddof, seed, counted
        self._max_features = max_features

    def measure_set(self, features: Sequence[Features], reference: Sequence[Features]) -> Score:
        """Measures the distance to the reference set at equal sizes."""
        fake, real = self._collect(features), self._collect(reference)
        size = min(len(fake), len(real), self._max_features)
        if size < MIN_FEATURES:
            raise Unscored(
                f"{len(fake)} {self._counted}s against {len(real)}; "
                f"fewer than {MIN_FEATURES} give noise, not a distance"
            )
        drawn_fake, drawn_real = fake.draw(size, self._seed), real.draw(size, self._seed)
        value, interval, further = self._distance(drawn_real, drawn_fake)
        components = {
            "n": size,
            f"n_real_{self._counted}s": len(real),
            f"n_fake_{self._counted}s": len(fake),
            "n_real_videos": real.num_videos,
            "n_fake_videos": fake.num_videos,
            "n_real_unusable": len(reference) - real.num_videos,
            "n_fake_unusable": len(features) - fake.num_videos,
            "ci_low": interval.low if interval else None,
            "ci_high": interval.high if interval else None,
            "is_small_n": size <= real.vectors.shape[1],
            "reference_halves": self._between_halves(real, size),
            **further,
        }
        return Score(value=value, components=components)

    def _distance(
        self, real: FeatureSet, fake: FeatureSet
    ) -> tuple[float, JackknifeInterval | None, dict[str, Any]]:
        """Returns the distance, its interval, and what else the row says."""
        mmd2 = kernel_distance(real.vectors, fake.vectors)
        value = frechet_distance(real.vectors, fake.vectors, ddof=self._ddof)
        return value, self._interval(real, fake), {"mmd2": mmd2}

    def _collect(self, recordings: Sequence[Features]) -> FeatureSet:
        """Joins the features of all recordings that have any; raises if none has, or we failed."""
        per_video: list[np.ndarray] = []
        why = Unscored("there are no recordings")
        for recording in recordings:
            try:
                per_video.append(recording[self.needs[0]]["features"])
            except Unscored as missing:
                if missing.status == "evaluator_failure":  # a smaller set has another distance
                    raise
                why = missing
        if not per_video:
            raise why
        video = np.repeat(np.arange(len(per_video)), [len(vectors) for vectors in per_video])
        return FeatureSet(vectors=np.concatenate(per_video), video=video)

    def _interval(self, real: FeatureSet, fake: FeatureSet) -> JackknifeInterval | None:
        """Jackknife over videos, whose features hang together; none from few, as for means."""
        groups = _groups(real), _groups(fake)
        if any(len(np.unique(group)) < MIN_CLUSTERS for group in groups):
            return None
        return jackknife_interval(
            real.vectors, fake.vectors, x_groups=groups[0], y_groups=groups[1], ddof=self._ddof
        )

    def _between_halves(self, real: FeatureSet, size: int) -> float | None:
        """Distance between two disjoint draws from the reference: what equal systems would get."""
        if len(real) < 2 * size:
            return None
        order = np.random.default_rng(self._seed).permutation(len(real))
        one, other = order[:size], order[size : 2 * size]
        return self._plain(real.vectors[one], real.vectors[other])

    def _plain(self, one: np.ndarray, other: np.ndarray) -> float:
        return frechet_distance(one, other, ddof=self._ddof)


def _groups(features: FeatureSet) -> np.ndarray:
    _, number = np.unique(features.video, return_inverse=True)
    return number % JACKKNIFE_GROUPS


KERNEL = {"kernel": "(x.y / D + 1)^3", "estimate": "unbiased MMD^2 of all features"}


class KernelMetric(FrechetMetric):
    """Unbiased squared maximum mean discrepancy of the same features, with a cubic kernel.

    Its mean does not depend on the number of features, so that it is negative about half the time
    where both sets come from one distribution.

    Args:
        name: ``kvd`` or ``kid`` by published networks, or that of a stand-in.
        protocol: Name and version.
        **settings: As of `FrechetMetric`; there is no covariance, so no ``ddof``.
    """

    bounds = UNBOUNDED

    def __init__(self, *, name: str, protocol: str, **settings: Any) -> None:
        super().__init__(name=name, protocol=protocol, ddof=1, **settings)
        own = {key: value for key, value in self.params.items() if key != "ddof"}
        self.params = {**own, **KERNEL}

    def _distance(
        self, real: FeatureSet, fake: FeatureSet
    ) -> tuple[float, JackknifeInterval | None, dict[str, Any]]:
        groups = _groups(real), _groups(fake)
        value = self._plain(real.vectors, fake.vectors)
        if any(len(group) - np.bincount(group).max() < 2 for group in groups):
            return value, None, {}
        return value, kernel_jackknife(real.vectors, fake.vectors, *groups), {}

    def _plain(self, one: np.ndarray, other: np.ndarray) -> float:
        return kernel_distance(one, other)


VIDEO_SETS = (
    FrechetMetric(
        name="fid_lite0",
        label="FID-Lite0",
        is_project_specific=True,
        protocol="fid_lite0/2fps@1",
        extractor="lite0",
        counted="frame",
        ddof=1,
    ),
    FrechetMetric(
        name="fvd_world",
        label="FVD-world",
        level=Level.HEADLINE,
        replaces="fvd",
        is_project_specific=True,
        protocol="fvd_world/16-frames@1",
        extractor="fvd_world",
        counted="clip",
        ddof=1,
        domain="world",
    ),
    FrechetMetric(
        name="fvd",
        label="FVD",
        level=Level.HEADLINE,
        protocol="fvd/stylegan-v@1",
        extractor="i3d",
        counted="clip",
        ddof=0,
    ),
    FrechetMetric(
        name="fvd",
        label="FVD",
        level=Level.HEADLINE,
        protocol="fvd/common-metrics@1",
        extractor="i3d-common-metrics",
        counted="clip",
        ddof=1,
        is_default=False,
    ),
)
