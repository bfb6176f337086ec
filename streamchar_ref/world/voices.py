"""The voices of the styles "painted" (Piper) and "flat" (eSpeak NG)."""

from dataclasses import dataclass
from typing import Literal

Engine = Literal["piper", "espeak"]


@dataclass(frozen=True, kw_only=True)
class Voice:
    """A voice, as a modification of its engine's voice.

    Attributes:
        name: As in prompts and tables.
        engine: ``piper`` or ``espeak``.
        pitch: Factor on the fundamental frequency of the engine's voice.
        formant: Factor on the formants, independent of pitch; below 1 for a larger head.
        tilt_db: Spectral tilt, in decibels per octave.
        breath: Level of breath noise, 0 to 1.
        tempo: Factor on the length of all sounds when no rate is given.
    """

    name: str
    engine: Engine
    pitch: float
    formant: float
    tilt_db: float = 0.0
    breath: float = 0.0
    tempo: float = 1.0


def _voice(name: str, engine: Engine, pitch: float, formant: float, **more: float) -> Voice:
    return Voice(name=name, engine=engine, pitch=pitch, formant=formant, **more)


_ALL = (
    _voice("joe", "piper", 1.0, 1.0, tempo=1.1),
    _voice("ada", "piper", 1.28, 1.12, tilt_db=4, tempo=1.12),
    _voice("ben", "piper", 0.78, 1.0, tilt_db=4, tempo=1.05),
    _voice("cora", "piper", 1.5, 0.9, tempo=1.2),
    _voice("dov", "piper", 0.92, 1.25, tempo=1.1),
    _voice("elsa", "piper", 1.75, 1.38, tilt_db=4, tempo=1.15),
    _voice("finn", "piper", 1.28, 0.84, tilt_db=4, tempo=1.2),
    _voice("gwen", "piper", 1.75, 1.12, tilt_db=-4, tempo=1.25),
    _voice("hugo", "piper", 0.78, 0.86, tilt_db=-3, tempo=1.15),
    _voice("ines", "piper", 1.5, 1.38, tilt_db=-4, tempo=1.18),
    _voice("jonas", "piper", 1.08, 1.0, tilt_db=-4, tempo=1.15),
    _voice("kira", "piper", 1.75, 1.12, tilt_db=4, tempo=1.1),
    _voice("robin", "espeak", 1.5, 0.96, tilt_db=5, tempo=1.15),
    _voice("sage", "espeak", 1.5, 1.05, tilt_db=2.5, tempo=1.2),
    _voice("toby", "espeak", 0.95, 0.96, tilt_db=3, tempo=1.15),
    _voice("uma", "espeak", 1.9, 1.15, tilt_db=5, tempo=1.15),
    _voice("vera", "espeak", 1.65, 1.2, tilt_db=4, tempo=1.2),
    _voice("walt", "espeak", 0.75, 1.05, tilt_db=5, tempo=1.2),
    _voice("xena", "espeak", 1.75, 0.96, tilt_db=4, tempo=1.2),
    _voice("yuri", "espeak", 0.75, 1.25, tilt_db=3, tempo=1.15),
)
VOICES: dict[str, Voice] = {voice.name: voice for voice in _ALL}


def voices_of(engine: Engine) -> tuple[str, ...]:
    """Returns the names of an engine's voices."""
    return tuple(voice.name for voice in _ALL if voice.engine == engine)


def prompt_of(caption: str, voice: str) -> str:
    """Returns the model's prompt: a description of appearance and voice.

    Args:
        caption: Of the character; may be empty.
        voice: Name of a voice of the world; other names are ignored.

    Returns:
        The prompt as used in training.
    """
    if voice not in VOICES:
        return caption
    params = VOICES[voice]
    height = "high" if params.pitch >= 1.4 else "deep" if params.pitch < 0.9 else "middle"
    size = "small" if params.formant >= 1.12 else "large" if params.formant < 0.95 else "normal"
    tone = "bright" if params.tilt_db > 0 else "dark" if params.tilt_db < 0 else "plain"
    return f"{caption} Voice {voice}: {height}, {size}, {tone}.".strip()
