"""Results of ``streamchar bench realtime`` as text: one column a row, one line a quantity."""

import math
from collections.abc import Callable, Sequence

from evals.bench.realtime.compare import SpeedComparison
from evals.bench.realtime.pictures import psnr_db
from evals.bench.realtime.results import RealtimeResults
from evals.bench.realtime.row import Row, streams_without_stall

NOT_MEASURED = "not measured"
_Cell = Callable[[Row], str]


def realtime_markdown(results: RealtimeResults) -> str:
    """Prints machine, table, reasons, notes and verdicts.

    Args:
        results: With at least one row.

    Returns:
        Markdown that ends with a line break.
    """
    rows = results.rows
    head = ["", *(f"{row.system} x{row.streams}" for row in rows)]
    lines = [[name, *(cell(row) for row in rows)] for name, cell in LINES]
    machine = results.machine
    place = f"{machine.device}, {machine.cores} usable; torch {machine.torch or 'missing'}"
    gpu = f"; {machine.gpu}" if machine.gpu else ""
    return "\n".join(
        [
            f"Real time, {results.date}: {place}{gpu}.",
            "",
            *_table(head, lines),
            "",
            *_remarks(results),
            *_verdicts(results.comparisons),
            "",
        ]
    )


def seconds(value: float | None) -> str:
    """Prints a time in the unit that suits it."""
    if value is None:
        return NOT_MEASURED
    if abs(value) < 0.9995 and value != 0:
        return f"{1000 * value:.3g} ms" if abs(value) < 0.1 else f"{1000 * value:.0f} ms"
    return f"{value:.2f} s" if value else "0 s"


def _plain(value: float | None, digits: int = 3) -> str:
    return NOT_MEASURED if value is None else f"{value:.{digits}g}"


def _percent(value: float | None) -> str:
    return NOT_MEASURED if value is None else f"{100 * value:.1f} %"


def _megabytes(value: float | None) -> str:
    return NOT_MEASURED if value is None else f"{value:,.0f} MB"


def _tera(value: float | None, share: float | None, unit: str) -> str:
    if value is None or share is None:
        return NOT_MEASURED
    size, prefix = (value / 1e12, "T") if value >= 1e12 else (value / 1e9, "G")
    return f"{size:.3g} {prefix}{unit} ({_percent(share)})"


def _worst_window(row: Row) -> str:
    return "no 30 s" if row.rtf_worst_30_s is None else f"{row.rtf_worst_30_s:.3f}"


def _stalls(row: Row) -> str:
    if row.num_stalls is None or row.stall_s is None:
        return NOT_MEASURED
    return "none" if row.num_stalls == 0 else f"{row.num_stalls}, {seconds(row.stall_s)}"


def _load(row: Row) -> str:
    load = row.load
    if load is None:
        return NOT_MEASURED
    if load.own_cores is None or load.foreign_cores is None:
        return f"load {load.load_average:.1f} on {load.cores}"
    return f"{load.own_cores:.2f} + {load.foreign_cores:.2f} of {load.cores}"


def _psnr(row: Row) -> str:
    found = sorted(map(psnr_db, row.picture_errors))
    if not found:
        return "not compared"
    if found[0] == math.inf:
        return f"equal (n = {len(found)})"
    return f"{found[0]:.1f} to {found[-1]:.1f} dB (n = {len(found)})"


def _parts(row: Row) -> str:
    shown = [f"{part} {seconds(spent)}" for part, spent in row.parts_s.items()]
    return ", ".join(shown) or "not reported"


def _setup(row: Row) -> str:
    shown = [f"{part} {seconds(spent)}" for part, spent in row.setup_s.items()]
    return ", ".join(shown) or "not reported apart"


