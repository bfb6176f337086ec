"""Does a system know how far into its transcript it has got?"""

import numpy as np
from jaxtyping import Float

from evals.metrics.absence import SPEECH, require_speech
from evals.metrics.per_world import reference_phones
from evals.protocols.base import (
    Features,
    Metric,
    MetricContext,
    MetricWindow,
    Score,
    Unscored,
    require_transcript,
)  # fmt: skip
from evals.protocols.info import NON_NEGATIVE, Axis
from evals.recording.recording import Recording, Trace
from evals.text import progress

MAX_LENGTH_GAP_S = 0.5
"""Chunks whose lengths add up to another time than the sound's say nothing about its moments."""
MAX_STATES = 60_000_000_000
"""Frames x states that are aligned: some two hours of speech, in about ten minutes."""


class PointerError(Metric):
    """Mean distance of a system's own account of what it has spoken to the judge's, in phonemes.

    Both are places in the transcript: what is skipped counts as passed, what is repeated is not
    counted again. They are compared where chunks end; the mean over recordings is that over
    chunks. Systems that keep no account have no pointer error.
    """

    name = "pointer_error"
    axis = Axis.TEXT
    unit = "phonemes"
    higher_is_better = False
    bounds = NON_NEGATIVE
    domain = "world"
    is_of_arrivals = True

    def __init__(self) -> None:
        self.protocol = "pointer_error/align-world@2"
        self.needs = ("align_world", SPEECH)
        self.params = {
            "reference": "world front end",
            "ruler": {
                "floor": progress.FLOOR,
                "jump": progress.JUMP,
                "filler": progress.FILLER,
                "shortest_leap": progress.SHORTEST_LEAP,
                "least_resumed": progress.LEAST_RESUMED,
                "longest_lead_frames": progress.LONGEST_LEAD_FRAMES,
            },
            "at": "ends of chunks",
            "average": "micro",
        }

    def measure(self, recording: Recording, features: Features, context: MetricContext) -> Score:
        """Returns the mean absolute error, its tail and sign, and its course chunk by chunk."""
        require_transcript(recording)
        trace = _trace(recording)
        spoken = _account(trace)
        require_speech(recording, features)
        alignment = features[self.needs[0]]
        ends_s = trace.sound_ends_s
        _check_length(float(ends_s[-1]), float(alignment["duration_s"][0]))
        phones = reference_phones(recording.transcript)
        judged = progress.at_times(_judged(alignment["log_probs"], phones), ends_s)
        signed = spoken - judged
        size = np.abs(signed)
        starts_s = [0.0, *ends_s[:-1].tolist()]
        return Score(
            value=float(size.mean()),
            weight=float(len(size)),
            components={
                "p99": round(float(np.percentile(size, 99)), 4),
                "max": round(float(size.max()), 4),
                "mean_signed": round(float(signed.mean()), 4),
                "n": len(size),
                "transcript_phonemes": len(phones),
                "signed": [round(error, 3) for error in signed.tolist()],
            },
            windows=tuple(
                MetricWindow(t0_s=t0, t1_s=t1, value=error)
                for t0, t1, error in zip(starts_s, ends_s.tolist(), size.tolist(), strict=True)
            ),
        )


def _trace(recording: Recording) -> Trace:
    if recording.trace is None:
        reason = recording.trace_error or "the file was not recorded by the harness"
        raise Unscored(f"no chunks: {reason}", recording.trace_status)
    if not recording.trace.arrivals:
        raise Unscored("no chunks arrived", "generation_failure")
    return recording.trace


def _account(trace: Trace) -> Float[np.ndarray, " K"]:
    counts = [arrival.spoken for arrival in trace.arrivals if arrival.spoken is not None]
    if not counts:
        raise Unscored("the system does not say what it has spoken")
    if len(counts) < len(trace.arrivals):
        reason = (
            f"it says for {len(counts)} of {len(trace.arrivals)} chunks only what it has spoken"
        )
        raise Unscored(reason, "generation_failure")
    return np.array(counts, np.float64)


def _check_length(chunks_s: float, sound_s: float) -> None:
    if abs(chunks_s - sound_s) > MAX_LENGTH_GAP_S:
        raise Unscored(f"the chunks hold {chunks_s:.2f} s of sound, the file {sound_s:.2f} s")


def _judged(
    log_probs: Float[np.ndarray, "T C"], phones: tuple[str, ...]
) -> Float[np.ndarray, " T"]:
    if len(log_probs) * (2 * len(phones) + 1) > MAX_STATES:
        raise Unscored("speech and transcript are too long to be aligned", "unavailable")
    return progress.spoken_progress(log_probs, phones)


POINTER: tuple[Metric, ...] = (PointerError(),)
