"""What other harnesses' files of results hold: one TOML file a tool, in ``protocols/tools``.

A number that is imported has a metric of its own, such as ``vbench_subject_consistency``, and a
protocol of its own, ``vbench_subject_consistency/import-vbench@1``: it never shares a line of a
table with a number that is measured here.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from evals.protocols.info import Axis, MetricInfo
from streamchar_ref.core.errors import InputError

TOOLS = Path(__file__).parent / "tools"
IMPORT = "/import-"
_BETTER = {"higher": True, "lower": False, "neither": None}
_KEYS = {"title", "prefix", "name", "url", "metrics", "excluded", "is_open"}


@dataclass(frozen=True, kw_only=True)
class ToolMetric:
    """One number that a tool gives.

    Attributes:
        name: Of the metric here, e.g. ``vbench_subject_consistency``.
        key: In the tool's files.
        info: How it is shown; without a direction if the tool's catalogue does not have it.
        definition: What it is, by the tool's code.
    """

    name: str
    key: str
    info: MetricInfo
    definition: str


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A harness whose results can be imported.

    Attributes:
        title: Its name.
        prefix: Of its metrics here.
        name: On the command line.
        url: Where it is published.
        metrics: Key in its files -> metric.
        excluded: Value by which it marks a sample that it leaves out; ``None`` if it has none.
        is_open: Whether its files may hold numbers that the catalogue does not have.
    """

    title: str
    prefix: str
    name: str
    url: str
    metrics: Mapping[str, ToolMetric]
    excluded: float | None = None
    is_open: bool = False

    def metric(self, key: str) -> ToolMetric:
        """Returns what a key of its files stands for.

        Args:
            key: As in the file.

        Returns:
            Of the catalogue; of an open tool otherwise one without direction or unit.

        Raises:
            KeyError: If the catalogue does not have it, and the tool is not open.
        """
        if key in self.metrics or not self.is_open:
            return self.metrics[key]
        return _metric(self.title, self.prefix, key, [key, "", "neither", "other", ""])

    def protocol(self, metric: ToolMetric) -> str:
        """Returns the protocol of an imported number."""
        return f"{metric.name}{IMPORT}{self.name}@1"

    def params(self, metric: ToolMetric, version: str) -> dict[str, Any]:
        """Returns what decides an imported number, as far as its file and its importer say.

        Args:
            metric: Of this tool.
            version: Of the tool, as the importer states it; files do not say.

        Returns:
            As `evals.scoring.score.params_of` does for a number that is measured here.
        """
        return {
            "metric": metric.name,
            "protocol": self.protocol(metric),
            "params": {
                "tool": self.title,
                "tool_version": version or "not stated",
                "key": metric.key,
                "url": self.url,
            },
            "input": {"read": "a file of results; no video was opened"},
            "extractors": [],
        }


def is_import(protocol: str) -> bool:
    """Whether a number under this protocol was imported and not measured here."""
    return IMPORT in protocol


def command_of(protocol: str) -> str:
    """Returns what ``streamchar import`` calls the tool of an imported number."""
    return protocol.partition(IMPORT)[2].partition("@")[0]


@cache
def load_tools(folder: Path = TOOLS) -> Mapping[str, Tool]:
    """Reads the catalogues.

    Args:
        folder: With one TOML file a tool.

    Returns:
        Prefix -> tool.

    Raises:
        InputError: If a file is no catalogue.
    """
    return {tool.prefix: tool for tool in map(_read, sorted(folder.glob("*.toml")))}


def imported_infos() -> dict[str, MetricInfo]:
    """Returns how the imported metrics of all catalogues are shown, by name."""
    return {one.name: one.info for tool in load_tools().values() for one in tool.metrics.values()}


def find_imported(name: str) -> tuple[Tool, ToolMetric] | None:
    """Returns tool and metric of an imported metric's name; ``None`` if no catalogue has it."""
    for tool in load_tools().values():
        for metric in tool.metrics.values():
            if metric.name == name:
                return tool, metric
    return None


def _read(path: Path) -> Tool:
    entries = tomllib.loads(path.read_text(encoding="utf-8"))
    wrong = sorted(set(entries) - _KEYS)
    if wrong:
        raise InputError(f"{path.name}: unknown key {wrong[0]!r}; known: {', '.join(_KEYS)}")
    title, prefix = entries["title"], entries["prefix"]
    metrics = entries["metrics"]
    for key, cells in metrics.items():
        if len(cells) != 5 or cells[2] not in _BETTER or cells[3] not in {*map(str, Axis)}:
            raise InputError(
                f"{path.name}: {key} needs label, unit, one of {', '.join(_BETTER)}, axis and "
                "definition"
            )
    return Tool(
        **entries | {"metrics": {k: _metric(title, prefix, k, v) for k, v in metrics.items()}}
    )


def _metric(title: str, prefix: str, key: str, cells: list[str]) -> ToolMetric:
    label, unit, better, axis, definition = cells
    name = f"{prefix}_{re.sub('[^a-z0-9]+', '_', key.lower())}"
    info = MetricInfo(
        unit=unit,
        higher_is_better=_BETTER[better],
        label=f"{title} {label}, imported",
        axis=Axis(axis),
    )
    return ToolMetric(name=name, key=key, info=info, definition=definition)
