"""Faults of the sound alone."""

import numpy as np
import soxr

from evals.calibration.faults.base import FRAME_SAMPLES, SAMPLE_RATE, SOUND, Fault, Faulted, Take

MS_PER_MIN = 60_000
_SPEECH_METRICS = (
    "wer", "cer", "phoneme_error_rate", "per_world", "completion", "loops", "longest_skip_words",
    "voice_similarity", "voice_drift", "dnsmos_*",
)  # fmt: skip


def late(take: Take, dose: float, rng: np.random.Generator) -> Faulted:
    """Delays the sound by silence; it becomes longer than the picture, so no word is lost."""
    shift = round(dose) * FRAME_SAMPLES
    return Faulted(dose=round(dose), samples=np.pad(take.samples, (shift, 0)))


def early(take: Take, dose: float, rng: np.random.Generator) -> Faulted:
    """Removes the start of the sound; in the world the first 3 frames of it are silent."""
    shift = round(dose) * FRAME_SAMPLES
    return Faulted(dose=round(dose), samples=np.pad(take.samples[shift:], (0, shift)))


def drift(take: Take, dose: float, rng: np.random.Generator) -> Faulted:
    """Slows the sound down, so that its delay grows."""
    slower = 1 + dose / MS_PER_MIN
    stretched = soxr.resample(take.samples, SAMPLE_RATE, SAMPLE_RATE * slower)
    return Faulted(dose=dose, samples=np.clip(stretched, -1, 1).astype(np.float32))


def noise(take: Take, dose: float, rng: np.random.Generator) -> Faulted:
    """Adds white noise; the mix is scaled down if it would clip."""
    power = float(np.mean(take.samples.astype(np.float64) ** 2))
    added = rng.standard_normal(len(take.samples))
    added *= np.sqrt(power / np.mean(added**2) / 10 ** (dose / 10))
    mixed = take.samples + added
    return Faulted(dose=dose, samples=(mixed / max(1.0, np.abs(mixed).max())).astype(np.float32))


SOUND_FAULTS = (
    Fault(
        name="sound_late",
        label="sound late",
        unit="frames of 40 ms",
        doses=(1, 2, 3, 5, 8, 10),
        few=(1, 3, 8),
        tracks=frozenset({SOUND}),
        moves={
            "mesh_offset_ms": -1, "*offset*": -1, "mesh_sync_at_zero": -1,
            "sync_c0*": -1, "sync_d0*": 1,
        },
        leaves=("mesh_sync", "envelope_sync", "sync_c_*", "sync_d_*", *_SPEECH_METRICS),
        source="Constant delay of one track; viewers notice 125 ms (ITU-R BT.1359).",
        inject=late,
    ),
    Fault(
        name="sound_early",
        label="sound early",
        unit="frames of 40 ms",
        doses=(1, 2, 3, 5, 8, 10),
        few=(1, 3, 8),
        tracks=frozenset({SOUND}),
        moves={
            "mesh_offset_ms": 1, "*offset*": 1, "mesh_sync_at_zero": -1,
            "sync_c0*": -1, "sync_d0*": 1,
        },
        leaves=("mesh_sync", "envelope_sync", "sync_c_*", "sync_d_*", "voice_similarity"),
        source="As late sound, but viewers notice 45 ms already (ITU-R BT.1359).",
        inject=early,
    ),
    Fault(
        name="clock_drift",
        label="clock drift",
        unit="ms/min",
        doses=(100, 300, 1000, 3000),
        few=(1000, 3000),
        tracks=frozenset({SOUND}),
        moves={"mesh_offset_ms": -1, "*offset*": -1},
        leaves=("wer", "cer", "completion", "loops", "longest_skip_words"),
        source="Two clocks, or a frame rate that is nearly right, such as 23.976 for 24.",
        inject=drift,
    ),
    Fault(
        name="noise",
        label="white noise",
        unit="dB SNR",
        doses=(30, 20, 10, 5, 0),
        few=(20, 10, 0),
        tracks=frozenset({SOUND}),
        moves={"dnsmos_ovrl": -1, "dnsmos_bak": -1, "dnsmos_sig": -1, "dnsmos_p808": -1,
               "voice_similarity": -1},
        leaves=("*offset*", "completion", "loops"),
        source="Codec and vocoder noise; the ratio is that of the whole clip's power.",
        inject=noise,
        clean=float("inf"),
    ),
)  # fmt: skip
