"""Draw figures of runs as PDF and PNG, with their data and captions beside them."""

from pathlib import Path
from typing import Annotated, NoReturn

import typer

from evals.scoring.results import dump_json
from reports.axes import names_in, systems_in
from reports.build import find_recordings, write_figures
from reports.commands.options import AsJson, MetricsOption, SystemsOption
from reports.figures.style import WIDTHS_IN
from reports.figures.survival import FailureRule
from reports.gallery import KINDS, Drawn, draw
from reports.load import Runs, load_runs
from reports.nothing import why_nothing
from reports.realtime_figures import REALTIME_KINDS, is_realtime_folder, plot_realtime
from streamchar_ref.commands.verb import Verb
from streamchar_ref.core.errors import InputError

_FIXED = {
    "wer": "the words of the transcript",
    "latency": "the arrival of chunks",
    "survival": "the time to the first failure, see --failure",
}
"""Kinds that draw one thing, and what."""

app = Verb(__doc__)


@app.command()
def plot(
    runs: Annotated[
        list[Path], typer.Argument(help="Run folders, or one folder of bench realtime.")
    ],
    kind: Annotated[
        str,
        typer.Option(
            help=f"One of {', '.join(KINDS)}, or all; for bench realtime: "
            f"{', '.join(REALTIME_KINDS)}."
        ),
    ] = "all",
    metrics: MetricsOption = "",
    systems: SystemsOption = "",
    against: Annotated[
        str, typer.Option(help="What --kind forest shows differences to; a ceiling if left out.")
    ] = "",
    width: Annotated[str, typer.Option(help=f"One of {', '.join(WIDTHS_IN)}.")] = "report",
    out: Annotated[
        Path | None, typer.Option(help="Folder; figures/ of the first run if left out.")
    ] = None,
    failure: Annotated[
        str,
        typer.Option(help="When a stream has failed: wer=0.5,windows=2,identity=0.99,stop=0.05."),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Draw figures sized for a venue's column; pareto takes --metrics x,y.

    Exit code 1 if the runs hold nothing to draw. Example:
    streamchar plot runs/demo --kind drift --metrics id_distance --width cvpr_column
    """
    is_realtime = any(map(is_realtime_folder, runs))
    kinds = REALTIME_KINDS if is_realtime else KINDS
    for name, choices in ((kind, [*kinds, "all"]), (width, list(WIDTHS_IN))):
        if name not in choices:
            raise InputError(f"{name!r} is none of: {', '.join(choices)}")
    if is_realtime:
        given = {"metrics": metrics, "systems": systems, "against": against, "failure": failure}
        if ignored := [f"--{name}" for name, text in given.items() if text]:
            raise InputError(f"a folder of bench realtime takes no {', '.join(ignored)}")
        _plot_realtime(runs, kind, width, out, as_json=as_json)
    if metrics and kind in _FIXED:
        raise InputError(f"--kind {kind} draws {_FIXED[kind]}; it takes no --metrics")
    if failure and kind not in {"survival", "all"}:
        raise InputError(f"--failure goes with --kind survival, not {kind}")
    if against and kind not in {"forest", "all"}:
        raise InputError(f"--against goes with --kind forest, not {kind}")
    rule = FailureRule.parse(failure)
    loaded = load_runs(runs)
    scored = {row.system for row in loaded.rows}
    shown = systems_in(systems, scored)
    systems_in(against, set(shown or scored))
    sources = find_recordings(loaded)
    asked = names_in(metrics, known={row.metric for row in loaded.rows})
    drawn = draw(
        loaded,
        kinds=list(KINDS) if kind == "all" else [kind],
        recordings=sources.recordings,
        width=width,
        metrics=asked,
        rule=rule,
        systems=shown,
        against=against,
    )
    paths = [str(path) for path in write_figures(drawn, out or runs[0] / "figures")]
    typer.echo("".join(f"{note}\n" for note in sources.missing), err=True, nl=False)
    for name in _left_out(metrics, loaded, drawn) if paths else []:
        typer.echo(f"{name} is not drawn: the scores hold no data of it for {kind}", err=True)
    typer.echo(dump_json(paths, indent=1) if as_json else "\n".join(paths))
    if not paths:
        typer.echo(f"nothing to draw: {why_nothing(loaded, kind, asked)}", err=True)
    raise typer.Exit(code=0 if paths else 1)


def _plot_realtime(
    folders: list[Path], kind: str, width: str, out: Path | None, *, as_json: bool
) -> NoReturn:
    """Draws the figures of the only folder; ends with exit code 1 if there are none."""
    if len(folders) > 1:
        raise InputError("of bench realtime one folder is drawn at a time")
    paths = [str(path) for path in plot_realtime(folders[0], kind=kind, width=width, out=out)]
    typer.echo(dump_json(paths, indent=1) if as_json else "\n".join(paths))
    if not paths:
        typer.echo(f"nothing to draw: the results hold no data for {kind}", err=True)
    raise typer.Exit(code=0 if paths else 1)


def _left_out(metrics: str, loaded: Runs, drawn: list[Drawn]) -> list[str]:
    """Metrics that were asked for and are in no figure."""
    shown = {name for one in drawn if "metric" in one.data for name in one.data["metric"]}
    asked = names_in(metrics, known={row.metric for row in loaded.rows})
    return [name for name in asked or [] if name not in shown]
