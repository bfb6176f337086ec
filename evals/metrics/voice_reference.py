"""Is it the voice that was asked for? Against a recording of that voice, by Resemblyzer.

Shape letters: K windows, D dimensions of an embedding.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool

from evals.metrics.absence import SPEECH, seconds_of_speech
from evals.metrics.voice import MIN_SPEECH, WINDOW_S
from evals.protocols.base import Features, Metric, MetricContext, MetricWindow, Score, Unscored
from evals.protocols.info import Axis
from evals.recording.recording import Recording

MIN_WINDOWS = 2
"""Of speech in the reference: about 2.4 s."""


class VoiceReferenceSimilarity(Metric):
    """Mean cosine of the speech to the mean embedding of the reference voice.

    It is no SIM-o: that is by WavLM. The manifest's ``voice_reference_path`` names the reference.
    """

    name = "voice_reference_similarity"
    label = "voice similarity to reference"
    axis = Axis.VOICE
    unit = "1"
    higher_is_better = True
    bounds = (-1.0, 1.0)
    is_default = False
    is_of_speech = True
    needs = ("voice", SPEECH, "voice_reference", "speech_reference")
    protocol = "voice_reference_similarity/resemblyzer@1"
    params: Mapping[str, Any] = {
        "min_speech": MIN_SPEECH,
        "min_windows": MIN_WINDOWS,
        "reference": "mean of its windows with speech, of unit length",
    }

    def measure(self, recording: Recording, features: Features, context: MetricContext) -> Score:
        """Averages over the windows that hold speech."""
        reference, own = features["voice_reference"], features["voice"]
        is_anchor = spoken(reference["start_s"], features["speech_reference"])
        if is_anchor.sum() < MIN_WINDOWS:
            raise Unscored(
                f"voice_reference_path: {is_anchor.sum()} windows with speech, "
                f"{MIN_WINDOWS} needed; a few seconds of clear speech will do"
            )
        anchor = reference["embeddings"][is_anchor].astype(float).mean(axis=0)
        anchor /= np.linalg.norm(anchor)
        is_speech = spoken(own["start_s"], features[SPEECH])
        if not is_speech.any():
            raise Unscored(f"no speech as long as a window of {WINDOW_S:g} s")
        starts = own["start_s"][is_speech]
        cosines = own["embeddings"][is_speech].astype(float) @ anchor
        return Score(
            value=float(cosines.mean()),
            components={
                "num_windows": len(cosines),
                "num_reference_windows": int(is_anchor.sum()),
                "p05": float(np.percentile(cosines, 5)),
            },
            windows=tuple(
                MetricWindow(t0_s=float(start), t1_s=float(start) + WINDOW_S, value=float(value))
                for start, value in zip(starts, cosines, strict=True)
            ),
        )


def spoken(start_s: np.ndarray, speech: Mapping[str, np.ndarray]) -> Bool[np.ndarray, " K"]:
    """Says which windows of 1.6 s hold enough speech."""
    seconds = seconds_of_speech(speech, start_s, start_s + WINDOW_S)
    return np.asarray(seconds >= MIN_SPEECH * WINDOW_S)


VOICE_REFERENCE: tuple[Metric, ...] = (VoiceReferenceSimilarity(),)
