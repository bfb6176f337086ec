"""Tables of the report page: metrics by axis, one column a system."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from evals.scoring.summary import SummaryRow
from reports.headline import caption_of, size_text, usual_size
from reports.html import Html, el, join
from reports.numbers import NOT_APPLICABLE, coverage_text, interval_text, value_text
from reports.render import remarks, second_remark
from reports.tables import Line, Table

MAX_ROOMY = 7
"""Columns of systems that have room; more of them are set closer."""


def html_table(table: Table) -> Html:
    """Shows one suite and domain, axis by axis, with the protocol of each line.

    Metrics that no system can have are left out.
    """
    lines = [line for line in table.lines if not line.is_void]
    columns = _Columns(systems=table.systems, usual=usual_size(table))
    body = []
    for axis, group in groupby(lines, key=lambda line: line.info.axis):
        body.append(el("tr", el("th", axis, colspan=len(table.systems) + 2), class_="axis"))
        body += [_row(line, columns, el("td", _link(line), class_="left wrap")) for line in group]
    head = el("tr", el("th", "metric"), *columns.heads, el("th", "protocol", class_="left"))
    return _section(table, head, body)


def html_headline(table: Table) -> Html:
    """Shows the lines of a table by number of their protocol: models, then what they stand beside.

    Args:
        table: Whose lines are in the headline, see `reports.headline.headline_of`.

    Returns:
        The table, with its protocols below.
    """
    columns = _Columns(
        systems=(*table.models, *table.controls),
        first_control=table.controls[:1] if table.models else (),
        usual=usual_size(table),
    )
    body = [
        _row(line, columns, number=place, variant=table.variant_of(line))
        for place, line in enumerate(table.lines, start=1)
    ]
    groups = [
        el("th", el("span", name), colspan=len(systems), class_="group" + rule)
        for name, systems, rule in (
            ("models", table.models, ""),
            ("controls", table.controls, " rule" if table.models else ""),
        )
        if systems
    ]
    head = join(el("tr", el("th", None), *groups), el("tr", el("th", "metric"), *columns.heads))
    protocols = [
        join(f"({place}) ", _link(line), "; " if place < len(table.lines) else ".")
        for place, line in enumerate(table.lines, start=1)
    ]
    return join(_section(table, head, body), el("p", "Protocols: ", *protocols, class_="note"))


@dataclass(frozen=True, kw_only=True)
class _Columns:
    """Systems of a table, before which of them a gap is, and the usual number of samples."""

    systems: tuple[str, ...]
    first_control: tuple[str, ...] = ()
    usual: str = ""

    @property
    def heads(self) -> list[Html]:
        return [el("th", breakable(name), class_=self.class_of(name)) for name in self.systems]

    def class_of(self, system: str) -> str | None:
        return "rule" if system in self.first_control else None


def _section(table: Table, head: Html, body: Sequence[Html]) -> Html:
    density = "dense" if len(table.systems) > MAX_ROOMY else None
    return join(
        el("h3", caption_of(table, usual_size(table))),
        scroll(el("table", el("thead", head), el("tbody", *body), class_=density)),
        el("p", " ".join([*remarks(table), *second_remark(table)]), class_="note"),
    )


def breakable(name: str) -> Html:
    """Lets a long name break after its underscores, so that columns stay narrow."""
    parts = name.split("_")
    first = [join(f"{part}_", Html("<wbr>")) for part in parts[:-1]]
    return join(*first, parts[-1])


def scroll(table: Html) -> Html:
    """Lets a wide table move sideways without the page."""
    return el("div", table, class_="scroll", tabindex="0")


def anchor(protocol: str, protocol_hash: str) -> str:
    """The id of a protocol in the glossary."""
    text = f"protocol-{protocol}-{protocol_hash}"
    return "".join(sign if sign.isalnum() else "-" for sign in text)


def _row(
    line: Line, columns: _Columns, last: Html | None = None, *, number: int = 0, variant: str = ""
) -> Html:
    unit = f" {line.shown_unit}" if line.shown_unit else ""
    name = el(
        "th",
        f"{line.label}, {variant}" if variant else line.label,
        el("span", f" {line.arrow}", class_="arrow"),
        el("span", unit, class_="unit"),
        el("sup", f"({number})", class_="unit") if number else None,
        scope="row",
        title=line.metric,
    )
    cells = [_cell(line, system, columns) for system in columns.systems]
    return el("tr", name, *cells, last)


def _link(line: Line) -> Html:
    """The name of a protocol, which leads to its entry in the glossary."""
    target = anchor(line.protocol, line.protocol_hash)
    return el("a", line.protocol, href=f"#{target}", class_="mono", title=f"#{line.protocol_hash}")


def _cell(line: Line, system: str, columns: _Columns) -> Html:
    row, class_ = line.cells.get(system), columns.class_of(system)
    if row is None:
        badge = el("span", "n/s", class_="badge missing", title="never scored")
        return el("td", badge, class_=class_)
    if row.value is None:
        return el("td", no_value(row, line.decimals), class_=class_)
    text = value_text(row, line.decimals)
    asides = (interval_text(row, line.decimals), *_size_lines(size_text(row, columns.usual)))
    rank = "best" if line.best == system else "second" if line.second == system else ""
    return el(
        "td",
        _gap(row),
        el("span", text, class_=rank) if rank else text,
        *(el("span", aside, class_="interval") for aside in asides if aside),
        class_=class_,
    )


def _size_lines(size: str) -> list[str]:
    """Breaks ``n = 23 (14 independent)`` before the bracket, so that a column stays narrow."""
    n, bracket, rest = size.partition(" (")
    return [n, f"({rest}"] if bracket else [n]


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
