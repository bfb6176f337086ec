"""Systems compared by how long their streams last: log-rank tests that keep the pairs."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import combinations

import numpy as np

from evals.numerics.statistics import holm, sign_flip_p
from evals.numerics.survival import LogRank, kaplan_meier, log_rank, log_rank_scores
from evals.recording.role import Role
from evals.scoring.compare import ALPHA, DAGGER
from evals.scoring.results import csv_text, guard_cell
from reports.figures.survival import MIN_CURVE, FailureRule, Lifetime, lifetimes, longest_curve
from reports.load import Runs
from reports.numbers import NOT_APPLICABLE, number
from reports.one_hash import of_one_hash
from reports.pairs import p_text
from reports.render import escape_markdown


@dataclass(frozen=True, kw_only=True)
class LifetimeComparison:
    """The times to failure of two systems on the same streams.

    Attributes:
        suite: Which prompts.
        system: One system.
        against: The other.
        n_pairs: Streams that both have, by prompt and seed.
        n_independent: Independent groups of them.
        failed: How many of them failed.
        failed_against: Likewise of the other.
        median_s: Median time to failure; NaN if more than half did not fail.
        median_against_s: Likewise of the other.
        chi2: Log-rank statistic; NaN if nothing failed.
        p_log_rank: Its p-value, which takes the two as independent of each other.
        p: Of the log-rank scores under random exchange inside pairs, whole clusters at once.
        p_holm: ``p`` after Holm over all pairs.
        excess: Failures of ``system`` beyond those expected if both failed at the same rate.
    """

    suite: str
    system: str
    against: str
    n_pairs: int
    n_independent: int
    failed: int
    failed_against: int
    median_s: float
    median_against_s: float
    chi2: float
    p_log_rank: float
    p: float
    p_holm: float = np.nan
    excess: float = 0.0

    @property
    def verdict(self) -> str:
        """``lasts longer``, ``fails earlier`` or ``inconclusive``."""
        if not self.p_holm < ALPHA:
            return "inconclusive"
        return "fails earlier" if self.excess > 0 else "lasts longer"


def compare_lifetimes(
    runs: Runs, *, against: str | None = None, rule: FailureRule | None = None
) -> list[LifetimeComparison]:
    """Compares the times to failure of all pairs of systems, suite by suite.

    Streams that were measured under another protocol hash than most are left out, see
    `left_out_lifetimes`.

    Args:
        runs: Scores and curves.
        against: Compare each other system with this one; all pairs by default.
        rule: When a stream has failed; the usual one by default.

    Returns:
        One for each pair with streams in common; none where streams are too short to be watched.
    """
    found = []
    for suite, lives, _ in _watched(runs, rule):
        by_system: dict[str, dict[str, Lifetime]] = {}
        for one in lives:
            by_system.setdefault(one.system, {})[one.sample] = one
        found += [
            _compared(suite, by_system, pair, runs.identities)
            for pair in _pairs(sorted(by_system), against)
            if by_system[pair[0]].keys() & by_system[pair[1]].keys()
        ]
    adjusted = holm(np.array([one.p for one in found], dtype=np.float64))
    return [replace(one, p_holm=float(p)) for one, p in zip(found, adjusted, strict=True)]


def left_out_lifetimes(runs: Runs, *, rule: FailureRule | None = None) -> list[str]:
    """Says for each suite which systems lost streams to another protocol hash.

    Args:
        runs: Scores and curves.
        rule: When a stream has failed; the usual one by default.

    Returns:
        Sentences; none where all streams are of one hash.
    """
    return [
        f"{suite}: {DAGGER} left out, measured under another protocol hash: "
        f"{', '.join(f'{system} ({share})' for system, share in lost.items())}."
        for suite, _, lost in _watched(runs, rule)
        if lost
    ]


def _watched(
    runs: Runs, rule: FailureRule | None
) -> Iterator[tuple[str, list[Lifetime], Mapping[str, str]]]:
    """Yields a suite, its lifetimes of one protocol hash, and how much each system lost by it."""
    for suite, domain in sorted({(row.suite, row.domain) for row in runs.rows}):
        rows = [row for row in runs.rows if (row.suite, row.domain) == (suite, domain)]
        samples = {(row.system, row.sample_id, row.seed) for row in rows}
        windows = [
            row
            for row in runs.window_rows
            if row.suite == suite and (row.system, row.sample_id, row.seed) in samples
        ]
        if longest_curve(windows) < MIN_CURVE:
            continue
        ceilings = {r.system for r in rows if runs.role_of(r.system) is Role.CEILING}
        every = lifetimes(rows, windows, ceilings=ceilings, rule=rule)
        own_rows, own_windows, _ = of_one_hash(rows, windows)
        lives = lifetimes(own_rows, own_windows, ceilings=ceilings, rule=rule)
        kept = {(one.system, one.sample) for one in lives}
        there = Counter(one.system for one in every)
        lost = Counter(one.system for one in every if (one.system, one.sample) not in kept)
        yield (
            suite,
            lives,
            {system: f"{lost[system]} of {there[system]} streams" for system in sorted(lost)},
        )


def lifetimes_markdown(comparisons: Sequence[LifetimeComparison], notes: Sequence[str] = ()) -> str:
    """Prints a line for each pair, and what was left out; empty if there is neither."""
    if not comparisons:
        return "\n".join(["## Time to failure", "", *notes]) + "\n" if notes else ""
    head = (
        "suite", "system", "against", "failed", "median [s]", "chi2", "p (log-rank)",
        "p (paired)", "p (Holm)", "streams", "verdict",
    )  # fmt: skip
    lines = [" | ".join(head), " | ".join(["---"] * 3 + ["---:"] * 7 + ["---"])]
    lines += [" | ".join(map(escape_markdown, _cells(one))) for one in comparisons]
    note = (
        "Time to the first failure (see streamchar plot --kind survival) of streams of the same "
        "prompt and seed. p (log-rank): chi-square of the log-rank test, which takes the systems "
        "as independent; p (paired): sign flips of the log-rank scores inside pairs, on which the "
        "verdict rests. n.r.: not reached, more than half of the streams did not fail."
    )
    table = [f"| {line} |" for line in lines]
    return "\n".join(["## Time to failure", "", *table, "", " ".join([note, *notes])]) + "\n"


def lifetimes_csv(comparisons: Sequence[LifetimeComparison]) -> str:
    """Prints all fields in full precision, and the verdict."""
    names = [column.name for column in fields(LifetimeComparison)]
    body = [[_csv_cell(getattr(one, name)) for name in (*names, "verdict")] for one in comparisons]
    return csv_text([[*names, "verdict"], *body])


def log_rank_of(found: Sequence[Lifetime]) -> LogRank:
    """Tests whether all systems fail at the same rate, as if they had prompts of their own."""
    systems = sorted({one.system for one in found})
    return log_rank(*_times(found), np.array([systems.index(one.system) for one in found]))


def log_rank_in_words(found: Sequence[Lifetime]) -> str:
    """Says for a caption whether all systems fail at the same rate; empty if nothing is known."""
    test = log_rank_of(found)
    if np.isnan(test.p):
        return ""
    freedom = len(test.observed) - 1
    p = p_text(test.p)
    return (
        f" Log-rank test over all systems: chi2 = {test.statistic:.2f} with {freedom} degrees of "
        f"freedom, p {p if p.startswith('<') else f'= {p}'}, as if their prompts were not the same."
    )


def _pairs(systems: Sequence[str], against: str | None) -> list[tuple[str, str]]:
    if against is None:
        return list(combinations(systems, 2))
    return [(system, against) for system in systems if system != against and against in systems]


def _compared(
    suite: str,
    by_system: Mapping[str, Mapping[str, Lifetime]],
    pair: tuple[str, str],
    identities: Mapping[str, str],
) -> LifetimeComparison:
    shared = sorted(by_system[pair[0]].keys() & by_system[pair[1]].keys())
    ours, theirs = ([by_system[system][name] for name in shared] for system in pair)
    names = [f"{suite}/{one.sample_id}" for one in ours]
    people = [identities.get(name, f"\0{name}") for name in names]
    _, clusters = np.unique(people if len(set(people)) > 1 else names, return_inverse=True)
    test = log_rank_of([*ours, *theirs])
    scores = log_rank_scores(*_times([*ours, *theirs]))
    differences = scores[: len(ours)] - scores[len(ours) :]
    totals = np.bincount(clusters, weights=differences)
    can_be_tested = len(totals) > 1 and not np.isnan(test.statistic)
    curves = [kaplan_meier(*_times(own)) for own in (ours, theirs)]
    return LifetimeComparison(
        suite=suite,
        system=pair[0],
        against=pair[1],
        n_pairs=len(shared),
        n_independent=len(totals),
        failed=sum(bool(one.cause) for one in ours),
        failed_against=sum(bool(one.cause) for one in theirs),
        median_s=curves[0].median_s,
        median_against_s=curves[1].median_s,
        chi2=test.statistic,
        p_log_rank=test.p,
        p=sign_flip_p(totals) if can_be_tested else np.nan,
        excess=float(differences.sum() / 2),
    )


def _times(found: Sequence[Lifetime]) -> tuple[np.ndarray, np.ndarray]:
    times = np.array([one.time_s for one in found], dtype=np.float64)
    return times, np.array([bool(one.cause) for one in found])


def _cells(one: LifetimeComparison) -> tuple[str, ...]:
    def median(value: float) -> str:
        return "n.r." if np.isnan(value) else number(value, 0)

    def p(value: float) -> str:
        return p_text(None if np.isnan(value) else value)

    apart = "" if one.n_independent == one.n_pairs else f" ({one.n_independent} independent)"
    return (
        one.suite,
        one.system,
        one.against,
        f"{one.failed} against {one.failed_against}",
        f"{median(one.median_s)} against {median(one.median_against_s)}",
        NOT_APPLICABLE if np.isnan(one.chi2) else number(one.chi2, 2),
        p(one.p_log_rank),
        p(one.p),
        p(one.p_holm),
        f"{one.n_pairs}{apart}",
        one.verdict,
    )


def _csv_cell(value: object) -> str:
    if isinstance(value, float) and np.isnan(value):
        return ""
    return guard_cell(value) if isinstance(value, str) else repr(value)
