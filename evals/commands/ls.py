"""List metrics, protocols, profiles, systems, suites, presets or reported tables."""

import ast
import json
from dataclasses import asdict
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from evals.metrics import EVERY_METRIC
from evals.protocols.card import load_cards
from evals.protocols.profile import DEFAULT, load_profiles
from evals.recording.system import installed_systems
from evals.scoring.choice import protocols_of
from evals.scoring.names import in_order
from evals.suites import suite_names, summarise_suite
from streamchar_ref.commands.verb import Verb

app = Verb(__doc__)
KINDS = ("metrics", "systems", "suites", "protocols", "profiles", "presets")
_SINGULAR = {"identities": "identity"}
GROUP = "streamchar.listings"
"""Entry points of lists in other packages: functions that return rows."""


@app.command()
def ls(
    kind: Annotated[str, typer.Argument(help=", ".join(KINDS))],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List metrics, protocols, profiles, systems, suites, presets or reported tables."""
    others = {entry.name: entry for entry in entry_points(group=GROUP)}
    if kind not in {*KINDS, *others}:
        raise typer.BadParameter(f"one of {', '.join([*KINDS, *others])}, not {kind!r}")
    rows = others[kind].load()() if kind in others else _rows(kind)
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    table = [[_cell(key, value) for key, value in row.items()] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*table, strict=True)]
    for cells in table:
        padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
        typer.echo("  ".join(padded).rstrip())


def _cell(key: str, value: Any) -> str:
    if not isinstance(value, int):
        return str(value)
    return f"{value} {_SINGULAR.get(key, key.removesuffix('s')) if value == 1 else key}"


def _rows(kind: str) -> list[dict[str, Any]]:
    if kind == "systems":
        return [{"name": n, "from": e.value} for n, e in sorted(installed_systems().items())]
    if kind == "suites":
        return [asdict(summarise_suite(name)) for name in suite_names()]
    if kind == "presets":
        presets = sorted(entry_points(group="streamchar.presets"), key=lambda entry: entry.name)
        return [{"name": entry.name, "is": _summary(entry)} for entry in presets]
    metrics = EVERY_METRIC
    if kind == "profiles":
        profiles = {DEFAULT: "What score computes unless told otherwise"}
        profiles |= {name: profile.title for name, profile in load_profiles().items()}
        return [
            {"name": name, "for": title, "protocols": len(protocols_of(name))}
            for name, title in profiles.items()
        ]
    if kind == "protocols":
        cards = load_cards()
        return [
            {
                "protocol": m.protocol,
                "default": "yes" if m.is_default else "no",
                "axis": str(m.axis),
                "domain": m.domain,
                "definition": cards[m.protocol].title,
            }
            for m in metrics
        ]
    first = {m.name: m for m in reversed(metrics)}
    return [
        {
            "name": name,
            "unit": first[name].unit,
            "direction": first[name].direction.words,
            "axis": str(first[name].axis),
            "domain": first[name].domain,
            "definition": first[name].definition,
        }
        for name in in_order(first)
    ]


def _summary(entry: EntryPoint) -> str:
    """Reads the first line of a function's docstring without running its module."""
    spec = find_spec(entry.module)
    if spec is None or spec.origin is None:
        return f"(cannot be found: {entry.value})"
    for node in ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name == entry.attr:
            return (ast.get_docstring(node) or "").split("\n")[0]
    return f"(cannot be found: {entry.value})"
