"""What there is to say of a protocol: definition, recipe, settings, weights, citations."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from evals.extractors import EXTRACTORS
from evals.extractors.by_path import OWN_FILES
from evals.metrics import EVERY_METRIC
from evals.protocols.base import BaseMetric, protocol_hash
from evals.protocols.card import Card, bibliography, card_of, fill
from evals.protocols.tool import Tool, ToolMetric, command_of, find_imported, is_import
from evals.scoring.protocol_ids import is_of_own_recogniser, split_protocol
from evals.scoring.recipe import Params, extractors_in, recipe_values
from evals.scoring.score import Options, params_of
from evals.scoring.summary import UNKNOWN
from streamchar_ref.weights import registry

OWN_FILE = "own file"
"""What weights are called that a reader has provided."""


@dataclass(frozen=True, kw_only=True)
class Network:
    """An extractor behind a number.

    Attributes:
        name: Of the extractor.
        version: Of its code.
        package: Distribution and version, if one decides the features.
        params: Its settings.
        weights: Names of weights -> file names -> sha256.
        note: Where weights are of another version than those that are pinned now; else empty.
    """

    name: str
    version: int
    package: str
    params: Mapping[str, Any]
    weights: Mapping[str, Mapping[str, str]]
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """A protocol in words and numbers.

    Attributes:
        metric: Name of the metric.
        protocol: Id, with ``+native`` if files are taken as they are, or ``+as-played``.
        protocol_hash: Of everything that decides the number.
        definition: What the metric is; empty if it is not installed.
        unit: Of the value.
        direction: Which values are better, in words.
        axis: What it measures.
        domain: ``world`` or ``real`` if it is for one of them.
        is_default: Whether it is computed unless told otherwise.
        card: What cannot be read from settings; ``None`` for a protocol that is there no more.
        recipe: Paragraph for a methods section; empty without a card.
        settings: Of the metric.
        input: What is done to a file first.
        networks: Extractors, upstream ones after those that read them.
        citations: Keys and BibTeX entries.
        command: How to make the number again.
        notes: What a reader should know beside it.
    """

    metric: str
    protocol: str
    protocol_hash: str
    definition: str
    unit: str
    direction: str
    axis: str
    domain: str
    is_default: bool
    card: Card | None
    recipe: str
    settings: Mapping[str, Any]
    input: Mapping[str, Any]
    networks: Sequence[Network]
    citations: Mapping[str, str]
    command: str
    notes: Sequence[str] = ()


def explain_metric(metric: Any, *, native: bool = False, as_played: bool = False) -> Explanation:
    """Explains a protocol as it is installed here.

    Args:
        metric: One of `evals.metrics.EVERY_METRIC`.
        native: Whether files are taken as they are.
        as_played: Whether it is of what a viewer saw and heard.

    Returns:
        Its explanation; the command is for a manifest of videos.
    """
    options = Options(native=native, as_played=as_played)
    told = explain_params(params_of(metric, options), metric.protocol + options.suffix)
    reference = " --reference SYSTEM" if "reference" in _kinds(metric) else ""
    command = f"{_command('--manifest videos.jsonl', told)}{reference} --out runs/mine"
    notes = ["a row's hash holds its reference set, too"] if reference else []
    return replace(told, command=command, notes=notes)


def explain_import(tool: Tool, metric: ToolMetric) -> Explanation:
    """Explains a number of another harness as it would be imported."""
    return explain_params(tool.params(metric, ""), tool.protocol(metric))


def explain_params(params: Params, protocol: str, run: str = "RUN") -> Explanation:
    """Explains a protocol by its settings, which may be those of an earlier version.

    Args:
        params: Everything that decides the number, e.g. from ``run.json``.
        protocol: As in a row.
        run: Run folder, for the command.

    Returns:
        Its explanation.
    """
    bare = split_protocol(protocol).bare
    metric = next((one for one in EVERY_METRIC if one.protocol == bare), None)
    same_name = next((one for one in EVERY_METRIC if one.name == params["metric"]), None)
    card = card_of(bare)
    imported = find_imported(params["metric"]) if is_import(bare) else None
    info = imported[1].info if imported else (same_name.info if same_name else UNKNOWN)
    told = Explanation(
        metric=params["metric"],
        protocol=protocol,
        protocol_hash=protocol_hash(params),
        definition=imported[1].definition if imported else getattr(same_name, "definition", ""),
        unit=info.unit,
        direction=info.direction.words,
        axis=str(info.axis),
        domain=metric.domain if metric else "any",
        is_default=metric is not None and metric.is_default,
        card=card,
        recipe=_recipe(card, params),
        settings=params["params"],
        input=params["input"],
        networks=[_network(extractor) for extractor in extractors_in(params)],
        citations={key: bibliography()[key] for key in card.cites} if card else {},
        command="",
        notes=() if card else ("no card: this version of the protocol is not installed",),
    )
    reference = (params.get("reference") or {}).get("system", "")
    command = _command(shlex.quote(run), told)
    command += f" --reference {shlex.quote(reference)}" if reference else ""
    return replace(told, command=command)


def _recipe(card: Card | None, params: Params) -> str:
    if card is None:
        return ""
    try:
        return fill(card.recipe, recipe_values(params))
    except KeyError as unknown:  # settings of an earlier version of the code
        return f"(the recipe cannot be filled: these settings have no {unknown.args[0]!r})"


def _command(source: str, told: Explanation) -> str:
    if is_import(told.protocol):
        tool = command_of(told.protocol)
        return f"streamchar import {tool} FILE --run {source} --system NAME"
    protocol, native, as_played = split_protocol(told.protocol)
    flags = " --native" * native + " --as-played" * as_played
    flags += " --asr WEIGHTS" * is_of_own_recogniser(protocol)
    return f"streamchar score {source} --metrics {told.metric} --protocol {protocol}{flags}"


def _kinds(metric: BaseMetric) -> set[str]:
    """``reference`` if its number is relative to a system."""
    is_set = hasattr(metric, "measure_set") or getattr(metric, "is_relative", False)
    return {"reference"} if is_set else set()


def _network(extractor: Mapping[str, Any]) -> Network:
    weights: dict[str, dict[str, str]] = {}
    altered = []
    for name, digest in extractor.get("weights", {}).items():
        pinned = registry().get(name)
        if pinned is None or pinned.digest != digest:
            altered.append(f"{name} #{digest} is not what is pinned now")
        else:
            weights[name] = {file.name: file.sha256 for file in pinned.files}
    if extractor.get("judge"):
        weights[extractor["name"]] = {f"{extractor['name']}.safetensors": extractor["judge"]}
    if "own_weights" in extractor:
        weights[OWN_FILE] = {_variable_of(extractor["name"]): extractor["own_weights"]}
    for name, digest in extractor.get("own", {}).items():
        weights[name] = {OWN_FILES[name].file: digest or "not on this machine"}
    return Network(
        name=extractor["name"],
        version=extractor["version"],
        package=extractor.get("package", ""),
        params=extractor["params"],
        weights=weights,
        note="; ".join(altered),
    )


def _variable_of(name: str) -> str:
    spec = EXTRACTORS.get(name)
    return f"${spec.weights_variable}" if spec and spec.weights_variable else name
