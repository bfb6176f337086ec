"""``streamchar bench realtime``: systems and concurrent streams against the clock."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from streamchar_ref.core.errors import InputError


def realtime(
    systems: Annotated[
        str, typer.Option(help="Comma-separated names or file.py:Class, each maybe as label=name.")
    ] = "streamchar_ref",
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="key=value for all systems, label:key=value for one."),
    ] = None,
    streams: Annotated[str, typer.Option(help="Numbers of concurrent streams.")] = "1",
    suite: Annotated[str, typer.Option(help="Suite, or a JSONL file of prompts.")] = (
        "long_horizon_dev"
    ),
    limit: Annotated[
        int | None, typer.Option(min=1, max=10**6, help="Only the first prompts.")
    ] = None,
    chunks: Annotated[
        int, typer.Option(min=1, max=10**6, help="After which a stream is stopped.")
    ] = 50,
    stream_s: Annotated[
        float,
        typer.Option("--seconds", min=0, max=86_400, help="Of each stream, in place of --chunks."),
    ] = 0.0,
    turns: Annotated[
        int, typer.Option(min=1, max=10**4, help="How often all streams are requested.")
    ] = 5,
    warm_up: Annotated[
        int, typer.Option(min=1, max=10**4, help="Chunks of each stream before the first turn.")
    ] = 8,
    threads: Annotated[int, typer.Option(min=1, max=1024, help="Of torch in each process.")] = 1,
    pictures: Annotated[
        int,
        typer.Option(min=0, max=10**4, help="Prompts to compare with the first system, by PSNR."),
    ] = 0,
    compare: Annotated[
        Path | None, typer.Option(help="An earlier realtime.json, for a verdict.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for realtime.json, realtime.md and figures/.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Real-time factor, latency, stalls and concurrent streams of any system.

    Exit code 1 if a row is INVALID. By default a minute of each text of long_horizon_dev. Example:
    streamchar bench realtime --systems streamchar_ref --streams 1,2,4 --out runs/realtime
    """
    from evals.bench.realtime.arguments import long_enough, parse_streams, parse_systems
    from evals.bench.realtime.machine import this_machine
    from evals.bench.realtime.records import StreamLimit
    from evals.bench.realtime.results import FILE_NAME, RealtimeResults, read_results
    from evals.bench.realtime.run import Bench, RealtimePlan, bench_realtime
    from evals.commands.terminal import ProgressBar
    from evals.scoring.results import dump_json
    from evals.suites import load_suite
    from reports.realtime_figures import write_realtime_figures
    from reports.realtime_table import realtime_markdown
    from streamchar_ref.core.files import write_atomically

    earlier = read_results(compare) if compare is not None else None
    specs = parse_systems(systems, setting or [])
    plan = RealtimePlan(
        streams=parse_streams(streams),
        prompts=[long_enough(prompt, stream_s) for prompt in load_suite(suite)[:limit]],
        turns=turns,
        limit=StreamLimit(chunks, stream_s),
        warm_up_chunks=warm_up,
        threads=threads,
        pictures=pictures,
    )
    if not plan.prompts:
        raise InputError(f"{suite}: holds no prompts")
    progress = ProgressBar()
    rows = bench_realtime(specs, plan, Bench(progress=progress))
    progress.close()
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    results = RealtimeResults(date=day, machine=this_machine(), rows=tuple(rows)).compared(earlier)
    text, table = dump_json(results.as_json(), indent=None) + "\n", realtime_markdown(results)
    if out is not None:
        write_atomically(out / FILE_NAME, text.encode())
        write_atomically(out / "realtime.md", table.encode())
        write_realtime_figures(results, out / "figures")
    typer.echo(text if as_json else table, nl=False)
    raise typer.Exit(code=0 if all(row.is_valid for row in results.rows) else 1)
