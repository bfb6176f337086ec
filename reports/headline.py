"""The headline table of the report page: metrics by axis, one column a system."""

from collections.abc import Mapping, Sequence
from itertools import groupby

from evals.scoring.summary import SummaryRow
from reports.html import Html, el, join
from reports.numbers import NOT_APPLICABLE, aside_text, coverage_text, value_text
from reports.render import remarks, sample_sizes
from reports.tables import Line, Table


def headline_table(table: Table) -> Html:
    """Shows one suite and domain; metrics that no system can have are left out."""
    lines = [line for line in table.lines if not has_no_value(line)]
    head = el(
        "tr",
        el("th", "metric"),
        *(el("th", system) for system in table.systems),
        el("th", "protocol", class_="left"),
    )
    body = []
    for axis, group in groupby(lines, key=lambda line: line.axis):
        body.append(el("tr", el("th", axis, colspan=len(table.systems) + 2), class_="axis"))
        body += [_row(line, table.systems) for line in group]
    return join(
        el("h3", f"Suite {table.suite}, domain {table.domain}, {sample_sizes(table)}"),
        scroll(el("table", el("thead", head), el("tbody", *body))),
        el("p", " ".join(remarks(table)).replace("Bold", "Bold and dot"), class_="note"),
    )


def has_no_value(line: Line) -> bool:
    """Whether no system has a value and none failed: it cannot be measured here."""
    rows = line.cells.values()
    failed = ("generation_failure", "evaluator_failure")
    return all(row.value is None for row in rows) and not any(
        row.counts[status] for row in rows for status in failed
    )


def scroll(table: Html) -> Html:
    """Lets a wide table move sideways without the page."""
    return el("div", table, class_="scroll", tabindex="0")


def anchor(protocol: str, protocol_hash: str) -> str:
    """The id of a protocol in the glossary."""
    text = f"protocol-{protocol}-{protocol_hash}"
    return "".join(sign if sign.isalnum() else "-" for sign in text)


def _row(line: Line, systems: Sequence[str]) -> Html:
    unit = f" {line.shown_unit}" if line.shown_unit else ""
    name = el(
        "th",
        line.label,
        el("span", f" {line.arrow}", class_="arrow"),
        el("span", unit, class_="unit"),
        scope="row",
        title=line.metric,
    )
    target = anchor(line.protocol, line.protocol_hash)
    link = el("a", line.protocol, href=f"#{target}", class_="mono", title=f"#{line.protocol_hash}")
    ends = _range(line.cells)
    cells = [_cell(line, system, ends) for system in systems]
    return el("tr", name, *cells, el("td", link, class_="left"))


def _cell(line: Line, system: str, ends: tuple[float, float] | None) -> Html:
    row = line.cells.get(system)
    if row is None:
        return el("td", el("span", "n/s", class_="badge missing", title="never scored"))
    if row.value is None:
        return el("td", no_value(row, line.decimals))
    text = value_text(row, line.decimals)
    aside = aside_text(row, line.decimals)
    return el(
        "td",
        _gap(row),
        el("span", text, class_="best") if line.best == system else text,
        el("span", aside, class_="interval") if aside else None,
        _whisker(row, ends) if row.has_interval and ends else None,
    )


def no_value(row: SummaryRow, decimals: int) -> Html:
    """Says in one word why there is no number; the reasons appear under the pointer."""
    text = value_text(row, decimals)
    reasons = "; ".join(row.reasons)
    if text == NOT_APPLICABLE:
        return el("span", text, class_="na", title=reasons)
    kind = "failed" if row.num_failed else "missing"
    return el("span", text, class_=f"badge {kind}", title=reasons)


def _gap(row: SummaryRow) -> Html | None:
    if row.coverage is None or row.coverage == 1:
        return None
    title = f"{row.n} samples scored; " + "; ".join(row.reasons)
    return join(el("span", coverage_text(row), class_="badge gap", title=title), " ")


def _range(cells: Mapping[str, SummaryRow]) -> tuple[float, float] | None:
    """The stretch that all intervals of a line share as their scale."""
    known = [
        end
        for row in cells.values()
        for end in (row.ci_low, row.value, row.ci_high)
        if end is not None
    ]
    if not known or min(known) == max(known):
        return None
    return min(known), max(known)


def _whisker(row: SummaryRow, ends: tuple[float, float]) -> Html:
    low, value, high = (
        100 * ((end or 0.0) - ends[0]) / (ends[1] - ends[0])
        for end in (row.ci_low, row.value, row.ci_high)
    )
    return el(
        "span",
        el("i", style=f"left:{low:.1f}%;width:{max(high - low, 1):.1f}%"),
        el("b", style=f"left:{value:.1f}%"),
        class_="whisker",
        aria_hidden="true",
    )
