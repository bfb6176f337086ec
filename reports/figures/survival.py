"""How long streams last: time to the first failure, as Kaplan-Meier curves."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from evals.numerics.survival import Survival, kaplan_meier
from evals.scoring.results import ScoreRow, WindowRow
from reports.figures.drift import MIN_FOR_BAND
from reports.figures.style import ABOVE, colours_of, drawn, in_look_order
from streamchar_ref.core.errors import InputError

IDENTITY = ("id_world_distance", "id_distance")
"""Distances of which the first that the ceiling has curves of is used."""
WIDE_IN = 5.0
"""Narrower figures have a legend of one column."""
MIN_CURVE = 5
"""Windows of the longest stream from which on survival is drawn and tested."""
Sample = tuple[str, str, int]
"""System, sample_id and seed, inside one suite."""


@dataclass(frozen=True, kw_only=True)
class FailureRule:
    """When a stream has failed.

    Attributes:
        wer: Word error rate above which a window is bad.
        windows: Bad windows in a row that make a failure, of words as of identity.
        identity: Quantile of the ceiling's windows above which a window's identity distance is
            bad.
        stop: Share of the words that may be missing at the end before the stream has stopped.
    """

    wer: float = 0.5
    windows: int = 2
    identity: float = 0.99
    stop: float = 0.05

    @classmethod
    def parse(cls, text: str) -> "FailureRule":
        """Reads e.g. ``wer=0.3,windows=1``; what is not named stays.

        Args:
            text: Comma-separated settings.

        Returns:
            The rule.

        Raises:
            InputError: If a name is unknown or a value is out of its range.
        """
        names = {field.name for field in fields(cls)}
        values: dict[str, float] = {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            name, _, value = part.partition("=")
            try:
                values[name] = int(value) if name == "windows" else float(value)
            except ValueError:
                raise InputError(f"--failure {part!r}: {value!r} is no number") from None
            in_range = values[name] >= 1 if name == "windows" else 0 <= values[name] < np.inf
            if name not in names or not in_range or (name == "identity" and values[name] > 1):
                known = "wer=0.5, windows=2, identity=0.99 (at most 1), stop=0.05"
                raise InputError(f"--failure {part!r}: settings are such as {known}")
        return cls(**values)  # type: ignore[arg-type]  # windows is whole, see above


class Lifetime(NamedTuple):
    """How long one stream lasted.

    Attributes:
        system: That made it.
        sample: Its name and seed.
        time_s: Of the first failure in playing time, or of the end.
        cause: ``words``, ``identity``, ``stopped`` or ``no stream``; empty if it did not fail.
    """

    system: str
    sample: str
    time_s: float
    cause: str

    @property
    def sample_id(self) -> str:
        """Name of the sample, without its seed."""
        return self.sample.rpartition(" / ")[0]


def lifetimes(
    rows: Sequence[ScoreRow],
    windows: Sequence[WindowRow],
    *,
    ceilings: Iterable[str] = (),
    rule: FailureRule | None = None,
) -> list[Lifetime]:
    """Finds the first failure of each stream that has a curve of ``wer``.

    All systems are measured under one protocol, that which most of them have: streams that never
    came count if they were to be measured under it and its hash, and the end of speech is taken
    from one protocol on the same input, of the same recogniser where as many systems have it.

    Args:
        rows: Scores of one suite.
        windows: Its curves.
        ceilings: Systems whose windows say how far identity may be.
        rule: When a stream has failed; the usual one by default.

    Returns:
        One a recording, by system and name.
    """
    rule = rule or FailureRule()
    known = set(ceilings)
    failed = [r for r in rows if r.metric == "wer" and r.status == "generation_failure"]
    protocol = _word_protocol(windows, failed)
    words = _curves(windows, "wer", protocol)
    name, limit = identity_limit(windows, known, rule)
    faces = _faces(windows, known, name) if name else {}
    stops = _stops(rows, protocol)
    hashes = {r.protocol_hash for r in rows if r.protocol == protocol and r.value is not None}
    dead = {
        _sample(row)
        for row in failed
        if row.protocol == protocol and (not hashes or row.protocol_hash in hashes)
    } - words.keys()
    found = [Lifetime(place[0], _named(place), 0.0, "no stream") for place in dead]
    for place, curve in words.items():
        end_s = max(row.t1_s for row in curve)
        moments = {
            "words": _first_run(curve, rule.wer, rule.windows),
            "identity": _first_run(faces.get(place, []), limit, rule.windows),
            "stopped": _stop(stops.get(place), end_s, rule.stop),
        }
        failures = [(t_s, cause) for cause, t_s in moments.items() if t_s is not None]
        time_s, cause = min(failures, default=(end_s, ""))
        found.append(Lifetime(place[0], _named(place), time_s, cause))
    return sorted(found)


def longest_curve(windows: Sequence[WindowRow]) -> int:
    """Counts the windows of ``wer`` of the longest stream."""
    curves = _curves(windows, "wer", _word_protocol(windows, []))
    return max(map(len, curves.values()), default=0)


def identity_limit(
    windows: Sequence[WindowRow], ceilings: Iterable[str], rule: FailureRule
) -> tuple[str, float]:
    """Returns the identity metric that the ceilings have curves of, and its largest good value.

    Without one the name is empty and nothing is beyond the limit.
    """
    known = set(ceilings)
    for name in IDENTITY:
        curves = _faces(windows, known, name)
        own = [row for place, curve in curves.items() if place[0] in known for row in curve]
        values = [row.value for row in own if row.value is not None]
        if values:
            return name, float(np.quantile(values, rule.identity))
    return "", np.inf


def plot_survival(found: Sequence[Lifetime], *, ax: Axes | None = None) -> Axes:
    """Draws the share of streams without a failure against playing time.

    Ticks mark streams that ended without one. From `MIN_FOR_BAND` streams on, a band has the
    pointwise 95 % interval.

    Args:
        found: Of all systems.
        ax: Where to draw; a new figure by default.

    Returns:
        The axis.
    """
    ax = ax if ax is not None else plt.subplots()[1]
    by_system = _by_system(found)
    colours = colours_of(by_system)
    for place, (system, own) in enumerate(by_system.items()):
        _draw(ax, system, own, colours[system], nudge=0.008 * place)
    ax.set_ylim(-0.03, 1.06)
    ax.set_xlim(left=0)
    ax.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    ax.set_xlabel("playing time [min]")
    ax.set_ylabel("streams without a failure")
    is_wide = ax.figure.get_figure(root=True).get_figwidth() >= WIDE_IN
    ax.legend(ncols=2 if is_wide else 1, **ABOVE)
    return ax


def _draw(ax: Axes, system: str, own: Sequence[Lifetime], colour: str, *, nudge: float) -> None:
    """Draws one system, moved down a little so that equal curves are all seen."""
    curve = _survival(own)
    end_s = max(one.time_s for one in own)
    times = np.append(curve.times_s, end_s) / 60
    failed = sum(bool(one.cause) for one in own)
    ends = np.array([one.time_s for one in own if not one.cause])
    label = f"{drawn(system)} (n={len(own)}, {failed} failed)"
    share = np.append(curve.share, curve.share[-1]) - nudge
    ax.step(times, share, where="post", color=colour, label=label)
    at_end = curve.share[np.searchsorted(curve.times_s, ends, side="right") - 1] - nudge
    ax.plot(ends / 60, at_end, "|", color=colour, markersize=5)
    if len(own) >= MIN_FOR_BAND:
        low, high = (np.append(line, line[-1]) for line in (curve.low, curve.high))
        ax.fill_between(times, low, high, step="post", color=colour, alpha=0.13, lw=0)


def survival_data(found: Sequence[Lifetime]) -> pd.DataFrame:
    """What `plot_survival` draws, a row for each stream, with the share after it."""
    curves = {system: _survival(own) for system, own in _by_system(found).items()}
    records = []
    for one in found:
        curve = curves[one.system]
        step = np.searchsorted(curve.times_s, one.time_s, side="right") - 1
        records.append({**one._asdict(), "share": float(curve.share[step])})
    return pd.DataFrame(records, columns=[*Lifetime._fields, "share"])


def in_words(rule: FailureRule, identity: str) -> str:
    """Says when a stream has failed, for a caption.

    Args:
        rule: That was used.
        identity: Metric of identity; empty if there was none.

    Returns:
        One sentence.
    """
    in_row = f"{rule.windows} windows in a row" if rule.windows > 1 else "a window"
    faces = (
        f"{identity} above the {100 * rule.identity:g} % quantile of the ceiling's windows in "
        f"{in_row}, "
        if identity
        else ""
    )
    return (
        f"A stream fails at the start of the first of: word error rate above {rule.wer:g} in "
        f"{in_row}, {faces}or the end of speech with more than {100 * rule.stop:g} % of the "
        "words missing."
    )


def _survival(own: Sequence[Lifetime]) -> Survival:
    return kaplan_meier(
        np.array([one.time_s for one in own]), np.array([bool(one.cause) for one in own])
    )


def _by_system(found: Sequence[Lifetime]) -> dict[str, list[Lifetime]]:
    systems = in_look_order(one.system for one in found)
    return {system: [one for one in found if one.system == system] for system in systems}


def _curves(
    windows: Iterable[WindowRow], metric: str, protocol: str
) -> Mapping[Sample, list[WindowRow]]:
    """Windows of the metric itself under one protocol, in order of time."""
    own = [row for row in windows if row.metric == row.quantity == metric]
    curves: dict[Sample, list[WindowRow]] = {}
    for row in sorted(own, key=lambda row: row.t0_s):
        if row.protocol == protocol:
            curves.setdefault(_sample(row), []).append(row)
    return curves


def _word_protocol(windows: Iterable[WindowRow], failed: Iterable[ScoreRow]) -> str:
    """Protocol of ``wer`` that most systems have; that of failures alone if nothing has curves."""
    own = [row for row in windows if row.metric == row.quantity == "wer"]
    drawn_under = {row.protocol for row in own}
    kept = [row for row in failed if row.protocol in drawn_under or not own]
    return _commonest([*own, *kept])


def _faces(
    windows: Sequence[WindowRow], ceilings: Iterable[str], metric: str
) -> Mapping[Sample, list[WindowRow]]:
    """Curves of identity of all systems, under a protocol that the ceilings have."""
    known = set(ceilings)
    own = [row for row in windows if row.metric == row.quantity == metric]
    allowed = {row.protocol for row in own if row.system in known}
    return _curves(own, metric, _commonest(row for row in own if row.protocol in allowed))


def _stops(rows: Iterable[ScoreRow], words: str) -> Mapping[Sample, ScoreRow]:
    """Rows of ``completion`` under one protocol, of the same input as ``words`` or the usual."""
    own = [row for row in rows if row.metric == "completion" and row.status == "computed"]
    same = [row for row in own if _input_of(row.protocol) == _input_of(words)]
    same = same or [row for row in own if not _input_of(row.protocol)]
    protocol = _commonest(same, recogniser=_recogniser_of(words))
    return {_sample(row): row for row in same if row.protocol == protocol}


def _commonest(rows: Iterable[ScoreRow | WindowRow], recogniser: str = "") -> str:
    """Protocol that most systems have; of equals that of a recogniser, then of most samples.

    What is still equal is decided by whether it is plain, as ``wer/x@1`` and not ``wer/x+macro@1``,
    ``wer/x@1+native`` or ``wer/asr:x@1``, and then by name.
    """
    samples: dict[str, set[Sample]] = defaultdict(set)
    for row in rows:
        samples[row.protocol].add(_sample(row))

    def rank(protocol: str) -> tuple[int, bool, int, bool, str]:
        own = samples[protocol]
        is_other = _recogniser_of(protocol) != recogniser
        is_special = "+" in protocol or "/asr:" in protocol
        return (-len({place[0] for place in own}), is_other, -len(own), is_special, protocol)

    return min(samples, key=rank, default="")


def _recogniser_of(protocol: str) -> str:
    return protocol.partition("/")[2].rpartition("@")[0].partition("+")[0]


def _input_of(protocol: str) -> str:
    """``native`` or ``as-played``; empty for the canonical encode."""
    return protocol.rpartition("@")[2].partition("+")[2]


def _first_run(curve: Sequence[WindowRow], limit: float, length: int) -> float | None:
    """Start of the first ``length`` windows in a row above a limit; a gap ends a row."""
    run: list[WindowRow] = []
    for row in curve:
        run = [*run, row] if row.value is not None and row.value > limit else []
        if len(run) == length:
            return run[0].t0_s
    return None


def _stop(row: ScoreRow | None, end_s: float, allowed: float) -> float | None:
    """When the speech ended, if it ended before the text."""
    missing = row.components.get("early_stop_words") if row is not None else None
    if row is None or not missing:
        return None
    if missing <= allowed * row.components["reference_words"]:
        return None
    return max(0.0, end_s - float(row.components.get("silence_after_last_word_s") or 0.0))


def _sample(row: ScoreRow | WindowRow) -> Sample:
    return (row.system, row.sample_id, row.seed)


def _named(place: Sample) -> str:
    return f"{place[1]} / {place[2]}"
