"""Models ahead of the truth, and networks that contradict each other about it.

Where the truth is as good as there can be, a better value says something of the metric: a soft,
averaged face lies nearer to a reference picture than frames of the person do.
"""

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from typing import Literal, NamedTuple

from evals.protocols.info import Direction
from evals.recording.role import Role
from evals.scoring.compare import ALPHA, Comparison
from reports.axes import info_of
from reports.reasons import why_beyond_truth
from reports.tables import Line, Table

_SAME_QUESTION = {"csim": "id_distance"}
"""Metrics that ask what another one asks, with another network, beside those that replace it."""


class _Lead(NamedTuple):
    system: str
    ceiling: str
    line: Line
    is_tested: bool


def beside_truth(
    table: Table, comparisons: Sequence[Comparison] = (), complete: Table | None = None
) -> list[str]:
    """Says which models are ahead of every ceiling, and where two networks contradict each other.

    A lead counts if its paired test gives p below 0.05 before any adjustment, or if there are too
    few prompts for a test; not if the pairs show no lead or the opposite, as they may where means
    rest on other samples. Two lines contradict each other if they ask the same of one pair: the
    same metric by another protocol, or the metric that takes its place.

    Args:
        table: Headline of one suite and domain.
        comparisons: Paired results.
        complete: All lines of that suite and domain; ``table`` by default.

    Returns:
        Sentences.
    """
    complete = complete or table
    leads = [lead for line in table.lines for lead in _leads(line, table, comparisons)]
    groups: dict[tuple[str, str, str], list[_Lead]] = defaultdict(list)
    for lead in leads:
        groups[lead.system, lead.ceiling, why_beyond_truth(lead.line.metric)].append(lead)
    texts = [
        f"{system} is ahead of the ceiling, {ceiling}, in "
        f"{listed([_named(lead, table) for lead in group])}: {why}."
        for (system, ceiling, why), group in groups.items()
    ]
    contradicted = [text for lead in leads for text in _against(lead, complete, comparisons)]
    return list(dict.fromkeys([*texts, *contradicted, *_split_models(complete, comparisons)]))


def listed(names: Sequence[str]) -> str:
    """Joins names as a sentence has them."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def cost_of(line: Line, system: str) -> float | None:
    """Returns a number that is smaller the better a system is; ``None`` without a value."""
    row = line.cells.get(system)
    if row is None or row.ranked.value is None or line.direction is Direction.NONE:
        return None
    return row.ranked.direction.cost(row.ranked.value)


def _leads(line: Line, table: Table, comparisons: Sequence[Comparison]) -> list[_Lead]:
    ceilings = [name for name in table.controls if table.roles[name] is Role.CEILING]
    costs = {name: cost for name in ceilings if (cost := cost_of(line, name)) is not None}
    if not costs or not why_beyond_truth(line.metric):
        return []
    ceiling = min(costs, key=lambda name: costs[name])
    found = []
    for system in table.models:
        sureness = _ahead(table.suite, line, system, ceiling, comparisons)
        if sureness:
            found.append(_Lead(system, ceiling, line, sureness == "shown"))
    return found


def _ahead(
    suite: str, line: Line, first: str, second: str, comparisons: Sequence[Comparison]
) -> Literal["shown", "not tested", ""]:
    """Says how sure it is that the first of two systems is ahead; nothing if it is not.

    It is not if its mean is not better, if a test could have shown that and did not, or if the
    paired difference, which may rest on fewer samples, is none or says the opposite.
    """
    ours, theirs = cost_of(line, first), cost_of(line, second)
    if ours is None or theirs is None or ours >= theirs:
        return ""
    here = (suite, line.metric, line.protocol)
    for one in comparisons:
        is_here = (one.suite, one.metric, one.protocol) == here
        if not is_here or {one.system, one.against} != {first, second} or one.p is None:
            continue
        is_open = (one.smallest_p or 0.0) < ALPHA <= one.p
        if is_open or _gain(line, one, first) <= 0:
            return ""
        return "shown" if one.p < ALPHA else "not tested"
    return "not tested"


def _gain(line: Line, one: Comparison, system: str) -> float:
    """By how much one of two systems is better in the samples that both have scored."""
    delta = one.delta or 0.0
    lower_is_better = line.direction is not Direction.HIGHER  # of absolute values, too
    return -delta if lower_is_better == (one.system == system) else delta


def _named(lead: _Lead, table: Table) -> str:
    """Label of a line, and whether its lead is not tested."""
    variant = table.variant_of(lead.line)
    label = f"{lead.line.label}, {variant}" if variant else lead.line.label
    return label if lead.is_tested else f"{label} (not tested)"


def _question(metric: str) -> str:
    return _SAME_QUESTION.get(metric) or info_of(metric).replaces or metric


def _against(lead: _Lead, complete: Table, comparisons: Sequence[Comparison]) -> list[str]:
    """Says which other lines put the model of a lead behind the truth."""
    texts = []
    for line in complete.lines:
        is_other = line is not lead.line and line.protocol != lead.line.protocol
        if not is_other or _question(line.metric) != _question(lead.line.metric):
            continue
        if _ahead(complete.suite, line, lead.ceiling, lead.system, comparisons):
            texts.append(
                f"{_whole(line)} says the opposite of {_whole(lead.line)}: by it {lead.system} is "
                f"behind {lead.ceiling}. {_NEITHER}"
            )
    return texts


_NEITHER = "Where two judges disagree in direction, neither decides."


def _split_models(table: Table, comparisons: Sequence[Comparison]) -> list[str]:
    """Names pairs of models of which two lines of one question each show another one better."""
    texts = []
    for first, second in combinations(table.lines, 2):
        if _question(first.metric) != _question(second.metric):
            continue
        winners = [_winners(table, line, comparisons) for line in (first, second)]
        texts += [
            f"{_whole(first)} shows {one} better than {other}, {_whole(second)} the opposite. "
            f"{_NEITHER}"
            for one, other in winners[0]
            if (other, one) in winners[1]
        ]
    return texts


def _winners(table: Table, line: Line, comparisons: Sequence[Comparison]) -> list[tuple[str, str]]:
    """Pairs of models, the better one first, as decided by the adjusted test."""
    here = (table.suite, line.metric, line.protocol)
    decided = [
        (one.system, one.against) if one.verdict == "better" else (one.against, one.system)
        for one in comparisons
        if (one.suite, one.metric, one.protocol) == here and one.verdict in {"better", "worse"}
    ]
    return [pair for pair in decided if set(pair) <= set(table.models)]


def _whole(line: Line) -> str:
    return f"{line.label} ({line.protocol})"
