"""Which axis a metric belongs to, and how its name and numbers are printed."""

from collections.abc import Collection, Iterable
from difflib import get_close_matches

from evals.protocols.info import Direction
from streamchar_ref.core.errors import InputError

AXES: dict[str, tuple[str, ...]] = {
    "text": (
        "wer",
        "cer",
        "phoneme_error_rate",
        "per_world",
        "completion",
        "loops",
        "longest_skip_words",
        "pointer_error",
    ),
    "lip-sync": (
        "mesh_sync",
        "mesh_sync_at_zero",
        "mesh_offset_ms",
        "envelope_sync",
        "sync_c_world",
        "sync_d_world",
        "av_offset_world",
        "sync_c",
        "sync_d",
        "av_offset_frames",
    ),
    "identity": (
        "id_distance",
        "id_rank1",
        "id_drift",
        "id_slope_per_min",
        "id_coverage",
        "id_world_distance",
        "id_world_rank1",
        "id_world_drift",
        "id_world_slope_per_min",
        "arcface_similarity",
    ),
    "appearance": ("colour_drift", "exposure_drift", "sharpness_drift", "dynamic_degree"),
    "voice": (
        "voice_similarity",
        "voice_drift",
        "dnsmos_ovrl",
        "dnsmos_sig",
        "dnsmos_bak",
        "dnsmos_p808",
    ),
    "video": ("fid_lite0", "fid", "fvd_world", "fvd"),
    "speed": (
        "rtf",
        "rtf_steady",
        "first_chunk_s",
        "chunk_p50_s",
        "chunk_p95_s",
        "chunk_p99_s",
        "deadline_miss_rate",
        "stall_s",
        "zero_stall_startup_s",
    ),
}
OTHER = "other"
PERCENT = frozenset(
    {
        "wer",
        "cer",
        "phoneme_error_rate",
        "per_world",
        "completion",
        "id_rank1",
        "id_world_rank1",
        "id_coverage",
        "deadline_miss_rate",
    }
)
"""Ratios that readers know as per cent."""
OF_THIS_PROJECT = frozenset(
    {"sync_c_world", "sync_d_world", "fid_lite0", "fvd_world", "dynamic_degree"}
)
"""Measures whose names are like published ones, and whose numbers are not."""

_LABELS = {
    "wer": "WER",
    "cer": "CER",
    "phoneme_error_rate": "PER",
    "longest_skip_words": "longest skip",
    "per_world": "PER-world",
    "sync_c_world": "Sync-C-world",
    "sync_d_world": "Sync-D-world",
    "av_offset_world": "AV offset-world",
    "id_world_distance": "id-world distance",
    "id_world_rank1": "id-world rank-1",
    "id_world_drift": "id-world drift",
    "id_world_slope_per_min": "id-world slope",
    "sync_c": "Sync-C",
    "sync_d": "Sync-D",
    "av_offset_frames": "AV offset",
    "mesh_offset_ms": "mesh offset",
    "id_rank1": "id rank-1",
    "id_slope_per_min": "id slope",
    "dnsmos_ovrl": "DNSMOS overall",
    "dnsmos_sig": "DNSMOS speech",
    "dnsmos_bak": "DNSMOS background",
    "dnsmos_p808": "DNSMOS P.808",
    "fid_lite0": "FID-Lite0",
    "fid": "FID",
    "fvd": "FVD",
    "fvd_world": "FVD-world",
    "rtf": "RTF",
    "rtf_steady": "RTF, steady",
    "first_chunk_s": "first chunk",
    "chunk_p50_s": "chunk p50",
    "chunk_p95_s": "chunk p95",
    "chunk_p99_s": "chunk p99",
    "deadline_miss_rate": "deadlines missed",
    "stall_s": "stall",
    "zero_stall_startup_s": "zero-stall start-up",
}
_PLACE = {
    metric: (axis, place) for axis, metrics in AXES.items() for place, metric in enumerate(metrics)
}


def axis_of(metric: str) -> str:
    """Returns the axis of a metric; one that is not in the table is ``other``."""
    return _PLACE.get(metric, (OTHER, 0))[0]


def in_order(metrics: Iterable[str]) -> list[str]:
    """Sorts metrics by axis, and inside it as in the table; unknown ones last, by name."""
    axes = [*AXES, OTHER]

    def place(metric: str) -> tuple[int, int, str]:
        axis, index = _PLACE.get(metric, (OTHER, 0))
        return axes.index(axis), index, metric

    return sorted(set(metrics), key=place)


def names_in(text: str, *, known: Collection[str]) -> list[str] | None:
    """Reads a comma-separated list of metrics and axes.

    Args:
        text: E.g. ``wer,identity``; an axis stands for its metrics.
        known: Metrics that there are scores of.

    Returns:
        Metrics in the order given, without those of an axis that are not known; ``None`` for an
        empty text, which asks for all.

    Raises:
        InputError: If a name is neither an axis nor a known metric; the message names the nearest.
    """
    names: list[str] = []
    for name in filter(None, text.split(",")):
        if name in AXES:
            names += [metric for metric in AXES[name] if metric in known]
        elif name in known:
            names.append(name)
        else:
            near = get_close_matches(name, [*known, *AXES], 1)
            others = f"; there are: {', '.join(sorted(known))}" if known else ""
            hint = f"; did you mean {near[0]!r}?" if near else others
            raise InputError(f"no scores of {name!r}{hint}")
    return list(dict.fromkeys(names)) or None


def label_of(metric: str) -> str:
    """Returns the name that a table prints."""
    return _LABELS.get(metric, metric.replace("_", " "))


def absolute_label(metric: str) -> str:
    """Returns the name of a metric's absolute value."""
    return f"|{label_of(metric)}|"


def axis_label(metric: str, unit: str, direction: Direction, *, is_absolute: bool = False) -> str:
    """Name, unit and direction of a metric, as axes print them."""
    shown = unit_of(metric, unit)
    name = absolute_label(metric) if is_absolute else label_of(metric)
    arrow = Direction.LOWER.arrow if is_absolute else direction.arrow
    return f"{name} {arrow}".strip() + (f" [{shown}]" if shown else "")


def unit_of(metric: str, unit: str) -> str:
    """Returns the unit that a table prints: nothing for plain ratios, ``%`` for familiar ones."""
    if metric in PERCENT:
        return "%"
    return "" if unit in {"", "1"} else unit


def scale_of(metric: str) -> float:
    """Returns what a value is multiplied with before it is printed."""
    return 100.0 if metric in PERCENT else 1.0
