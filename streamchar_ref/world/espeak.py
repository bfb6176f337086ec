"""The second speech engine: eSpeak NG, a formant synthesiser, with the phonemes of the first.

It takes phonemes in its own notation (``[[h|@|l|'oU]]``) and reports the first sample of each.
Glides that it inserts between vowels belong to the previous phoneme; the silent closure of a stop
belongs to the stop, since the lips are closed; a vowel and the R that colours it are one sound in
eSpeak and divide its time by a convention. The library keeps state between calls, so it is
reloaded for each transcript: equal arguments give equal bytes.

Source:
    eSpeak NG 1.52 (GPL-3.0-or-later), by the package ``espeakng-loader``; nothing of it is here.
"""

import _ctypes
import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from tempfile import NamedTemporaryFile
from threading import Lock
from typing import Any

import numpy as np
from jaxtyping import Float32

from streamchar_ref.world.lexicon import PRIMARY, SECONDARY, VOWELS, Phoneme, Sentence, Word
from streamchar_ref.world.tables import TABLES
from streamchar_ref.world.take import (
    SILENCE,
    EngineMissing,
    EngineOutput,
    Span,
    silence,
    words_per_minute,
)
from streamchar_ref.world.voices import Voice

SAMPLE_RATE = 22_050
LEAD_S, TAIL_S, PAUSE_S = 0.1, 0.15, 0.1  # added to eSpeak's own silence around a sentence
PITCH_HZ, PITCH_RANGE = 90, 1.35
DEFAULT_WPM, MIN_WPM, MAX_WPM = 165, 80, 450  # in eSpeak's count
CLAUSE_LETTERS = 350  # eSpeak splits longer clauses arbitrarily
MIN_SAMPLES = 220  # 10 ms
SHARE_OF_R = 0.4  # of an R-coloured vowel: a convention, there is no audible border
_PHONEME_EVENTS, _TEXT_IS_PHONEMES_UTF8, _RETRIEVAL = 0x1, 0x101, 2
_RATE, _POSITION_CHARACTER, _PHONEME_EVENT = 1, 1, 7
_GLIDES = frozenset((";", "r-", "r"))
_STOPS = frozenset(("P", "B", "T", "D", "K", "G", "CH", "JH"))
_STRESS = {"": "", PRIMARY: "'", SECONDARY: ","}
_QUIET: tuple[tuple[str, ...], int] = ((SILENCE,), -1)
_library_lock = Lock()


class EspeakFault(RuntimeError):
    """eSpeak NG failed, or its phonemes differ from the input."""


class _EventId(ctypes.Union):
    _fields_ = (
        ("number", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("string", ctypes.c_char * 8),
    )


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    )


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


@dataclass
class _Collector:
    """Collects the library's callbacks: sound, and (phoneme, first sample)."""

    parts: list[np.ndarray] = field(default_factory=list)
    events: list[tuple[str, int]] = field(default_factory=list)

    def collect(self, wave: Any, num_samples: int, events: Any) -> int:
        """The callback; returns 0 to continue."""
        if wave and num_samples:
            self.parts.append(np.ctypeslib.as_array(wave, (num_samples,)).copy())
        index = 0
        while events[index].type:
            if events[index].type == _PHONEME_EVENT:
                name = events[index].id.string.decode()
                self.events.append((name.lstrip("',%="), events[index].sample))
            index += 1
        return 0


def say(
    sentences: tuple[Sentence, ...],
    voice: Voice,
    rng: np.random.Generator,
    *,
    rate_wpm: float | None = None,
) -> EngineOutput:
    """Synthesises sentences.

    Args:
        sentences: From `read_text`.
        voice: One of eSpeak's.
        rng: Of the small variations between takes.
        rate_wpm: Measured words per minute; None for the voice's default.

    Returns:
        The sound, before the voice's tilt and breath are applied.

    Raises:
        EngineMissing: If ``espeakng-loader`` is not installed.
        EspeakFault: If the library fails.
    """
    pitch_hz = PITCH_HZ * voice.pitch * (1 + 0.02 * float(rng.standard_normal()))
    pitch_range = PITCH_RANGE + 0.05 * float(rng.standard_normal())
    description = _description(pitch_hz, pitch_range, voice.formant)
    own_wpm = DEFAULT_WPM / voice.tempo * (1 + 0.02 * float(rng.standard_normal()))
    setting = round(own_wpm if rate_wpm is None else rate_wpm)
    output = _say(sentences, description, setting)
    for _ in range(3 if rate_wpm else 0):
        factor = (rate_wpm or 0) / words_per_minute(output.spans, SAMPLE_RATE)
        better = round(min(max(setting * factor, MIN_WPM), MAX_WPM))
        if better == setting:
            break
        setting = better
        output = _say(sentences, description, setting)
    return output


