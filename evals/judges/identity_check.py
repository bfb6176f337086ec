"""Measures identity verification by `identity_world` and dlib on held-out drawn people.

A pair is of one person or of two. The error is the equal error rate: that of the threshold at
which as many pairs of one person are taken for two as the other way round.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8

from evals.calibration.faults.picture import rotation, to_bytes
from evals.extractors import EXTRACTORS
from evals.extractors.face import FaceExtractor
from evals.extractors.networks import WEIGHTS
from evals.extractors.sampled_faces import SampledFaces
from evals.judges.drawn import HELD_OUT
from evals.judges.identity_data import STYLE, stream
from evals.judges.progress import LogFn
from streamchar_ref.core.one_thread import one_thread
from streamchar_ref.weights import WeightsMissing
from streamchar_ref.world.character import blend
from streamchar_ref.world.styles import STYLES

NUM_PAIRS = 300
NUM_SPOILT = 60
SIZE = 256
BLURS_PX = (1, 2, 4)
"""Standard deviations, for a picture 512 high."""
TURNS = (10, 30, 60)
"""Of the hue, in degrees about the grey axis."""
SHARES = (0.1, 0.25, 0.5, 0.75, 1.0)
"""Of another person that a person is blended with."""

Picture = UInt8[np.ndarray, "H W 3"]


@dataclass(frozen=True, kw_only=True)
class Shot:
    """A picture of somebody, and where the face is.

    Attributes:
        picture: As drawn.
        box: In the picture as it is scored, see `as_scored`.
        landmarks: The same.
    """

    picture: Picture
    box: Float32[np.ndarray, " 4"]
    landmarks: Float32[np.ndarray, "L 2"]


Shots = Sequence[Shot | None]
"""``None`` where no face was found."""
Embeddings = Sequence[np.ndarray | None]


@dataclass(frozen=True, kw_only=True)
class Errors:
    """How often pairs are taken wrongly.

    Attributes:
        eer: Equal error rate.
        threshold: Distance at which both errors are equal.
        auc: Chance that two persons are farther apart than one from itself.
    """

    eer: float
    threshold: float
    auc: float


@one_thread()
def check(*, log: LogFn) -> dict[str, Any]:
    """Measures the judge, and dlib's network if it is there, on the same pictures.

    Args:
        log: Takes lines of progress.

    Returns:
        Figures by name.
    """
    return {
        f"{name}: {figure}": value
        for name, figures in measure(log).items()
        for figure, value in figures.items()
    }


def write_figures(log: LogFn, folder: Path = WEIGHTS) -> None:
    """Measures and writes ``identity_world.json`` and ``dlib_world.json``, which metrics read."""
    for name, figures in measure(log).items():
        text = json.dumps({"pairs": NUM_PAIRS, **figures}, indent=1)
        (folder / f"{name}.json").write_text(text + "\n", "utf-8")


def measure(log: LogFn) -> dict[str, dict[str, float]]:
    """Returns the figures of each network that is there: ``identity_world``, ``dlib_world``."""
    album = draw_album(log)
    figures = {}
    for name, extractor in (("identity_world", "identity_world"), ("dlib_world", "identity")):
        try:
            network = EXTRACTORS[extractor].make()
        except (WeightsMissing, ImportError) as error:
            log(f"{name}: {error}")
            continue
        figures[name] = figures_of(network, album)
        log(f"{name}: {json.dumps(figures[name])}")
    return figures


@dataclass(frozen=True, kw_only=True)
class Album:
    """Pictures of people, one row a person.

    Attributes:
        references: Reference pictures.
        first: From one stream.
        second: From another, in another light and pose.
        spoilt: Some of ``first`` spoilt, by how.
        blended: Some of ``first`` with another person mixed in, by the share.
    """

    references: Shots
    first: Shots
    second: Shots
    spoilt: Mapping[str, Shots]
    blended: Mapping[float, Shots]


def draw_album(log: LogFn, num_people: int = NUM_PAIRS, num_spoilt: int = NUM_SPOILT) -> Album:
    """Draws people who were not trained on.

    Args:
        log: Takes lines of progress.
        num_people: How many.
        num_spoilt: How many of them are spoilt and blended.

    Returns:
        Their pictures, drawn at 256 pixels.
    """
    draw, portrait = STYLES[STYLE].draw_character, STYLES[STYLE].portrait
    people = HELD_OUT[:num_people]
    first = [stream(draw(one), one, 100, 1, size=SIZE)[0] for one in people]
    second = [stream(draw(one), one, 101, 1, size=SIZE)[0] for one in people]
    blended = {
        share: [
            stream(blend(draw(one), draw(one + 1), share), one, 100, 1, size=SIZE)[0]
            for one in people[:num_spoilt]
        ]
        for share in SHARES
    }
    log(f"{len(people)} people drawn")
    return Album(
        references=shots(portrait(draw(one), size=SIZE, seed=one) for one in people),
        first=shots(first),
        second=shots(second),
        spoilt={
            what: shots(spoil(picture) for picture in first[:num_spoilt])
            for what, spoil in _spoilings().items()
        },
        blended={share: shots(pictures) for share, pictures in blended.items()},
    )


def shots(pictures: Iterable[Picture]) -> Shots:
    """Finds the faces in pictures."""
    album: list[Shot | None] = []
    for picture in pictures:
        face = FaceExtractor().update(as_scored(picture)[None], {})
        shot = Shot(picture=picture, box=face["box"][0], landmarks=face["landmarks"][0])
        album.append(shot if face["has_mesh"][0] else None)
    return album


def as_scored(picture: Picture) -> Picture:
    """Scales a picture up as the canonical encode does."""
    return np.asarray(cv2.resize(picture, (512, 512), interpolation=cv2.INTER_CUBIC), np.uint8)


def embeddings(network: SampledFaces, pictures: Shots) -> Embeddings:
    """Embeds the faces of pictures."""
    return [
        None
        if one is None
        else network.embed_face(as_scored(one.picture), one.box, one.landmarks)[0]
        for one in pictures
    ]


def figures_of(network: SampledFaces, album: Album) -> dict[str, float]:
    """Measures one network.

    Args:
        network: Extractor of embeddings.
        album: What to measure on.

    Returns:
        Errors against the reference pictures (``eer``, ``threshold``) and between two streams,
        and how far blur, a turn of the hue and a share of another person move the embedding.
    """
    anchors, first, second = (
        embeddings(network, part) for part in (album.references, album.first, album.second)
    )
    to_reference, of_streams = errors(anchors, first), errors(first, second)
    figures = {
        "eer": to_reference.eer,
        "threshold": to_reference.threshold,
        "auc": to_reference.auc,
        "eer_of_streams": of_streams.eer,
        "auc_of_streams": of_streams.auc,
        "faces_found": float(np.mean([one is not None for one in (*anchors, *first, *second)])),
        "distance_same": _mean(distances(anchors, first)),
        "distance_other": _mean(distances(anchors[1:], first)),
    }
    for what, pictures in album.spoilt.items():
        moved = embeddings(network, pictures)
        figures[f"moved_by_{what}"] = _mean(distances(first, moved))
        figures[f"distance_after_{what}"] = _mean(distances(anchors, moved))
    for share, pictures in album.blended.items():
        mixed = distances(anchors, embeddings(network, pictures))
        figures[f"distance_at_share_{share:g}"] = _mean(mixed)
    return {name: round(value, 4) for name, value in figures.items()}


def _spoilings() -> Mapping[str, Callable[[Picture], Picture]]:
    def blurred(sigma: float, picture: Picture) -> Picture:
        return cv2.GaussianBlur(picture, (0, 0), sigma * SIZE / 512)

    def turned(degrees: float, picture: Picture) -> Picture:
        turn = rotation(float(np.deg2rad(degrees)))
        return to_bytes(picture.astype(np.float32) @ turn.T)

    return {
        **{f"blur_{sigma}_px": partial(blurred, sigma) for sigma in BLURS_PX},
        **{f"hue_{degrees}_degrees": partial(turned, degrees) for degrees in TURNS},
    }


def distances(one: Embeddings, other: Embeddings) -> Float[np.ndarray, " P"]:
    """Returns distances row by row, as far as both go; NaN where a face was not found."""
    return np.array(
        [
            np.nan if a is None or b is None else np.linalg.norm(a - b)
            for a, b in zip(one, other, strict=False)
        ],
        float,
    )


def errors(one: Embeddings, other: Embeddings) -> Errors:
    """Compares each person with itself and with the next.

    Args:
        one: Embeddings, one a person.
        other: The same people in other pictures.

    Returns:
        Equal error rate, its threshold, and the area under the curve.
    """
    same = distances(one, other)
    different = distances([*one[1:], one[0]], other)
    same, different = same[np.isfinite(same)], different[np.isfinite(different)]
    thresholds = np.sort(np.concatenate([same, different]))
    missed = (same > thresholds[:, None]).mean(axis=1)
    taken = (different <= thresholds[:, None]).mean(axis=1)
    best = int(np.argmin(np.abs(missed - taken)))
    return Errors(
        eer=float((missed[best] + taken[best]) / 2),
        threshold=float(thresholds[best]),
        auc=float((same < different[:, None]).mean()),
    )


def _mean(values: Float[np.ndarray, " P"]) -> float:
    return float(np.nanmean(values))
