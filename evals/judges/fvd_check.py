"""Measures the response of `fvd_world` to faults on held-out people, in both styles."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from jaxtyping import UInt8

from evals.calibration.faults.base import FRAME_SAMPLES, Fault, Take
from evals.calibration.faults.picture import PICTURE_FAULTS
from evals.extractors import FPS, SAMPLE_RATE
from evals.extractors.networks import judge_path
from evals.extractors.networks.fvd_world import CLIP_FRAMES, VideoNetwork, embed, load_network
from evals.features.canonical import SHORT_SIDE
from evals.judges.drawn import HELD_OUT, film
from evals.judges.progress import LogFn
from evals.numerics.frechet import frechet_distance
from streamchar_ref.core.one_thread import one_thread
from streamchar_ref.media.decode import frames
from streamchar_ref.media.encode import write_lossless, write_mp4

STYLES_TO_TEST = {"painted": 60, "flat": 40}
NUM_CANONICAL = 16
NUM_FRAMES = 100
SIZE = 128
STRIDE = 8
NUM_SPLITS = 20
FAULTS = {
    fault.name: fault
    for fault in PICTURE_FAULTS
    if fault.name in {"freeze", "frame_shuffle", "chunk_seam", "jitter", "blur", "reencode"}
}
IN_TIME = ("freeze", "frame_shuffle", "chunk_seam", "jitter")
Video = UInt8[np.ndarray, "T H W 3"]
ViewFn = Callable[[Video], Video]


@one_thread()
def check(*, log: LogFn) -> dict[str, Any]:
    """Measures how far each fault moves the features, in floors of clean halves.

    Args:
        log: Takes lines of progress.

    Returns:
        Frechet distance of a half with the fault to the other half, over that of two clean
        halves: the median over ways of halving.
    """
    network = load_network(judge_path("fvd_world"))
    figures: dict[str, Any] = {}
    for style, count in STYLES_TO_TEST.items():
        videos = clean_videos(style, count)
        log(f"{count} clips of the style {style}")
        figures |= _named(style, responses(network, videos))
        if style == "painted":
            some = videos[:NUM_CANONICAL]
            encoded = responses(network, some, names=IN_TIME, view=as_scored)
            figures |= _named("painted, canonical encode", encoded)
    return figures


def _named(what: str, ratios: dict[str, float]) -> dict[str, float]:
    return {f"{what}: {name}": value for name, value in ratios.items()}


def clean_videos(style: str, count: int) -> list[Video]:
    """Draws clips of 4 s of people who were not trained on."""
    return [
        film(style, identity=identity, seed=identity, num_frames=NUM_FRAMES, size=SIZE).frames
        for identity in HELD_OUT[:count]
    ]


def responses(
    network: VideoNetwork,
    videos: Sequence[Video],
    *,
    names: Iterable[str] = FAULTS,
    view: ViewFn = lambda video: video,
) -> dict[str, float]:
    """Returns the response to each fault at its middle dose, the lighter of two.

    Args:
        network: The judge.
        videos: Clean.
        names: Of the faults.
        view: What is done to a video before it is looked at.

    Returns:
        Fault and dose to the response; the floor itself as ``floor``.
    """
    clean = [clip_features(network, view(video)) for video in videos]
    ratios: dict[str, float] = {}
    floor = 0.0
    for fault in [FAULTS[name] for name in names]:
        dose = fault.doses[(len(fault.doses) - 1) // 2]
        spoilt = [
            clip_features(network, view(faulted(video, fault, dose, number)))
            for number, video in enumerate(videos)
        ]
        floor, ratios[f"{fault.label} {dose:g} {fault.unit}"] = over_floor(clean, spoilt)
    return {"floor": floor, **ratios}


def faulted(video: Video, fault: Fault, dose: float, number: int) -> Video:
    """Injects a fault as ``streamchar calibrate`` does."""
    take = Take(
        clip_id=str(number),
        transcript="",
        samples=np.zeros(len(video) * FRAME_SAMPLES, np.float32),
        words=(),
        num_frames=len(video),
        open_frames=lambda: iter([video]),
    )
    batches = fault.apply(take, dose).frames
    return video if batches is None else np.concatenate(list(batches))


def clip_features(network: VideoNetwork, video: Video) -> np.ndarray:
    """Returns the features of all clips of a video, as its extractor does."""
    starts = range(0, len(video) - CLIP_FRAMES + 1, STRIDE)
    return embed(network, [video[start : start + CLIP_FRAMES] for start in starts])


def over_floor(clean: Sequence[np.ndarray], spoilt: Sequence[np.ndarray]) -> tuple[float, float]:
    """Compares spoilt videos with other clean ones.

    Args:
        clean: Features of each video.
        spoilt: Of the same videos, spoilt.

    Returns:
        Median distance of two clean halves; median ratio to it where one half is spoilt.
    """
    rng = np.random.default_rng(0)
    floors, ratios = [], []
    for _ in range(NUM_SPLITS):
        first, second = np.array_split(rng.permutation(len(clean)), 2)
        half = _joined(clean, first)
        floors.append(frechet_distance(half, _joined(clean, second)))
        ratios.append(frechet_distance(half, _joined(spoilt, second)) / floors[-1])
    return float(np.median(floors)), float(np.median(ratios))


def _joined(features: Sequence[np.ndarray], chosen: np.ndarray) -> np.ndarray:
    return np.concatenate([features[row] for row in chosen])


def as_scored(video: Video) -> Video:
    """Returns a video as its canonical encode shows it."""
    with TemporaryDirectory() as scratch:
        lossless, coded = Path(scratch) / "video.mkv", Path(scratch) / "video.mp4"
        write_lossless(lossless, [video], fps=FPS)
        large = frames(lossless, fps=FPS, short_side=SHORT_SIDE)
        write_mp4(coded, large, None, fps=FPS, sample_rate=SAMPLE_RATE, is_padded=True)
        return np.concatenate(list(frames(coded, fps=FPS)))
