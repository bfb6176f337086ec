"""Where a number deceives: a system that does nothing and beats every model in a metric."""

from collections import defaultdict
from collections.abc import Collection, Sequence

from evals.protocols.info import Axis, Direction
from evals.recording.role import Role
from reports.axes import label_of
from reports.tables import Line, Table

_WHY = {
    Axis.LIP_SYNC: "silence and a still mouth are near to each other",
    Axis.IDENTITY: "a picture that does not change keeps its face",
    Axis.APPEARANCE: "a picture that does not change has no drift",
    Axis.SPEED: "it computes nothing that a model has to",
}
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


def cautions(table: Table, still: Collection[str] = ()) -> list[str]:
    """Says what a reader of a table must not conclude.

    Args:
        table: Headline of one suite and domain.
        still: Systems that declare that they are silent or do not move; floors are, too.

    Returns:
        Sentences: still systems that beat every model and the ceiling, then what is known of the
        metrics shown.
    """
    suspects = [name for name in table.controls if name in still or _is_floor(table, name)]
    beaten: dict[tuple[str, Axis], list[str]] = defaultdict(list)
    for line in table.lines:
        for system in _ahead(line, table, suspects):
            beaten[system, line.info.axis].append(label_of(line.metric))
    by_reason: dict[tuple[tuple[str, ...], Axis], list[str]] = defaultdict(list)
    for (system, axis), labels in beaten.items():
        by_reason[tuple(dict.fromkeys(labels)), axis].append(system)
    whom = "every model and the ceiling" if _ceilings(table) else "every model"
    texts = [
        f"{_listed(systems)} {'is' if len(systems) == 1 else 'are'} ahead of {whom} in "
        f"{_listed(labels)}: {_WHY[axis]}."
        for (labels, axis), systems in by_reason.items()
        if axis in _WHY
    ]
    shown = [line.metric for line in table.lines if line.has_value]
    return [*texts, *dict.fromkeys(_METRICS[name] for name in shown if name in _METRICS)]


def _is_floor(table: Table, system: str) -> bool:
    return table.roles[system] is Role.FLOOR


def _ceilings(table: Table) -> list[str]:
    return [name for name in table.controls if table.roles[name] is Role.CEILING]


def _ahead(line: Line, table: Table, suspects: Sequence[str]) -> list[str]:
    """Suspects with a better value than each model and ceiling that has one."""
    if line.direction is Direction.NONE:
        return []
    ranked = {name: row.ranked for name, row in line.cells.items()}
    costs = {
        name: row.direction.cost(row.value) for name, row in ranked.items() if row.value is not None
    }
    others = [costs[name] for name in (*table.models, *_ceilings(table)) if name in costs]
    if not any(name in costs for name in table.models):
        return []
    return [name for name in suspects if name in costs and costs[name] < min(others)]


def _listed(names: list[str] | tuple[str, ...]) -> str:
    """Joins names as a sentence has them."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
