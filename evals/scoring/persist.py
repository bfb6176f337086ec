"""Scores in the run folder: new rows beside earlier ones, summary and provenance to match."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evals.metrics import INFOS
from evals.metrics.followed import doubt_in_words
from evals.protocols.base import Metric
from evals.protocols.set_metric import SetMetric
from evals.protocols.takes_metric import TakesMetric
from evals.protocols.tool import is_import
from evals.recording.provenance import provenance
from evals.recording.recording import Recording
from evals.recording.role import declares_still
from evals.recording.run_folder import read_run, recording_folder, recordings_root, write_run
from evals.recording.transaction import LOG, committing, results_of, stamps_of
from evals.scoring.notes import notes_on
from evals.scoring.reference_set import references_entry
from evals.scoring.results import (
    EVERY_SEED,
    SET_ID,
    ScoreRow,
    WindowRow,
    write_scores,
    write_windows,
)  # fmt: skip
from evals.scoring.run_reader import RunReader
from evals.scoring.score import Options, Scored, score
from evals.scoring.sources import Sample, is_added, is_replaced, samples_in, sources_of
from evals.scoring.summary import SummaryRow, summarise, write_summary
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.progress import ProgressFn
from streamchar_ref.core.swap import newest


def score_run(
    run: Path,
    recordings: Sequence[Recording],
    *,
    metrics: Sequence[Metric],
    set_metrics: Sequence[SetMetric | TakesMetric],
    options: Options,
    progress: ProgressFn,
    config: dict[str, Any] | None = None,
    whole: Sequence[Recording] = (),
) -> list[ScoreRow]:
    """Scores recordings and writes rows, curves, summary and provenance into the run folder.

    Rows of other metrics and protocols that the folder holds already are kept, as long as their
    recording is still there and made of the same files and text; so are those that another process
    adds while this one measures. The files appear together, or none of them does, see
    `evals.recording.transaction`.

    Args:
        run: Run folder; made if it is not there.
        recordings: What to score.
        metrics: With a value for every recording.
        set_metrics: With a value for every system and suite, or for all takes of a prompt.
        options: Input, workers, reference set.
        progress: Told what is done.
        config: For ``run.json``.
        whole: All that the run holds if ``recordings`` are one shard of it; earlier rows of the
            others are kept.

    Returns:
        The rows that were computed now.

    Raises:
        InputError: If the folder holds scores of something else, or another process does not let
            go of it.
    """
    everything = whole or recordings
    with results_of(run, verb="score"):
        check_sources(run, config or {})
        held = _held(run)  # damaged? then say so now
        sources = sources_of(recordings)
        other = {_sample(one) for one in recordings if is_replaced(one, held.told, sources)}
        more = {_sample(one) for one in recordings if is_added(one, held.told)}
        known = {_sample(row) for row in held.rows if not is_import(row.protocol)}
        gone = _gone(run, everything, known | samples_in(held.told), other, more)
    scored = score(
        recordings,
        metrics=metrics,
        set_metrics=set_metrics,
        options=options,
        progress=progress,
        whole=whole,
    )
    notes = {r.recording_id: notes_on(r) for r in recordings if not r.error}
    entries = provenance() | (config or {})
    with results_of(run, verb="score"):
        check_sources(run, config or {})
        earlier = _earlier(run, scored, gone, held)
        entries |= references_entry(options.saved, earlier.told)
        entries["sources"] = earlier.told.get("sources", {}) | sources
        _commit(run, scored, earlier, everything, notes, entries)
    return scored.rows


@dataclass(frozen=True, kw_only=True)
class _Held:
    """What the files of a run hold.

    Attributes:
        rows: Scores.
        windows: Curves.
        told: ``run.json``.
        stamps: Of the files, to notice that they are replaced.
    """

    rows: list[ScoreRow]
    windows: list[WindowRow]
    told: dict[str, Any]
    stamps: list[Any]


def _held(run: Path, known: _Held | None = None) -> _Held:
    """Reads the files of a run; not again those that are ``known``."""
    stamps = stamps_of(run)
    if known is not None and known.stamps == stamps:
        return known
    reader = RunReader(run)
    # What is in the way of a file is found at the commit; earlier versions wrote one by one.
    rows, windows = (reader.rows(), reader.windows()) if reader.is_scored else ([], [])
    return _Held(rows=rows, windows=windows, told=reader.entries(), stamps=stamps)


@dataclass(frozen=True, kw_only=True)
class _Earlier:
    """What a run holds already and keeps.

    Attributes:
        rows: Other than those that were computed now.
        windows: Curves, likewise.
        told: ``run.json``.
        log: ``errors.txt``, if a row is kept that it may be about.
    """

    rows: list[ScoreRow]
    windows: list[WindowRow]
    told: dict[str, Any]
    log: str


def _commit(
    run: Path,
    scored: Scored,
    earlier: _Earlier,
    recordings: Sequence[Recording],
    notes: Mapping[str, list[str]],
    entries: dict[str, Any],
) -> None:
    rows = earlier.rows + scored.rows
    identities = _identities_beside_earlier(earlier.told, recordings, rows)
    used = {row.protocol_hash for row in rows}
    protocols = earlier.told.get("protocols", {}) | scored.protocols
    told = (
        earlier.told
        | entries
        | {
            "protocols": {digest: params for digest, params in protocols.items() if digest in used},
            "identities": identities,
            "sources": _in_run(entries.get("sources", {}), recordings, rows),
            "notes": _notes_beside_earlier(earlier.told, recordings, notes, rows),
        }
        | _declared_beside_earlier(earlier.told, recordings, rows)
    )
    new = [log for log in scored.logs if log not in earlier.log]
    with committing(run) as staging:
        write_scores(staging / "scores.jsonl", rows)
        write_windows(staging / "windows.csv", earlier.windows + scored.windows)
        write_summary(staging / "summary.json", summaries_of(rows, identities))
        write_run(staging / "run.json", told)
        log = "\n".join([earlier.log, *new] if earlier.log else new)
        (staging / LOG).write_text(log, encoding="utf-8", errors="backslashreplace")


def add_imported(run: Path, imported: Scored) -> None:
    """Puts rows of other harnesses' files beside what a run holds.

    Earlier imports for the same system, suite and metric are replaced; all other rows stay.

    Args:
        run: Run folder; made if it is not there.
        imported: Rows, curves and protocols.

    Raises:
        InputError: If results in the folder are damaged, or another process does not let go of it.
    """

    def is_replaced(row: ScoreRow | WindowRow) -> bool:
        return is_import(row.protocol) and (row.system, row.suite, row.metric) in places

    places = {(row.system, row.suite, row.metric) for row in imported.rows}
    with results_of(run, verb="import"):
        earlier = _earlier(run, imported, set())
        kept = replace(
            earlier,
            rows=[row for row in earlier.rows if not is_replaced(row)],
            windows=[row for row in earlier.windows if not is_replaced(row)],
        )
        _commit(run, imported, kept, [], {}, provenance() | earlier.told)


def check_sources(run: Path, made_from: Mapping[str, Any]) -> None:
    """Refuses a folder that holds scores of another manifest or of other files.

    Args:
        run: Run folder, whether or not it is there.
        made_from: Entry of ``run.json`` that says what is scored; none for what was recorded.

    Raises:
        InputError: If the folder is another's.
    """
    if "files" in made_from and recordings_root(run).is_dir():
        raise InputError(f"{run} holds recordings of its own; choose another --out")
    earlier = {key: told for key, told in read_run(run).items() if key in ("manifest", "files")}
    if made_from and earlier and earlier not in (made_from, _without_language(made_from)):
        what = earlier.get("manifest") or ", ".join(earlier["files"]["sources"])
        language = earlier.get("files", {}).get("language", "")
        aside = f" with --language {language}" if language else ""
        raise InputError(f"{run} holds scores of {what}{aside}; choose another --out")


def _without_language(made_from: Mapping[str, Any]) -> dict[str, Any]:
    """The sources as a run has them whose language nobody named, or that is older."""
    files = {name: one for name, one in made_from.get("files", {}).items() if name != "language"}
    return {**made_from, "files": files}


def identities_of(recordings: Sequence[Recording]) -> dict[str, str]:
    """Returns who is shown in each sample of which that is known, see `bootstrap_clusters`.

    A sample without an identity but with a voice group is of the one who speaks in it.
    """
    people = {f"{r.suite}/{r.sample_id}": _person(r.groups) for r in recordings}
    return {sample: person for sample, person in people.items() if person}


def _person(groups: Mapping[str, str]) -> str:
    voice = groups.get("voice", "")
    return groups.get("identity") or (f"voice {voice}" if voice else "")


def summaries_of(rows: Sequence[ScoreRow], identities: Mapping[str, str]) -> list[SummaryRow]:
    """Summarises rows with the units and directions of all known metrics."""
    return summarise(rows, INFOS, identities=identities)


def _in_run(
    sources: Mapping[str, str], recordings: Sequence[Recording], rows: Sequence[ScoreRow]
) -> dict[str, str]:
    names = {"/".join(map(str, _sample(row))) for row in rows}
    names |= {recording.recording_id for recording in recordings}
    return {name: source for name, source in sources.items() if name in names}


def _gone(
    run: Path,
    recordings: Sequence[Recording],
    scored: set[Sample],
    replaced: set[Sample],
    added: set[Sample],
) -> set[Sample]:
    """Samples that have rows but no recording any more, or another one; and sets that changed.

    They are looked for before anything is measured: rows that another process adds meanwhile may
    be of recordings that this one has never heard of, and stay.
    """
    here = {_sample(recording) for recording in recordings}
    others = scored - here
    here |= {one for one in others if os.path.isdir(newest(recording_folder(run, *one)))}
    of_several = {one for one in scored if SET_ID in one or EVERY_SEED in one}
    gone = (scored - of_several - here) | replaced
    changed = {of for one in gone | added for of in _of_several(one)}
    known = {of for one in here for of in _of_several(one)}
    return gone | (of_several - known) | (of_several & changed)


def _of_several(sample: Sample) -> tuple[Sample, Sample]:
    """The set and the takes of which a sample is one."""
    system, suite, sample_id, _ = sample
    return (system, suite, SET_ID, 0), (system, suite, sample_id, EVERY_SEED)


def _earlier(run: Path, scored: Scored, gone: set[Sample], known: _Held | None = None) -> _Earlier:
    now = {(*_sample(row), row.metric, row.protocol) for row in scored.rows}
    prompts = {_of_prompt(row) for row in scored.rows}
    of_takes = {_of_prompt(row) for row in scored.rows if row.seed == EVERY_SEED}

    def is_kept(row: ScoreRow | WindowRow) -> bool:
        if _of_prompt(row) in (prompts if row.seed == EVERY_SEED else of_takes):
            return False  # all takes of the prompt were measured anew
        is_new = (*_sample(row), row.metric, row.protocol) in now
        return not is_new and (_sample(row) not in gone or is_import(row.protocol))

    held, log = _held(run, known), run / LOG
    rows = [row for row in held.rows if is_kept(row)]
    failed = any(row.status == "evaluator_failure" for row in rows)
    return _Earlier(
        rows=rows,
        windows=[row for row in held.windows if is_kept(row)],
        told=held.told,
        log=log.read_text("utf-8", errors="replace") if failed and log.is_file() else "",
    )


def _identities_beside_earlier(
    told: Mapping[str, Any], recordings: Sequence[Recording], rows: Sequence[ScoreRow]
) -> dict[str, str]:
    ours = {f"{recording.suite}/{recording.sample_id}" for recording in recordings}
    others = {f"{row.suite}/{row.sample_id}" for row in rows} - ours
    earlier = told.get("identities", {})
    return {name: earlier[name] for name in others if name in earlier} | identities_of(recordings)


def _declared_beside_earlier(
    told: Mapping[str, Any], recordings: Sequence[Recording], rows: Sequence[ScoreRow]
) -> dict[str, dict[str, Any]]:
    """Returns role and stillness of the systems with rows, as far as their recordings say."""
    still = {r.system for r in recordings if declares_still(r)}
    declared: dict[str, dict[str, Any]] = {
        "roles": {r.system: str(r.role) for r in recordings if r.role is not None},
        "still": {r.system: r.system in still for r in recordings},
    }
    systems = {row.system for row in rows}
    return {
        entry: {name: one for name, one in (told.get(entry, {}) | new).items() if name in systems}
        for entry, new in declared.items()
    }


def _notes_beside_earlier(
    told: Mapping[str, Any],
    recordings: Sequence[Recording],
    notes: Mapping[str, list[str]],
    rows: Sequence[ScoreRow],
) -> dict[str, list[str]]:
    measured = _notes_in(rows)
    samples = {recording.recording_id: _sample(recording) for recording in recordings}
    now = {name: said + measured.get(samples[name], []) for name, said in notes.items()}
    kept = {"/".join(map(str, _sample(row))) for row in rows} - set(samples)
    kept |= {recording.recording_id for recording in recordings if not recording.error} - set(now)
    earlier = {name: said for name, said in told.get("notes", {}).items() if name in kept}
    return earlier | {name: said for name, said in now.items() if said}


def _notes_in(rows: Sequence[ScoreRow]) -> dict[Sample, list[str]]:
    """What metrics say of a recording's language and of who is followed, each sentence once."""
    found: dict[Sample, dict[str, None]] = {}
    for row in rows:
        notes = found.setdefault(_sample(row), {})
        if row.components.get("language_note"):
            notes[str(row.components["language_note"])] = None
        if row.components.get("doubt"):
            notes[doubt_in_words(row.components)] = None
    return {sample: list(notes) for sample, notes in found.items()}


def _sample(row: ScoreRow | WindowRow | Recording) -> Sample:
    return (row.system, row.suite, row.sample_id, row.seed)


def _of_prompt(row: ScoreRow | WindowRow) -> tuple[str, str, str, str, str]:
    """What rows on all takes of a prompt share, whatever the seeds."""
    return (row.system, row.suite, row.sample_id, row.metric, row.protocol)
