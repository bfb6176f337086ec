"""What each system is, in one line: read from its source without running it, or its checkpoint."""

import ast
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path

from evals.recording.recording import Recording
from evals.recording.role import Role
from evals.recording.system import installed_systems
from reports.html import Html, el, join
from reports.load import Runs

ROLES = {
    Role.MODEL: "model",
    Role.CEILING: "ceiling",
    Role.FLOOR: "floor",
    Role.NEGATIVE_CONTROL: "negative control",
}


def description(system: str) -> str:
    """Returns the first sentence of an installed system's docstring; empty for others."""
    entry = installed_systems().get(system.partition(" (")[0])
    try:
        spec = find_spec(entry.module) if entry else None
    except ImportError:
        return ""
    if entry is None or spec is None or spec.origin is None:
        return ""
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    own = (
        ast.get_docstring(node) or ""
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name == entry.attr
    )
    return next(own, "").partition("\n\n")[0].replace("\n", " ").replace("`", "")


def systems_list(runs: Runs, recordings: Sequence[Recording]) -> Html:
    """Lists systems as the tables have them: name, role, one line."""
    return el(
        "dl",
        *(
            join(
                el("dt", name, " ", el("span", ROLES[runs.role_of(name)], class_="role")),
                el("dd", _line(name, [one for one in recordings if one.system == name])),
            )
            for name in runs.in_print_order
        ),
        class_="systems",
    )


def _line(system: str, recordings: Iterable[Recording]) -> str:
    own = list(recordings)
    checkpoints = sorted({one.checkpoint for one in own if one.checkpoint})
    if own:
        is_mute, is_still = (all(getattr(o, n) for o in own) for n in ("is_silent", "is_still"))
    else:
        is_mute = is_still = False
    facts = [
        description(system),
        f"Checkpoint {', '.join(checkpoints)}." if checkpoints else "",
        "Makes no sound." * is_mute,
        "Its mouth does not move." * (is_still and not is_mute),
    ]
    return " ".join(filter(None, facts)) or "The run does not describe it."
