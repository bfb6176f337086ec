"""Explain a metric, a protocol or a number of a run: definition, recipe, weights, citations."""

import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

import typer

from evals.metrics import EVERY_METRIC
from evals.protocols.card import Card, in_words
from evals.protocols.tool import find_imported, is_import
from evals.scoring.explain_run import ExplainedNumber, explain_number
from evals.scoring.explanation import Explanation, explain_import, explain_metric
from evals.scoring.names import hint_of, metrics_named, nearest
from evals.scoring.protocol_ids import split_protocol
from evals.scoring.results import dump_json
from evals.scoring.summary import SummaryRow
from streamchar_ref.commands.verb import Verb
from streamchar_ref.core.errors import InputError

app = Verb(__doc__)
WIDTH = 100


@app.command()
def explain(
    subject: Annotated[str, typer.Argument(help="METRIC, PROTOCOL, RUN:METRIC or RUN:PROTOCOL.")],
    bibtex: Annotated[bool, typer.Option("--bibtex", help="Print BibTeX entries only.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Explain a metric, a protocol or a number of a run, with a paragraph for a methods section.

    Examples: streamchar explain wer; streamchar explain fvd/stylegan-v;
    streamchar explain runs/demo:mesh_sync --bibtex
    """
    run, _, name = subject.rpartition(":")
    if run and Path(run).is_dir():
        numbers = explain_number(Path(run), name)
        told = [number.explanation for number in numbers if number.explanation]
        texts: Iterator[str] = map(_number, numbers)
        content: Any = [asdict(number) for number in numbers]
    elif run and not _is_protocol(subject):
        raise InputError(f"{run}: there is no such run folder")
    else:
        told = explained(subject)
        texts = map(_whole, told[:1] if _is_metric(subject) else told)
        content = [asdict(one) for one in told]
    if bibtex:
        entries = {key: text for one in told for key, text in one.citations.items()}
        typer.echo("\n\n".join(entries[key] for key in sorted(entries)) or "% nothing to cite")
    elif as_json:
        typer.echo(dump_json(content, indent=1))
    else:
        typer.echo("\n\n".join(texts))
        if not run and len(told) > 1 and _is_metric(subject):
            typer.echo(f"\n{_others(told[1:])}")


def explained(subject: str) -> list[Explanation]:
    """Explains protocols as installed.

    Args:
        subject: Metric, alias or axis; or protocol id, with or without version and
            ``+native`` or ``+as-played``.

    Returns:
        Of a metric, all protocols, those computed by default first.

    Raises:
        InputError: If it is neither; the message names the nearest.
    """
    bare, native, as_played = split_protocol(subject)
    imported = find_imported(bare.partition("/")[0])
    if imported and (is_import(bare) or "/" not in bare):
        return [explain_import(*imported)]
    found = [m for m in EVERY_METRIC if bare in {m.protocol, m.protocol.partition("@")[0]}]
    if not found:
        known = list(dict.fromkeys(metric.name for metric in EVERY_METRIC))
        names = metrics_named(bare, known)
        if names is None:
            protocols = [metric.protocol for metric in EVERY_METRIC]
            near = nearest(bare, known) if "/" not in bare else []
            hint = hint_of(near or get_close_matches(bare, protocols, 3))
            raise InputError(f"{subject!r} is no metric, protocol or RUN:METRIC; {hint}")
        found = [metric for metric in EVERY_METRIC if metric.name in names]
    found.sort(key=lambda metric: not metric.is_default)
    return [explain_metric(metric, native=native, as_played=as_played) for metric in found]


def _is_protocol(subject: str) -> bool:
    known = any(subject.startswith(m.protocol.partition("@")[0]) for m in EVERY_METRIC)
    return known or is_import(subject)


def _is_metric(subject: str) -> bool:
    return "/" not in subject


def _others(told: Sequence[Explanation]) -> str:
    lines = [
        f"  {one.protocol}  #{one.protocol_hash}{'' if one.is_default else '  (not by default)'}"
        for one in told
    ]
    return "\n".join(["Other protocols (streamchar explain PROTOCOL):", *lines])


def _number(number: ExplainedNumber) -> str:
    first = number.summaries[0]
    lines = [f"{number.run}: {first.metric} under {first.protocol} #{first.protocol_hash}", ""]
    lines += [line for one in number.summaries for line in _value(one)]
    told = number.provenance
    versions = told["versions"] or {}
    lines += [
        "",
        f"Scored on {told['written']} (date of the file); commit {told['git'] or 'unknown'}; "
        f"{told['device'] or 'device unknown'}; "
        f"streamchar {versions.get('streamchar', '?')}, Python {versions.get('python', '?')}",
        *(f"Note: {note}" for note in number.notes),
    ]
    text = "\n".join(lines)
    return f"{text}\n\n{_whole(number.explanation)}" if number.explanation else text


def _value(one: SummaryRow) -> list[str]:
    value = "no value" if one.value is None else f"{one.value:.6g}"
    unit = "" if one.unit in {"", "1"} or one.value is None else f" {one.unit}"
    interval = f" [{one.ci_low:.6g}, {one.ci_high:.6g}]" if one.has_interval else ""
    absolute = "" if one.abs_value is None else f", mean of absolute values {one.abs_value:.6g}"
    macro = "" if one.macro_value is None else f", macro {one.macro_value:.6g}"
    coverage = "" if one.coverage is None else f", coverage {one.coverage:.0%}"
    where = f"{one.system} on {one.suite} ({one.domain})"
    lines = [f"  {where}: {value}{unit}{interval}, n = {one.size}{absolute}{macro}{coverage}"]
    return lines + [
        f"    {count} x {reason}" for reason, count in Counter(one.reasons).most_common()
    ]


def _whole(told: Explanation) -> str:
    better = f", {told.direction}" if told.direction else ""
    unit = "" if told.unit in {"", "1"} else f" [{told.unit}]"
    domain = "" if told.domain == "any" else f"; {told.domain} only"
    default = "" if told.is_default else "; not computed by default"
    parts = [
        f"{told.protocol}  #{told.protocol_hash}\n"
        f"{told.metric}{unit}{better}; axis {told.axis}{domain}{default}",
        _wrapped("Definition", told.definition),
    ]
    parts += [_wrapped("Recipe", told.recipe)] if told.recipe else []
    parts += list(_from_card(told.card)) if told.card else []
    parts += [
        "Settings\n" + "\n".join(_settings(told.settings)),
        f"Input\n{_indented(in_words(told.input))}",
    ]
    parts += ["Networks and extractors\n" + "\n".join(_networks(told))] if told.networks else []
    if told.citations:
        parts.append(_wrapped("Cite (--bibtex)", ", ".join(told.citations)))
    parts += [f"Note: {note}" for note in told.notes]
    parts.append(f"Make it again\n  {told.command}")
    return "\n\n".join(parts)


def _from_card(card: Card) -> Iterator[str]:
    yield _wrapped("Preprocessing", card.preprocessing)
    yield _wrapped("Sampling", card.sampling)
    yield _wrapped("Aggregation", card.aggregation)
    if card.minimum_n:
        yield f"Minimum N\n  {card.minimum_n}"
    lists = {"Compare with": card.compare_with, "Not with": card.not_with, "Traps": card.traps}
    for title, texts in lists.items():
        if texts:
            yield f"{title}\n" + "\n".join(_indented(text, "  - ", "    ") for text in texts)


def _settings(settings: Mapping[str, Any]) -> Iterator[str]:
    for name, value in settings.items():
        yield _indented(f"{name}: {in_words(value)}", "  ", "    ")


def _networks(told: Explanation) -> Iterator[str]:
    for one in told.networks:
        package = f", {one.package.replace('==', ' ')}" if one.package else ""
        params = f": {in_words(one.params)}" if one.params else ""
        yield _indented(f"{one.name} (version {one.version}{package}){params}", "  ", "    ")
        for name, files in one.weights.items():
            yield from (f"    {name}/{file} sha256 {digest}" for file, digest in files.items())
        if one.note:
            yield f"    {one.note}"


def _wrapped(title: str, text: str) -> str:
    return f"{title}\n{_indented(text)}"


def _indented(text: str, first: str = "  ", rest: str = "  ") -> str:
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
