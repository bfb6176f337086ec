"""Scores in the run folder: new rows beside earlier ones, summary and provenance to match."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evals.metrics import INFOS
from evals.metrics.base import Metric
from evals.metrics.followed import doubt_in_words
from evals.notes import notes_on
from evals.provenance import provenance
from evals.recording import Recording
from evals.results import (
    SET_ID,
    ScoreRow,
    WindowRow,
    read_scores,
    read_windows,
    write_scores,
    write_windows,
)  # fmt: skip
from evals.run_folder import read_run, update_run
from evals.score import Options, Progress, Scored, score
from evals.set_metric import SetMetric
from evals.summary import SummaryRow, summarise, write_summary


def score_run(
    run: Path,
    recordings: Sequence[Recording],
    *,
    metrics: Sequence[Metric],
    set_metrics: Sequence[SetMetric],
    options: Options,
    progress: Progress,
    config: dict[str, Any] | None = None,
    whole: Sequence[Recording] = (),
) -> list[ScoreRow]:
    """Scores recordings and writes rows, curves, summary and provenance into the run folder.

    Rows of other metrics and protocols that the folder holds already are kept, as long as their
    recording is still there.

    Args:
        run: Run folder; made if it is not there.
        recordings: What to score.
        metrics: With a value for every recording.
        set_metrics: With a value for every system and suite.
        options: Input, workers, reference set.
        progress: Told what is done.
        config: For ``run.json``.
        whole: All that the run holds if ``recordings`` are one shard of it; earlier rows of the
            others are kept.

    Returns:
        The rows that were computed now.
    """
    run.mkdir(parents=True, exist_ok=True)
    scored = score(
        recordings,
        metrics=metrics,
        set_metrics=set_metrics,
        options=options,
        progress=progress,
        whole=whole,
    )
    rows, windows = _beside_earlier(run, whole or recordings, scored)
    write_scores(run / "scores.jsonl", rows)
    write_windows(run / "windows.csv", windows)
    identities = identities_of(whole or recordings)
    write_summary(run / "summary.json", summaries_of(rows, identities))
    used = {row.protocol_hash for row in rows}
    known = read_run(run).get("protocols", {}) | scored.protocols
    update_run(
        run,
        **provenance(),
        **(config or {}),
        protocols={digest: params for digest, params in known.items() if digest in used},
        identities=identities,
        notes=_notes_beside_earlier(run, recordings, whole, rows),
    )
    log = run / "errors.txt"
    log.unlink(missing_ok=True)
    if scored.logs:
        log.write_text("\n".join(scored.logs), encoding="utf-8")
    return scored.rows


def identities_of(recordings: Sequence[Recording]) -> dict[str, str]:
    """Returns who is shown in each sample of which that is known, see `drawn_together`."""
    named = [recording for recording in recordings if "identity" in recording.groups]
    return {f"{recording.suite}/{recording.sample_id}": recording.identity for recording in named}


def summaries_of(rows: Sequence[ScoreRow], identities: Mapping[str, str]) -> list[SummaryRow]:
    """Summarises rows with the units and directions of all known metrics."""
    return summarise(rows, INFOS, identities=identities)


def _beside_earlier(
    run: Path, recordings: Sequence[Recording], scored: Scored
) -> tuple[list[ScoreRow], list[WindowRow]]:
    if not (run / "scores.jsonl").is_file():
        return scored.rows, scored.windows
    here = {(r.system, r.suite, r.sample_id, r.seed) for r in recordings}
    sets = {(r.system, r.suite, SET_ID, 0) for r in recordings}
    now = {(*_sample(row), row.metric, row.protocol) for row in scored.rows}

    def is_kept(row: ScoreRow | WindowRow) -> bool:
        replaced = (*_sample(row), row.metric, row.protocol) in now
        return not replaced and _sample(row) in here | sets

    rows = [row for row in read_scores(run / "scores.jsonl") if is_kept(row)]
    windows = [row for row in read_windows(run / "windows.csv") if is_kept(row)]
    return rows + scored.rows, windows + scored.windows


def _notes_beside_earlier(
    run: Path,
    recordings: Sequence[Recording],
    whole: Sequence[Recording],
    rows: Sequence[ScoreRow],
) -> dict[str, list[str]]:
    others = {r.recording_id for r in whole} - {r.recording_id for r in recordings}
    earlier = {r: notes for r, notes in read_run(run).get("notes", {}).items() if r in others}
    measured = _notes_in(rows)
    now = {
        r.recording_id: notes_on(r) + measured.get(_sample(r), [])
        for r in recordings
        if not r.error
    }
    return earlier | {name: notes for name, notes in now.items() if notes}


def _notes_in(rows: Sequence[ScoreRow]) -> dict[tuple[str, str, str, int], list[str]]:
    """What metrics say of a recording's language and of who is followed, each sentence once."""
    found: dict[tuple[str, str, str, int], dict[str, None]] = {}
    for row in rows:
        notes = found.setdefault(_sample(row), {})
        if row.components.get("language_note"):
            notes[str(row.components["language_note"])] = None
        if row.components.get("doubt"):
            notes[doubt_in_words(row.components)] = None
    return {sample: list(notes) for sample, notes in found.items()}


def _sample(row: ScoreRow | WindowRow | Recording) -> tuple[str, str, str, int]:
    return (row.system, row.suite, row.sample_id, row.seed)
