"""What metrics of identity share: the person who is measured, embeddings, reference, doubts.

Shape letters: N embedded frames, K windows.
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from evals.extractors.networks import judge_figures
from evals.metrics.absence import require_face
from evals.metrics.followed import FOLLOW_NEEDS, FOLLOW_PARAMS, follow
from evals.numerics.windows import (
    END_SHARE,
    Series,
    distances_to_start,
    ends,
)
from evals.protocols.base import (
    Features,
    Metric,
    MetricContext,
    MetricWindow,
    Score,
    Unscored,
)
from evals.protocols.info import Axis
from evals.recording.recording import Recording

MAX_EER = 0.05
_NETWORKS = {
    "identity": "dlib's embedding",
    "identity_world": "embedding of the judge of the drawn world",
}


@dataclass(frozen=True, kw_only=True)
class IdentityParams:
    """What decides a number on identity.

    Attributes:
        window_s: Length of a window, and time from one to the next.
        num_draws: Bootstrap samples behind the interval of the slope.
        min_windows: With a face, that a slope needs.
    """

    window_s: float = 2.0
    num_draws: int = 500
    min_windows: int = 5


class IdentityMetric(Metric):
    """What the identity metrics share.

    Args:
        params: Settings.
        protocol: Name and version; the name before the slash is the metric's.
        extractor: Whose embeddings are compared.
        domain: Of the network, see `BaseMetric`.
        figures: Domain to the file with the network's error there, see `judge_figures`.
        label: Name in tables.
        replaces: See `BaseMetric`.
    """

    axis = Axis.IDENTITY

    def __init__(
        self,
        *,
        params: IdentityParams,
        protocol: str,
        extractor: str = "identity",
        domain: str = "any",
        figures: Mapping[str, str] | None = None,
        label: str = "",
        replaces: str = "",
    ) -> None:
        self.name = protocol.partition("/")[0]
        self.label = label
        self.replaces = replaces
        self.settings = params
        self.protocol = protocol
        self.extractor = extractor
        self.distinction = _NETWORKS.get(extractor, "")
        self.domain = domain
        self.needs = tuple(dict.fromkeys((*FOLLOW_NEEDS, extractor)))
        by_domain = {place: judge_figures(name) for place, name in (figures or {}).items()}
        self.verification = {
            place: error_rates for place, error_rates in by_domain.items() if error_rates
        }
        self.params = {
            **asdict(params),
            "end_share": END_SHARE,
            "verification": self.verification,
            "follow": FOLLOW_PARAMS,
        }

    def measure(self, recording: Recording, features: Features, context: MetricContext) -> Score:
        """Measures the person whom the recording is about; as `measure_person` says."""
        followed = follow(recording, features)
        score = self.measure_person(recording, followed.view(features, self.extractor), context)
        doubts = [doubt for doubt in (followed.doubt, self._reference_doubt(features)) if doubt]
        components = followed.components | ({"doubt": "; ".join(doubts)} if doubts else {})
        return replace(score, components={**score.components, **components})

    @abstractmethod
    def measure_person(
        self, recording: Recording, features: Features, context: MetricContext
    ) -> Score:
        """Measures one person; ``features`` hold no other."""

    def series(self, features: Features, values: Float[np.ndarray, " N"]) -> Series:
        """Places values of the embedded frames in the video."""
        return Series(
            frames=features[self.extractor]["frame"],
            values=values,
            num_frames=len(features["face"]["has_mesh"]),
        )

    def embeddings(self, recording: Recording, features: Features) -> Float[np.ndarray, "N D"]:
        """Returns the embeddings of a video; not measured if no sampled frame has a usable face."""
        require_face(recording, features)
        embeddings = features[self.extractor]["embedding"].astype(float)
        if not len(embeddings):
            raise Unscored("no usable face in any sampled frame")
        return embeddings

    def reference_embedding(
        self, recording: Recording, features: Features
    ) -> Float[np.ndarray, " D"]:
        """Returns the embedding of the largest face in the reference picture.

        Not measured if there is no picture, or no face in it.
        """
        name = f"reference_{self.extractor}"
        if recording.reference_path is None or name not in features:
            raise Unscored("no reference picture")
        embeddings = features[name]["embedding"].astype(float)
        if not len(embeddings):
            raise Unscored("no usable face in the reference picture")
        return embeddings[0]

    def distances(self, recording: Recording, features: Features) -> tuple[Series, str]:
        """Returns distances to the reference picture or, without one, to the start of the video.

        The distance to the start is the mean over the embedded frames of the first 15 %, of which
        a frame of the start itself is left out: as long as nothing changes, frames of the start
        and later ones are then equally far from it, and a difference can have either sign.

        Args:
            recording: Says whether there is a picture.
            features: Of one recording.

        Returns:
            The distances, and ``reference`` or ``start``.

        Raises:
            Unscored: If there is no face to measure, or none to measure from; also if the
                picture could not be read.
        """
        embeddings = self.embeddings(recording, features)
        try:
            anchor = self.reference_embedding(recording, features)
            return self.series(features, np.linalg.norm(embeddings - anchor, axis=1)), "reference"
        except Unscored as why:
            if why.status != "not_applicable":  # there is a picture, which could not be read
                raise
            first, _ = ends(len(features["face"]["has_mesh"]))
            is_early = features[self.extractor]["frame"] < first.stop
            return self.series(features, distances_to_start(embeddings, is_early)), "start"

    def _reference_doubt(self, features: Features) -> str:
        """Says that the reference picture shows several faces; empty if it does not."""
        try:
            reference = features[f"reference_{self.extractor}"]
        except (KeyError, Unscored):  # told by the metrics that cannot do without
            return ""
        num = int(reference["num_faces"].max(initial=0)) if "num_faces" in reference else 1
        return f"the reference picture shows {num} faces, the largest is taken" if num > 1 else ""

    def time_to_failure(self, windows: tuple[MetricWindow, ...], domain: str) -> dict[str, Any]:
        """Says when the face is another one, if this network can tell in this domain.

        Args:
            windows: Distances to the reference picture.
            domain: Of the recording.

        Returns:
            ``failed_after_s``: start of the first window beyond the threshold at which both kinds
            of error are equal, ``None`` if there is none; nothing if the network errs too often.
        """
        error_rates = self.verification.get(domain)
        if error_rates is None or error_rates["eer"] > MAX_EER:
            return {}
        late = (window.t0_s for window in windows if window.value > error_rates["threshold"])
        return {"failed_after_s": next(late, None)}
