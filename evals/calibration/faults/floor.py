"""Harmless changes, which give the clean floor of a metric."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from evals.calibration.faults.base import BOTH, FPS, SAMPLE_RATE, Fault, Faulted, Inject, Take
from streamchar_ref.media.decode import audio, frames
from streamchar_ref.media.encode import write_mp4

CRF = 18


def another_take(take: Take, dose: float, rng: np.random.Generator) -> Faulted:
    """Generates another random take of the same clip."""
    batches, samples = take.require_world().another_take()
    return Faulted(dose=dose, frames=batches, samples=samples)


def plain_reencode(take: Take, dose: float, rng: np.random.Generator) -> Faulted:
    """Encodes and decodes picture and sound as the canonical encode does."""
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / "clip.mp4"
        write_mp4(
            path,
            take.open_frames(),
            take.samples,
            fps=FPS,
            sample_rate=SAMPLE_RATE,
            crf=CRF,
            is_padded=True,
        )
        samples = audio(path, sample_rate=SAMPLE_RATE)
        batches = list(frames(path))
    return Faulted(dose=dose, frames=iter(batches), samples=samples[: len(take.samples)])


def _floor(name: str, label: str, source: str, inject: Inject) -> Fault:
    return Fault(
        name=name, label=label, unit="", doses=(1.0,), few=(1.0,), tracks=BOTH, moves={},
        leaves=("*",), source=source, inject=inject,
    )  # fmt: skip


FLOORS: dict[str, Fault] = {
    fault.name: fault
    for fault in (
        _floor(
            "another_take", "another clean take", "Same words, person, voice and light.",
            another_take,
        ),
        _floor("plain_reencode", "one more encode", f"H.264 crf {CRF} and AAC.", plain_reencode),
    )
}  # fmt: skip
