"""Systems and settings as they are typed on the command line."""

import math
from collections.abc import Sequence
from dataclasses import replace

from evals.bench.realtime.records import SystemSpec
from evals.recording.make_system import parse_settings
from evals.recording.system import Prompt, TextPiece
from streamchar_ref.core.errors import InputError

MOST_STREAMS = 4096
WORDS_PER_S = 4.0
"""More than anybody says in a second."""


def parse_systems(text: str, pairs: Sequence[str]) -> list[SystemSpec]:
    """Parses ``--systems a,label=b`` and ``--set``.

    Args:
        text: Comma-separated names or ``file.py:Class``, each with an optional ``label=`` before.
        pairs: ``key=value`` for all systems, or ``label:key=value`` for one.

    Returns:
        One for each name, in order.

    Raises:
        InputError: If there is none, or a setting names no system.
    """
    entries = [part.rpartition("=") for part in text.split(",") if part]
    if not entries:
        raise InputError("--systems names none; see: streamchar ls systems")
    known = [label or name for label, _, name in entries]
    own: dict[str, list[str]] = {label: [] for label in known}
    for pair in pairs:
        prefix, colon, key = pair.partition("=")[0].rpartition(":")
        if not colon:
            for settings in own.values():
                settings.append(pair)
        elif prefix in own:
            own[prefix].append(pair.removeprefix(f"{prefix}:"))
        else:
            raise InputError(
                f"--set {key!r} is for {prefix!r}, which is none of: {', '.join(known)}"
            )
    return [
        SystemSpec(name=name, label=label, settings=parse_settings(own[label or name]))
        for label, _, name in entries
    ]


def parse_streams(text: str) -> list[int]:
    """Parses numbers of concurrent streams, e.g. ``1,2,4``.

    Args:
        text: Comma-separated.

    Returns:
        Rising numbers.

    Raises:
        InputError: If one is no whole number from 1 on.
    """
    try:
        numbers = sorted({int(part) for part in text.split(",") if part})
    except ValueError:
        numbers = []
    if not numbers or numbers[0] < 1 or numbers[-1] > MOST_STREAMS:
        raise InputError(f"--streams is e.g. 1,2,4 (at most {MOST_STREAMS}), not {text!r:.60}")
    return numbers


def long_enough(prompt: Prompt, seconds: float) -> Prompt:
    """Repeats the text of a prompt until a stream of it lasts.

    Args:
        prompt: With text.
        seconds: Playing time; 0 leaves the prompt.

    Returns:
        The prompt; what is repeated arrives with its last piece.

    Raises:
        InputError: If the playing time is no number.
    """
    if math.isnan(seconds):
        raise InputError("--seconds is not a number")
    words = max(1, len(prompt.transcript.split()))
    more = math.ceil(WORDS_PER_S * seconds / words) - 1
    if more < 1:
        return prompt
    text = " ".join([prompt.transcript] * more)
    last = [TextPiece(t_s=piece.t_s, text=text) for piece in prompt.pieces[-1:]]
    return replace(prompt, transcript=f"{prompt.transcript} {text}", pieces=(*prompt.pieces, *last))
