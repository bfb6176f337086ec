"""Measures `align_world` on held-out texts.

The voices are those of its training, the only ones it is for.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from evals.extractors.align_world import AlignWorldExtractor
from evals.judges.align_data import vocoded
from evals.judges.progress import LogFn, counted
from evals.text.align import align
from evals.text.progress import at_video_frames, spoken_progress
from streamchar_ref.world.script import write_script
from streamchar_ref.world.speech import SILENCE, Speech, speak
from streamchar_ref.world.styles import STYLES

FIRST_SEED = 910_000_000
NUM_UTTERANCES = 60
WORDS_AN_UTTERANCE = 40
FPS = 25


def check(
    *, log: LogFn, num_utterances: int = NUM_UTTERANCES, weights: Path | None = None
) -> dict[str, Any]:
    """Measures phoneme error rates and errors of spoken progress.

    Args:
        log: Takes lines of progress.
        num_utterances: Of some 15 s.
        weights: File; the judge's own by default.

    Returns:
        Error rates in [0, 1] and progress errors in phonemes.
    """
    judge = AlignWorldExtractor(weights=weights)
    rng = np.random.default_rng(FIRST_SEED)
    errors: dict[str, list[int]] = {"clean": [], "vocoder": []}
    lengths: list[int] = []
    misses: dict[str, list[np.ndarray]] = {"clean": [], "vocoder": []}
    for number in counted(range(num_utterances), 10, "utterances recognised", log):
        speech = _speech(number)
        phones = _phones(speech)
        lengths.append(len(phones))
        takes = {"clean": speech.samples, "vocoder": vocoded(speech.samples, rng, rounds=4)}
        for name, samples in takes.items():
            features = judge.extract(samples)
            errors[name].append(align(phones, [str(p) for p in features["phonemes"]]).num_errors)
            misses[name].append(progress_error(features, speech))
    figures: dict[str, Any] = {"utterances": num_utterances, "phonemes": sum(lengths)}
    for name in takes:
        miss = np.concatenate(misses[name])
        figures |= {
            f"per_{name}": sum(errors[name]) / sum(lengths),
            f"progress_mean_error_{name}": float(np.abs(miss).mean()),
            f"progress_p99_error_{name}": float(np.percentile(np.abs(miss), 99)),
            f"progress_bias_{name}": float(miss.mean()),
        }
    return figures


def _speech(number: int) -> Speech:
    voices = STYLES["painted"].voices
    seed = FIRST_SEED + number
    transcript = write_script(seed, num_words=WORDS_AN_UTTERANCE)
    return speak(transcript, voice=voices[number % len(voices)], seed=seed)


def _phones(speech: Speech) -> list[str]:
    return [phoneme.phone for phoneme in speech.phonemes if phoneme.phone != SILENCE]


def progress_error(features: Mapping[str, np.ndarray], speech: Speech) -> Float64[np.ndarray, " V"]:
    """Returns progress read minus the true count, in phonemes, at the end of each video frame."""
    starts_s = [phoneme.t0_s for phoneme in speech.phonemes if phoneme.phone != SILENCE]
    num_frames = int(speech.length_s * FPS)
    truth = np.searchsorted(np.array(starts_s), (np.arange(num_frames) + 1) / FPS)
    read = spoken_progress(features["log_probs"], _phones(speech))
    return at_video_frames(read, num_frames=num_frames, fps=FPS) - truth
