"""Measures `sync_world` and the mesh metric on people of the style it was not trained on.

Clips of the painted style go the way of every recording: mp4, canonical encode, face mesh. Then
their sound is moved against the picture by known numbers of frames, or taken from another clip.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64

from evals.extractors.sync_world import SAMPLES_A_FRAME, SyncWorldExtractor
from evals.features.canonical import picture_path, sound
from evals.features.extraction import extract
from evals.features.missing import Missing
from evals.judges.progress import LogFn, counted
from evals.metrics.mesh_sync import SYNC, MeshOffset
from evals.numerics.syncnet import SyncScore, mean_curve, read_curve
from evals.protocols.base import MetricContext, Unscored
from evals.recording.recording import Recording
from streamchar_ref.media.encode import write_mp4
from streamchar_ref.world.clips import make_clip
from streamchar_ref.world.script import write_script
from streamchar_ref.world.styles import STYLES

STYLE = "painted"
NUM_CLIPS = 50
NUM_FRAMES = 200
SIZE_PX = 192
SHIFTS = tuple(range(-10, 11))
FIRST_SEED = 900_000_000
WORDS_A_CLIP = 30
MAX_ERROR_FRAMES = 1
FRAME_MS = 40.0


@dataclass(frozen=True, kw_only=True)
class EmbeddedClip:
    """A clip with the embeddings of its picture.

    Shape letters: L windows, E dimensions, S samples.

    Attributes:
        recording: For the metrics.
        features: Of the extractors ``face`` and ``phonemes_hama``.
        mouth: Embeddings of its longest track.
        samples: From the track's first frame on.
    """

    recording: Recording
    features: Mapping[str, Mapping[str, np.ndarray]]
    mouth: Float32[np.ndarray, "L E"]
    samples: Float32[np.ndarray, " S"]


def check(*, log: LogFn, num_clips: int = NUM_CLIPS, weights: Path | None = None) -> dict[str, Any]:
    """Measures offsets of moved sound, and scores of matched and foreign sound.

    Args:
        log: Takes lines of progress.
        num_clips: Of 8 s.
        weights: File; the judge's own by default.

    Returns:
        Figures, shares in [0, 1] and offsets in frames of 40 ms.
    """
    judge = SyncWorldExtractor(weights=weights)
    clips: list[EmbeddedClip] = []
    with TemporaryDirectory() as folder:
        for number in counted(range(num_clips), 10, "clips embedded", log):
            embedded = embed_clip(judge, _film(Path(folder), number))
            clips += [embedded] if embedded is not None else []
    return {
        "style": STYLE,
        "clips": len(clips),
        "clips_without_a_track": num_clips - len(clips),
        **shift_figures(judge, clips),
        **foreign_figures(judge, clips),
    }


def _film(folder: Path, number: int) -> Recording:
    """Draws a held-out clip of exactly 8 s."""
    seed = FIRST_SEED + number
    voices = STYLES[STYLE].voices
    transcript = write_script(seed, num_words=WORDS_A_CLIP)
    clip = make_clip(
        transcript, identity=seed, voice=voices[number % len(voices)], seed=seed, style=STYLE
    )
    clip = replace(clip, motion=clip.motion[:NUM_FRAMES])
    samples = clip.samples[: NUM_FRAMES * clip.frame_samples]
    path = folder / f"{number}.mp4"
    write_mp4(path, clip.frames(size=SIZE_PX), samples, fps=clip.fps, sample_rate=16_000)
    return Recording(
        sample_id=str(number),
        system="ground_truth",
        suite="judges",
        transcript=transcript,
        video_path=path,
        groups={"domain": "world"},
    )


def embed_clip(judge: SyncWorldExtractor, recording: Recording) -> EmbeddedClip | None:
    """Embeds the longest face track of a recording; ``None`` without a track."""
    extracted = extract(recording, ["face", "phonemes_hama"], native=False)
    features = {
        name: arrays for name, arrays in extracted.items() if not isinstance(arrays, Missing)
    }
    tracks = judge.tracks(features["face"])
    if not tracks:
        return None
    track = max(tracks, key=lambda track: len(track.box))
    mouth = judge.embed_mouths(picture_path(recording, native=False), [track])[0]
    samples = sound(recording, native=False)[track.start_frame * SAMPLES_A_FRAME :]
    return EmbeddedClip(recording=recording, features=features, mouth=mouth, samples=samples)


def shift_figures(judge: SyncWorldExtractor, clips: Sequence[EmbeddedClip]) -> dict[str, Any]:
    """Moves the sound of each clip by each of `SHIFTS` frames and reads the best offset."""
    by_judge = np.array([[_offset(judge, clip, k) - k for k in SHIFTS] for clip in clips])
    by_mesh = np.array([[_mesh_offset(clip, k) - k for k in SHIFTS] for clip in clips])
    return {
        "shifts": f"{SHIFTS[0]}..{SHIFTS[-1]} frames",
        **_errors("sync_world", by_judge),
        **_errors("mesh_offset", by_mesh),
    }


def _errors(name: str, error: Float64[np.ndarray, "N K"]) -> dict[str, Any]:
    is_measured = np.isfinite(error)
    right = is_measured & (np.abs(np.where(is_measured, error, np.inf)) <= MAX_ERROR_FRAMES)
    return {
        f"{name}_within_1_frame": float(right.mean()),
        f"{name}_measured": float(is_measured.mean()),
        f"{name}_exact": float(
            (is_measured & (np.abs(np.where(is_measured, error, 9)) < 0.5)).mean()
        ),
        f"{name}_mean_error_frames": float(error[is_measured].mean()),
        f"{name}_worst_shift_within_1_frame": float(right.mean(axis=0).min()),
    }


def _offset(judge: SyncWorldExtractor, clip: EmbeddedClip, early_frames: int) -> float:
    samples = moved(clip.samples, early_frames)
    return float(_score(judge, clip, samples).offset_frames)


def _score(judge: SyncWorldExtractor, clip: EmbeddedClip, samples: np.ndarray) -> SyncScore:
    return read_curve(mean_curve(judge.distances(clip.mouth, samples)))


def moved(samples: Float32[np.ndarray, " S"], early_frames: int) -> Float32[np.ndarray, " S"]:
    """Lets sound come early by a number of frames; silence fills the gap."""
    by = early_frames * SAMPLES_A_FRAME
    if by >= 0:
        return np.pad(samples[by:], (0, min(by, len(samples))))
    return np.pad(samples, (-by, 0))[: len(samples)]


def _mesh_offset(clip: EmbeddedClip, early_frames: int) -> float:
    """The mesh metric with its phonemes moved; in frames, NaN where it says nothing."""
    phonemes = clip.features["phonemes_hama"]
    by_s = early_frames * FRAME_MS / 1000
    shifted = {
        name: values - by_s if name in {"start_s", "end_s", "likely_s"} else values
        for name, values in phonemes.items()
    }
    metric = next(metric for metric in SYNC if isinstance(metric, MeshOffset))
    features = {**clip.features, "phonemes_hama": shifted}
    try:
        return metric.measure(clip.recording, features, MetricContext()).value / FRAME_MS
    except Unscored:
        return float("nan")


def foreign_figures(judge: SyncWorldExtractor, clips: Sequence[EmbeddedClip]) -> dict[str, Any]:
    """Scores each clip with its own sound, and with that of the next clip."""
    own = [_score(judge, clip, clip.samples) for clip in clips]
    others = [*clips[1:], *clips[:1]]
    foreign = [
        _score(judge, clip, other.samples) for clip, other in zip(clips, others, strict=True)
    ]
    own_c, foreign_c = (np.array([each.sync_c for each in part]) for part in (own, foreign))
    own_d, foreign_d = (np.array([each.sync_d for each in part]) for part in (own, foreign))
    return {
        "sync_c_own": float(own_c.mean()),
        "sync_c_own_lowest": float(own_c.min()),
        "sync_c_foreign": float(foreign_c.mean()),
        "sync_c_foreign_highest": float(foreign_c.max()),
        "sync_c_auc": area(own_c, foreign_c),
        "sync_d_own": float(own_d.mean()),
        "sync_d_foreign": float(foreign_d.mean()),
        "sync_d_auc": area(-own_d, -foreign_d),
    }


def area(above: Float64[np.ndarray, " N"], below: Float64[np.ndarray, " M"]) -> float:
    """Area under the ROC curve: how often one of the first is larger than one of the second."""
    larger = above[:, None] > below[None]
    equal = above[:, None] == below[None]
    return float((larger + 0.5 * equal).mean())
