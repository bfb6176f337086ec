"""Scores that may share an axis: under each protocol, those of one hash."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from evals.scoring.compare import DAGGER
from evals.scoring.hashes import systems_by_hash
from evals.scoring.results import ScoreRow, WindowRow


def main_hashes(rows: Iterable[ScoreRow]) -> dict[str, str]:
    """Chooses a hash for each protocol whose values have several.

    Args:
        rows: Of any metrics; what has no value decides nothing.

    Returns:
        Protocol -> the hash under which most systems have values; protocols with one hash are
        left out.
    """
    return {
        protocol: _of_most_systems(by_hash) for protocol, by_hash in systems_by_hash(rows).items()
    }


def _of_most_systems(by_hash: Mapping[str, set[str]]) -> str:
    return min(by_hash, key=lambda digest: (-len(by_hash[digest]), digest))


def of_one_hash(
    rows: Sequence[ScoreRow], windows: Sequence[WindowRow]
) -> tuple[tuple[ScoreRow, ...], tuple[WindowRow, ...], Mapping[str, str]]:
    """Leaves out what must not share an axis with the rest.

    Args:
        rows: Scores.
        windows: Their curves, which are of the same samples.

    Returns:
        Scores and curves of one hash a protocol, see `main_hashes`; and metric -> a sentence about
        the systems that are left out, for captions.
    """
    main = main_hashes(rows)
    if not main:
        return tuple(rows), tuple(windows), {}
    kept: list[ScoreRow] = []
    others: list[ScoreRow] = []
    for row in rows:
        is_other = row.value is not None and row.protocol_hash != main.get(
            row.protocol, row.protocol_hash
        )
        (others if is_other else kept).append(row)
    dropped = {_place(row) for row in others}
    systems: dict[str, set[str]] = defaultdict(set)
    for row in others:
        systems[row.metric].add(f"{row.system} (#{row.protocol_hash})")
    notes = {
        metric: f"{DAGGER} Left out, measured under another protocol hash: "
        f"{', '.join(sorted(names))}."
        for metric, names in systems.items()
    }
    return tuple(kept), tuple(w for w in windows if _place(w) not in dropped), notes


def _place(row: ScoreRow | WindowRow) -> tuple[str, str, str, int, str]:
    return (row.system, row.suite, row.sample_id, row.seed, row.protocol)
