"""Compare systems on the samples that both have, with intervals and p-values."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from evals.numerics.power import POWER
from evals.scoring.choice import protocols_of
from evals.scoring.compare import DAGGER, Comparison, why_nothing
from evals.scoring.power import plan_prompts
from evals.scoring.results import dump_json
from evals.scoring.ties import tie_groups
from reports.axes import names_in, systems_in
from reports.commands.options import (
    AsJson,
    EveryMetricOption,
    ProfileOption,
    RunsArgument,
    SystemsOption,
    named_numbers,
)
from reports.lifetimes import (
    compare_lifetimes,
    left_out_lifetimes,
    lifetimes_csv,
    lifetimes_markdown,
)
from reports.load import Runs, load_runs
from reports.pairs import pairs_csv, pairs_markdown
from reports.ties import power_csv, power_markdown, ties_markdown
from streamchar_ref.commands.verb import Verb
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.files import remove_abandoned, write_atomically

app = Verb(__doc__)
_AT_TIMES = ("lifetimes.csv", "power.csv", "power.json")
"""Files that not every comparison writes."""


@app.command()
def compare(
    runs: RunsArgument,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for compare.json, compare.csv, compare.md; compared/ of the first run if "
            "left out."
        ),
    ] = None,
    against: Annotated[str, typer.Option(help="A system; all pairs if left out.")] = "",
    metrics: EveryMetricOption = "",
    profile: ProfileOption = "",
    power: Annotated[
        bool, typer.Option("--power", help="Say how many prompts each gap needs; power.csv.")
    ] = False,
    gap: Annotated[
        str, typer.Option(help="For --power, in stored units: wer=0.01; as observed if left out.")
    ] = "",
    probability: Annotated[
        float, typer.Option(min=0.05, max=0.999, help="For --power: of showing the gap.")
    ] = POWER,
    systems: SystemsOption = "",
    as_json: AsJson = False,
) -> None:
    """Compare systems pair by pair, one test a metric, adjusted by Holm over those of --metrics.

    Where every pair was tested, systems get letters; long streams are compared by the time to
    their first failure, too. --power adds how many prompts would show each gap. Exit code 1 if
    nothing at all can be compared. Example:
    streamchar compare runs/a runs/b --against ground_truth --metrics wer --out runs/a_and_b
    """
    if not 0 < probability < 1:  # a range lets NaN pass
        raise InputError(f"--probability {probability}: a number between 0 and 1, such as 0.8")
    if (gap or probability != POWER) and not power:
        raise InputError("--gap and --probability go with --power")
    loaded = load_runs(runs)
    loaded = loaded.under(protocols_of(profile)) if profile else loaded
    scored = {row.system for row in loaded.rows}
    asked = systems_in(systems, scored)
    loaded = loaded if asked is None else loaded.only(asked)
    if asked is not None and len(asked) < 2:
        others = sorted(scored - set(asked))
        raise InputError(
            f"--systems {systems}: a comparison needs two; name another one of "
            f"{', '.join(others) or 'a second run'}, or leave --systems out for all"
        )
    chosen = names_in(metrics, known={row.metric for row in loaded.rows})
    comparisons = loaded.compared(against=against or None, metrics=chosen)
    if not comparisons and not as_json:
        typer.echo(f"nothing was compared or written: {why_nothing(loaded.rows)}", err=True)
        raise typer.Exit(code=1)
    content = _content(loaded, comparisons)
    lives = [] if chosen else compare_lifetimes(loaded, against=against or None)
    notes = [] if chosen else left_out_lifetimes(loaded)
    if lives:
        content["lifetimes.csv"] = lifetimes_csv(lives)
    if lives or notes:
        content["compare.md"] += "\n" + lifetimes_markdown(lives, notes)
    if power:
        rows = plan_prompts(comparisons, gaps=gaps_in(gap, comparisons), power=probability)
        content["power.json"] = dump_json([asdict(one) for one in rows], indent=1) + "\n"
        content["power.csv"] = power_csv(rows)
        content["compare.md"] += "\n" + power_markdown(rows)
    _write(out or runs[0] / "compared", content)
    as_shown = "power.json" if power else "compare.json"
    typer.echo(content[as_shown if as_json else "compare.md"], nl=False)
    typer.echo(_in_short(comparisons) if comparisons else why_nothing(loaded.rows), err=True)
    if comparisons:
        typer.echo(_without_partner(loaded, comparisons), nl=False, err=True)
    raise typer.Exit(code=0 if any(one.verdict != "not comparable" for one in comparisons) else 1)


def _content(loaded: Runs, comparisons: Sequence[Comparison]) -> dict[str, str]:
    parts = [pairs_markdown(comparisons), ties_markdown(tie_groups(comparisons, loaded.infos))]
    return {
        "compare.json": dump_json([asdict(one) for one in comparisons], indent=1) + "\n",
        "compare.csv": pairs_csv(comparisons),
        "compare.md": "\n".join(filter(None, parts)),
    }


def _write(out: Path, content: Mapping[str, str]) -> None:
    """Writes the files; those of an earlier comparison that this one does not have go."""
    remove_abandoned(out, deep=False)
    for name, text in content.items():
        write_atomically(out / name, text.encode(errors="replace"))
    for name in set(_AT_TIMES) - set(content):
        (out / name).unlink(missing_ok=True)


def _without_partner(loaded: Runs, comparisons: Sequence[Comparison]) -> str:
    """Names systems that are in no comparison, with their suites; empty if there are none."""
    compared = {name for one in comparisons for name in (one.system, one.against)}
    suites: dict[str, set[str]] = defaultdict(set)
    for row in loaded.rows:
        if row.system not in compared:
            suites[row.system].add(row.suite)
    return "".join(
        f"{system} (suite {', '.join(sorted(suites[system]))}) is in no comparison: "
        "it has no suite and metric in common with the others\n"
        for system in sorted(suites)
    )


def gaps_in(text: str, comparisons: Sequence[Comparison]) -> dict[str, float]:
    """Reads differences that matter, e.g. ``wer=0.01,mesh_sync=0.05``.

    Args:
        text: Comma-separated; empty for none.
        comparisons: Whose metrics may be named.

    Returns:
        Metric -> its gap, in the unit that it is stored in.

    Raises:
        InputError: If a metric was not compared, or a gap is no positive number.
    """
    known = {one.metric for one in comparisons}
    return named_numbers(text, known, option="--gap", missing="was not compared")


def _in_short(comparisons: list[Comparison]) -> str:
    verdicts = Counter(one.verdict for one in comparisons)
    marked = sum(one.mark == DAGGER for one in comparisons)
    counts = ", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items()))
    refused = f"; {DAGGER} {marked} refused: other protocol or domain" if marked else ""
    return f"{len(comparisons)} comparisons: {counts or 'none'}{refused}"
