"""Faults of the spoken words. World clips are regenerated; finished files are cut and spliced."""

import re
from collections.abc import Callable, Sequence

import numpy as np

from evals.calibration.faults.base import (
    BOTH,
    FPS,
    FRAME_SAMPLES,
    LIP_SYNC_METRICS,
    Fault,
    Faulted,
    Take,
    reordered,
)
from evals.protocols.base import Unscored

_SENTENCE_END = re.compile(r"[.!?]+[\"')]*$")
_OTHER_METRICS = (
    *LIP_SYNC_METRICS, "id_distance", "id_rank1", "id_drift", "id_coverage", "id_world*",
    "colour_drift", "exposure_drift", "sharpness_drift", "voice_similarity", "dnsmos_*",
    "fid_lite0", "fvd_world",
)  # fmt: skip
Places = Sequence[int]


def drop(take: Take, dose: float, rng: np.random.Generator) -> Faulted:
    """Leaves words out."""
    words = _num_words(take)
    dropped = set(_chosen(words, dose, rng))
    kept = [i for i in range(words) if i not in dropped]
    return _in_order(take, kept, len(dropped) / words)


def repeat(take: Take, dose: float, rng: np.random.Generator) -> Faulted:
    """Says words twice."""
    words = _num_words(take)
    twice = set(_chosen(words, dose, rng))
    places = [i for i in range(words) for _ in range(2 if i in twice else 1)]
    return _in_order(take, places, len(twice) / words)


def swap(take: Take, dose: float, rng: np.random.Generator) -> Faulted:
    """Swaps neighbours; the dose counts both words of a pair."""
    words = _num_words(take)
    if words < 2:
        raise Unscored("a single word has no neighbour to be swapped with")
    pairs = max(1, round(dose * words / 2))
    places, moved = list(range(words)), set[int]()
    for i in rng.permutation(words - 1):
        if len(moved) < 2 * pairs and not {i, i + 1} & moved:
            places[i], places[i + 1] = places[i + 1], places[i]
            moved |= {int(i), int(i) + 1}
    return _in_order(take, places, len(moved) / words)


def loop(take: Take, dose: float, rng: np.random.Generator) -> Faulted:
    """Repeats the first sentence; a clip of one sentence is repeated completely."""
    words = _num_words(take)
    tokens = take.transcript.split()
    ends = [i + 1 for i, token in enumerate(tokens) if _SENTENCE_END.search(token)]
    first = min(ends[0] if ends else words, words)
    places = [*range(first)] * (1 + round(dose)) + [*range(first, words)]
    return _in_order(take, places, round(dose))


def stop(take: Take, dose: float, rng: np.random.Generator) -> Faulted:
    """Ends the clip before its last words, picture and sound."""
    if not take.words:
        raise Unscored("no word times")
    dropped = min(len(take.words) - 1, max(1, round(dose * len(take.words))))
    edges = _edges(take)
    end = edges[len(take.words) - dropped]
    return Faulted(
        dose=dropped / len(take.words),
        frames=reordered(take.open_frames(), np.arange(end)),
        samples=take.samples[: end * FRAME_SAMPLES],
    )


def _num_words(take: Take) -> int:
    count = len(take.transcript.split()) if take.world is not None else len(take.words)
    if not count:
        raise Unscored("no words")
    return count


def _chosen(num_words: int, rate: float, rng: np.random.Generator) -> list[int]:
    """Chooses words at random: at least one, and never all of several."""
    count = min(max(1, round(rate * num_words)), max(1, num_words - 1))
    return [int(i) for i in rng.permutation(num_words)[:count]]


def _in_order(take: Take, places: Places, realised: float) -> Faulted:
    """Returns the clip with the words at these places of the transcript."""
    if take.world is not None:
        tokens = take.transcript.split()
        frames, samples = take.world.say(" ".join(tokens[i] for i in places))
        return Faulted(dose=realised, frames=frames, samples=samples)
    order = _frames_in_order(take, places)
    sound = _sound_of(take, order)
    return Faulted(dose=realised, frames=reordered(take.open_frames(), order), samples=sound)


def _frames_in_order(take: Take, places: Places) -> np.ndarray:
    """Frames of the words in a new order, with the frames before and after all words."""
    edges = _edges(take)
    parts = [np.arange(edges[i], edges[i + 1]) for i in places]
    return np.concatenate(
        [np.arange(edges[0]), *parts, np.arange(edges[-1], take.num_frames)]
    ).astype(np.int64)


def _edges(take: Take) -> list[int]:
    """Frames of word boundaries, halfway between neighbouring words."""
    starts = [word.t0_s for word in take.words]
    ends = [word.t1_s for word in take.words]
    between = [(end + start) / 2 for end, start in zip(ends[:-1], starts[1:], strict=True)]
    edges = [round(t_s * FPS) for t_s in (starts[0], *between, ends[-1])]
    return [int(e) for e in np.clip(np.maximum.accumulate(edges), 0, take.num_frames)]


def _sound_of(take: Take, order: np.ndarray) -> np.ndarray:
    """The sound of frames in a new order."""
    samples = np.zeros(take.num_frames * FRAME_SAMPLES, np.float32)
    count = min(len(samples), len(take.samples))
    samples[:count] = take.samples[:count]
    return samples.reshape(-1, FRAME_SAMPLES)[order].ravel()


def _fault(
    name: str,
    label: str,
    unit: str,
    doses: tuple[float, ...],
    few: tuple[float, ...],
    moves: dict[str, int],
    source: str,
    inject: Callable[[Take, float, np.random.Generator], Faulted],
) -> Fault:
    return Fault(
        name=name, label=label, unit=unit, doses=doses, few=few, tracks=BOTH, moves=moves,
        leaves=_OTHER_METRICS, source=source, inject=inject,
    )  # fmt: skip


_RATES, _FEW_RATES = (0.05, 0.1, 0.2), (0.1, 0.2)
_ERRORS = {"wer": 1, "cer": 1, "phoneme_error_rate": 1, "per_world": 1}
WORD_FAULTS = (
    _fault(
        "words_dropped", "words left out", "share of words", _RATES, _FEW_RATES,
        {**_ERRORS, "longest_skip_words": 1},
        "Autoregressive speech skips; here they are not said at all, and picture and voice fit.",
        drop,
    ),
    _fault(
        "words_repeated", "words said twice", "share of words", _RATES, _FEW_RATES, _ERRORS,
        "Autoregressive speech stutters.", repeat,
    ),
    _fault(
        "words_swapped", "words swapped", "share of words", _RATES, _FEW_RATES, _ERRORS,
        "Attention that loses its place for a moment.", swap,
    ),
    _fault(
        "sentence_looped", "sentence looped", "times too often", (1, 2, 4), (1,),
        {"loops": 1, **_ERRORS},
        "Long autoregressive speech falls into a loop.", loop,
    ),
    _fault(
        "early_stop", "early stop", "share of words", (0.1, 0.2, 0.4, 0.6), (0.2, 0.4),
        {"completion": -1, **_ERRORS},
        "The stream ends before the script does.", stop,
    ),
)  # fmt: skip
