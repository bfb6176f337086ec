"""Builds a corpus of speech on all cores; see `corpus` for its layout.

A shard is a function of the corpus plan and its number, and is written atomically. So the bytes
depend neither on the number of workers nor on interruptions, and an interrupted build resumes.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import sha256
from math import ceil, floor, inf
from pathlib import Path
from typing import Any

import numpy as np

from streamchar_ref.core.executor import local_executor
from streamchar_ref.core.files import (
    parse_json,
    remove_abandoned,
    replacing,
    sha256_of,
    write_atomically,
)
from streamchar_ref.core.lock import only_writer
from streamchar_ref.core.progress import ProgressFn
from streamchar_ref.core.sealed import UNREADABLE, index_bytes, seal, verify_seal
from streamchar_ref.weights import WeightsMissing
from streamchar_ref.world.corpus import (
    FORMAT,
    INDEX,
    PLAN,
    Corpus,
    CorpusError,
    UtteranceRecipe,
    bytes_per_hour,
    open_corpus,
    pack_shard,
)
from streamchar_ref.world.lexicon import UnreadableText
from streamchar_ref.world.room import draw_room
from streamchar_ref.world.script import write_script
from streamchar_ref.world.speech import Speech, speak
from streamchar_ref.world.take import EngineMissing
from streamchar_ref.world.voices import voices_of

SHARD_S = 300.0
MIN_WORDS, MAX_WORDS = 8, 40
RATES_WPM = (120.0, 200.0)
SHARE_OF_ROOMS = 0.5
MAX_SKIPPED_IN_A_ROW = 50
ENGINES = {"painted": "piper", "flat": "espeak"}


@dataclass(frozen=True, kw_only=True)
class CorpusPlan:
    """Everything that determines the bytes of a corpus, except its length.

    Attributes:
        seed: Of texts, voices, rates and rooms.
        style: ``painted`` (voices by Piper) or ``flat`` (by eSpeak NG).
        texts: To sample from; if empty, ``write_script`` generates text.
        rooms: Share of utterances with echo and noise.
        shard_s: Minimum speech in a shard.
    """

    seed: int = 0
    style: str = "painted"
    texts: tuple[str, ...] = ()
    rooms: float = SHARE_OF_ROOMS
    shard_s: float = SHARD_S


def build_corpus(
    folder: Path,
    plan: CorpusPlan,
    *,
    hours: float,
    max_mb: float,
    jobs: int = 1,
    progress: ProgressFn = lambda what, done, total: None,
) -> Corpus:
    """Builds a corpus, or resumes an interrupted build.

    Args:
        folder: Created if missing.
        plan: Of the corpus.
        hours: Minimum speech; rounded up to whole shards.
        max_mb: Maximum size in millions of bytes.
        jobs: Processes, with one thread each.
        progress: Called with a label, the shards done and their total.

    Returns:
        The corpus.

    Raises:
        CorpusError: If hours or size are not positive, the corpus would not fit, the folder holds
            another corpus, or no text can be spoken.
        InputError: If another process builds in the folder.
    """
    num_shards = _num_shards(plan, hours, max_mb)
    with only_writer(folder, verb="world build"):
        remove_abandoned(folder)
        _prepare(folder, plan)
        paths = [folder / f"shard-{number:05d}.npz" for number in range(num_shards)]
        entries = [_index_entry(path, _shard_key(plan, i)) for i, path in enumerate(paths)]
        missing = [number for number, entry in enumerate(entries) if entry is None]
        progress("speech", num_shards - len(missing), num_shards)
        built = _built_shards(paths, missing, plan, jobs)
        for count, _ in enumerate(built, num_shards - len(missing) + 1):
            progress("speech", count, num_shards)
        for number in missing:
            entries[number] = _index_entry(paths[number], _shard_key(plan, number))
        index = {"version": FORMAT, "plan": sha256_of(folder / PLAN), "shards": entries}
        write_atomically(folder / INDEX, index_bytes(index))
        return open_corpus(folder)


def utterance_texts(text: str) -> tuple[str, ...]:
    """Splits long text at sentence ends into pieces of at most about `MAX_WORDS` words."""
    pieces: list[list[str]] = [[]]
    for line in text.splitlines():
        for sentence in re.split(r"(?<=[.!?])\s+", line):
            words = sentence.split()
            if len(pieces[-1]) + len(words) > MAX_WORDS:
                pieces.append([])
            for at in range(0, len(words), MAX_WORDS):
                pieces[-1] += words[at : at + MAX_WORDS]
                if len(words) > at + MAX_WORDS:
                    pieces.append([])
        pieces.append([])
    return tuple(" ".join(piece) for piece in pieces if piece)


def _num_shards(plan: CorpusPlan, hours: float, max_mb: float) -> int:
    if plan.style not in ENGINES:
        raise CorpusError(f"style is {' or '.join(ENGINES)}, not {plan.style!r}")
    for name, number in (("hours", hours), ("max_mb", max_mb)):
        if not 0 < number < inf:
            raise CorpusError(f"{name} must be a number above 0, got {number:g}")
    num_shards = ceil(hours * 3600 / plan.shard_s - 1e-9)
    shard_bytes = bytes_per_hour(plan.shard_s) * plan.shard_s / 3600
    fits = floor(max_mb * 1e6 / shard_bytes) * plan.shard_s / 3600
    if num_shards * plan.shard_s / 3600 > fits + 1e-9:
        needed = ceil(num_shards * shard_bytes / 1e6)
        raise CorpusError(
            f"{hours:g} hours take up to {needed} MB, more than {max_mb:g}; {fits:.2f} hours fit"
        )
    return num_shards


def _prepare(folder: Path, plan: CorpusPlan) -> None:
    """Claims a folder, in which there is nothing yet, or what a stopped build has left."""
    for leftover in folder.glob("shard-*.npz.part"):  # of earlier versions
        leftover.unlink()
    path = folder / PLAN
    described = json.dumps({"format": FORMAT} | asdict(plan), indent=1, sort_keys=True).encode()
    if not path.is_file():
        others = [path.name for path in folder.iterdir() if not path.name.endswith(".lock")]
        if others:
            raise CorpusError(f"{folder} is not empty; choose another folder")
        write_atomically(path, described)
    elif path.read_bytes() != described:
        raise CorpusError(f"{folder} holds another corpus (see {path}); choose another folder")


def _shard_key(plan: CorpusPlan, number: int) -> str:
    text = json.dumps([FORMAT, asdict(plan), number], sort_keys=True)
    return sha256(text.encode()).hexdigest()


def _built_shards(
    paths: list[Path], missing: list[int], plan: CorpusPlan, jobs: int
) -> Iterator[int]:
    with local_executor(min(jobs, len(missing))) as executor:
        yield from executor.map(partial(_make_missing, paths, plan), missing)


def _make_missing(paths: list[Path], plan: CorpusPlan, number: int) -> int:
    return _make_shard(paths[number], plan, number)


def _make_shard(path: Path, plan: CorpusPlan, number: int) -> int:
    utterances: list[tuple[UtteranceRecipe, Speech]] = []
    skipped: list[dict[str, str]] = []
    duration_s, attempt, failures = 0.0, 0, 0
    while duration_s < plan.shard_s:
        rng = np.random.default_rng([plan.seed, number, attempt])
        result = _attempt(plan, rng)
        attempt += 1
        if isinstance(result, dict):
            skipped.append(result)
            failures += 1
            if failures == MAX_SKIPPED_IN_A_ROW:
                raise CorpusError(f"{failures} texts in a row cannot be said; {result['reason']}")
            continue
        failures = 0
        utterances.append(result)
        duration_s += result[1].length_s
    arrays = pack_shard(utterances, skipped, made_of=_shard_key(plan, number))
    with replacing(path) as partial:
        with partial.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
        seal(partial)
    return number


def _attempt(
    plan: CorpusPlan, rng: np.random.Generator
) -> tuple[UtteranceRecipe, Speech] | dict[str, str]:
    """Synthesises one text; returns text and reason if it cannot be spoken."""
    text_seed, seed = (int(value) for value in rng.integers(2**31, size=2))
    voices = voices_of("piper" if plan.style == "painted" else "espeak")
    voice = voices[int(rng.integers(len(voices)))]
    rate_wpm = round(float(rng.uniform(*RATES_WPM)), 1)
    room = draw_room(seed) if rng.random() < plan.rooms else None
    transcript = ""
    try:
        transcript = _text(plan.texts, text_seed, rng)
        recipe = UtteranceRecipe(
            transcript=transcript, voice=voice, seed=seed, rate_wpm=rate_wpm, room=room
        )
        return recipe, speak(transcript, voice=voice, seed=seed, rate_wpm=rate_wpm, room=room)
    except (EngineMissing, WeightsMissing):
        raise  # every text would fail
    except UnreadableText as error:
        return {"text": transcript[:200], "reason": str(error)}
    except Exception as error:  # a single text must not stop the build; the index lists it
        return {"text": transcript[:200], "reason": f"{type(error).__name__}: {error}"}


def _text(texts: Sequence[str], seed: int, rng: np.random.Generator) -> str:
    if texts:
        return texts[int(rng.integers(len(texts)))]
    num_words = int(rng.integers(MIN_WORDS, MAX_WORDS))
    return " ".join(write_script(seed, num_words=num_words).split())


def _index_entry(path: Path, key: str) -> dict[str, Any] | None:
    """Returns a shard's entry of the index; None if it is missing, damaged or of another plan."""
    if not path.is_file():
        return None
    try:
        digest = verify_seal(path)
        with np.load(path) as file:
            shard = parse_json(file["text"].tobytes())
        if shard["made_of"] != key:
            return None
        return {
            "name": path.name,
            "sha256": digest,
            "utterances": len(shard["utterances"]),
            "duration_s": sum(entry["samples"] for entry in shard["utterances"]) / 16_000,
            "skipped": shard["skipped"],
        }
    except UNREADABLE:
        return None  # it is built again
