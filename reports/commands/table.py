"""Print results of runs as a Markdown, CSV or LaTeX table."""

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Annotated

import typer

from evals.scoring.choice import protocols_of
from evals.scoring.export import leaderboard, model_card
from evals.scoring.results import dump_json
from evals.scoring.summary import SummaryRow
from reports.axes import names_in, systems_in
from reports.cautions import cautions
from reports.commands.options import (
    AsJson,
    MetricsOption,
    ProfileOption,
    RunsArgument,
    SystemsOption,
)
from reports.figures.style import WIDTHS_IN
from reports.headline import headline_latex, headline_markdown, headline_of
from reports.load import load_runs
from reports.macro import with_macro
from reports.paper import Paper
from reports.render import RowsOf, latex, markdown, table_name
from reports.reported import reported_latex, reported_markdown, reported_tables
from reports.table_csv import tables_csv
from reports.tables import Table, wide
from streamchar_ref.commands.verb import Verb
from streamchar_ref.core.errors import InputError

app = Verb(__doc__)


class Format(StrEnum):
    """How a table is written."""

    MD = "md"
    CSV = "csv"
    LATEX = "latex"
    MODEL_CARD = "model-card"
    LEADERBOARD = "leaderboard"


class Down(StrEnum):
    """What a row of the table is."""

    AUTO = "auto"
    METRICS = "metrics"
    SYSTEMS = "systems"


_DOWN: dict[Down, RowsOf | None] = {
    Down.AUTO: None,
    Down.METRICS: "metrics",
    Down.SYSTEMS: "systems",
}


@app.command()
def table(
    runs: RunsArgument,
    form: Annotated[Format, typer.Option("--format", help="Of the table.")] = Format.MD,
    metrics: MetricsOption = "",
    profile: ProfileOption = "",
    systems: SystemsOption = "",
    down: Annotated[Down, typer.Option(help="What a row is.")] = Down.AUTO,
    every_metric: Annotated[
        bool, typer.Option("--all", help="All metrics, not only the headline.")
    ] = False,
    letters: Annotated[
        bool, typer.Option("--letters", help="Letters of tie groups behind the values.")
    ] = False,
    with_reported: Annotated[
        str,
        typer.Option(help="Published tables below, never ranked: names of ls reported, or all."),
    ] = "",
    macro: Annotated[
        bool,
        typer.Option("--macro", help="Error rates that count each recording once, in a line too."),
    ] = False,
    label: Annotated[
        str, typer.Option(help="Of the LaTeX table; the suite is added to several.")
    ] = "",
    caption: Annotated[str, typer.Option(help="First sentence of the LaTeX caption.")] = "",
    width: Annotated[
        str, typer.Option(help=f"Of the LaTeX table: one of {', '.join(WIDTHS_IN)}.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Print the headline, the metrics of --metrics, or --all: values, intervals, protocols.

    Example: streamchar table runs/demo --format latex --width cvpr_page --label tab:main
    """
    if with_reported and (as_json or form not in (Format.MD, Format.LATEX)):
        raise InputError("--with-reported goes with --format md or latex: files hold measured rows")
    if macro and (as_json or form in (Format.MODEL_CARD, Format.LEADERBOARD)):
        raise InputError("--macro goes with --format md, csv or latex; JSON has macro_value always")
    published = reported_tables(with_reported)
    paper = _paper(form, label=label, caption=caption, width=width)
    loaded = load_runs(runs)
    loaded = loaded.under(protocols_of(profile)) if profile else loaded
    if form in (Format.MODEL_CARD, Format.LEADERBOARD):
        asked = names_in(metrics, known={row.metric for row in loaded.rows})
        shown = [row for row in loaded.summaries if asked is None or row.metric in asked]
        typer.echo(_exported(shown, form, systems), nl=False)
        return
    tables = wide(
        loaded.summaries,
        metrics=names_in(metrics, known={row.metric for row in loaded.rows}),
        systems=systems_in(systems, {row.system for row in loaded.rows}),
        comparisons=loaded.comparisons,
        roles=loaded.roles,
        has_letters=letters,
    )
    is_headline = not (every_metric or metrics or as_json)
    complete = tables
    if is_headline:
        tables = [headline_of(one) for one in tables]
    care = [
        cautions(one, loaded.still, comparisons=loaded.comparisons, complete=every)
        for one, every in zip(tables, complete, strict=True)
    ]
    if macro:
        tables = [with_macro(one) for one in tables]
    if as_json:
        rows = [vars(cell) | {"n": cell.size} for one in tables for cell in one.cells]
        typer.echo(dump_json(rows, indent=1))
    elif form is Format.CSV:
        typer.echo(tables_csv(tables), nl=False)
    else:
        in_blocks = is_headline and down is Down.AUTO
        papers = [_labelled(paper, one) if len(tables) > 1 else paper for one in tables]
        texts = [
            _rendered(one, form, down, in_blocks, own, beside)
            for one, own, beside in zip(tables, papers, care, strict=True)
        ]
        typer.echo("\n".join(texts), nl=False)
        below = reported_latex if form is Format.LATEX else reported_markdown
        typer.echo(below(published), nl=False)


def _paper(form: Format, *, label: str, caption: str, width: str) -> Paper:
    given = [f"--{name}" for name, text in (("label", label), ("caption", caption),
                                            ("width", width)) if text]  # fmt: skip
    if given and form is not Format.LATEX:
        raise InputError(f"{given[0]} goes with --format latex")
    if width and width not in WIDTHS_IN:
        raise InputError(f"--width {width!r} is none of: {', '.join(WIDTHS_IN)}")
    return Paper(label=label, caption=caption, width=width)


def _exported(summaries: Sequence[SummaryRow], form: Format, systems: str) -> str:
    names = systems_in(systems, {row.system for row in summaries}) or []
    if form is Format.LEADERBOARD:
        return leaderboard([row for row in summaries if not names or row.system in names])
    if len(names) != 1:
        raise InputError("--format model-card is of one system: name it with --systems")
    return model_card(summaries, names[0])


def _labelled(paper: Paper, table: Table) -> Paper:
    """Gives each of several tables a label of its own."""
    label = f"{paper.label}-{table_name(table)}" if paper.label else ""
    return replace(paper, label=label)


def _rendered(
    table: Table, form: Format, down: Down, in_blocks: bool, paper: Paper, care: Sequence[str]
) -> str:
    if form is Format.LATEX:
        return headline_latex(table, paper) if in_blocks else latex(table, _DOWN[down], paper)
    return headline_markdown(table, care) if in_blocks else markdown(table, _DOWN[down])
