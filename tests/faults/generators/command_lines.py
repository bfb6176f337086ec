"""Command lines: every verb and option there is, with values that nobody means."""

import os
import stat
from importlib.metadata import entry_points
from pathlib import Path
from random import Random
from typing import Any

import typer
from typer.core import TyperArgument

from tests.faults.generators import values
from tests.faults.trial import Trial

GOOD: dict[str, tuple[str, ...]] = {
    "runs": ("run",),
    "sources": ("run", "good.mp4", "good.wav"),
    "manifest": ("videos.jsonl",),
    "out": ("out",),
    "to": ("out",),
    "suite": ("suite.jsonl",),
    "system": ("toy.py:Toy", "static_portrait"),
    "systems": ("toy.py:Toy", "toy", "toy,failing"),
    "metrics": ("rtf", "exposure_drift", "rtf,exposure_drift"),
    "protocol": ("default", "all"),
    "shard": ("1/2", "1/1"),
    "reference": ("toy", ""),
    "kind": ("bars", "all", "metrics", "systems", "suites", "protocols", "presets"),
    "stage": ("prompt", "export"),
    "setting": ("a=b",),
    "text": ("Hi.",),
    "text_file": ("toy.py",),
    "character": ("1", "face.png"),
    "against": ("toy",),
    "title": ("Title",),
    "preset": ("tiny",),
    "width": ("report",),
    "faults": ("noise",),
    "doses": ("few",),
    "device": ("cpu",),
    "checkpoint": ("checkpoint",),
    "checkpoints": ("checkpoint",),
    "only": ("ground_truth",),
    "seeds": ("0", "0,1"),
}
"""Parameter name -> values that make sense; other parameters are left out unless required."""
ALWAYS: dict[str, tuple[str, ...]] = {
    "score": ("--jobs", "1"),
    "run": ("--jobs", "1", "--limit", "1"),
    "calibrate": ("--jobs", "1", "--limit", "1", "--seconds", "1"),
    "sweep": ("--jobs", "1", "--limit", "1", "--watch", "--watch-minutes", "0"),
    "train": ("--steps", "1", "--max-minutes", "0.01", "--jobs", "1", "--preset", "tiny"),
    "ablate": ("--only", "ground_truth", "--limit", "1", "--jobs", "1", "--skip-scoring"),
    "world sheet": ("--identities", "1", "--size", "32"),
    "world clip": ("--size", "32"),
    "generate": ("--max-minutes", "0.1"),
}
"""Verb -> what keeps it short; values of these are never replaced."""
LONG = ("ablate", "bench", "judges", "world build", "train", "calibrate")
"""What takes minutes if nothing is wrong with the line: then it is stopped, and all is well."""
PATIENCE_S = 6.0
PATHS = (
    "run", "good.mp4", "good.wav", "face.png", "toy.py", "suite.jsonl", "videos.jsonl", "cache",
    ".", "nowhere", "nowhere/deep/x", "toy.py/x", "empty", "empty.jsonl", "loop", "pipe",
    "random.bin", "run/scores.jsonl", "run/run.json", "run/recordings", "/proc/self/nothing",
    "/proc/1/x",
)  # fmt: skip


def command_line(rng: Random, work: Path) -> Trial:
    """One command with one to three strange values."""
    _strange_files(rng, work)
    found = commands()
    is_long = [" ".join(words).startswith(LONG) for words, _ in found]
    words, command = rng.choices(found, [1 if long else 4 for long in is_long])[0]
    verb = " ".join(words)
    given: list[str] = list(words)
    strange = 0
    for parameter in rng.sample(list(command.params), len(command.params)):
        if parameter.name in ("help",):
            continue
        is_fixed = any(option in ALWAYS.get(verb, ()) for option in parameter.opts)
        wants_strange = strange < 3 and not is_fixed and rng.random() < 0.3
        if wants_strange:
            strange += 1
            given += _spelled(parameter, _strange(rng, parameter))
        elif parameter.required or (parameter.name in GOOD and rng.random() < 0.3 and not is_fixed):
            given += _spelled(parameter, _good(rng, parameter))
    given += ALWAYS.get(verb, ())
    if strange == 0:
        given.append(rng.choice(("--nonsense", "--no-such=1", "--seedd", "-Z")))
    if rng.random() < 0.1:
        given[0] = rng.choice((given[0].upper(), given[0][:-1], values.text(rng), "--help", "-h"))
    clean = tuple(word.replace("\x00", "") for word in given)
    return Trial(
        note=" ".join(map(repr, clean)),
        commands=(clean,),
        memory_mb=2500,
        patience_s=PATIENCE_S if verb.startswith(LONG) else None,
    )


def commands() -> list[tuple[tuple[str, ...], Any]]:
    """Finds every command of every registered verb, with the words that start it."""
    found = []
    for entry in sorted(entry_points(group="streamchar.commands")):
        top = typer.main.get_command(entry.load())
        inner = getattr(top, "commands", None)
        if inner:
            found += [((entry.name, name), command) for name, command in sorted(inner.items())]
        else:
            found.append(((entry.name,), top))
    return found


def _spelled(parameter: Any, value: str | None) -> list[str]:
    if isinstance(parameter, TyperArgument):
        return [] if value is None else [value]
    option = parameter.opts[0]
    if getattr(parameter, "is_flag", False):
        return [option]
    return [option] if value is None else [option, value]


def _good(rng: Random, parameter: Any) -> str:
    if parameter.name in GOOD:
        return rng.choice(GOOD[parameter.name])
    return "1"


def _strange(rng: Random, parameter: Any) -> str | None:
    """A value for a parameter; ``None`` for none at all."""
    draw = rng.random()
    kind = _kind(parameter)
    if draw < 0.05:
        return None
    if "path" in kind or (draw < 0.3 and "int" not in kind and "float" not in kind):
        return rng.choice(PATHS) if draw < 0.75 else _name(rng)
    if "int" in kind or "float" in kind:
        return str(values.number(rng)) if draw < 0.7 else values.text(rng)
    if parameter.name == "setting":
        return f"{values.text(rng)}={values.value(rng)}"
    return values.text(rng) if draw < 0.9 else f"{_good(rng, parameter)},{values.text(rng)}"


def _kind(parameter: Any) -> str:
    told = getattr(parameter, "type_descriptor", None)  # of typer 0.26 on; before, click's type
    return str(told.annotation if told else parameter.type).lower()


def _name(rng: Random) -> str:
    """A text as a path that stays in the folder of the input."""
    return values.text(rng).lstrip("/~") or "."


def _strange_files(rng: Random, work: Path) -> None:
    (work / "empty").mkdir()
    (work / "empty.jsonl").touch()
    (work / "loop").symlink_to("loop")
    (work / "random.bin").write_bytes(rng.randbytes(500))
    os.mkfifo(work / "pipe", stat.S_IRUSR | stat.S_IWUSR)
