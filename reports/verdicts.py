"""Who is best at what, and how sure: the headline above the tables."""

from collections.abc import Sequence
from typing import NamedTuple

from evals.protocols.info import Direction
from evals.recording.role import Role
from evals.scoring.compare import ALPHA, Comparison
from reports.html import Html, el, join
from reports.numbers import NOT_APPLICABLE, value_text
from reports.pairs import p_text
from reports.tables import Line, Table

MAX_NAMED = 3


class Judgement(NamedTuple):
    """What one line of a table says of its leader.

    Attributes:
        line: The metric.
        leader: The model with the best value, or the only one.
        is_shown: Whether it is better than each rival by the adjusted test.
        words: How sure that is.
    """

    line: Line
    leader: str
    is_shown: bool
    words: str


def judgements(table: Table, comparisons: Sequence[Comparison]) -> list[Judgement]:
    """Judges each line in which models have values and some values are better.

    Models are ranked among themselves; a single model is compared with the ceiling.

    Args:
        table: Headline of one suite and domain.
        comparisons: Paired results, Holm-adjusted.

    Returns:
        In the order of the lines; none if there is no model.
    """
    found = []
    for line in table.lines:
        scored = [name for name in table.models if _cost(line, name) is not None]
        if line.direction is Direction.NONE or not scored:
            continue
        leader, *rivals = sorted(scored, key=lambda name: _cost(line, name) or 0.0)
        own = [one for one in comparisons if (one.suite, one.metric, one.protocol)
               == (table.suite, line.metric, line.protocol)]  # fmt: skip
        if rivals:
            found.append(_among_models(line, leader, rivals, own))
        else:
            found.append(_against_ceiling(line, leader, _ceilings(table), own))
    return found


def _cost(line: Line, system: str) -> float | None:
    row = line.cells.get(system)
    ranked = row.ranked if row else None
    if ranked is None or ranked.value is None or ranked.direction is Direction.NONE:
        return None
    return ranked.direction.cost(ranked.value)


def _among_models(
    line: Line, leader: str, rivals: Sequence[str], own: Sequence[Comparison]
) -> Judgement:
    pairs = {rival: _pair(own, leader, rival) for rival in rivals}
    open_ones = [rival for rival, one in pairs.items() if _verdict(one, leader) != "better"]
    if not open_ones:
        p = max((one.p_holm or 0.0 for one in pairs.values() if one), default=0.0)
        others = f"each of the {len(rivals)} others" if len(rivals) > 1 else rivals[0]
        return Judgement(line, leader, True, f"better than {others}, p {_p(p)}")
    known = [one for rival in open_ones if (one := pairs[rival]) and one.p_holm is not None]
    few = next((one for one in known if _is_few(one)), None)
    least = min((one.p_holm or 0.0 for one in known), default=1.0)
    aside = f", p \N{GREATER-THAN OR EQUAL TO} {p_text(least)}" if known else ""
    if few is not None:
        aside = f": {few.n_independent} prompts are too few to tell"
    words = f"not shown to be better than {_few(open_ones)}{aside}"
    return Judgement(line, leader, False, words)


def _against_ceiling(
    line: Line, model: str, ceilings: Sequence[str], own: Sequence[Comparison]
) -> Judgement:
    one = next((found for name in ceilings if (found := _pair(own, model, name))), None)
    verdict = _verdict(one, model)
    if one is None or verdict == "not comparable":
        return Judgement(line, model, False, "not comparable")
    if verdict != "inconclusive":
        return Judgement(line, model, True, f"{verdict}, p {_p(one.p_holm or 0.0)}")
    if _is_few(one):
        return Judgement(line, model, False, f"{one.n_independent} prompts are too few to tell")
    aside = f", p {_p(one.p_holm)}" if one.p_holm is not None else ""
    return Judgement(line, model, False, f"no difference is shown{aside}")


def _pair(own: Sequence[Comparison], first: str, second: str) -> Comparison | None:
    return next((one for one in own if {one.system, one.against} == {first, second}), None)


