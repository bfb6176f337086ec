"""Which recordings are takes of one prompt, and whose takes are the reference."""

from collections import defaultdict
from collections.abc import Sequence

from evals.recording.recording import Recording
from evals.recording.role import Role

Prompt = tuple[str, str, str]
"""System, suite and sample_id."""


def by_prompt(recordings: Sequence[Recording]) -> dict[Prompt, list[int]]:
    """Groups recordings that differ in their seed alone.

    Args:
        recordings: Of any systems and suites.

    Returns:
        Prompt -> places in ``recordings``, in the order of their seeds.
    """
    groups: dict[Prompt, list[int]] = defaultdict(list)
    for place in sorted(range(len(recordings)), key=lambda i: recordings[i].seed):
        recording = recordings[place]
        groups[recording.system, recording.suite, recording.sample_id].append(place)
    return dict(sorted(groups.items()))


def has_takes(recordings: Sequence[Recording]) -> bool:
    """Whether any prompt was recorded with two seeds."""
    return any(len(places) > 1 for places in by_prompt(recordings).values())


def reference_of_takes(recordings: Sequence[Recording], named: str) -> str:
    """Names the system whose takes the others are compared with.

    Args:
        recordings: Of all systems.
        named: What the user said; may be empty.

    Returns:
        That one; else the only system with the role of a ceiling that was recorded with several
        seeds; else none.
    """
    if named:
        return named
    groups = by_prompt(recordings)
    ceilings = {r.system for r in recordings if r.role is Role.CEILING}
    several = {p[0] for p, places in groups.items() if p[0] in ceilings and len(places) > 1}
    return several.pop() if len(several) == 1 else ""


def whole_suite(recordings: Sequence[Recording], system: str, suite: str) -> list[int]:
    """Returns the places of all takes of a system in a suite that were recorded."""
    return [
        place
        for place, recording in enumerate(recordings)
        if (recording.system, recording.suite) == (system, suite) and not recording.system_failed
    ]
