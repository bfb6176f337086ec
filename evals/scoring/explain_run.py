"""What there is to say of a number in a run folder: values, counts, provenance and protocol."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evals.metrics import EVERY_METRIC
from evals.protocols.base import protocol_hash
from evals.protocols.tool import is_import
from evals.recording.transaction import place_of
from evals.scoring.explanation import Explanation, explain_params
from evals.scoring.names import listing, resolve_names
from evals.scoring.persist import summaries_of
from evals.scoring.protocol_ids import OF_THE_ROW, is_of_own_recogniser, split_protocol
from evals.scoring.results import ScoreRow
from evals.scoring.run_reader import RunReader, read_runs
from evals.scoring.score import Options, params_of
from evals.scoring.settings import differences
from evals.scoring.summary import SummaryRow
from streamchar_ref.core.errors import InputError

MOST_DIFFERENCES = 5


@dataclass(frozen=True, kw_only=True)
class ExplainedNumber:
    """Numbers of one metric in a run that share a protocol hash.

    Attributes:
        run: Run folder.
        summaries: One a system and suite.
        explanation: Of the protocol, with the settings that the run holds; ``None`` if it holds
            none.
        provenance: ``git``, ``device`` and ``versions`` of the scoring; ``written``, the date of
            the file of scores.
        notes: What a reader should know beside it.
    """

    run: str
    summaries: Sequence[SummaryRow]
    explanation: Explanation | None
    provenance: dict[str, Any]
    notes: Sequence[str]


def explain_number(run: Path, name: str) -> list[ExplainedNumber]:
    """Explains the numbers of a metric in a run.

    Args:
        run: Run folder.
        name: Of a metric, its alias, or a protocol id, with or without its version.

    Returns:
        One a protocol and hash, those with more values first.

    Raises:
        InputError: If the run has no such scores.
    """
    rows, entries = read_runs([run], lambda readers: _read(readers[0]))
    chosen = _rows_of(rows, name, run)
    written = datetime.fromtimestamp(place_of(run, "scores.jsonl").stat().st_mtime, UTC)
    provenance = {key: entries.get(key, "") for key in ("git", "device", "versions")}
    provenance["written"] = f"{written:%Y-%m-%d}"
    groups: dict[tuple[str, str], list[ScoreRow]] = {}
    for row in chosen:
        groups.setdefault((row.protocol, row.protocol_hash), []).append(row)
    explained = [_explained(run, group, entries, provenance) for _, group in sorted(groups.items())]
    return sorted(explained, key=lambda one: -sum(row.n for row in one.summaries))


def _read(reader: RunReader) -> tuple[list[ScoreRow], dict[str, Any]]:
    if not reader.is_scored:
        raise InputError(f"{reader.run}: no scores.jsonl there; run `streamchar score` first")
    return reader.rows(), reader.entries()


def _rows_of(rows: Sequence[ScoreRow], name: str, run: Path) -> list[ScoreRow]:
    of_protocol = [r for r in rows if name in {r.protocol, r.protocol.partition("@")[0]}]
    if of_protocol:
        return of_protocol
    known = list(dict.fromkeys(row.metric for row in rows))
    command = f"streamchar table {run} --all"
    metrics = resolve_names([name], known, f"{run}: no scores of", command=command)
    if not metrics:
        raise InputError(f"{run}: no scores of {name!r}; {listing(known, command)}")
    return [row for row in rows if row.metric in metrics]


def _explained(
    run: Path,
    rows: Sequence[ScoreRow],
    entries: dict[str, Any],
    provenance: dict[str, Any],
) -> ExplainedNumber:
    protocol, digest = rows[0].protocol, rows[0].protocol_hash
    params = entries.get("protocols", {}).get(digest)
    notes: list[str] = []
    explanation = None
    if params is None:
        notes.append(f"run.json holds no settings of #{digest}")
    else:
        explanation = replace(explain_params(params, protocol, str(run)), protocol_hash=digest)
        notes += _beside_ours(params, protocol, digest)
    notes += _sources(rows)
    content = ((params or {}).get("reference") or {}).get("content", "")
    if file := entries.get("saved_references", {}).get(content):
        notes.append(f"the reference set is that of the features in {file}: give it --reference")
    summaries = summaries_of(rows, entries.get("identities", {}))
    card = explanation.card if explanation else None
    small = [one.system for one in summaries if card and 0 < one.n < card.minimum_n]
    if card and small and rows[0].sample_id != "*":
        notes.append(f"fewer than {card.minimum_n} values of {', '.join(small)}: says little")
    return ExplainedNumber(
        run=str(run),
        summaries=summaries,
        explanation=explanation,
        provenance=provenance,
        notes=notes,
    )


def _sources(rows: Sequence[ScoreRow]) -> list[str]:
    """Names the files that numbers were imported from, and the means that these state."""
    lines: dict[str, None] = {}
    for row in rows:
        if is_import(row.protocol):
            told = row.components
            total = told.get("file_total")
            own = "" if total is None else f", which itself states {total:.6g}"
            digest = f"(sha256 {told.get('file_sha256')})"
            lines[f"{row.system}: from {told.get('file')} {digest}{own}"] = None
    return list(lines)


def _beside_ours(params: dict[str, Any], protocol: str, digest: str) -> list[str]:
    """Says whether the same command makes the same number here, and where it differs."""
    if protocol_hash(params) != digest:
        return [f"the settings in run.json do not have the hash #{digest}: run.json was altered"]
    bare, native, as_played = split_protocol(protocol)
    if is_import(bare):
        return ["imported, not measured here"]
    if is_of_own_recogniser(bare):
        return ["WEIGHTS is the file or folder with the sha256 above, or its name"]
    metric = next((one for one in EVERY_METRIC if one.protocol == bare), None)
    if metric is None:
        return [f"{bare} is not installed here: its number cannot be made again"]
    ours = params_of(metric, Options(native=native, as_played=as_played))
    told = {key: value for key, value in params.items() if key not in OF_THE_ROW}
    ours = _plain(ours)
    if told == ours:
        return []
    found = differences(told, ours)
    more = f" and {len(found) - MOST_DIFFERENCES} more" if len(found) > MOST_DIFFERENCES else ""
    return [f"made with other settings than are installed: {'; '.join(found[:5])}{more}"]


def _plain(value: Any) -> Any:
    """As JSON has it: tuples are lists."""
    if isinstance(value, dict) or hasattr(value, "items"):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
