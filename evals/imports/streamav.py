"""StreamAV-Bench's results: ``report.json``, the public export, or ``raw.jsonl``.

``report.json`` has a value for each case, and the drifts of whole models. ``raw.jsonl`` has a
record for each job. Six metrics have one for each interval of 30 s, from which come the values of
cases, their curves and, case by case, their drifts; what a job of another metric calls its interval
is an update of the prompt, and the report alone says what becomes of those.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from evals.imports.values import (
    ImportedFile,
    ImportedValue,
    check_sample_id,
    check_unique,
    judged,
    loaded,
    number,
    text_of,
)
from evals.protocols.base import MetricWindow, Status
from evals.protocols.tool import Tool, load_tools
from evals.recording.jsonl import check_folder_name
from evals.scoring.results import SET_ID
from streamchar_ref.core.errors import InputError

WHAT = "report.json, the public export, or raw.jsonl of StreamAV-Bench"
REPORT, PUBLIC = "streamavbench.report.v2", "streamavbench-public-results-1.0.0"
RAW = {"streamavbench.raw-result.v1", "streamavbench.raw-result.v2"}
INTERVALS, INTERVAL_S = 6, 30.0
BY_INTERVAL = {"VA", "VQ", "PQ", "AQ", "AVAlign", "AVSync"}
"""Metrics of which ``raw.jsonl`` has every interval of a video."""
_STATUSES: dict[str, Status] = {
    "computed": "computed",
    "ok": "computed",
    "scored": "computed",
    "not_applicable": "not_applicable",
    "generation_failure": "generation_failure",
    "evaluator_failure": "evaluator_failure",
}
_DRIFTS = {"quality_drift": ("quality_drift", "-D"), "cross_modal_stability": ("value", "")}
"""List of the report -> field of the value, and what its metric's name lacks."""


def read_streamav(path: Path) -> ImportedFile:
    """Reads a file of results.

    Args:
        path: Of any of the three kinds.

    Returns:
        Values of the models in it; what is not known here is left out.

    Raises:
        InputError: If it is none of them; the message names the record.
    """
    (tool,) = (one for one in load_tools().values() if one.name == "streamav")
    text = text_of(path)
    try:
        content = loaded(text)
    except ValueError:
        content = None
    schema = content.get("schema_version") if isinstance(content, dict) else None
    left_out: Counter[str] = Counter()
    if schema == REPORT and isinstance(content, dict):
        values = list(_of_report(path, tool, content, left_out))
    elif schema == PUBLIC and isinstance(content, dict):
        values = list(_of_public(path, tool, content))
    else:
        values = list(_of_raw(path, tool, text, left_out))
    if not values:
        raise InputError(f"{path}: holds no number that is known here; wanted is {WHAT}")
    check_unique(path, values)
    hint = "" if schema in {REPORT, PUBLIC} else "; see report.json"
    return ImportedFile(
        values=values, left_out={key: f"{count} records{hint}" for key, count in left_out.items()}
    )


def _of_report(
    path: Path, tool: Tool, report: Mapping[str, Any], left_out: Counter[str]
) -> Iterator[ImportedValue]:
    for part in ("cases", "instruction_drift_cases"):
        for place, record in enumerate(_list(path, report, part)):
            where = f"{path}: {part}[{place}]"
            if _text(where, record, "metric") not in tool.metrics:
                left_out[str(record["metric"])] += 1
                continue
            yield _of_case(where, tool, record)
    for part, (field, suffix) in _DRIFTS.items():
        for place, record in enumerate(_list(path, report, part)):
            where = f"{path}: {part}[{place}]"
            key = _text(where, record, "metric") + suffix
            value = number(record.get(field))
            if key not in tool.metrics or value is None:
                left_out[key] += 1
                continue
            ends = {name: number(record.get(name)) for name in ("ci_low", "ci_high")}
            count = number(record.get("n_cases"))
            yield ImportedValue(
                tool=tool,
                metric=tool.metrics[key],
                sample_id=SET_ID,
                system=_system(where, record),
                part=_text(where, record, "track"),
                components={**ends, "n_cases": count},
                **judged(value),
            )


def _of_case(where: str, tool: Tool, record: Mapping[str, Any]) -> ImportedValue:
    status = _STATUSES.get(str(record.get("status")))
    if status is None:
        raise InputError(f"{where}: status {record.get('status')!r:.60} is not known")
    value = number(record.get("value"))
    if status == "computed" and value is None:
        raise InputError(f"{where}: is computed and has the value {record.get('value')!r:.60}")
    fields: dict[str, Any] = {"value": None, "weight": 0.0, "status": status}
    fields["reason"] = "as StreamAV-Bench's report says"
    return ImportedValue(
        tool=tool,
        metric=tool.metrics[str(record["metric"])],
        sample_id=check_sample_id(where, record.get("case_id")),
        system=_system(where, record),
        part=_text(where, record, "track"),
        **(judged(value) if status == "computed" and value is not None else fields),
    )


