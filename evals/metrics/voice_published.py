"""SIM-o and UTMOS, the voice metrics of text-to-speech papers, by weights that a user has.

Shape letters: K pieces of a sound.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from evals.metrics.absence import missing_speech
from evals.protocols.base import Features, Metric, MetricContext, MetricWindow, Score, Unscored
from evals.protocols.info import Axis
from evals.recording.recording import Recording

PIECES = "as few equal pieces as there can be, weighted by their length"


class SimO(Metric):
    """Cosine of WavLM's speaker embedding of the sound to that of the reference voice.

    As SIM-o of VALL-E and seed-tts-eval: to the original prompt, not to its resynthesis. The
    manifest's ``voice_reference_path`` names the reference.
    """

    name = "sim_o"
    label = "SIM-o"
    axis = Axis.VOICE
    unit = "1"
    higher_is_better = True
    bounds = (-1.0, 1.0)
    is_default = False
    is_of_speech = True
    needs = ("wavlm_sv", "wavlm_sv_reference")
    protocol = "sim_o/wavlm-large-sv@1"
    params: Mapping[str, Any] = {"reference": "its first piece", "longer": PIECES}

    def measure(self, recording: Recording, features: Features, context: MetricContext) -> Score:
        """Averages over the pieces; one where the sound is no longer than 30 s."""
        reference, own = features["wavlm_sv_reference"], features["wavlm_sv"]
        if not len(reference["embedding"]):
            raise Unscored("voice_reference_path: too short for an embedding")
        if not len(own["embedding"]):
            raise missing_speech(recording, "too short for an embedding")
        anchor = reference["embedding"][0].astype(np.float64)
        cosines = own["embedding"].astype(np.float64) @ anchor
        return _averaged(own, cosines, {"reference_s": float(reference["end_s"][0])})


class UtmosMetric(Metric):
    """UTMOS strong: opinion of naturalness that listeners would have, about 1 to 5."""

    name = "utmos"
    label = "UTMOS"
    axis = Axis.VOICE
    unit = "MOS"
    higher_is_better = True
    is_default = False
    is_of_speech = True
    needs = ("utmos",)
    protocol = "utmos/strong-22@1"
    params: Mapping[str, Any] = {"longer": PIECES}

    def measure(self, recording: Recording, features: Features, context: MetricContext) -> Score:
        """Averages over the pieces; one where the sound is no longer than 30 s."""
        found = features["utmos"]
        if not len(found["rating"]):
            raise missing_speech(recording, "too short for an opinion")
        return _averaged(found, found["rating"], {})


def _averaged(
    found: Mapping[str, np.ndarray], values: Float[np.ndarray, " K"], more: Mapping[str, Any]
) -> Score:
    seconds = found["end_s"] - found["start_s"]
    return Score(
        value=float(np.average(values, weights=seconds)),
        components={"num_pieces": len(values), **more},
        windows=tuple(
            MetricWindow(t0_s=float(start), t1_s=float(end), value=float(value))
            for start, end, value in zip(found["start_s"], found["end_s"], values, strict=True)
        ),
    )


VOICE_PUBLISHED: tuple[Metric, ...] = (SimO(), UtmosMetric())