def _description(pitch_hz: float, pitch_range: float, formant: float) -> str:
    """Returns a voice file: American English with modified pitch and formants."""
    lines = [
        "name streamchar", "language en-us", "phonemes en-us", "dictrules 3 6",
        "stressLength 140 120 190 170 0 0 255 300", "stressAmp 17 16 19 19 19 19 21 19",
        f"pitch {round(pitch_hz)} {round(pitch_hz * pitch_range)}", "flutter 0",
    ]  # fmt: skip
    return "\n".join([*lines, *(f"formant {n} {round(100 * formant)} 100 100" for n in range(9))])


def _say(sentences: tuple[Sentence, ...], description: str, setting: int) -> EngineOutput:
    lead, lead_span = silence(LEAD_S, SAMPLE_RATE)
    parts, spans, words_before = [lead], [lead_span], 0
    with _fresh_library() as (library, collector):
        _set_voice(library, description)
        library.espeak_SetParameter(_RATE, setting, 0)
        for number, sentence in enumerate(sentences):
            is_last = number == len(sentences) - 1
            pause, pause_span = silence(TAIL_S if is_last else PAUSE_S, SAMPLE_RATE)
            wave, events = _synthesise(library, collector, sentence)
            parts += [wave, pause]
            spans += [*_spans(sentence, wave, events, words_before), pause_span]
            words_before += len(sentence)
    return EngineOutput(np.concatenate(parts), tuple(spans), SAMPLE_RATE)


@contextmanager
def _fresh_library() -> Iterator[tuple[Any, _Collector]]:
    try:
        import espeakng_loader
    except ImportError as error:
        message = "eSpeak NG is not installed; pip install 'streamchar[world]'"
        raise EngineMissing(message) from error
    with _library_lock:
        library = ctypes.CDLL(espeakng_loader.get_library_path())
        try:
            data = os.path.dirname(espeakng_loader.get_data_path()).encode()
            if library.espeak_Initialize(_RETRIEVAL, 0, data, _PHONEME_EVENTS) != SAMPLE_RATE:
                raise EspeakFault("eSpeak NG could not start")
            collector = _Collector()
            callback = _Callback(collector.collect)
            library.espeak_SetSynthCallback(callback)
            yield library, collector
            library.espeak_Terminate()
        finally:
            _ctypes.dlclose(library._handle)


def _set_voice(library: Any, description: str) -> None:
    with NamedTemporaryFile("w", suffix=".voice", encoding="ascii") as file:
        file.write(description + "\n")
        file.flush()
        if library.espeak_ng_SetVoiceByFile(file.name.encode()) != 0:
            raise EspeakFault("eSpeak NG could not load its voice")


def _synthesise(
    library: Any, collector: _Collector, sentence: Sentence
) -> tuple[Float32[np.ndarray, " S"], list[tuple[str, int]]]:
    collector.parts, collector.events = [], []
    text = _spelled(sentence).encode()
    size = ctypes.c_size_t(len(text) + 1)
    failed = library.espeak_Synth(
        text, size, 0, _POSITION_CHARACTER, 0, _TEXT_IS_PHONEMES_UTF8, None, None
    )
    if failed or library.espeak_Synchronize() or not collector.parts:
        raise EspeakFault(f"eSpeak NG could not say {text.decode()!r}")
    return np.concatenate(collector.parts).astype(np.float32) / 32768, collector.events