LINES: tuple[tuple[str, _Cell], ...] = (
    ("valid run", lambda row: "VALID" if row.is_valid else "INVALID"),
    ("RTF", lambda row: NOT_MEASURED if row.rtf is None else f"{row.rtf:.3f}"),
    ("RTF, worst 30 s", _worst_window),
    ("FPS of a stream", lambda row: _plain(row.fps)),
    ("FPS of all streams", lambda row: _plain(row.fps_all_streams)),
    ("first frame", lambda row: seconds(row.first_frame_s)),
    ("first sound", lambda row: seconds(row.first_sound_s)),
    ("first chunk, longest", lambda row: seconds(row.first_chunk_max_s)),
    ("chunk p50", lambda row: seconds(row.chunk_p50_s)),
    ("chunk p95", lambda row: seconds(row.chunk_p95_s)),
    ("chunk p99", lambda row: seconds(row.chunk_p99_s)),
    ("chunk max", lambda row: seconds(row.chunk_max_s)),
    ("jitter, p99 - p50", lambda row: seconds(row.jitter_s)),
    ("media of a chunk", lambda row: seconds(row.chunk_media_s)),
    ("deadlines missed", lambda row: _percent(row.deadline_miss_rate)),
    ("stalls", _stalls),
    ("zero-stall start-up", lambda row: seconds(row.zero_stall_startup_s)),
    (
        "processor time per s of media",
        lambda row: (
            NOT_MEASURED
            if row.processor_s_per_media_s is None
            else f"{row.processor_s_per_media_s:.3f} s"
        ),
    ),
    ("peak memory", lambda row: _megabytes(row.memory_mb)),
    ("peak CUDA memory", lambda row: _megabytes(row.cuda_memory_mb)),
    (
        "GPU energy per s of media",
        lambda row: (
            NOT_MEASURED
            if row.energy_j_per_media_s is None
            else f"{row.energy_j_per_media_s:.3g} J"
        ),
    ),
    (
        "FLOP/s (of one thread's rate)",
        lambda row: _tera(row.flops_per_s, row.flops_share, "FLOP/s"),
    ),
    (
        "bytes/s (of one thread's rate)",
        lambda row: _tera(row.bytes_per_s, row.bytes_share, "B/s"),
    ),
    ("counted floor, one thread", lambda row: seconds(row.floor_s)),
    ("time by part, per chunk", _parts),
    ("PSNR to the first system, by prompt", _psnr),
    ("load", lambda row: seconds(row.load_s)),
    ("warm-up", lambda row: seconds(row.warm_up_s)),
    ("of these, compile and capture", _setup),
    ("chunks of a stream", lambda row: f"{row.num_chunks} in {row.turns} turns"),
    ("served by", lambda row: f"{row.mode}, {_threads(row.threads)}"),
    ("cores used: own + others", _load),
)
"""What is printed of each row, in order."""


def _threads(count: int) -> str:
    return f"{count} thread{'s' * (count > 1)}"


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    cells = [[cell.replace("|", "\\|") for cell in line] for line in (head, *lines)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    printed = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |"
        for line in cells
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return [printed[0], rule, *printed[1:]]


def _remarks(results: RealtimeResults) -> list[str]:
    lines = []
    for system in results.systems:
        most = streams_without_stall(results.rows, system)
        if most is None:
            text = "no valid row"
        else:
            text = f"{most} measured" if most else "none: every valid row has a stall"
        lines.append(f"- {system}: streams at no stall: {text}.")
    for row in results.rows:
        name = f"{row.system} x{row.streams}"
        lines += [f"- {name} is INVALID: {reason}." for reason in row.reasons]
        lines += [f"- {name}: {note}." for note in row.notes]
    return lines


def _verdicts(comparisons: Sequence[SpeedComparison]) -> list[str]:
    return [f"- {verdict_text(one)}" for one in comparisons]


def verdict_text(one: SpeedComparison) -> str:
    """Prints a comparison as a sentence."""
    text = f"{one.system} against {one.against}, x{one.streams}, {one.what}: {one.verdict}"
    if one.ratio is not None:
        text += f", ratio {one.ratio:.3f}"
        if one.low is not None and one.high is not None:
            text += f" [{one.low:.3f}, {one.high:.3f}]"
        text += f", {one.num_pairs} paired turn{'s' * (one.num_pairs != 1)}"
    return f"{text}{f' ({one.reason})' if one.reason else ''}."
