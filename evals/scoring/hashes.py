"""Which protocols have values under several hashes, so that these must be told apart."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from evals.scoring.results import ScoreRow
from evals.scoring.summary import SummaryRow


def systems_by_hash(
    rows: Iterable[ScoreRow | SummaryRow],
) -> Mapping[str, Mapping[str, set[str]]]:
    """Finds the protocols whose values have several hashes.

    Args:
        rows: Of any metrics; what has no value decides nothing.

    Returns:
        Protocol -> hash -> systems with values under it; protocols with one hash are left out.
    """
    systems: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for row in rows:
        if row.value is not None:
            systems[row.protocol][row.protocol_hash].add(row.system)
    return {protocol: by_hash for protocol, by_hash in systems.items() if len(by_hash) > 1}


def told_apart(row: ScoreRow | SummaryRow, several: Iterable[str]) -> str:
    """Returns the protocol of a row, with its hash if it is one of several."""
    return f"{row.protocol} #{row.protocol_hash}" if row.protocol in several else row.protocol
