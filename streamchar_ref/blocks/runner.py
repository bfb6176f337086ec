"""Runs the parts of a block, each in a process of its own and with its own time limit.

While a part runs, the process of the next one already imports what it needs. A part that fails,
hangs or takes its process down leaves its traceback in the log, and the next one runs.
"""

import faulthandler
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

RESULTS, LOG, TABLE = "results.jsonl", "block.log", "table.txt"
_SPARE_S = 3.0
"""Of the block's time, that no part gets: for the last lines."""
_IMPORT_S = 60.0
"""In which a process must be ready; it is not a part's own time."""
IMPORTED = ("torch", "transformers", "streamchar_ref.train.bench")
"""Before a part is known, while another runs."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A measurement.

    Attributes:
        name: Short; the first column of the table.
        call: ``module:function``; it returns JSON values.
        arguments: Of the function.
        limit_s: Time limit.
        takes_limit: Name of the argument that is told the time that is left; empty for none.
    """

    name: str
    call: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    limit_s: float
    takes_limit: str = ""


@dataclass(frozen=True, kw_only=True)
class Record:
    """What became of a part.

    Attributes:
        part: Its name.
        status: ``done``, ``failed``, ``over time``, ``died`` or ``no time left``.
        wall_s: Its time.
        error: Last line of the traceback, or how it ended.
        trace: Of a failure.
        result: Of its function.
    """

    part: str
    status: str
    wall_s: float
    error: str = ""
    trace: str = ""
    result: Any = None


def run_parts(
    parts: Sequence[Part],
    out: Path,
    *,
    limit_s: float,
    imported: Sequence[str] = IMPORTED,
    tell: Callable[[str], None] = lambda line: None,
) -> list[Record]:
    """Runs parts in order; what is finished is in the folder at once.

    Args:
        parts: The measurements.
        out: Folder for `RESULTS`, a line a part, and `LOG`, all that they print.
        limit_s: Time limit of all; parts that do not fit into it are named and not run.
        imported: Modules that a process imports while another's part runs.
        tell: Told of each part.

    Returns:
        What became of each.
    """
    out.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + limit_s - _SPARE_S
    records: list[Record] = []
    spare = _Worker(out / LOG, imported) if parts else None
    for number, part in enumerate(parts):
        worker, is_last = spare, number == len(parts) - 1
        assert worker is not None
        left_s = deadline - time.monotonic()
        if left_s < 1:
            records.append(Record(part=part.name, status="no time left", wall_s=0.0))
        else:
            spare = None if is_last else _Worker(out / LOG, imported)
            records.append(worker.run(part, deadline))
        last = records[-1]
        with (out / RESULTS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(last)) + "\n")
        tell(
            f"{last.part}: {last.status} in {last.wall_s:.1f} s {last.error}\n{last.trace}".strip()
        )
    if spare is not None:
        spare.stop()
    return records


class _Worker:
    """A process that waits for one part.

    Args:
        log: What it prints is added there.
        imported: Modules that it imports at once.
    """

    def __init__(self, log: Path, imported: Sequence[str]) -> None:
        context = get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, str(log), tuple(imported)))
        self._process.start()
        other.close()

    def run(self, part: Part, deadline: float) -> Record:
        """Has the part run until its time is over, or that of the block."""
        began = time.monotonic()
        try:
            if not self._pipe.poll(max(0.0, min(_IMPORT_S, deadline - began))):
                return self._ended(part, "over time", began, "it was not ready in time")
            self._pipe.recv()
            began = time.monotonic()
            limit_s = max(0.1, min(part.limit_s, deadline - began))
            self._pipe.send((part, limit_s))
            if not self._pipe.poll(limit_s):
                return self._ended(part, "over time", began, f"more than {limit_s:.0f} s")
            status, error, trace, result = self._pipe.recv()
        except (EOFError, OSError):
            self._process.join(timeout=5)
            code = self._process.exitcode
            return self._ended(part, "died", began, f"exit code {code}; see {LOG}")
        record = Record(
            part=part.name,
            status=status,
            wall_s=round(time.monotonic() - began, 2),
            error=error,
            trace=trace,
            result=result,
        )
        self.stop()
        return record

    def stop(self) -> None:
        """Ends the process and all that it has started."""
        if self._process.pid is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            if self._process.is_alive():  # it has no group of its own yet
                self._process.kill()
        self._process.join()
        self._pipe.close()

    def _ended(self, part: Part, status: str, began: float, error: str) -> Record:
        self.stop()
        wall_s = round(time.monotonic() - began, 2)
        return Record(part=part.name, status=status, wall_s=wall_s, error=error)


def _serve(pipe: Connection, log: str, imported: tuple[str, ...]) -> None:
    """Imports what most parts need, waits for a part, and answers with what became of it."""
    os.setsid()
    file = open(log, "a", buffering=1, encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        os.dup2(file.fileno(), stream.fileno())
    faulthandler.enable(file)
    for module in imported:
        import_module(module)
    pipe.send("ready")
    part, limit_s = pipe.recv()
    sys.stdout.write(f"== {part.name}\n")
    arguments = dict(part.arguments)
    if part.takes_limit:
        arguments[part.takes_limit] = limit_s
    module, _, name = part.call.partition(":")
    try:
        result = getattr(import_module(module), name)(**arguments)
        json.dumps(result)  # what cannot be written is the part's failure
        answer = ("done", "", "", result)
    except Exception as error:
        traceback.print_exc()
        words = f"{type(error).__name__}: {error}".partition("\n")[0]
        answer = ("failed", words[:300], traceback.format_exc()[-3000:], None)
    sys.stdout.flush()
    pipe.send(answer)