def _verdict(one: Comparison | None, system: str) -> str:
    """The verdict as it is for one of the two systems."""
    if one is None:
        return "not comparable"
    if one.system == system:
        return one.verdict
    return {"better": "worse", "worse": "better"}.get(one.verdict, one.verdict)


def _is_few(one: Comparison) -> bool:
    """Whether so few pairs cannot show anything."""
    return (one.smallest_p or 0.0) >= ALPHA


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(names[:MAX_NAMED]) + more


def _p(p: float) -> str:
    text = p_text(p)
    return text if text.startswith("<") else f"= {text}"


def _value(line: Line, system: str) -> str:
    row = line.cells.get(system)
    return NOT_APPLICABLE if row is None else value_text(row.ranked, line.decimals)


def _ceilings(table: Table) -> list[str]:
    return [name for name in table.controls if table.roles[name] is Role.CEILING]


def headline_html(table: Table, comparisons: Sequence[Comparison]) -> Html | None:
    """Says who is best at what in one sentence and a short table.

    Args:
        table: Headline of one suite and domain.
        comparisons: Paired results, Holm-adjusted.

    Returns:
        Nothing if there is no model.
    """
    found = judgements(table, comparisons)
    if not found:
        return None
    ceilings = [] if len(table.models) > 1 else _ceilings(table)[:1]
    rows = [_row(table, one, ceilings) for one in found]
    names = ["ahead", "value"] if len(table.models) > 1 else table.models
    heads = [*names, *ceilings]
    cells = [el("th", name, class_="left" if name == "ahead" else None) for name in heads]
    head = el("tr", el("th", "metric"), *cells, el("th", "how sure", class_="left"))
    body = el("table", el("thead", head), el("tbody", *rows), class_="verdicts")
    return join(el("p", sentence(table, found), class_="lede"), el("div", body, class_="scroll"))


def _row(table: Table, one: Judgement, ceilings: Sequence[str]) -> Html:
    unit = f" {one.line.shown_unit}" if one.line.shown_unit else ""
    name = el(
        "th",
        one.line.label,
        _variant(table, one.line),
        el("span", f" {one.line.arrow}", class_="arrow"),
        el("span", unit, class_="unit"),
        scope="row",
    )
    leader = el("b", one.leader) if one.is_shown else one.leader
    return el(
        "tr",
        name,
        el("td", leader, class_="left") if len(table.models) > 1 else None,
        *(el("td", _value(one.line, system)) for system in (one.leader, *ceilings)),
        el("td", one.words, class_="left wrap"),
    )


def _variant(table: Table, line: Line) -> str:
    variant = table.variant_of(line)
    return f", {variant}" if variant else ""


def sentence(table: Table, found: Sequence[Judgement]) -> str:
    """Sums the judgements up."""
    size = max((cell.n for cell in table.cells), default=0)
    where = f"On {size} recordings of {table.suite}"
    if len(table.models) == 1:
        return f"{where}, {_beside_ceiling(table, found)}."
    wins: dict[str, list[str]] = {}
    for one in found:
        if one.is_shown:
            wins.setdefault(one.leader, []).append(one.line.label)
    if not wins:
        return f"{where}, no model is shown to be best at anything."
    parts = [f"{name} is best in {_few(labels)}" for name, labels in wins.items()]
    rest = sum(not one.is_shown for one in found)
    aside = f"; in the other {rest} metrics no leader is shown" if rest else ""
    return f"{where}, {'; '.join(parts)}{aside}."


def _beside_ceiling(table: Table, found: Sequence[Judgement]) -> str:
    model, ceilings = table.models[0], _ceilings(table)
    if not ceilings:
        return f"{model} is the only model, and there is no ceiling to compare it with"
    decided = {
        verdict: [one.line.label for one in found if one.words.startswith(f"{verdict},")]
        for verdict in ("worse", "better")
    }
    parts = [f"{verdict} in {_few(labels)}" for verdict, labels in decided.items() if labels]
    if parts:
        return f"{model} is {' and '.join(parts)} than {ceilings[0]}"
    few = any("too few" in one.words for one in found)
    aside = ": there are too few prompts to tell" if few else ""
    return f"no difference of {model} to {ceilings[0]} is shown{aside}"
