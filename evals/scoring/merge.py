"""Joins runs that were recorded or scored in parts, on one machine or many."""

import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evals.protocols.tool import is_import
from evals.recording.media_files import is_run
from evals.recording.run_folder import (
    SCHEMA_VERSION,
    recording_folders,
    recordings_root,
    sources_from,
    write_run,
)
from evals.recording.transaction import RECORDINGS, committing, read_stable, results_of
from evals.scoring.persist import summaries_of
from evals.scoring.results import (
    EVERY_SEED,
    SET_ID,
    ScoreRow,
    WindowRow,
    dump_json,
    people_of,
    write_scores,
    write_windows,
)  # fmt: skip
from evals.scoring.run_reader import RunReader, read_runs
from evals.scoring.summary import write_summary
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.files import real, remove
from streamchar_ref.core.lock import only_writer
from streamchar_ref.core.swap import newest

_JOINED = ("protocols", "notes", "identities", "sources", "roles", "still")
"""Entries of ``run.json`` that each run has its own part of."""


def merge(runs: Sequence[Path], out: Path) -> int:
    """Joins runs into a new one, which appears when it is complete.

    Metrics on whole sets, or on all takes of a prompt, cannot be joined from parts: their rows
    become unscored, with a reason. So do ranks among fewer people than the joined run has.

    Args:
        runs: Run folders; they stay as they are.
        out: Folder of the joined run; must not hold a run yet, but for the same one.

    Returns:
        Number of score rows.

    Raises:
        InputError: If a folder is no run, ``out`` is another one or is being written, two runs
            hold the same recording or a number of it under two protocol hashes, they score
            different manifests or files, or a recording has files from outside its run.
    """
    if real(out) in {real(run) for run in runs}:
        raise InputError(f"{out} holds a run already; choose another --out")
    for run in runs:
        if not is_run(run):
            raise InputError(f"{run} is no run folder")
    with only_writer(out, verb="merge", part="record"), results_of(out, verb="merge"):
        joined = read_runs(runs, lambda readers: _joined(readers, out))
        recorded = _recorded(runs)
        if (out / "run.json").is_file() or (out / RECORDINGS).exists():
            if not _holds(out, joined, recorded):
                raise InputError(f"{out} holds a run already; choose another --out")
            return len(joined.rows)
        with committing(out) as staging:
            for name, run in recorded.items():
                _take_recording(run, name, staging / RECORDINGS / name)
            _write(joined, staging)
    return len(joined.rows)


@dataclass(frozen=True, kw_only=True)
class _Joined:
    """Results of all runs together.

    Attributes:
        rows: In the order of ``scores.jsonl``.
        windows: Each once.
        entries: ``run.json``.
    """

    rows: list[ScoreRow]
    windows: list[WindowRow]
    entries: dict[str, Any]


def _joined(readers: Sequence[RunReader], out: Path) -> _Joined:
    entries: dict[str, Any] = {"schema_version": SCHEMA_VERSION}
    sources: dict[str, dict[str, Any]] = {}
    for reader in readers:
        own = reader.entries()
        joined = {name: entries.get(name, {}) | own.get(name, {}) for name in _JOINED}
        entries |= own | joined
        moved = sources_from(reader.run, out)
        sources |= {dump_json(moved): moved} if moved else {}
    if len(sources) > 1:
        names = ", ".join(sorted(sources))
        raise InputError(f"the runs score different manifests or files: {names}")
    for moved in sources.values():
        entries |= moved
    windows = [row for reader in readers for row in reader.windows()]
    return _Joined(rows=_rows(readers), windows=list(dict.fromkeys(windows)), entries=entries)


def _write(joined: _Joined, folder: Path) -> None:
    write_run(folder / "run.json", joined.entries)
    if joined.rows:
        write_scores(folder / "scores.jsonl", joined.rows)
        write_windows(folder / "windows.csv", joined.windows)
        identities = joined.entries["identities"]
        write_summary(folder / "summary.json", summaries_of(joined.rows, identities))


