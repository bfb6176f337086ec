"""What is wrong with how commands ended."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

from tests.faults.trial import Ended, Trial

_COMPLAINT = re.compile(r"^(error: |Error: |╭─ Error|streamchar has no command)", re.MULTILINE)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x9f\u202a-\u202e\u2066-\u2069]")
LONGEST_LINE = 3000


def findings(trial: Trial, ended: Sequence[Ended], work: Path) -> list[tuple[str, str]]:
    """Judges commands that all came to their end.

    Args:
        trial: What was run.
        ended: How, command by command.
        work: Its working folder.

    Returns:
        Pairs of a column and what was found.
    """
    found = [finding for one in ended for finding in of_one(one)]
    if trial.is_hopeless and any(one.code == 0 for one in ended):
        found.append(("wrong exits", "0, though nothing of it can be used"))
    scored = [one for one in ended if one.command and one.command[0] == "score"]
    if scored and trial.samples:
        found += _rows(trial, scored[-1], work / trial.scores)
    if trial.check is not None and (words := trial.check(work)):
        found.append(("other", words))
    return found


def of_one(one: Ended) -> list[tuple[str, str]]:
    """Judges how one command ended, whatever its input was."""
    if one.code is None or "Traceback (most recent call last)" in one.err:
        return [("tracebacks", last_of_traceback(one.err))]
    found = []
    complaints = len(_COMPLAINT.findall(one.err))
    if one.code not in (0, 1, 2):
        found.append(("wrong exits", f"exit code {one.code}"))
    elif one.code == 2 and complaints != 1:
        found.append(("wrong exits", f"2 with {complaints} lines of error: {_tail(one.err)}"))
    elif one.code == 0 and complaints:
        found.append(("wrong exits", f"0 with an error: {_tail(one.err)}"))
    if any(len(line) > LONGEST_LINE for line in one.err.splitlines()):
        found.append(("other", f"a line of more than {LONGEST_LINE} characters on stderr"))
    sign = _CONTROL.search(one.err) or _CONTROL.search(one.out)
    if sign:
        found.append(("other", f"a raw {sign[0]!r} in what is printed"))
    return found


def last_of_traceback(err: str) -> str:
    """Returns the exception and the last line of our code before it."""
    lines = [line for line in err.splitlines() if line.strip()]
    places = re.findall(
        r'File "[^"]*?((?:evals|streamchar_ref|reports|baselines)/[^"]+)", line (\d+)', err
    )
    place = ":".join(places[-1]) if places else "?"
    said = next(
        (
            line
            for line in reversed(lines)
            if re.match(r"[\w.]+(Error|Exception|\w*): ?|[\w.]+$", line)
        ),
        "",
    )
    return f"{place}: {said:.200}"


def _rows(trial: Trial, last: Ended, path: Path) -> list[tuple[str, str]]:
    if last.code == 2:
        return [("lost samples", f"all, exit 2: {_tail(last.err)}")] if trial.must_score else []
    if last.code not in (0, 1):
        return []
    if not path.is_file():
        return [("lost samples", f"exit {last.code}, but there is no {path.name}")]
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
    there = {(row["sample_id"], row["metric"]): row["status"] for row in rows}
    there |= {(f"{row['system']}/{row['sample_id']}", row["metric"]): row["status"] for row in rows}
    lost = [(s, m) for s in trial.samples for m in trial.metrics if (s, m) not in there]
    found = [("lost samples", f"no row for {lost[0]} and {len(lost) - 1} more")] if lost else []
    harmed = [
        (sample, metric)
        for sample in trial.well
        for metric in trial.metrics
        if there.get((sample, metric), "computed") not in ("computed", "not_applicable")
    ]
    if harmed:
        reasons = [r["reason"] for r in rows if (r["sample_id"], r["metric"]) == harmed[0]]
        found.append(("lost samples", f"{harmed[0]} was fine, and failed: {reasons[0]:.200}"))
    failed = [row for row in rows if row["status"].endswith("_failure")]
    if last.code == 0 and failed:
        found.append(("wrong exits", f"0 with failures, e.g. {failed[0]['reason']:.200}"))
    if last.code == 1 and not failed:
        found.append(("wrong exits", "1 without failures"))
    return found


def _tail(err: str) -> str:
    lines = [line for line in err.splitlines() if line.strip()]
    return f"{lines[-1]:.200}" if lines else "(nothing on stderr)"
