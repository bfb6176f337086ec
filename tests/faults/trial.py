"""What one input is, and what came of it."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Command lines to be run in a folder that a generator has filled.

    Attributes:
        note: What is wrong with the files, in words.
        commands: Arguments of ``streamchar``, run one after the other.
        samples: Ids of samples, or SYSTEM/ID, each of which must have a row in ``scores.jsonl`` for
            every one of ``metrics`` once ``score`` has ended with 0 or 1.
        metrics: See ``samples``.
        scores: Where the rows are, from the working folder.
        must_score: The list of samples is fine, so that ``score`` must not end with 2.
        is_hopeless: Nothing in it can be used, so that no command may end with 0.
        well: Samples with nothing wrong; their rows must be computed.
        memory_mb: What the commands may take beyond what importing the program takes.
        patience_s: It may be at work for longer, and is stopped after so many seconds.
        check: Looks at the working folder after the commands; returns what is wrong, or "".
    """

    note: str
    commands: tuple[tuple[str, ...], ...]
    samples: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    scores: str = "out/scores.jsonl"
    must_score: bool = False
    is_hopeless: bool = False
    well: tuple[str, ...] = ()
    memory_mb: int = 1500
    patience_s: float | None = None
    check: Callable[[Path], str] | None = None


Generator = Callable[[Random, Path], Trial]
"""Fills a working folder, which holds what `base.build` made, and says what to run in it."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How one command line ended.

    Attributes:
        command: Arguments.
        code: Exit code; ``None`` if an exception came out.
        out: Standard output.
        err: Standard error.
    """

    command: tuple[str, ...]
    code: int | None
    out: str
    err: str


COLUMNS = ("tracebacks", "lost samples", "wrong exits", "hangs", "other")
"""Kinds of findings: ``other`` is memory, processes and files left behind, control characters."""


@dataclass(kw_only=True)
class Outcome:
    """What one input led to.

    Attributes:
        name: Kind and number; makes the input again.
        note: See `Trial`.
        ended: Of each command that was run.
        findings: Pairs of one of `COLUMNS` and what was found.
        seconds: Wall-clock time.
        memory_mb: Largest resident memory.
    """

    name: str
    note: str = ""
    ended: list[Ended] = field(default_factory=list)
    findings: list[tuple[str, str]] = field(default_factory=list)
    seconds: float = 0.0
    memory_mb: int = 0

    @property
    def kind(self) -> str:
        """What generator made the input."""
        return self.name.rpartition("-")[0]

    def as_json(self) -> dict[str, Any]:
        """Returns plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> "Outcome":
        """Undoes `as_json`."""
        ended = [Ended(**{**one, "command": tuple(one["command"])}) for one in told["ended"]]
        findings = [(column, words) for column, words in told["findings"]]
        return cls(**{**told, "ended": ended, "findings": findings})