def _of_public(path: Path, tool: Tool, content: Mapping[str, Any]) -> Iterator[ImportedValue]:
    for place, record in enumerate(_list(path, content, "models")):
        where = f"{path}: models[{place}]"
        for key, metric in tool.metrics.items():
            value = number(record.get(key))
            if value is not None:
                yield ImportedValue(
                    tool=tool,
                    metric=metric,
                    sample_id=SET_ID,
                    system=_system(where, record),
                    part="public",
                    **judged(value),
                )


def _of_raw(path: Path, tool: Tool, text: str, left_out: Counter[str]) -> Iterator[ImportedValue]:
    latest: dict[str, tuple[int, str, dict[str, Any]]] = {}
    for place, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}, line {place}"
        try:
            record = loaded(line)
        except ValueError as error:
            raise InputError(f"{where}: not JSON ({error}); wanted is {WHAT}") from error
        if not isinstance(record, dict) or record.get("schema_version") not in RAW:
            raise InputError(f"{where}: {line!r:.60} is no record; wanted is {WHAT}")
        job, attempts = _text(where, record, "job_id"), number(record.get("attempts")) or 0
        if job not in latest or attempts >= latest[job][0]:
            latest[job] = (int(attempts), where, record)
    groups: dict[tuple[str, str, str, str], dict[int, tuple[str, dict[str, Any]]]] = {}
    for _, where, record in latest.values():
        key = _text(where, record, "metric_id")
        interval = record.get("interval")
        if key not in BY_INTERVAL or not isinstance(interval, int):
            left_out[key] += 1
            continue
        names = [_system(where, record), _text(where, record, "track")]
        names += [check_sample_id(where, record.get("case_id")), key]
        system, track, case, key = names
        of_case = groups.setdefault((system, track, case, key), {})
        if interval in of_case or not 1 <= interval <= INTERVALS:
            raise InputError(
                f"{where}: interval {interval} of {case} {key} is there twice or wrong"
            )
        of_case[interval] = where, record
    for (system, track, case, key), of_case in groups.items():
        yield from _of_intervals(tool, (system, track, case, key), of_case)


def _of_intervals(
    tool: Tool, names: tuple[str, str, str, str], of_case: Mapping[int, tuple[str, dict[str, Any]]]
) -> Iterator[ImportedValue]:
    """Value and drift of a case, by the rules of the benchmark's report."""
    system, track, case, key = names
    scored: dict[int, float] = {}
    statuses: set[Status] = set() if len(of_case) == INTERVALS else {"evaluator_failure"}
    for interval, (where, record) in of_case.items():
        found = _of_case(where, tool, {**record, "metric": key})
        statuses.add(found.status)
        if found.value is not None:
            scored[interval] = found.value
    place: dict[str, Any] = {"tool": tool, "sample_id": case, "system": system, "part": track}
    windows = tuple(
        MetricWindow(t0_s=INTERVAL_S * (at - 1), t1_s=INTERVAL_S * at, value=value)
        for at, value in sorted(scored.items())
    )
    failed: Status | None = next(
        (one for one in ("evaluator_failure", "generation_failure") if one in statuses), None
    )
    if failed is None and not scored:
        failed = "not_applicable"
    components = {"num_intervals": len(scored)}
    reason = f"{len(scored)} of {INTERVALS} intervals have a value"
    metric = tool.metrics[key]
    if failed is not None:
        yield ImportedValue(
            metric=metric, value=None, weight=0.0, status=failed, reason=reason, windows=windows,
            components=components, **place,
        )  # fmt: skip
    else:
        mean = sum(scored.values()) / len(scored)
        yield ImportedValue(
            metric=metric, value=mean, windows=windows, components=components, **place
        )
    drift = tool.metrics.get(f"{key}-D")
    if drift is not None and track == "progressive" and len(scored) == INTERVALS:
        change = scored[INTERVALS] - scored[1]
        yield ImportedValue(metric=drift, value=abs(change), components={"signed": change}, **place)


def _list(path: Path, content: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    records = content.get(name, [])
    if not isinstance(records, list) or not all(isinstance(one, dict) for one in records):
        raise InputError(f"{path}: {name} is no list of records; wanted is {WHAT}")
    return records


def _text(where: str, record: Mapping[str, Any], name: str) -> str:
    value = record.get(name)
    if not isinstance(value, str) or not value:
        raise InputError(f"{where}: {name} is {value!r:.60}, not a name")
    return value


def _system(where: str, record: Mapping[str, Any]) -> str:
    name = _text(where, record, "model_id")
    check_folder_name(where, "model_id", name)
    return name
