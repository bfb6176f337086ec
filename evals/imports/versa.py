"""VERSA's scores of utterances: a line each, JSON or as Python prints a dictionary.

``{"key": "a.wav", "utmos": 3.1, ...}``. Word errors are counts (``whisper_wer_delete`` and so on)
and become a rate weighted by reference words. Keys such as ``a.wav@1.000-3.000`` are stretches of
a recording: their mean is its value, they its curve.
"""

import ast
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evals.imports.values import (
    ImportedFile,
    ImportedValue,
    check_sample_id,
    check_unique,
    judged,
    loaded,
    number,
    text_of,
)
from evals.protocols.base import MetricWindow
from evals.protocols.tool import Tool, load_tools
from streamchar_ref.core.errors import InputError

WHAT = "VERSA's scores of utterances: a line each, {'key': ..., 'utmos': ...}"
OPERATIONS = ("delete", "insert", "replace", "equal")
_RATE = re.compile(r"(.+_(?:wer|cer|per))_(delete|insert|replace|equal)")
_COUNT = re.compile(rf"(.+)_({'|'.join(OPERATIONS)})")
_CHUNK = re.compile(r"(.+)@([0-9]+\.[0-9]{3})-([0-9]+\.[0-9]{3})")
_SOUND = re.compile(r"\.(?:wav|flac|mp3|ogg|opus|m4a|mp4)$", re.I)
_NUMPY = re.compile(r"np\.(?:float|int)[0-9]+\(([^()]*)\)")


@dataclass
class _Utterance:
    """Numbers of one recording, or of its stretches one by one.

    Attributes:
        key: Of the recording in the file, with its folder.
        stretches: Those that were read; ``None`` is the whole recording.
        values: Metric -> its numbers.
        windows: Metric -> its curve.
        others: What is no number, and why.
    """

    key: str
    stretches: set[tuple[float, float] | None] = field(default_factory=set)
    values: dict[str, list[float]] = field(default_factory=dict)
    windows: dict[str, list[MetricWindow]] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)


def read_versa(path: Path) -> ImportedFile:
    """Reads a file of scores of utterances.

    Args:
        path: Output of ``versa-score``, or ``utt_result.txt`` of its aggregation.

    Returns:
        A value for each number and utterance; an utterance without a number that others have is
        an evaluator failure. Texts and lists are left out.

    Raises:
        InputError: If it is no such file; the message names the line.
    """
    (tool,) = (one for one in load_tools().values() if one.name == "versa")
    utterances: dict[str, _Utterance] = {}
    for place, line in enumerate(text_of(path).split("\n"), start=1):
        if line.strip():
            where = f"{path}, line {place}"
            _add(utterances, _parsed(where, line.strip()), where)
    if not utterances:
        raise InputError(f"{path}: is empty; wanted is {WHAT}")
    keys = list(dict.fromkeys(key for one in utterances.values() for key in one.values))
    if not keys:
        raise InputError(f"{path}: holds no number; wanted is {WHAT}")
    values = [
        _value(tool, key, name, utterance)
        for key in _without_counts(keys)
        for name, utterance in utterances.items()
    ]
    check_unique(path, values)
    others = {key: why for one in utterances.values() for key, why in one.others.items()}
    return ImportedFile(
        values=values, left_out={key: why for key, why in others.items() if key not in keys}
    )


def _parsed(where: str, line: str) -> dict[str, Any]:
    """Reads a line without running anything in it."""
    try:
        entry = loaded(line)
    except ValueError:
        try:
            entry = _literal(ast.parse(_NUMPY.sub(r"\1", line), mode="eval").body)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise InputError(f"{where}: {line!r:.60} is no dictionary; wanted is {WHAT}") from error
    if not isinstance(entry, dict) or not isinstance(entry.get("key"), str):
        raise InputError(f"{where}: {line!r:.60} has no key; wanted is {WHAT}")
    return entry


def _literal(node: ast.AST) -> Any:
    """Value of a literal in which ``inf`` and ``nan`` may stand, as Python prints them."""
    if isinstance(node, ast.Dict):
        keys = [_literal(key) for key in node.keys if key is not None]
        return dict(zip(keys, map(_literal, node.values), strict=True))
    if isinstance(node, ast.List | ast.Tuple):
        return [_literal(item) for item in node.elts]
    if isinstance(node, ast.Name) and node.id in {"inf", "nan"}:
        return float(node.id)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_literal(node.operand)
    if isinstance(node, ast.Constant):
        return node.value
    raise ValueError(f"{type(node).__name__} is no literal")


