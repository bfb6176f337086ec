"""Checkpoints and states of training that are not what was written."""

import shutil
from pathlib import Path
from random import Random

from tests.faults.generators import mangle
from tests.faults.trial import Trial

INDEX = "checkpoint.json"


def checkpoint(rng: Random, work: Path) -> Trial:
    """A damaged checkpoint to begin training from."""
    folder = work / "trained/prompt/checkpoint"
    shards = sorted(path for path in folder.iterdir() if path.name != INDEX)
    is_shard = rng.random() < 0.4
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    note = mangle.mangle(rng, rng.choice(shards) if is_shard else folder / INDEX)
    is_same = all(
        (folder / n).is_file() and (folder / n).read_bytes() == b for n, b in before.items()
    )
    shutil.copytree(folder, work / "begin", symlinks=True)
    begin = ("--preset", "tiny", "--from", "begin", "--out", "fresh", "--jobs", "1")
    commands = (
        ("train", "prompt", *begin, "--steps", "1"),
        ("generate", "--checkpoint", "begin", "--text", "Hi.", "--out", "x.mp4", "--any-picture",
         "--character", "face.png"),
        ("train", "export", *begin),
    )  # fmt: skip
    return Trial(
        note=note,
        commands=(rng.choice(commands),),
        is_hopeless=is_shard and not is_same,
        memory_mb=2500,
    )


def training(rng: Random, work: Path) -> Trial:
    """A damaged stage that is to go on."""
    stage = work / "trained/prompt"
    files = sorted(path for path in stage.rglob("*") if path.is_file())
    state = stage / "state.pt"
    notes = [mangle.mangle(rng, state if rng.random() < 0.5 else rng.choice(files))]
    if rng.random() < 0.15:
        notes.append(mangle.replace_folder(rng, stage / "checkpoint"))
    steps = rng.choice(("2", "3"))
    command = (
        "train",
        "prompt",
        "--preset",
        "tiny",
        "--steps",
        steps,
        "--resume",
        "--out",
        "trained",
        "--jobs",
        "1",
    )
    return Trial(note="; ".join(notes), commands=(command,), memory_mb=2500)
