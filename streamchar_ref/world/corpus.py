"""Layout and reader of a speech corpus with complete annotations, for training.

``corpus.json`` is the plan, ``index.json`` the index; ``shard-00000.npz`` and so on contain five
minutes of speech each. An hour takes about `MB_PER_HOUR`. numpy suffices for reading. The index
holds the SHA-256 of the other files, so that altered ones are detected.

Shape letters: U utterances in a shard, N phonemes in it, K blocks of sound in it.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from streamchar_ref.core.errors import InputError
from streamchar_ref.core.files import parse_json, sha256_of
from streamchar_ref.core.sealed import DIGEST, UNREADABLE, read_index, verify_seal
from streamchar_ref.world.adpcm import BLOCK_SAMPLES, Packed, decode, encode
from streamchar_ref.world.room import Room
from streamchar_ref.world.speech import SAMPLE_RATE, SILENCE, Speech, TimedPhoneme, TimedWord
from streamchar_ref.world.tables import PHONES

PHONE_CODES = (SILENCE, *PHONES)
"""Phonemes by their code in a shard."""
FORMAT = 2
PLAN, INDEX = "corpus.json", "index.json"
MICROSECONDS = 1_000_000
_NAME = re.compile(r"shard-\d{5,9}\.npz")
_REMEDY = "build the corpus again in another folder"
_SHARDS_IN_MEMORY = 8


class CorpusError(InputError):
    """A corpus cannot be built or read; the message says why."""


@dataclass(frozen=True, kw_only=True)
class UtteranceRecipe:
    """Inputs of an utterance; the same recipe gives the same speech.

    Attributes:
        transcript: Spoken text.
        voice: One of ``voices.VOICES``.
        seed: Of the take.
        rate_wpm: Words per minute.
        room: Echo and noise; None for none.
    """

    transcript: str
    voice: str
    seed: int
    rate_wpm: float
    room: Room | None


@dataclass(frozen=True, kw_only=True)
class Utterance(UtteranceRecipe):
    """Speech of a corpus, with its recipe.

    Attributes:
        samples: Mono at 16 kHz, decoded from ADPCM.
        phonemes: They tile the waveform; times are rounded to a microsecond.
        words: In order.
    """

    samples: Float32[np.ndarray, " S"]
    phonemes: tuple[TimedPhoneme, ...]
    words: tuple[TimedWord, ...]


@dataclass(frozen=True)
class _Shard:
    arrays: dict[str, np.ndarray]
    entries: list[dict[str, Any]]
    first_block: list[int]
    first_phoneme: list[int]


class Corpus(Sequence[Utterance]):
    """Reads utterances one by one; a few shards are kept in memory.

    Args:
        folder: Of the corpus.
        index: Content of its ``index.json``.

    Attributes:
        digest: Hash of the complete content.
    """

    def __init__(self, folder: Path, index: Mapping[str, Any]) -> None:
        self.folder = folder
        self.digest: str = index[DIGEST]
        shards = index["shards"]
        self._shards = [(folder / shard["name"], str(shard["sha256"])) for shard in shards]
        self._ends = np.cumsum([int(shard["utterances"]) for shard in shards]).tolist()
        self.duration_s = sum(float(shard["duration_s"]) for shard in shards)

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        at = index + len(self) if index < 0 else index
        if not 0 <= at < len(self):
            raise IndexError(f"utterance {index} of {len(self)}")
        number = int(np.searchsorted(self._ends, at, side="right"))
        before = self._ends[number - 1] if number else 0
        path, digest = self._shards[number]
        try:
            return _utterance(_shard(path, digest), at - before)
        except UNREADABLE as error:
            if isinstance(error, InputError):
                raise
            raise CorpusError(f"{path} holds no speech; {_REMEDY}") from error

    def __iter__(self) -> Iterator[Utterance]:
        return (self[index] for index in range(len(self)))


def open_corpus(folder: Path | str) -> Corpus:
    """Opens a finished corpus.

    Args:
        folder: Of the corpus.

    Returns:
        Its utterances in order.

    Raises:
        CorpusError: If there is none, its build is not finished, or plan or index are damaged.
    """
    folder = Path(folder)
    if not (folder / INDEX).is_file():
        hint = "not finished: run the same `streamchar world build` again"
        state = hint if (folder / PLAN).is_file() else "not a corpus"
        raise CorpusError(f"{folder} is {state}")
    try:
        index = read_index(folder / INDEX, version=FORMAT, remedy=_REMEDY)
    except InputError as error:
        raise CorpusError(str(error)) from error
    shards = index.get("shards")
    if not isinstance(shards, list) or not shards or not all(map(_is_entry, shards)):
        raise CorpusError(f"{folder / INDEX} is no index of a corpus; {_REMEDY}")
    if not (folder / PLAN).is_file() or sha256_of(folder / PLAN) != index.get("plan"):
        raise CorpusError(f"{folder / PLAN} is damaged or missing; {_REMEDY}")
    return Corpus(folder, index)


def _is_entry(shard: Any) -> bool:
    """Whether a value is a valid entry of the index."""
    if not isinstance(shard, dict):
        return False
    name, digest = shard.get("name"), shard.get("sha256")
    if not isinstance(name, str) or not isinstance(digest, str) or not _NAME.fullmatch(name):
        return False
    count, length_s = shard.get("utterances", 0), shard.get("duration_s", 0)
    if type(count) is not int or type(length_s) not in (int, float):
        return False
    return count > 0 and 0 < length_s < math.inf


def pack_shard(
    utterances: Sequence[tuple[UtteranceRecipe, Speech]],
    skipped: Sequence[dict[str, str]],
    *,
    made_of: str,
) -> dict[str, np.ndarray]:
    """Packs utterances into the arrays of a shard.

    Args:
        utterances: In order.
        skipped: Texts that could not be spoken, with reasons.
        made_of: Hash of the plan and the shard's number.

    Returns:
        Arrays for `numpy.savez_compressed`.
    """
    sounds = [encode(speech.samples) for _, speech in utterances]
    phonemes = [phoneme for _, speech in utterances for phoneme in speech.phonemes]
    lengths = [length for _, speech in utterances for length in _microseconds(speech)]
    entries = [_entry(recipe, speech) for recipe, speech in utterances]
    metadata = {"made_of": made_of, "utterances": entries, "skipped": list(skipped)}
    text = json.dumps(metadata, sort_keys=True)
    return {
        "first": np.concatenate([sound.first for sound in sounds]),
        "step": np.concatenate([sound.step for sound in sounds]),
        "codes": np.concatenate([sound.codes for sound in sounds]),
        "phone": np.array([PHONE_CODES.index(p.phone) for p in phonemes], np.uint8),
        "word_index": np.array([p.word_index for p in phonemes], np.int16),
        "length_us": np.array(lengths, np.uint32),
        "text": np.frombuffer(text.encode(), np.uint8),
    }


def _microseconds(speech: Speech) -> list[int]:
    edges = [0, *(round(phoneme.t1_s * MICROSECONDS) for phoneme in speech.phonemes)]
    lengths: list[int] = np.diff(edges).tolist()
    return lengths


def _entry(recipe: UtteranceRecipe, speech: Speech) -> dict[str, Any]:
    room = recipe.room
    return {
        "transcript": recipe.transcript,
        "voice": recipe.voice,
        "seed": recipe.seed,
        "rate_wpm": recipe.rate_wpm,
        "room": room and [room.reverb_s, room.snr_db, room.noise_slope_db],
        "words": " ".join(word.text for word in speech.words),
        "samples": len(speech.samples),
        "phonemes": len(speech.phonemes),
    }


@lru_cache(maxsize=_SHARDS_IN_MEMORY)
def _shard(path: Path, digest: str) -> _Shard:
    if not path.is_file():
        raise CorpusError(f"{path} is missing; {_REMEDY}")
    if verify_seal(path) != digest:
        raise CorpusError(f"{path} is another one than the index says; {_REMEDY}")
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    entries = parse_json(arrays["text"].tobytes())["utterances"]
    blocks = [-(-entry["samples"] // BLOCK_SAMPLES) for entry in entries]
    return _Shard(
        arrays,
        entries,
        np.cumsum([0, *blocks]).tolist(),
        np.cumsum([0, *(entry["phonemes"] for entry in entries)]).tolist(),
    )


def _utterance(shard: _Shard, index: int) -> Utterance:
    entry = shard.entries[index]
    blocks = slice(*shard.first_block[index : index + 2])
    sound = Packed(**{name: shard.arrays[name][blocks] for name in ("first", "step", "codes")})
    phonemes = _phonemes(shard, slice(*shard.first_phoneme[index : index + 2]))
    room = entry["room"]
    return Utterance(
        transcript=entry["transcript"],
        voice=entry["voice"],
        seed=entry["seed"],
        rate_wpm=entry["rate_wpm"],
        room=room and Room(reverb_s=room[0], snr_db=room[1], noise_slope_db=room[2]),
        samples=decode(sound, entry["samples"]),
        phonemes=phonemes,
        words=_words(phonemes, entry["words"].split()),
    )


def _phonemes(shard: _Shard, own: slice) -> tuple[TimedPhoneme, ...]:
    phones, words = shard.arrays["phone"][own], shard.arrays["word_index"][own]
    edges = np.cumsum([0, *shard.arrays["length_us"][own].tolist()]) / MICROSECONDS
    return tuple(
        TimedPhoneme(phone=PHONE_CODES[phone], t0_s=t0_s, t1_s=t1_s, word_index=word)
        for phone, word, t0_s, t1_s in zip(
            phones.tolist(), words.tolist(), edges[:-1].tolist(), edges[1:].tolist(), strict=True
        )
    )


def _words(phonemes: tuple[TimedPhoneme, ...], texts: list[str]) -> tuple[TimedWord, ...]:
    starts = {phoneme.word_index: phoneme.t0_s for phoneme in reversed(phonemes)}
    ends = {phoneme.word_index: phoneme.t1_s for phoneme in phonemes}
    return tuple(
        TimedWord(text=text, t0_s=starts[index], t1_s=ends[index])
        for index, text in enumerate(texts)
    )


def bytes_per_hour(shard_s: float) -> float:
    """Returns an upper bound of the size of an hour: sound at four bits, times, and overhead."""
    sound = SAMPLE_RATE * (0.5 + 3 / BLOCK_SAMPLES)
    text_and_times = 200
    return 3600 * (sound + text_and_times) * (1 + 12 / shard_s)
