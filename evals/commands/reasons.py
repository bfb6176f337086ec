"""Why streams failed and rows have no number, in a few lines for the screen."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from evals.protocols.base import Status
from evals.scoring.results import ScoreRow
from streamchar_ref.core.names import short

TOLD: tuple[Status, ...] = ("evaluator_failure", "generation_failure", "unavailable")
MAX_LINES = 12
MAX_NAME = 200
MAX_NAMES = 6


def why_failed(failures: Mapping[str, Sequence[Path]]) -> list[str]:
    """Says why streams failed and where their tracebacks are.

    Args:
        failures: Error -> folders of recordings, see `evals.recording.record.failures`.

    Returns:
        One line for each error.
    """
    lines = []
    for error, folders in failures.items():
        more = f" and {len(folders) - 1} more" if len(folders) > 1 else ""
        trace = folders[0] / "error.txt"
        lines.append(f"{folders[0].parent.name}{more} failed: {error}; traceback: {trace}")
    return lines


def why_unscored(rows: Sequence[ScoreRow], run: Path) -> list[str]:
    """Names cause and next step of what could not be scored.

    Args:
        rows: Of one scoring. What is not applicable is told only if nothing was computed.
        run: Their run folder.

    Returns:
        One line for each status and reason, the failures first.
    """
    statuses = TOLD if any(row.status == "computed" for row in rows) else (*TOLD, "not_applicable")
    groups: dict[tuple[str, str], list[ScoreRow]] = defaultdict(list)
    for row in rows:
        if row.status in statuses:
            groups[row.status, row.reason].append(row)
    order = sorted(groups, key=lambda key: (statuses.index(key[0]), -len(groups[key]), key[1]))
    lines = [_line(*key, groups[key]) for key in order[:MAX_LINES]]
    if len(order) > MAX_LINES:
        lines.append(f"{len(order) - MAX_LINES} more reasons: {run / 'scores.jsonl'}")
    log = run / "errors.txt"  # a failure that was foreseen, such as a missing file, leaves none
    if log.is_file() and any(status == "evaluator_failure" for status, _ in order):
        lines.append(f"tracebacks: {log}")
    return lines


def why_cut_off(samples: Sequence[str]) -> list[str]:
    """Counts recordings that were begun and have no row, see `run_folder.cut_off`."""
    if not samples:
        return []
    words = "1 recording was" if len(samples) == 1 else f"{len(samples)} recordings were"
    return [f"{words} cut off and not scored ({_listed(samples)}): give their record command again"]


def why_passed_over(folders: Sequence[str]) -> list[str]:
    """Names what lies among recordings and has no row, see `run_folder.unknown_folders`."""
    words = f"not scored, as recordings are called by their seed: {_listed(folders)}"
    return [words] if folders else []


def notes_in_words(notes: Mapping[str, Sequence[str]]) -> list[str]:
    """Gathers the notes on recordings, those of several once.

    Args:
        notes: Recording -> sentences, as `run.json` keeps them.

    Returns:
        One line for each sentence, with the recordings it is about.
    """
    about: dict[str, list[str]] = defaultdict(list)
    for recording, sentences in notes.items():
        for sentence in sentences:
            about[sentence].append(recording)
    return [f"note: {sentence} ({_listed(names)})" for sentence, names in about.items()]


def _line(status: str, reason: str, rows: Sequence[ScoreRow]) -> str:
    of = _listed(row.metric for row in rows)
    if status in {"evaluator_failure", "generation_failure"}:
        of += f"; {_listed(f'{row.system}/{row.sample_id}' for row in rows)}"
    return f"{len(rows)} {status.replace('_', ' ')} ({of}): {reason}"


def _listed(names: Iterable[str]) -> str:
    """Each name once, in order; a long list and long names are cut."""
    unique = list(dict.fromkeys(names))
    more = f" and {len(unique) - MAX_NAMES} more" if len(unique) > MAX_NAMES else ""
    return ", ".join(short(name, MAX_NAME) for name in unique[:MAX_NAMES]) + more
