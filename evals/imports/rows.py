"""Imported values as rows and curves of a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evals.imports.values import ImportedFile, ImportedValue, file_sha256
from evals.protocols.base import protocol_hash
from evals.protocols.tool import is_import
from evals.recording.jsonl import check_folder_length, check_folder_name
from evals.recording.media_files import is_run
from evals.scoring.persist import add_imported
from evals.scoring.results import SET_ID, ScoreRow
from evals.scoring.run_reader import RunReader
from evals.scoring.score import Scored
from streamchar_ref.core.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where imported values go.

    Attributes:
        run: Run folder; made if it is not there.
        system: What made the samples; empty if the file says.
        suite: Which prompts; if empty, the run's only suite that has all samples of the file, else
            the tool's name.
        version: Of the tool, as the importer states it.
    """

    run: Path
    system: str = ""
    suite: str = ""
    version: str = ""


def import_file(path: Path, found: ImportedFile, place: Place) -> list[ScoreRow]:
    """Puts what a file holds into a run.

    Values that were imported before for the same system, suite and metric are replaced; whatever
    else the run holds stays.

    Args:
        path: The file, for its name and SHA-256, which every row bears.
        found: What was read in it.
        place: Where to.

    Returns:
        The rows.

    Raises:
        InputError: If it is not said what made the samples, or the folder is no run.
    """
    system = _system(path, found.values, place.system)
    if place.run.exists() and not is_run(place.run) and any(place.run.iterdir()):
        raise InputError(f"{place.run} is no run folder and not empty; choose another --run")
    reader = RunReader(place.run)
    suites = _suites(found.values, reader.rows() if reader.is_scored else [], place.suite)
    about = {"file": path.name, "file_sha256": file_sha256(path)}
    scored = Scored(rows=[], windows=[], protocols={})
    for value in found.values:
        params = value.tool.params(value.metric, place.version)
        digest = protocol_hash(params)
        scored.protocols[digest] = params
        suite, domain = suites[value.part]
        total = found.totals.get(value.metric.name)
        row = ScoreRow(
            sample_id=value.sample_id,
            system=system or value.system,
            suite=suite,
            seed=value.seed,
            metric=value.metric.name,
            protocol=value.tool.protocol(value.metric),
            protocol_hash=digest,
            domain=domain,
            value=value.value,
            weight=value.weight,
            status=value.status,
            reason=value.reason,
            components={
                **value.components,
                **about,
                **({} if total is None else {"file_total": total}),
            },
        )
        scored.add(row, value.windows, unit=value.metric.info.unit)
    add_imported(place.run, scored)
    return scored.rows


def _system(path: Path, values: Sequence[ImportedValue], asked: str) -> str:
    """System of all values; empty if each says its own."""
    told = sorted({value.system for value in values})
    if told == [""] and not asked:
        raise InputError(f"{path}: does not say what made the samples: name it with --system")
    if len(told) > 1 and asked:
        raise InputError(f"{path}: is of {', '.join(told)}; leave out --system")
    if asked:
        check_folder_name("--system", "name", asked)
        check_folder_length("--system", "name", asked)
    return asked


def _suites(
    values: Sequence[ImportedValue], rows: Sequence[ScoreRow], asked: str
) -> Mapping[str, tuple[str, str]]:
    """Suite and domain of each part of a benchmark."""
    if asked:
        check_folder_name("--suite", "name", asked)
        check_folder_length("--suite", "name", asked)
    measured: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        if not is_import(row.protocol):
            measured.setdefault((row.suite, row.domain), set()).add(row.sample_id)
    parts = list(dict.fromkeys(value.part for value in values))
    own: dict[str, str] = {}
    suites: dict[str, tuple[str, str]] = {}
    for part in parts:
        samples = {one.sample_id for one in values if one.part == part} - {SET_ID}
        same = [place for place, names in measured.items() if samples and samples <= names]
        named = [place for place in same if place[0] == asked] if asked else same
        tool = next(one.tool for one in values if one.part == part)
        own[part] = "-".join(filter(None, (asked or tool.name, part)))
        if asked and len(parts) == 1:
            own[part] = asked
        suites[part] = named[0] if len(named) == 1 else (own[part], "real")
    shared = len(set(suites.values())) < len(parts)  # parts of a benchmark have no mean together
    return {part: (own[part], "real") for part in parts} if shared else suites
