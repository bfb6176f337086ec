"""``realtime.json``: rows with their arrivals, machine and verdicts; all else is drawn from it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from evals.bench.realtime.compare import SpeedComparison, compare_rows
from evals.bench.realtime.machine import LoadShare, Machine
from evals.bench.realtime.records import PartSpan, StreamRun
from evals.bench.realtime.row import Row, streams_without_stall
from evals.recording.recording import Arrival
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.files import read_json

FILE_NAME = "realtime.json"
SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class RealtimeResults:
    """What one call of ``streamchar bench realtime`` has measured.

    Attributes:
        date: Day of the measurement, UTC.
        machine: Where.
        rows: System by system.
        comparisons: Of the systems with the first one, and with an earlier file.
    """

    date: str
    machine: Machine
    rows: tuple[Row, ...]
    comparisons: tuple[SpeedComparison, ...] = ()

    @property
    def systems(self) -> list[str]:
        """Row labels in order."""
        return list(dict.fromkeys(row.system for row in self.rows))

    def compared(self, earlier: "RealtimeResults | None" = None) -> "RealtimeResults":
        """Adds the comparisons of the systems with the first, and of each with an earlier file."""
        first = self.systems[0]
        found = [
            comparison
            for row in self.rows
            for other in self.rows
            if other.system == first != row.system and other.streams == row.streams
            for comparison in compare_rows(row, other)
        ]
        if earlier is not None:
            found += self._against(earlier)
        return replace(self, comparisons=tuple(found))

    def _against(self, earlier: "RealtimeResults") -> list[SpeedComparison]:
        obstacle = "" if self.machine == earlier.machine else "other machine"
        found = []
        for row in self.rows:
            for other in earlier.rows:
                if (other.system, other.streams) == (row.system, row.streams):
                    label = f"{other.system} of {earlier.date}"
                    found += compare_rows(row, other, obstacle=obstacle, against=label)
        if not found:
            names = ", ".join(f"{row.system} with {row.streams} streams" for row in earlier.rows)
            raise InputError(f"--compare: the file has none of these rows; it has: {names}")
        return found

    def as_json(self) -> dict[str, Any]:
        """Returns JSON values; arrivals as ``[t_s, num_frames, num_samples]``."""
        value = asdict(replace(self, rows=()))
        value["rows"] = [_row_json(row) for row in self.rows]
        value["streams_without_stall"] = {
            system: streams_without_stall(self.rows, system) for system in self.systems
        }
        return {"schema": SCHEMA, **value}


def read_results(path: Path) -> RealtimeResults:
    """Reads a file that `RealtimeResults.as_json` has filled.

    Args:
        path: The file, or the folder that holds `FILE_NAME`.

    Returns:
        The results.

    Raises:
        InputError: If it is no such file.
    """
    path = path / FILE_NAME if path.is_dir() else path
    value = read_json(path)
    try:
        if value["schema"] != SCHEMA:
            raise ValueError(f"its schema is {value['schema']!r}, not {SCHEMA}")
        return RealtimeResults(
            date=str(value["date"]),
            machine=Machine(**value["machine"]),
            rows=tuple(_row_of(row) for row in value["rows"]),
            comparisons=tuple(SpeedComparison(**one) for one in value["comparisons"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: is no result of this version of streamchar bench realtime ({error}); "
            "make it anew"
        ) from error


def _row_json(row: Row) -> dict[str, Any]:
    value = asdict(replace(row, requests=(), part_spans=()))
    value["requests"] = [_run_json(run) for run in row.requests]
    value["part_spans"] = [[span.part, span.start_s, span.end_s] for span in row.part_spans]
    return value


def _run_json(run: StreamRun) -> dict[str, Any]:
    value = {name: content for name, content in vars(run).items() if name != "arrivals"}
    arrivals = [[round(a.t_s, 6), a.num_frames, a.num_samples] for a in run.arrivals]
    return value | {"arrivals": arrivals}


def _row_of(value: Mapping[str, Any]) -> Row:
    fields = dict(value)
    fields["requests"] = tuple(_run_of(run) for run in value["requests"])
    fields["part_spans"] = tuple(
        PartSpan(part=part, start_s=start, end_s=end) for part, start, end in value["part_spans"]
    )
    fields["load"] = LoadShare(**value["load"]) if value["load"] else None
    for name in ("reasons", "notes", "picture_errors"):
        fields[name] = tuple(value.get(name, ()))
    return Row(**fields)


def _run_of(value: Mapping[str, Any]) -> StreamRun:
    arrivals: Sequence[Sequence[Any]] = value["arrivals"]
    made = tuple(Arrival(t_s=t, num_frames=f, num_samples=s) for t, f, s in arrivals)
    return StreamRun(**{**value, "arrivals": made})
