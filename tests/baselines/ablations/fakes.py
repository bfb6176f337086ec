"""A trainer and systems that take no time."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from baselines.ablations.plan import Piece, Teacher
from baselines.ablations.trainer import WEIGHTS, Outcome, Placed, Status
from evals.recording.role import Role
from evals.recording.system import Prompt
from streamchar_ref.core.errors import InputError
from streamchar_ref.media import AVChunk


@dataclass(kw_only=True)
class FakeTrainer:
    """Writes a file in the place of weights.

    Attributes:
        outcomes: Stage or piece -> what comes of it; by default it is done.
        bugs: Stage -> what it raises.
        refusals: Stage -> why it cannot be trained.
        planned: Stage -> steps that a piece was begun with.
        placed: What is known of every teacher.
        trained: What was asked for, in order.
        starts: What each began with.
        steps: How many steps each was given.
        seconds: Added to ``now_s`` by each.
        now_s: Of its clock.
    """

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    bugs: dict[str, Exception] = field(default_factory=dict)
    refusals: dict[str, str] = field(default_factory=dict)
    planned: dict[str, int] = field(default_factory=dict)
    placed: Placed = field(default_factory=Placed)
    trained: list[Piece] = field(default_factory=list)
    starts: dict[str, Path] = field(default_factory=dict)
    steps: list[int] = field(default_factory=list)
    seconds: float = 60.0
    now_s: float = 0.0

    def place_teacher(self, teacher: Teacher, folder: Path) -> Placed:
        (folder / WEIGHTS).mkdir(parents=True, exist_ok=True)
        return self.placed

    def minutes_of(self, piece: Piece) -> float:
        return 1.0

    def planned_steps(self, piece: Piece, folder: Path) -> int:
        return self.planned.get(piece.stage, 0)

    def train(self, piece: Piece, folder: Path, *, start: Path, data: Path, steps: int) -> Outcome:
        assert start.is_dir(), "what it begins with is there"
        self.trained.append(piece)
        self.starts[piece.name] = start
        self.steps.append(steps)
        self.now_s += self.seconds
        if piece.stage in self.bugs:
            raise self.bugs[piece.stage]
        if piece.stage in self.refusals:
            raise InputError(self.refusals[piece.stage])
        chosen = self.outcomes.get(piece.name) or self.outcomes.get(piece.stage)
        outcome = chosen or Outcome(status=Status.DONE)
        if outcome.is_done:
            (folder / WEIGHTS).mkdir(parents=True)
        return outcome

    def clock(self) -> float:
        return self.now_s


class Flicker:
    """A system of two short chunks."""

    fps = 25
    sample_rate = 16_000

    def __init__(self, name: str, checkpoint: str = "") -> None:
        self.name, self.checkpoint = name, checkpoint
        self.role = Role.CEILING if name == "ground_truth" else Role.MODEL

    def stream(self, prompt: Prompt, *, seed: int) -> Iterator[AVChunk]:
        rng = np.random.default_rng(seed)
        for index in range(2):
            yield AVChunk(
                index=index,
                frames=rng.integers(0, 255, (25, 32, 32, 3), dtype=np.uint8),
                samples=0.1 * rng.standard_normal(16_000).astype(np.float32),
            )


def make_flicker(name: str, settings: Mapping[str, Any]) -> Flicker:
    """Makes what `make_system` would, if the weights are there."""
    checkpoint = settings.get("checkpoint", "")
    assert not checkpoint or Path(checkpoint).is_dir()
    return Flicker(settings.get("label", name), checkpoint=Path(checkpoint).parent.name)
