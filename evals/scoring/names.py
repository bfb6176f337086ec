"""Names of metrics as people write them: metrics, labels, axes and usual aliases.

The one place that knows them, for every ``--metrics`` of the command line and for the library.
"""

from collections.abc import Collection, Iterable, Sequence
from difflib import get_close_matches

from evals.metrics import INFOS
from evals.protocols.info import Axis
from streamchar_ref.core.errors import InputError

ALIASES: dict[str, str] = {
    "lse_c": "sync_c",
    "lse_d": "sync_d",
    "syncnet_confidence": "sync_c",
    "syncnet_distance": "sync_d",
    "av_offset": "av_offset_frames",
    "word_error_rate": "wer",
    "character_error_rate": "cer",
    "per": "phoneme_error_rate",
    "frechet_video_distance": "fvd",
    "real_time_factor": "rtf",
    "time_to_first_chunk": "first_chunk_s",
    "ttfc": "first_chunk_s",
    "stalls": "stall_s",
    "dnsmos": "dnsmos_ovrl",
}
"""Other names of metrics. A metric of our own never gets the name of a published one."""
AXIS_ALIASES: dict[str, Axis] = {
    "speech": Axis.TEXT,
    "intelligibility": Axis.TEXT,
    "lips": Axis.LIP_SYNC,
    "sync": Axis.LIP_SYNC,
    "av_sync": Axis.LIP_SYNC,
    "id": Axis.IDENTITY,
    "face": Axis.IDENTITY,
    "picture": Axis.APPEARANCE,
    "audio": Axis.VOICE,
    "latency": Axis.SPEED,
    "realtime": Axis.SPEED,
}
"""Other names of axes; each stands for all metrics of its axis."""

NEAREST = 3
"""Names that a slip is told."""
CUTOFF = 0.5
"""Likeness of spelling, by difflib, from which a name may have been meant."""
LIST_ALL = "streamchar ls metrics"
MOST_LISTED = 12
"""Names that an error lists; of more it names the command that lists them."""


def axis_named(name: str) -> Axis | None:
    """Returns the axis of a name or alias, e.g. ``lipsync``; ``None`` if it is of none."""
    names: dict[str, Axis] = {_folded(axis): axis for axis in Axis if axis is not Axis.OTHER}
    names |= {_folded(alias): axis for alias, axis in AXIS_ALIASES.items()}
    return names.get(_folded(name))


def metrics_named(name: str, known: Collection[str]) -> list[str] | None:
    """Returns the metrics that a name stands for.

    Args:
        name: Of a metric, its label or alias (``LSE-C``), or of an axis (``lipsync``);
            case, blanks, hyphens and underscores do not matter.
        known: Metrics to choose from.

    Returns:
        One metric, or those of an axis in the order of tables; ``None`` if it is no such name, or a
        metric that is not known.
    """
    if name in known:
        return [name]
    folded = _folded(name)
    for metric in known:
        if folded in {_folded(metric), _folded(INFOS[metric].label if metric in INFOS else "")}:
            return [metric]
    alias = {_folded(other): metric for other, metric in ALIASES.items()}.get(folded)
    if alias is not None and alias in known:
        return [alias]
    axis = axis_named(name)
    if axis is None:
        return None
    return [metric for metric in INFOS if metric in known and INFOS[metric].axis is axis]


def in_order(metrics: Iterable[str]) -> list[str]:
    """Sorts metrics by axis, and inside it as they are registered; unknown ones last, by name."""
    axes = list(Axis)
    places = {metric: place for place, metric in enumerate(INFOS)}

    def place(metric: str) -> tuple[int, int, str]:
        axis = INFOS[metric].axis if metric in INFOS else Axis.OTHER
        return axes.index(axis), places.get(metric, len(places)), metric

    return sorted(set(metrics), key=place)


def resolve_names(
    names: Iterable[str], known: Collection[str], otherwise: str, *, command: str = LIST_ALL
) -> list[str]:
    """Replaces aliases and axes by metrics.

    Args:
        names: As for `metrics_named`.
        known: Metrics to choose from.
        otherwise: Start of the message about a name that is none, e.g. ``unknown metric``.
        command: What lists all that is known.

    Returns:
        Metrics in the order given, each once.

    Raises:
        InputError: If a name is none; the message names the nearest and what lists all.
    """
    found: list[str] = []
    for name in names:
        metrics = metrics_named(name, known)
        if metrics is None:
            hint = hint_of(nearest(name, known), known, command)
            raise InputError(f"{otherwise} {name!r:.60}; {hint}")
        found += metrics
    return list(dict.fromkeys(found))


def nearest(name: str, known: Collection[str]) -> list[str]:
    """Returns up to three metrics, axes or aliases, the one of the nearest spelling first."""
    axes = [str(axis) for axis in Axis if axis is not Axis.OTHER]
    aliases = [alias for alias, metric in ALIASES.items() if metric in known]
    return get_close_matches(name.lower(), [*known, *axes, *aliases], NEAREST, CUTOFF)


def hint_of(near: Sequence[str], known: Collection[str] = (), command: str = LIST_ALL) -> str:
    """Says what an unknown name may have meant, and what there is.

    Args:
        near: Names of near spelling, the nearest first.
        known: What there is.
        command: What lists it.

    Returns:
        E.g. ``did you mean 'wer' or 'cer'? all: streamchar ls metrics``.
    """
    names = " or ".join(filter(None, [", ".join(map(repr, near[:-1])), *map(repr, near[-1:])]))
    return (f"did you mean {names}? " if near else "") + listing(known, command)


def listing(known: Collection[str], command: str = LIST_ALL) -> str:
    """Lists a few names, or says which command lists many."""
    if 0 < len(known) <= MOST_LISTED:
        return f"there are: {', '.join(in_order(known))}"
    return f"all: {command}"


def _folded(name: str) -> str:
    return "".join(sign for sign in name.lower() if sign.isalnum())
