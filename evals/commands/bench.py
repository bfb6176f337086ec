"""Measure costs and the world: bench metrics, numerics, rescoring, voices, world, training."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import entry_points
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from evals.commands.terminal import ProgressBar
from evals.recording.provenance import device
from streamchar_ref.commands.verb import Verb
from streamchar_ref.weights import weights_folder

GROUP = "streamchar.benchmarks"
"""Entry points of benchmarks in other packages: functions with options, quick to import."""

app = Verb(__doc__, no_args_is_help=True)
for _entry in entry_points(group=GROUP):
    app.command(_entry.name)(_entry.load())


@app.command()
def metrics(
    video: Annotated[Path, typer.Option(help="A clip with picture and sound, to be looped.")],
    seconds: Annotated[str, typer.Option(help="Lengths, comma-separated.")] = "60,600",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Cost of each extractor per second of video, and its peak memory.

    Example: streamchar bench metrics --video clip.mp4 --seconds 60
    """
    from evals.bench.metrics import bench_metrics, looped_clip

    progress = ProgressBar()
    tables: dict[str, Any] = {"device": device()}
    with TemporaryDirectory() as scratch:
        # A cache of its own: what is measured must not be there already, nor be lost after.
        os.environ.setdefault("STREAMCHAR_WEIGHTS", str(weights_folder()))
        os.environ["STREAMCHAR_CACHE"] = scratch
        for text in seconds.split(","):
            clip = looped_clip(video, float(text), Path(scratch) / "clips")
            rows = bench_metrics(clip, float(text), progress)
            tables[f"{text} s"] = [asdict(row) for row in rows]
    progress.close()
    if as_json:
        typer.echo(json.dumps(tables, indent=1))
    else:
        _print(tables)


@app.command()
def numerics(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Frechet distance, word errors and paired tests against other libraries, timed in one run."""
    from evals.bench.numerics import bench_numerics

    rows = bench_numerics()
    if as_json:
        typer.echo(json.dumps({"device": device(), "rows": rows}, indent=1))
        return
    typer.echo(device())
    _table(rows)


@app.command()
def rescoring(
    video: Annotated[Path, typer.Option(help="A clip with picture and sound.")],
    samples: Annotated[int, typer.Option(min=1, max=100_000, help="Of the manifest.")] = 1_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Cost of scoring a manifest again whose features are all in the cache, and of its table.

    Takes about 0.2 MB of scratch space a sample. Example:
    streamchar bench rescoring --video clip.mp4 --samples 10000
    """
    from evals.bench.rescoring import bench_rescoring

    progress = ProgressBar()
    with TemporaryDirectory() as scratch:
        os.environ.setdefault("STREAMCHAR_WEIGHTS", str(weights_folder()))
        os.environ["STREAMCHAR_CACHE"] = str(Path(scratch) / "cache")
        rows = bench_rescoring(video, samples, Path(scratch), progress)
    progress.close()
    if as_json:
        typer.echo(json.dumps({"device": device(), "rows": rows}, indent=1))
        return
    typer.echo(device())
    _table(rows)


@app.command()
def world(
    identities: Annotated[int, typer.Option(help="Characters whose faces are looked for.")] = 64,
    clips: Annotated[int, typer.Option(help="Clips on which lips are measured.")] = 16,
    processes: Annotated[int, typer.Option(help="That draw at once, one thread each.")] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Speed of the world's drawing, and how well face models see its faces and lips.

    Example: streamchar bench world --identities 64
    """
    from evals.bench.world import bench_faces, bench_lips, bench_speed

    tables: dict[str, Any] = {
        "speed": bench_speed(processes=processes),
        "faces": [bench_faces(identities)],
        "lips": bench_lips(clips),
    }
    if as_json:
        typer.echo(json.dumps({"device": device(), **tables}, indent=1))
        return
    typer.echo(device())
    for name, rows in tables.items():
        typer.echo(f"\n{name}")
        _table(rows)


@app.command()
def voices(
    recogniser: Annotated[str, typer.Option(help="Extractor of text.")] = "asr_moonshine",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """How distinct the world's voices are (equal error rate), and how well each is understood."""
    from evals.bench.voices import bench_voices

    rows = bench_voices(recogniser=recogniser)
    if as_json:
        typer.echo(json.dumps({"device": device(), "rows": rows}, indent=1))
        return
    typer.echo(device())
    _table(rows)


@app.command("small-n")
def small_n(
    clips: Annotated[int, typer.Option(min=64, max=1000, help="Drawn, each of one person.")] = 256,
    style: Annotated[str, typer.Option(help="Of the drawing.")] = "painted",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Distance of equal sets by their size: how far FVD-world is from its true value, 0.

    Example: streamchar bench small-n --clips 256
    """
    from evals.judges.small_n import bias_table, drawn_features

    progress = ProgressBar()
    rows = bias_table(drawn_features(clips, style=style, progress=progress))
    progress.close()
    if as_json:
        typer.echo(json.dumps({"device": device(), "rows": rows}, indent=1))
        return
    typer.echo(device())
    _table(rows)


def _print(tables: dict[str, Any]) -> None:
    typer.echo(tables.pop("device"))
    for length, table in tables.items():
        typer.echo(f"\n{length} of video")
        _table(table)


def _table(rows: Sequence[dict[str, Any]]) -> None:
    cells = [[str(key) for key in rows[0]], *([str(v) for v in row.values()] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
    for line in cells:
        padded = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        typer.echo("  ".join(padded).rstrip())
