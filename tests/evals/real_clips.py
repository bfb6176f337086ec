"""The development clips for tests: decoded and measured once a session."""

import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from evals.extractors.face import FaceExtractor
from evals.recording.recording import Recording
from streamchar_ref.media import decode

FOLDER = Path(
    os.environ.get(
        "STREAMCHAR_CLIPS", Path(__file__).resolve().parents[2] / ".." / "shared" / "clips"
    )
)
TALKING_HEAD = "talking_head_en.mp4"
HALF_BODY = "half_body_en_30fps.mp4"
HEAD = "head_small_en.mp4"
GRID = "grid_pwij3p.mpg"
SAMPLE_RATE = 16_000


def clip_path(name: str) -> Path:
    path = FOLDER / name
    if not path.is_file():
        pytest.skip(f"development clip {name} is not in {FOLDER} (set STREAMCHAR_CLIPS)")
    return path


@cache
def clip_frames(name: str, *, num: int = 200) -> np.ndarray:
    batches = []
    for batch in decode.frames(clip_path(name), fps=25):
        batches.append(batch)
        if sum(map(len, batches)) >= num:
            break
    return np.concatenate(batches)[:num]


@cache
def clip_samples(name: str) -> np.ndarray:
    return decode.audio(clip_path(name), sample_rate=SAMPLE_RATE)


def face_features(frames: np.ndarray, *, batch: int = 32) -> dict[str, np.ndarray]:
    extractor = FaceExtractor()
    for start in range(0, len(frames), batch):
        extractor.update(frames[start : start + batch], {})
    return extractor.finish()


@cache
def clip_face(name: str, *, num: int = 200) -> dict[str, np.ndarray]:
    return face_features(clip_frames(name, num=num))


def recording(**changes: object) -> Recording:
    fields = {
        "sample_id": "a",
        "system": "clip",
        "suite": "real",
        "transcript": "",
        "video_path": Path("a.mp4"),
    }
    return Recording(**(fields | changes))