def _spelled(sentence: Sentence) -> str:
    """Writes a sentence in eSpeak's notation: clauses in brackets, punctuation outside."""
    text, clause = "", ""
    for index, word in enumerate(sentence):
        clause += (" " if clause else "") + _word(word)
        is_last = index == len(sentence) - 1
        if word.mark or is_last or len(clause) > CLAUSE_LETTERS:
            text += f"[[{clause}]]{word.mark or ('.' if is_last else ',')} "
            clause = ""
    return text.strip()


def _word(word: Word) -> str:
    return "|".join(mnemonic for mnemonic, _ in _units(word))


def _units(word: Word) -> list[tuple[str, tuple[Phoneme, ...]]]:
    """Splits a word into eSpeak's units; a vowel and a following coda R are one unit."""
    units: list[tuple[str, tuple[Phoneme, ...]]] = []
    phonemes = word.phonemes
    for index, phoneme in enumerate(phonemes):
        before = phonemes[index - 1] if index else None
        is_coda = phonemes[index + 1 : index + 2] == () or not _is_vowel(phonemes[index + 1])
        with_r = TABLES["espeak_r"].get(before.symbols) if before else None
        if phoneme.phone == "R" and with_r and is_coda and before:
            units[-1] = (_STRESS[before.stress] + with_r, (before, phoneme))
        else:
            units.append((_STRESS[phoneme.stress] + _mnemonic(phoneme), (phoneme,)))
    return units


def _is_vowel(phoneme: Phoneme) -> bool:
    return phoneme.phone in VOWELS


def _mnemonic(phoneme: Phoneme) -> str:
    """Writes a phoneme; eSpeak itself adds the R that links ER to a vowel."""
    linking = TABLES["symbols"]["R"] if phoneme.phone == "ER" else ""
    return str(TABLES["espeak"][phoneme.symbols.removesuffix(linking)])


def _spans(
    sentence: Sentence,
    wave: Float32[np.ndarray, " S"],
    events: list[tuple[str, int]],
    words_before: int,
) -> list[Span]:
    """Matches the phonemes with eSpeak's events, allowing for glides, silences and R."""
    units = [
        (mnemonic.lstrip("',"), phonemes, words_before + index)
        for index, word in enumerate(sentence)
        for mnemonic, phonemes in _units(word)
    ]
    starts, labels, position = [0], [_QUIET], 0
    for name, sample in events:
        expected = units[position][0] if position < len(units) else ""
        if name in _GLIDES and name != expected:
            continue
        if name.startswith("_"):
            labels.append(_QUIET)
        elif position == len(units):
            raise EspeakFault(f"eSpeak NG added {name!r} to {_spelled(sentence)!r}")
        else:
            _, phonemes, word_index = units[position]
            labels.append((tuple(p.phone for p in phonemes), word_index))
            position += 1
        is_closure = labels[-1][0][0] in _STOPS and labels[-2] != _QUIET
        starts.append(_closing(wave, starts[-1], sample) if is_closure else sample)
    if position < len(units):
        raise EspeakFault(f"eSpeak NG left out sounds of {_spelled(sentence)!r}")
    return _divided(labels, np.diff([*starts, len(wave)]).tolist())


def _divided(labels: list[tuple[tuple[str, ...], int]], lengths: list[int]) -> list[Span]:
    """Divides R-coloured vowels: an R that eSpeak merged gets the last part."""
    spans: list[Span] = []
    for (phones, word_index), length in zip(labels, lengths, strict=True):
        if length < MIN_SAMPLES and phones != _QUIET[0]:
            before = spans.pop()
            total = before.num_samples + length
            own = Span(before.phone, before.word_index, total - round(SHARE_OF_R * total))
            spans += [own, Span(phones[0], word_index, total - own.num_samples)]
            continue
        last = round(SHARE_OF_R * length) if len(phones) == 2 else 0
        spans.append(Span(phones[0], word_index, length - last))
        if last:
            spans.append(Span(phones[1], word_index, last))
    return [span for span in spans if span.num_samples or span.phone != SILENCE]


def _closing(wave: Float32[np.ndarray, " S"], before: int, release: int) -> int:
    """Returns the start of a stop's closure; without silence, halfway to the release."""
    sounding = np.flatnonzero(wave[before:release])
    begin = before + int(sounding[-1]) + 1 if len(sounding) else before
    return begin if begin - before > MIN_SAMPLES else (before + release) // 2
