"""Put results of other harnesses into a run, under metrics and protocols of their own."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from evals.commands.score import count_statuses, in_words
from evals.imports.rows import Place, import_file
from evals.imports.streamav import read_streamav
from evals.imports.values import ImportedFile
from evals.imports.vbench import ends_in_takes, read_vbench
from evals.imports.versa import read_versa
from evals.scoring.results import ScoreRow
from streamchar_ref.commands.verb import Verb

app = Verb(__doc__, no_args_is_help=True)
MOST_LEFT_OUT = 8

RunOption = Annotated[Path, typer.Option("--run", help="Run folder; made if it is not there.")]
SuiteOption = Annotated[
    str,
    typer.Option(
        help="Suite of the samples; that of the run that has them all, else the tool's name."
    ),
]
VersionOption = Annotated[
    str, typer.Option("--tool-version", help="Of the tool, which its files do not say.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print counts as JSON.")]


@app.callback()
def import_() -> None:
    """Put results of other harnesses into a run, under metrics and protocols of their own.

    Imported numbers are lines of their own in tables and figures, never ranked with numbers that
    were measured here.
    """


@app.command()
def vbench(
    file: Annotated[Path, typer.Argument(help="NAME_eval_results.json.")],
    run: RunOption,
    system: Annotated[str, typer.Option(help="What made the videos.")],
    suite: SuiteOption = "",
    takes: Annotated[
        bool, typer.Option("--takes", help="Names end in the take, as PROMPT-0.mp4.")
    ] = False,
    tool_version: VersionOption = "",
    as_json: JsonOption = False,
) -> None:
    """Import results of VBench, VBench-I2V or VBench-2.0.

    A video is the sample of its name. Example:
    streamchar import vbench ours_eval_results.json --run runs/mine --system ours
    """
    found = read_vbench(file, takes=takes)
    if not takes and ends_in_takes(found.values):
        typer.echo(
            "names end in numbers: if these are takes of a prompt, give --takes, so that takes are "
            "resampled together",
            err=True,
        )
    place = Place(run=run, system=system, suite=suite, version=tool_version)
    _finish(found, import_file(file, found, place), run, as_json)


@app.command()
def versa(
    file: Annotated[Path, typer.Argument(help="Scores of utterances, a line each.")],
    run: RunOption,
    system: Annotated[str, typer.Option(help="What made the sounds.")],
    suite: SuiteOption = "",
    tool_version: VersionOption = "",
    as_json: JsonOption = False,
) -> None:
    """Import VERSA's scores of utterances; its key without folder and suffix is the sample.

    Example: streamchar import versa utt_result.txt --run runs/mine --system ours
    """
    found = read_versa(file)
    place = Place(run=run, system=system, suite=suite, version=tool_version)
    _finish(found, import_file(file, found, place), run, as_json)


@app.command()
def streamav(
    file: Annotated[Path, typer.Argument(help="report.json, the public export, or raw.jsonl.")],
    run: RunOption,
    system: Annotated[
        str, typer.Option(help="Name here of the file's only model; by default its model_id.")
    ] = "",
    suite: SuiteOption = "",
    tool_version: VersionOption = "",
    as_json: JsonOption = False,
) -> None:
    """Import results of StreamAV-Bench; a case is a sample, a track a suite.

    Example: streamchar import streamav artifacts/report/report.json --run runs/mine
    """
    found = read_streamav(file)
    place = Place(run=run, system=system, suite=suite, version=tool_version)
    _finish(found, import_file(file, found, place), run, as_json)


def _finish(found: ImportedFile, rows: Sequence[ScoreRow], run: Path, as_json: bool) -> None:
    """Says what came of it."""
    for key, why in list(found.left_out.items())[:MOST_LEFT_OUT]:
        typer.echo(f"left out: {key} ({why})", err=True)
    more = len(found.left_out) - MOST_LEFT_OUT
    if more > 0:
        typer.echo(f"left out: {more} more", err=True)
    why_not = Counter(f"{row.metric}: {row.reason}" for row in rows if row.reason)
    for line, count in why_not.most_common(MOST_LEFT_OUT):
        typer.echo(f"{count} x {line}", err=True)
    counts = count_statuses(list(rows))
    if as_json:
        typer.echo(json.dumps(counts))
        return
    metrics = len({row.metric for row in rows})
    systems = ", ".join(sorted({row.system for row in rows}))
    typer.echo(f"{metrics} metrics of {systems}: {in_words(counts)} -> {run / 'scores.jsonl'}")
    typer.echo(f"see: streamchar table {run} --all; streamchar explain {run}:{rows[0].metric}")
