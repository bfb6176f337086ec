"""Is it still the person of the reference picture, and does that fade with time?

Of several faces one person is measured, see `evals.metrics.followed`.

Distances are Euclidean between face embeddings: dlib's, whose authors call below 0.6 the same
person, or those of the judge of the drawn world. Blur and small pictures look like another person
to dlib's network, which is why the slope is freed of sharpness, and why a threshold belongs to a
domain: it comes from pairs of pictures of known people, and no time of failure is told where more
than 5 % of such pairs are taken wrongly.

Shape letters: N embedded frames, K windows.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from evals.metrics.identity_metric import IdentityMetric, IdentityParams
from evals.numerics.windows import (
    Series,
    block_bootstrap_ci95,
    ends,
    regress_out,
    theil_sen,
    with_values,
)
from evals.protocols.base import (
    Curve,
    Features,
    Metric,
    MetricContext,
    Score,
    Unscored,
)
from evals.protocols.info import NON_NEGATIVE, SHARE, Level
from evals.recording.recording import Recording


class IdDistance(IdentityMetric):
    """Mean distance of the face to that of the reference picture."""

    level = Level.HEADLINE
    unit = "1"
    higher_is_better = False
    bounds = NON_NEGATIVE

    def measure_person(
        self, recording: Recording, features: Features, context: MetricContext
    ) -> Score:
        """Returns the mean over the embedded frames, and over those of each window."""
        anchor = self.reference_embedding(recording, features)
        distances = self.series(
            features, np.linalg.norm(self.embeddings(recording, features) - anchor, axis=1)
        )
        windows = distances.windows(self.settings.window_s)
        return Score(
            value=float(distances.values.mean()),
            components={
                "num_frames": len(distances.values),
                "p95": float(np.percentile(distances.values, 95)),
                **self.time_to_failure(windows, recording.domain),
            },
            windows=windows,
        )


class Csim(IdentityMetric):
    """Mean cosine of ArcFace's embedding of the face to that of the reference picture.

    Frames without a usable face do not count: read the coverage beside it.
    """

    unit = "1"
    higher_is_better = True
    bounds = (-1.0, 1.0)
    is_default = False

    def measure_person(
        self, recording: Recording, features: Features, context: MetricContext
    ) -> Score:
        """Returns the mean over the embedded frames, and over those of each window."""
        anchor = self.reference_embedding(recording, features)
        cosines = self.series(features, self.embeddings(recording, features) @ anchor)
        sampled = features[self.extractor]["sampled"]
        return Score(
            value=float(cosines.values.mean()),
            components={
                "num_frames": len(cosines.values),
                "num_sampled": len(sampled),
                "p05": float(np.percentile(cosines.values, 5)),
            },
            windows=cosines.windows(self.settings.window_s),
        )


class IdRank1(IdentityMetric):
    """Share of frames whose nearest reference picture in the run is that of the own identity."""

    unit = "1"
    higher_is_better = True
    bounds = SHARE
    is_percent = True
    remark = "Rank-1 is among the people of the run: compare it over the same people."

    def measure_person(
        self, recording: Recording, features: Features, context: MetricContext
    ) -> Score:
        """Returns the share over the embedded frames, and over those of each window.

        Not measured if the run has fewer than two references, or none of this identity.
        """
        references = context.references.get(self.extractor, {})
        if self.extractor in context.reference_faults:  # among fewer pictures, chance is another
            fault = context.reference_faults[self.extractor]
            raise Unscored(f"a reference picture of the run: {fault}", "evaluator_failure")
        if len(references) < 2:
            raise Unscored("fewer than two reference pictures in the run")
        person = self._person(recording, features, references)
        if person not in references:
            raise Unscored(f"no usable reference picture of {person!r}")
        names = sorted(references)
        anchors = np.array([references[name] for name in names], float)
        gaps = np.linalg.norm(self.embeddings(recording, features)[:, None] - anchors, axis=2)
        nearest, own = gaps.argmin(axis=1), names.index(person)
        hits = self.series(features, (nearest == own).astype(float))
        return Score(
            value=float(hits.values.mean()),
            components={
                "num_references": len(names),
                "chance": 1 / len(names),
                "distance_to_others": float(np.delete(gaps, own, axis=1).mean()),
                "nearest": {name: int((nearest == row).sum()) for row, name in enumerate(names)},
            },
            windows=hits.windows(self.settings.window_s),
        )

    def _person(
        self, recording: Recording, features: Features, references: Mapping[str, np.ndarray]
    ) -> str:
        """Whose picture is the own one: without an identity, the one with the same picture."""
        own = f"reference_{self.extractor}"
        if "identity" not in recording.groups and recording.reference_path and own in features:
            anchor = self.reference_embedding(recording, features)
            same = (name for name in sorted(references) if np.array_equal(references[name], anchor))
            return next(same, recording.identity)
        return recording.identity


class IdDrift(IdentityMetric):
    """Distance in the last 15 % minus distance in the first 15 %.

    The distance is to the reference picture or, without one, to the frames of the start, of which
    no frame is compared with itself: 0 on the average where nothing changes. Still the two are
    not alike: what comes back to the reference has a negative drift, what goes elsewhere from the
    start a positive one, and a pose that changes slowly is further from the start, too.
    Windows hold the same contrast of each window with the first 15 %.
    """

    level = Level.HEADLINE
    unit = "1"
    higher_is_better = False

    def measure_person(
        self, recording: Recording, features: Features, context: MetricContext
    ) -> Score:
        """Returns the contrast of end and start.

        Not measured if start or end has no usable face.
        """
        distances, anchor = self.distances(recording, features)
        first, last = ends(distances.num_frames)
        start = distances.mean_in(first.start, first.stop)
        end = distances.mean_in(last.start, last.stop)
        if math.isnan(start) or math.isnan(end):
            raise Unscored(f"no usable face at the {'start' if math.isnan(start) else 'end'}")
        return Score(
            value=end - start,
            components={"start": start, "end": end, "anchor": anchor},
            windows=replace(distances, values=distances.values - start).windows(
                self.settings.window_s
            ),
        )


class IdDriftSize(IdDrift):
    """Distance of start and end whatever its sign, after FramePack's start-end contrast.

    The mean over recordings of a magnitude is never 0: with a deviation s of either end it is
    1.13 s where nothing drifts. The signed `IdDrift` has no such floor; it is in the components.
    """

    level = Level.DETAIL
    bounds = NON_NEGATIVE
    is_default = False

    def measure_person(
        self, recording: Recording, features: Features, context: MetricContext
    ) -> Score:
        """Returns the size of the contrast of end and start."""
        score = super().measure_person(recording, features, context)
        signed = {"signed": score.value, **score.components}
        return replace(score, value=abs(score.value), components=signed)


class IdSlope(IdentityMetric):
    """Theil-Sen slope of the distance per minute, with what sharpness explains taken out.

    Windows hold the distances that the line is laid through.
    """

    unit = "1/min"
    higher_is_better = False
    curve = Curve(quantity="corrected id distance", unit="1")

    def measure_person(
        self, recording: Recording, features: Features, context: MetricContext
    ) -> Score:
        """Returns the slope over windows.

        Not measured if there are too few windows with a face.
        """
        distances, anchor = self.distances(recording, features)
        raw = distances.windows(self.settings.window_s)
        log_sharpness = np.log(
            np.maximum(features[self.extractor]["sharpness"].astype(float), 1e-6)
        )
        sharpness = self.series(features, log_sharpness).windows(self.settings.window_s)
        measured = [row for row, window in enumerate(raw) if not math.isnan(window.value)]
        if len(measured) < self.settings.min_windows:
            raise Unscored(
                f"{len(measured)} windows with a face, {self.settings.min_windows} needed"
            )
        minutes = np.array([(raw[row].t0_s + raw[row].t1_s) / 120 for row in measured])
        values = np.array([raw[row].value for row in measured])
        corrected = regress_out(values, np.array([sharpness[row].value for row in measured]))
        return Score(
            value=theil_sen(minutes, corrected),
            components={**self._interval(minutes, values, corrected), "anchor": anchor},
            windows=with_values(raw, dict(zip(measured, corrected.tolist(), strict=True))),
        )

    def _interval(
        self, minutes: np.ndarray, values: np.ndarray, corrected: np.ndarray
    ) -> dict[str, Any]:
        low, high = block_bootstrap_ci95(minutes, corrected, num_draws=self.settings.num_draws)
        return {
            "ci95": [low, high],
            "uncorrected": theil_sen(minutes, values),
            "num_windows": len(minutes),
        }


class IdCoverage(IdentityMetric):
    """Share of the sampled frames that show exactly one face, large enough to tell whose."""

    unit = "1"
    higher_is_better = True
    bounds = SHARE
    is_percent = True

    def measure_person(
        self, recording: Recording, features: Features, context: MetricContext
    ) -> Score:
        """Returns the share over the video, and over each window.

        Not measured if the video has no frames.
        """
        faces = features[self.extractor]
        if not len(faces["sampled"]):
            raise Unscored("no frames")
        alone = faces["frame"][faces["num_faces"] == 1]
        is_covered = np.isin(faces["sampled"], alone)
        covered = Series(
            frames=faces["sampled"],
            values=is_covered.astype(float),
            num_frames=len(features["face"]["has_mesh"]),
        )
        return Score(
            value=float(is_covered.mean()),
            components={
                "num_sampled": len(is_covered),
                "num_embedded": len(faces["frame"]),
                "person_share": float(np.isin(faces["sampled"], faces["frame"]).mean()),
            },
            windows=covered.windows(self.settings.window_s),
        )


_PARAMS = IdentityParams()
_DLIB = {"world": "dlib_world"}
IDENTITY: tuple[Metric, ...] = (
    IdDistance(params=_PARAMS, protocol="id_distance/dlib@1", figures=_DLIB),
    IdRank1(params=_PARAMS, protocol="id_rank1/dlib@1", figures=_DLIB, label="id rank-1"),
    IdDrift(params=_PARAMS, protocol="id_drift/dlib@2", figures=_DLIB),
    IdSlope(params=_PARAMS, protocol="id_slope_per_min/dlib@2", figures=_DLIB, label="id slope"),
    IdCoverage(params=_PARAMS, protocol="id_coverage/dlib@1"),
)
IDENTITY_CONTRAST: tuple[Metric, ...] = (
    Csim(params=_PARAMS, protocol="csim/arcface-w600k@1", extractor="arcface", label="CSIM"),
    IdDriftSize(
        params=_PARAMS, protocol="id_drift_abs/dlib@1", figures=_DLIB, label="id drift, absolute"
    ),
)


def _of_the_world(
    metric: type[IdentityMetric], name: str, label: str, replaces: str = "", version: int = 1
) -> Metric:
    """Applies a metric to the embeddings of the judge of the drawn world."""
    return metric(
        params=_PARAMS,
        protocol=f"{name}/identity_world@{version}",
        label=label,
        replaces=replaces,
        extractor="identity_world",
        domain="world",
        figures={"world": "identity_world"},
    )


IDENTITY_WORLD: tuple[Metric, ...] = (
    _of_the_world(IdDistance, "id_world_distance", "id-world distance", "id_distance"),
    _of_the_world(IdRank1, "id_world_rank1", "id-world rank-1"),
    _of_the_world(IdDrift, "id_world_drift", "id-world drift", "id_drift", 2),
    _of_the_world(IdSlope, "id_world_slope_per_min", "id-world slope", version=2),
)
