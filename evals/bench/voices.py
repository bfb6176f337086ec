"""How distinct the world's voices are, and how well each is understood."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Float32

from evals.extractors import EXTRACTORS
from evals.text.align import align
from evals.text.comparison import compare_texts
from evals.text.normalise import SPOKEN
from streamchar_ref.world.speech import SAMPLE_RATE, speak
from streamchar_ref.world.voices import VOICES

SENTENCES = (
    "She laughed because the puppy had stolen his other shoe again.",
    "The garden gate was painted blue by my neighbor last summer.",
    "Nobody noticed the photograph hidden between the pages of that book.",
    "A quiet engine carried the tired miners back across the valley.",
    "Please leave the heavy boxes beside the kitchen window before lunch.",
    "The young doctor answered every question with patience and good humor.",
    "We could hear the river long before we reached the wooden bridge.",
    "His brother collects old maps of islands that no longer exist.",
    "Fresh bread and strong coffee were waiting for us in the morning.",
    "The teacher wrote seven words on the board and then sat down.",
)
PADDING_S = 0.5


def bench_voices(
    *, recogniser: str = "asr_moonshine", with_words: bool = True
) -> list[dict[str, Any]]:
    """Compares all pairs of voices, and lets each be recognised.

    Args:
        recogniser: An extractor of text.
        with_words: Whether to recognise; it takes most of the time.

    Returns:
        A row for each engine and for both, with the equal error rate and its counts; then one for
        each voice, with its mean likeness to itself and to the voice it is likest, and its errors.
    """
    said = {name: [_padded(name, seed) for seed in range(len(SENTENCES))] for name in VOICES}
    embedded = {name: _embedded(takes) for name, takes in said.items()}
    engines = sorted({voice.engine for voice in VOICES.values()})
    rows = [_engine_row(engine, embedded) for engine in [*engines, ""]]
    for name in VOICES:
        words = _word_errors(said[name], recogniser) if with_words else {}
        rows.append(_voice_row(name, embedded) | words)
    return rows


def equal_error_rate(same: Sequence[float], different: Sequence[float]) -> float:
    """Returns the error rate where as many pairs of one voice are torn as of two are taken for one.

    Args:
        same: Likeness of pairs that are the same.
        different: Likeness of pairs that are not.

    Returns:
        The mean of both rates at the threshold where they are closest.
    """
    thresholds = np.sort(np.concatenate([same, different]))
    torn = np.searchsorted(np.sort(same), thresholds) / len(same)
    taken = 1 - np.searchsorted(np.sort(different), thresholds) / len(different)
    closest = int(np.argmin(np.abs(torn - taken)))
    return float(torn[closest] + taken[closest]) / 2


def _padded(voice: str, seed: int) -> Float32[np.ndarray, " S"]:
    return np.pad(
        speak(SENTENCES[seed], voice=voice, seed=seed).samples, round(PADDING_S * SAMPLE_RATE)
    )


def _embedded(takes: list[np.ndarray]) -> Float32[np.ndarray, "K 256"]:
    extractor = EXTRACTORS["voice"].make()
    means = np.stack([extractor.extract(samples)["embeddings"].mean(axis=0) for samples in takes])
    return means / np.linalg.norm(means, axis=1, keepdims=True)


def _engine_row(engine: str, embedded: dict[str, np.ndarray]) -> dict[str, Any]:
    names = [name for name in embedded if engine in ("", VOICES[name].engine)]
    same = [v for name in names for v in _likeness(embedded[name], None)]
    pairs = combinations(names, 2)
    different = [v for a, b in pairs for v in _likeness(embedded[a], embedded[b])]
    return {
        "voices": engine or "all",
        "eer": round(equal_error_rate(same, different), 4),
        "same": round(float(np.mean(same)), 3),
        "other": round(float(np.mean(different)), 3),
        "pairs": f"{len(same)}+{len(different)}",
        "wer": "",
        "words": "",
    }


def _voice_row(name: str, embedded: dict[str, np.ndarray]) -> dict[str, Any]:
    others = {
        other: float(np.mean(_likeness(embedded[name], embedded[other])))
        for other in embedded
        if other != name
    }
    likest = max(others, key=others.__getitem__)
    return {
        "voices": name,
        "eer": "",
        "same": round(float(np.mean(_likeness(embedded[name], None))), 3),
        "other": round(others[likest], 3),
        "pairs": f"likest {likest}",
        "wer": "",
        "words": "",
    }


def _likeness(first: np.ndarray, second: np.ndarray | None) -> list[float]:
    """Cosines of all pairs; within one voice without those of a take and itself."""
    if second is not None:
        return (first @ second.T).ravel().tolist()
    products: np.ndarray = (first @ first.T)[np.triu_indices(len(first), 1)]
    return products.tolist()


def _word_errors(takes: list[np.ndarray], recogniser: str) -> dict[str, Any]:
    extractor = EXTRACTORS[recogniser].make()
    errors = num_words = 0
    for text, samples in zip(SENTENCES, takes, strict=True):
        heard = str(extractor.extract(samples)["text"][0])
        reference, words = compare_texts(text, heard, SPOKEN)
        errors += align(reference, words).num_errors
        num_words += len(reference)
    return {"wer": round(errors / num_words, 3), "words": num_words}
