"""Summaries for elsewhere: a model card's evaluation block, a leaderboard, a tracker.

Sources:
    https://github.com/huggingface/hub-docs/blob/main/modelcard.md (``model-index``).
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from evals.scoring.results import dump_json
from evals.scoring.summary import SummaryRow
from streamchar_ref.core.errors import InputError
from streamchar_ref.loop.trackers import LogFn

TASK = {"type": "image-text-to-video", "name": "Talking-character generation"}
_LINE = (
    "system", "suite", "domain", "metric", "protocol", "protocol_hash", "unit", "higher_is_better",
    "zero_is_best", "value", "ci_low", "ci_high", "n", "coverage", "counts",
)  # fmt: skip


def model_card(summary: Sequence[SummaryRow], system: str, *, model: str = "") -> str:
    """Returns the front matter of a Hugging Face model card with a system's scores.

    Metrics without a value are left out: a card has no place for the reason.

    Args:
        summary: Of any systems.
        system: Whose scores.
        model: Name of the model; the system's by default.

    Returns:
        YAML between two lines of ``---``, to be put at the head of ``README.md``.

    Raises:
        InputError: If the system has no value.
    """
    rows = [row for row in summary if row.system == system and row.value is not None]
    if not rows:
        known = ", ".join(sorted({row.system for row in summary}))
        raise InputError(f"no scores of system {system!r:.60}; there are: {known}")
    suites = list(dict.fromkeys((row.suite, row.domain) for row in rows))
    results = [
        {
            "task": TASK,
            "dataset": {"type": suite, "name": f"{suite} ({domain})"},
            "metrics": [_metric(row) for row in rows if (row.suite, row.domain) == (suite, domain)],
        }
        for suite, domain in suites
    ]
    index = {"model-index": [{"name": model or system, "results": results}]}
    return "---\n" + "".join(f"{line}\n" for line in _yaml(index)) + "---\n"


def leaderboard(summary: Sequence[SummaryRow]) -> str:
    """Returns all summaries as JSON, one line of a leaderboard each; unscored ones with null.

    Rows of different ``protocol_hash`` do not belong in one ranking.
    """
    rows = [{name: getattr(row, name) for name in _LINE} | {"n": row.size} for row in summary]
    return dump_json({"schema_version": 1, "rows": rows}, indent=1) + "\n"


def track_summary(summary: Sequence[SummaryRow], log: LogFn, *, step: int = 0) -> None:
    """Logs every value as ``system/suite/protocol``.

    A protocol that a suite has under several hashes is followed by ``#`` and the hash, one that it
    has in several domains by ``#`` and the domain, so that no value is overwritten by another.

    Args:
        summary: Of any systems.
        log: Of a tracker, see `streamchar_ref.loop.trackers.tracking`.
        step: Of the training that the scores are of.
    """
    hashes: dict[tuple[str, str], set[str]] = defaultdict(set)
    domains: dict[tuple[str, str], set[str]] = defaultdict(set)
    measured = [(row, row.value) for row in summary if row.value is not None]
    for row, _ in measured:
        hashes[row.suite, row.protocol].add(row.protocol_hash)
        domains[row.suite, row.protocol].add(row.domain)
    values = {}
    for row, value in measured:
        place = (row.suite, row.protocol)
        digest = f"#{row.protocol_hash}" if len(hashes[place]) > 1 else ""
        domain = f"#{row.domain}" if len(domains[place]) > 1 else ""
        values[f"{row.system}/{row.suite}/{row.protocol}{digest}{domain}"] = value
    log(values, step)


def _metric(row: SummaryRow) -> dict[str, Any]:
    about = {
        "protocol": row.protocol, "protocol_hash": row.protocol_hash, "unit": row.unit,
        "n": row.size, "coverage": row.coverage, "ci_low": row.ci_low, "ci_high": row.ci_high,
    }  # fmt: skip
    return {
        "type": row.metric,
        "value": row.value,
        "name": row.protocol,
        "args": {name: value for name, value in about.items() if value is not None},
    }


def _yaml(value: Any, indent: str = "") -> list[str]:
    """Lines of block style; scalars as JSON, which YAML 1.2 contains."""
    lines: list[str] = []
    if isinstance(value, Mapping):
        for name, item in value.items():
            if isinstance(item, Mapping | list):
                lines += [f"{indent}{name}:", *_yaml(item, f"{indent}  ")]
            else:
                lines.append(f"{indent}{name}: {json.dumps(item, ensure_ascii=False)}")
        return lines
    for item in value:
        first, *rest = _yaml(item, f"{indent}  ")
        lines += [f"{indent}- {first.lstrip()}", *rest]
    return lines
