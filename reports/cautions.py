"""Where a number deceives: what does nothing and beats every model, what is ahead of the truth."""

from collections import defaultdict
from collections.abc import Collection, Sequence

from evals.recording.role import Role
from evals.scoring.compare import Comparison
from reports.axes import label_of
from reports.beside_truth import beside_truth, cost_of, listed
from reports.reasons import why_still_is_best
from reports.tables import Line, Table

_METRICS = {
    "sync_d": "Sync-D has no floor of its own: a silent portrait has the best one. Read it beside "
    "Sync-C.",
    "id_drift": "A picture that is held still has no drift. Read identity and drift beside "
    "the motion.",
    "id_world_drift": "A picture that is held still has no drift. Read identity and drift beside "
    "the motion.",
    "fvd": "Frechet distances shrink with the number of clips: compare equal numbers only.",
    "fvd_world": "Frechet distances shrink with the number of clips: compare equal numbers only.",
}


def cautions(
    table: Table,
    still: Collection[str] = (),
    *,
    comparisons: Sequence[Comparison] = (),
    complete: Table | None = None,
) -> list[str]:
    """Says what a reader of a table must not conclude.

    Args:
        table: Headline of one suite and domain.
        still: Systems that declare that they are silent or do not move; floors are, too.
        comparisons: Paired results.
        complete: All lines of that suite and domain, for judges that contradict those shown.

    Returns:
        Sentences: still systems that beat every model and the ceiling, models that beat it,
        judges that contradict each other, then what is known of the metrics shown.
    """
    suspects = [name for name in table.controls if name in still or _is_floor(table, name)]
    beaten: dict[tuple[str, str], list[str]] = defaultdict(list)
    for line in table.lines:
        why = why_still_is_best(line.metric, line.protocol)
        for system in _ahead(line, table, suspects) if why else []:
            beaten[system, why].append(label_of(line.metric))
    by_reason: dict[tuple[tuple[str, ...], str], list[str]] = defaultdict(list)
    for (system, why), labels in beaten.items():
        by_reason[tuple(dict.fromkeys(labels)), why].append(system)
    whom = "every model and the ceiling" if _ceilings(table) else "every model"
    texts = [
        f"{listed(systems)} {'is' if len(systems) == 1 else 'are'} ahead of {whom} in "
        f"{listed(labels)}: {why}."
        for (labels, why), systems in by_reason.items()
    ]
    texts += beside_truth(table, comparisons, complete)
    shown = [line.metric for line in table.lines if line.has_value]
    return [*texts, *dict.fromkeys(_METRICS[name] for name in shown if name in _METRICS)]


def _is_floor(table: Table, system: str) -> bool:
    return table.roles[system] is Role.FLOOR


def _ceilings(table: Table) -> list[str]:
    return [name for name in table.controls if table.roles[name] is Role.CEILING]


def _ahead(line: Line, table: Table, suspects: Sequence[str]) -> list[str]:
    """Suspects with a better value than each model and ceiling that has one."""
    costs = {name: cost for name in line.cells if (cost := cost_of(line, name)) is not None}
    others = [costs[name] for name in (*table.models, *_ceilings(table)) if name in costs]
    if not any(name in costs for name in table.models):
        return []
    return [name for name in suspects if name in costs and costs[name] < min(others)]