def _add(utterances: dict[str, _Utterance], entry: Mapping[str, Any], where: str) -> None:
    chunk = _CHUNK.fullmatch(entry["key"])
    key = chunk[1] if chunk else entry["key"]
    name = check_sample_id(where, _SOUND.sub("", key.rsplit("/", 1)[-1]))
    utterance = utterances.setdefault(name, _Utterance(key=key))
    stretch = (float(chunk[2]), float(chunk[3])) if chunk else None
    _check_apart(utterance, key, stretch, f"{where}: {name!r}")
    utterance.stretches.add(stretch)
    for metric, value in {**entry, **_rates(entry)}.items():
        found = number(value)
        if metric == "key":
            continue
        if found is None or isinstance(value, bool):
            utterance.others[metric] = f"{type(value).__name__}, not a number"
            continue
        utterance.values.setdefault(metric, []).append(found)
        if stretch:
            window = MetricWindow(t0_s=stretch[0], t1_s=stretch[1], value=found)
            utterance.windows.setdefault(metric, []).append(window)


def _check_apart(
    utterance: _Utterance, key: str, stretch: tuple[float, float] | None, what: str
) -> None:
    """Refuses numbers that must not be averaged with those that a name has already."""
    if key != utterance.key or (stretch is None and stretch in utterance.stretches):
        told = f"as {utterance.key!r:.60} and {key!r:.60}; " if key != utterance.key else ""
        raise InputError(f"{what} is there twice; {told}utterances need names of their own")
    if stretch is not None and stretch in utterance.stretches:
        raise InputError(f"{what} has the stretch {stretch[0]:.3f}-{stretch[1]:.3f} twice")
    if utterance.stretches and (stretch is None) != (None in utterance.stretches):
        raise InputError(f"{what} is there as a whole and in stretches; give one of the two")


def _rates(entry: Mapping[str, Any]) -> dict[str, float]:
    """Error rates of the operations that are counted; NaN for a text of no words."""
    bases = dict.fromkeys(found[1] for found in map(_RATE.fullmatch, entry) if found)
    rates = {}
    for base in bases:
        counts = [number(entry.get(f"{base}_{operation}")) for operation in OPERATIONS]
        if None not in counts:
            deleted, inserted, replaced, equal = (float(count or 0) for count in counts)
            words = deleted + replaced + equal
            rates[base] = (deleted + inserted + replaced) / words if words else math.nan
    return rates


def _without_counts(keys: Sequence[str]) -> list[str]:
    """Leaves out counts of operations where all four are there: the rate says it."""
    found = [match for match in map(_COUNT.fullmatch, keys) if match]
    whole = {m[1] for m in found if all(f"{m[1]}_{one}" in keys for one in OPERATIONS)}
    counts = {match[0] for match in found if match[1] in whole}
    return [key for key in keys if key not in counts]


def _value(tool: Tool, key: str, name: str, utterance: _Utterance) -> ImportedValue:
    metric = tool.metric(key)
    found = utterance.values.get(key, [])
    if not found:
        reason = utterance.others.get(key, "the file has no number for it")
        return ImportedValue(
            tool=tool, metric=metric, sample_id=name, value=None, weight=0.0,
            status="evaluator_failure", reason=reason,
        )  # fmt: skip
    counts = {one: sum(utterance.values.get(f"{key}_{one}", [])) for one in OPERATIONS}
    words = counts["delete"] + counts["replace"] + counts["equal"]
    is_rate = all(f"{key}_{one}" in utterance.values for one in OPERATIONS)
    if is_rate and words:
        errors = counts["delete"] + counts["insert"] + counts["replace"]
        fields: dict[str, Any] = {"value": errors / words, "weight": words, "components": counts}
    elif is_rate:
        reason = "a reference text without words"
        fields = {"value": None, "weight": 0.0, "status": "not_applicable", "reason": reason}
    else:
        fields = judged(sum(found) / len(found))
    windows = tuple(w for w in utterance.windows.get(key, []) if math.isfinite(w.value))
    return ImportedValue(tool=tool, metric=metric, sample_id=name, windows=windows, **fields)
