"""Drift over minutes at the size of a toy: a "film" of three numbers a frame, chunk after chunk.

Two numbers are who is seen and stay what they are; one moves as a control drives it. A chunk is
told the last frames before it (its motion frames) and, with a sink, a frame of the first chunk.
"""

from dataclasses import dataclass
from typing import NamedTuple

import pytest
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from streamchar_ref.sampling.flow import shifted_sigmas
from tests.streamchar_ref.train.distill.toy_dmd import (
    BATCH,
    DmdSettings,
    ToyDmd,
    ToyVelocity,
    draw,
    train_teacher,
)

MOTION, CHUNK = 2, 6
IDENTITY, VALUES = 2, 3
NUM_CONTEXT = MOTION * VALUES + CHUNK + VALUES
FILM = 60
CHUNKS, STREAMS = 30, 256
SIGMAS = shifted_sigmas(4)


def films(count: int, frames: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Draws films [count, frames, VALUES] and what drives them [count, frames]."""
    identity = 0.8 * torch.tanh(torch.randn(count, 1, IDENTITY, generator=generator))
    phase, pace = torch.rand(2, count, 1, generator=generator)
    control = torch.sin(6.28 * phase + (0.15 + 0.25 * pace) * torch.arange(frames))
    place, speed, places = torch.zeros(count), torch.zeros(count), []
    for frame in range(frames):
        push = 1.2 * control[:, frame] + 0.15 * torch.randn(count, generator=generator)
        speed = speed + 0.5 * (push - 0.8 * place - 0.5 * speed)
        place = place + 0.5 * speed
        places.append(0.6 * place)
    moving = torch.stack(places, dim=1)[..., None]
    return torch.cat([identity.expand(count, frames, IDENTITY), moving], dim=2), control


@dataclass(frozen=True)
class Conditioning:
    """What a chunk is told of the film so far.

    Attributes:
        has_sink: Whether a frame of the first chunk is seen.
        motion_noise: Largest noise that training adds to motion frames.
    """

    has_sink: bool
    motion_noise: float

    def context(self, motion: Tensor, control: Tensor, sink: Tensor) -> Float[Tensor, "B C"]:
        sink = sink if self.has_sink else torch.zeros_like(sink)
        return torch.cat([motion.flatten(1), control, sink], dim=1)

    def spoiled(self, motion: Tensor, generator: Generator) -> Tensor:
        strength = self.motion_noise * torch.rand(len(motion), 1, 1, generator=generator)
        return motion + strength * torch.randn(motion.shape, generator=generator)


class Windows:
    """Chunks of the truth with their contexts, drawn from a pool of films."""

    def __init__(self, conditioning: Conditioning) -> None:
        self._conditioning = conditioning
        self._films, self._controls = films(4096, FILM, Generator().manual_seed(0))

    def __call__(self, generator: Generator) -> tuple[Tensor, Tensor]:
        """Returns chunks [B, X] and contexts [B, C]."""
        film = torch.randint(len(self._films), (BATCH, 1), generator=generator)
        start = torch.randint(FILM - MOTION - CHUNK, (BATCH, 1), generator=generator)
        frames = start + torch.arange(MOTION + CHUNK)
        window, control = self._films[film, frames], self._controls[film, frames]
        sink_at = torch.randint(FILM, (BATCH, 1), generator=generator)
        motion = self._conditioning.spoiled(window[:, :MOTION], generator)
        sink = self._films[film, sink_at][:, 0]
        context = self._conditioning.context(motion, control[:, MOTION:], sink)
        return window[:, MOTION:].flatten(1), context

    def contexts(self, generator: Generator) -> Tensor:
        return self(generator)[1]


class Rollout(NamedTuple):
    """Identity error of the last chunk; cosine of the whole film's motion with the truth's."""

    identity_error: float
    motion: float


@torch.no_grad()
def rollout(network: ToyVelocity, conditioning: Conditioning) -> Rollout:
    """Streams films on the network's own context, whose first chunk becomes the sink."""
    generator = Generator().manual_seed(7)
    truth, control = films(STREAMS, MOTION + CHUNKS * CHUNK, generator)
    motion, sink, chunks = truth[:, :MOTION], truth[:, 0], list[Tensor]()
    for part in control[:, MOTION:].split(CHUNK, dim=1):
        context = conditioning.context(motion, part, sink)
        chunk = draw(network, context, SIGMAS, generator).unflatten(1, (CHUNK, VALUES))
        sink = sink if chunks else chunk[:, 0]
        motion = chunk[:, -MOTION:]
        chunks.append(chunk)
    film, truth = torch.cat(chunks, dim=1), truth[:, MOTION:]
    error = (film - truth)[:, -CHUNK:, :IDENTITY].abs().mean()
    cosine = torch.cosine_similarity(film[..., IDENTITY], truth[..., IDENTITY]).mean()
    return Rollout(float(error), float(cosine))


class Trained(NamedTuple):
    """How a teacher and the student made of it stream."""

    teacher: Rollout
    student: Rollout


def trained(conditioning: Conditioning, seed: int = 1) -> Trained:
    torch.manual_seed(0)
    windows = Windows(conditioning)
    network = ToyVelocity(CHUNK * VALUES, NUM_CONTEXT)
    teacher = train_teacher(network, windows, updates=800)
    settings = DmdSettings(updates=150, sigmas=SIGMAS, rate=2e-4, fake_updates=3)
    student = ToyDmd(teacher, settings, seed).run(windows.contexts)
    return Trained(rollout(teacher, conditioning), rollout(student, conditioning))


def test_distribution_matching_amplifies_drift_of_motion_only_context() -> None:
    teacher, student = trained(Conditioning(has_sink=False, motion_noise=0.0))
    assert student.identity_error > 0.2
    assert student.identity_error > 3 * teacher.identity_error
    assert min(teacher.motion, student.motion) > 0.95


@pytest.mark.slow
def test_a_sink_with_noise_on_motion_frames_stops_drift() -> None:
    teacher, student = trained(Conditioning(has_sink=True, motion_noise=0.3))
    assert max(teacher.identity_error, student.identity_error) < 0.12
    assert min(teacher.motion, student.motion) > 0.95
