"""Which stages a grid trains: each piece once, however many rows share it."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

from baselines.ablations.row import SETTINGS_OF_STAGE, Row, Setup


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """The weights that rows begin with.

    Attributes:
        preset: Of the model; empty for the grid's.
        start: Checkpoint; empty for the grid's.
        config: Changes of its config, as ``path=value``.
        is_bare: Whether only its prompt encoder and VAEs are taken.
    """

    preset: str = ""
    start: str = ""
    config: tuple[str, ...] = ()
    is_bare: bool = False

    @property
    def name(self) -> str:
        """Of its folder."""
        return "teacher" if self == Teacher() else f"teacher-{_digest(self.values)}"

    @property
    def values(self) -> dict[str, Any]:
        """All that identifies it; what earlier grids did not have is left out at its default."""
        values = asdict(self)
        if not self.is_bare:
            del values["is_bare"]
        return values


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A trained stage, with all that its weights depend on.

    Attributes:
        teacher: Where it begins.
        stages: Those before it and itself.
        settings: Names and values that these stages read.
        seed: Of training.
    """

    teacher: Teacher
    stages: tuple[str, ...]
    settings: tuple[tuple[str, Any], ...]
    seed: int

    @property
    def stage(self) -> str:
        """The stage that it trains."""
        return self.stages[-1]

    @property
    def name(self) -> str:
        """Of its folder: stage, seed, and a digest of all that decides its weights."""
        values = asdict(self) | {"teacher": self.teacher.values}
        return f"{self.stage}-s{self.seed}-{_digest(values)}"

    @property
    def before(self) -> "Piece | None":
        """The piece whose weights it begins with; ``None`` if those are the teacher's."""
        if len(self.stages) == 1:
            return None
        return _piece(self.teacher, self.stages[:-1], dict(self.settings), self.seed)


def teacher_of(setup: Setup) -> Teacher:
    """Returns the weights that a row begins with."""
    return Teacher(
        preset=setup.preset, start=setup.start, config=setup.config, is_bare=setup.begins_anew
    )


def piece_of(setup: Setup, seed: int) -> Piece | None:
    """Returns the last stage that a row trains.

    Args:
        setup: Of the row.
        seed: Of training.

    Returns:
        The piece whose weights are streamed; ``None`` for a row without training.
    """
    if not setup.is_trained:
        return None
    return _piece(teacher_of(setup), setup.stages, setup.distillation, seed)


def pieces_of(rows: Sequence[Row], seeds: Sequence[int]) -> list[Piece]:
    """Returns all that a grid trains, each piece after the one that it begins with.

    Args:
        rows: Of the grid.
        seeds: Of training; all rows of the first seed come first.

    Returns:
        Each piece once.
    """
    pieces: dict[Piece, None] = {}
    for seed in seeds:
        for row in rows:
            chain = []
            piece = piece_of(row.setup, seed)
            while piece is not None:
                chain.append(piece)
                piece = piece.before
            pieces |= dict.fromkeys(reversed(chain))
    return list(pieces)


def _piece(teacher: Teacher, stages: tuple[str, ...], settings: dict[str, Any], seed: int) -> Piece:
    read = {name for stage in stages for name in SETTINGS_OF_STAGE.get(stage, ())}
    kept = tuple(sorted((name, value) for name, value in settings.items() if name in read))
    return Piece(teacher=teacher, stages=stages, settings=kept, seed=seed)


def _digest(values: dict[str, Any]) -> str:
    return sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:8]
