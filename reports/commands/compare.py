"""Compare systems on the samples that both have, with intervals and p-values."""

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from evals.scoring.compare import DAGGER, Comparison, why_nothing
from evals.scoring.results import dump_json
from reports.axes import names_in, systems_in
from reports.load import load_runs
from reports.pairs import pairs_csv, pairs_markdown
from streamchar_ref.commands.verb import Verb
from streamchar_ref.core.files import remove_abandoned, write_atomically

app = Verb(__doc__)


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(help="Run folders.")],
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for compare.json, compare.csv, compare.md; compared/ of the first run if "
            "left out."
        ),
    ] = None,
    against: Annotated[str, typer.Option(help="A system; all pairs if left out.")] = "",
    metrics: Annotated[
        str, typer.Option(help="Comma-separated metrics or axes; Holm counts these alone.")
    ] = "",
    systems: Annotated[str, typer.Option(help="Comma-separated; all if left out.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare systems pair by pair, one test a metric, adjusted by Holm over all of them.

    Exit code 1 if nothing at all can be compared. Example:
    streamchar compare runs/a runs/b --against ground_truth --metrics wer --out runs/a_and_b
    """
    loaded = load_runs(runs)
    asked = systems_in(systems, {row.system for row in loaded.rows})
    loaded = loaded if asked is None else loaded.only(asked)
    chosen = names_in(metrics, known={row.metric for row in loaded.rows})
    comparisons = loaded.compared(against=against or None, metrics=chosen)
    content = {
        "compare.json": dump_json([asdict(one) for one in comparisons], indent=1) + "\n",
        "compare.csv": pairs_csv(comparisons),
        "compare.md": pairs_markdown(comparisons),
    }
    out = out or runs[0] / "compared"
    remove_abandoned(out, deep=False)
    for name, text in content.items():
        write_atomically(out / name, text.encode(errors="replace"))
    typer.echo(content["compare.json" if as_json else "compare.md"], nl=False)
    typer.echo(_in_short(comparisons) if comparisons else why_nothing(loaded.rows), err=True)
    raise typer.Exit(code=0 if any(one.verdict != "not comparable" for one in comparisons) else 1)


def _in_short(comparisons: list[Comparison]) -> str:
    verdicts = Counter(one.verdict for one in comparisons)
    marked = sum(one.mark == DAGGER for one in comparisons)
    counts = ", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items()))
    refused = f"; {DAGGER} {marked} refused: other protocol or domain" if marked else ""
    return f"{len(comparisons)} comparisons: {counts or 'none'}{refused}"
