"""Joins runs that were recorded or scored in parts, on one machine or many."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from evals.results import (
    SET_ID,
    ScoreRow,
    WindowRow,
    dump_json,
    read_scores,
    read_windows,
    write_scores,
    write_windows,
)  # fmt: skip
from evals.run_folder import read_run, sources_from, update_run
from evals.run_scores import summaries_of
from evals.summary import write_summary
from streamchar_ref.errors import InputError
from streamchar_ref.files import has_file

_JOINED = ("protocols", "notes", "identities")
"""Entries of ``run.json`` that each run has its own part of."""


def merge(runs: Sequence[Path], out: Path) -> int:
    """Joins runs into a new one.

    Metrics on whole sets cannot be joined from parts: their rows become unscored, with a reason.

    Args:
        runs: Run folders; they stay as they are.
        out: Folder of the joined run; must not hold a run yet.

    Returns:
        Number of score rows.

    Raises:
        InputError: If a folder is no run, ``out`` is one, two runs hold the same recording, or
            they score different manifests or files.
    """
    if (out / "run.json").is_file() or (out / "recordings").exists():
        raise InputError(f"{out} holds a run already; choose another --out")
    for run in runs:
        if not (run / "recordings").is_dir() and not (run / "run.json").is_file():
            raise InputError(f"{run} is no run folder")
    moved = [sources_from(run, out) for run in runs]
    scored = {dump_json(sources): sources for sources in moved if sources}
    if len(scored) > 1:
        names = ", ".join(sorted(scored))
        raise InputError(f"the runs score different manifests or files: {names}")
    rows = _rows(runs)
    out.mkdir(parents=True, exist_ok=True)
    for run in runs:
        _take_recordings(run, out)
    entries: dict[str, Any] = {}
    for told in map(read_run, runs):
        joined = {name: entries.get(name, {}) | told.get(name, {}) for name in _JOINED}
        entries |= told | joined
    for sources in scored.values():
        entries |= sources
    update_run(out, **entries)
    if rows:
        write_scores(out / "scores.jsonl", rows)
        write_windows(out / "windows.csv", _windows(runs))
        write_summary(out / "summary.json", summaries_of(rows, entries["identities"]))
    return len(rows)


def _take_recordings(run: Path, out: Path) -> None:
    for folder in sorted((run / "recordings").glob("*/*/*/*/")):
        target = out / folder.relative_to(run)
        if target.exists():
            raise InputError(f"{folder} is in two of the runs")
        shutil.copytree(folder, target, copy_function=_link_or_copy)


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk
        shutil.copy2(source, target)


def _rows(runs: Sequence[Path]) -> list[ScoreRow]:
    rows: dict[tuple[object, ...], ScoreRow] = {}
    for run in runs:
        path = run / "scores.jsonl"
        for row in read_scores(path) if has_file(path) else []:
            if row.sample_id == SET_ID and len(runs) > 1:
                reason = f"joined from parts; run: streamchar score RUN --metrics {row.metric}"
                row = replace(
                    row, value=None, weight=0.0, status="unavailable", reason=reason, components={}
                )
            known = rows.setdefault(row.key, row)
            if known != row:
                raise InputError(f"{run}: another value for {row.where} than in an earlier run")
    return list(rows.values())


def _windows(runs: Sequence[Path]) -> list[WindowRow]:
    paths = [run / "windows.csv" for run in runs]
    return [row for path in paths if has_file(path) for row in read_windows(path)]
