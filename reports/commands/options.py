"""Arguments and options that tables, figures, comparisons and the page have in common."""

from pathlib import Path
from typing import Annotated

import typer

from streamchar_ref.commands.common import AsJson as AsJson

RunsArgument = Annotated[list[Path], typer.Argument(help="Run folders.")]
MetricsOption = Annotated[
    str,
    typer.Option(
        "--metrics", help="Comma-separated metrics or axes, in order; the usual by default."
    ),
]
EveryMetricOption = Annotated[
    str, typer.Option("--metrics", help="Comma-separated metrics or axes; all by default.")
]
SystemsOption = Annotated[
    str, typer.Option("--systems", help="Comma-separated, in order; all by default.")
]
ProfileOption = Annotated[
    str,
    typer.Option("--profile", help="Scores under its protocols only; see: streamchar ls profiles."),
]