def _holds(out: Path, joined: _Joined, recorded: Mapping[str, Path]) -> bool:
    """Whether the same command has been here and was ended after its last step."""
    there = RunReader(out)
    rows = there.rows() if there.is_scored else []
    results = (rows, there.entries(), [*recording_folders(out)])
    return results == (joined.rows, joined.entries, [*recorded])


def _recorded(runs: Sequence[Path]) -> dict[str, Path]:
    """Names each recording with its run."""
    run_of: dict[str, Path] = {}
    for run in runs:
        for name, folder in recording_folders(run).items():
            if name in run_of:
                raise InputError(f"{folder} is in two of the runs")
            run_of[name] = run
    return dict(sorted(run_of.items(), key=lambda item: item[0].split("/")))


def _take_recording(run: Path, name: str, target: Path) -> None:
    """Takes a recording that may be replaced by a better one at the same time."""

    def folder() -> Path:
        return newest(recordings_root(run) / name)

    def take() -> None:
        remove(target)
        for path in _files_of(folder(), (real(run), real(recordings_root(run)))):
            place = target / path.relative_to(folder())
            place.parent.mkdir(parents=True, exist_ok=True)
            _link_or_copy(real(path), place)

    read_stable(lambda: folder().stat().st_ino, take)


def _files_of(folder: Path, inside: tuple[Path, ...]) -> Iterator[Path]:
    """Yields the files of a recording; refuses what is none, and links that lead elsewhere."""
    for parent, folders, names in os.walk(folder):
        for path in (Path(parent, name) for name in ("", *folders, *names)):
            is_inside = any(map(real(path).is_relative_to, inside))
            if not is_inside or (path.name in folders and path.is_symlink()):
                raise InputError(
                    f"{path} is a link that leads elsewhere, and merge takes nothing from there; "
                    "put the file itself in the run"
                )
        for path in (Path(parent, name) for name in sorted(names)):
            if not stat.S_ISREG(path.stat().st_mode):
                raise InputError(f"{path} is no regular file; remove it from the recording")
            yield path


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # another disk
        shutil.copy2(source, target, follow_symlinks=False)


def _rows(readers: Sequence[RunReader]) -> list[ScoreRow]:
    rows: dict[tuple[object, ...], ScoreRow] = {}
    for reader in readers:
        for row in reader.rows():
            is_of_several = row.sample_id == SET_ID or row.seed == EVERY_SEED
            if is_of_several and len(readers) > 1 and not is_import(row.protocol):
                row = _unjoined(row, "joined from parts")
            if rows.setdefault(row.key, row) != row:
                raise InputError(
                    f"{reader.run}: another value for {row.where} than in an earlier run"
                )
    _check_one_hash(rows.values())
    return sorted(_among_all(rows.values()), key=lambda row: row.key)


def _check_one_hash(rows: Iterable[ScoreRow]) -> None:
    """Refuses a sample with two numbers of one protocol: its curves would be mixed."""
    hashes: dict[tuple[object, ...], str] = {}
    for row in rows:
        if row.value is not None:
            other = hashes.setdefault(row.key[:-1], row.protocol_hash)
            if other != row.protocol_hash:
                raise InputError(
                    f"{row.where} was measured under two protocol hashes, #{other} and "
                    f"#{row.protocol_hash}: score it again in one of the runs"
                )


def _among_all(rows: Iterable[ScoreRow]) -> list[ScoreRow]:
    """Rows without ranks among fewer people than others are: chance is another one there."""
    rows = list(rows)
    everyone: dict[str, set[str]] = {}
    for row in rows:
        everyone.setdefault(row.protocol_hash, set()).update(people_of(row))
    fewer = "joined from parts, each ranked among its own people"
    return [
        _unjoined(row, fewer) if set(people_of(row)) < everyone[row.protocol_hash] else row
        for row in rows
    ]


def _unjoined(row: ScoreRow, why: str) -> ScoreRow:
    reason = f"{why}; run: streamchar score RUN --metrics {row.metric}"
    return replace(row, value=None, weight=0.0, status="unavailable", reason=reason, components={})
