"""Values that fill the recipe of a protocol card: the settings of a protocol in the code."""

from collections.abc import Iterator, Mapping
from typing import Any

from evals.extractors import EXTRACTORS
from evals.extractors.by_path import OWN_FILES
from evals.protocols.base import protocol_hash

Params = Mapping[str, Any]
"""Everything that decides a number, as `evals.scoring.score.params_of` and ``run.json`` have it."""


def recipe_values(params: Params) -> dict[str, Any]:
    """Returns what a recipe may name in braces.

    Args:
        params: Of a protocol.

    Returns:
        Settings of the metric under their own names; those of each extractor under its name
        (``{asr_whisper.beam_size}``) and, where nothing else has it, under theirs; ``input``, the
        preprocessing of the file; of the first extractor ``package`` and ``weights``;
        ``protocol``, ``metric`` and ``hash``.
    """
    extractors = list(extractors_in(params))
    values: dict[str, Any] = {}
    for extractor in reversed(extractors):
        values |= _values_of(extractor)
    values |= params["params"]
    values |= {extractor["name"]: _values_of(extractor) for extractor in extractors}
    fixed = {"input": params["input"], "protocol": params["protocol"], "metric": params["metric"]}
    return values | fixed | {"hash": protocol_hash(params)}


def extractors_in(params: Params) -> Iterator[Mapping[str, Any]]:
    """Yields the extractors behind a number, upstream ones after the one that reads them, once."""
    todo, done = list(params["extractors"]), set()
    while todo:
        extractor = todo.pop(0)
        if extractor["name"] not in done:
            done.add(extractor["name"])
            yield extractor
            todo = [*extractor.get("after", []), *todo]


def _values_of(extractor: Mapping[str, Any]) -> dict[str, Any]:
    weights = [f"{name} #{digest}" for name, digest in extractor.get("weights", {}).items()]
    judge = [f"{extractor['name']} #{extractor['judge'][:12]}"] if "judge" in extractor else []
    return {
        **extractor["params"],
        "package": extractor.get("package", "").replace("==", " "),
        "weights": ", ".join(weights + judge) or _other_weights(extractor),
        "version": extractor["version"],
    }


def _other_weights(extractor: Mapping[str, Any]) -> str:
    """Weights that are pinned by their package's version or by the hash of a reader's own file."""
    if "own_weights" in extractor:
        return f"a file with sha256 {extractor['own_weights']}"
    if "own" in extractor:
        return ", ".join(
            f"{OWN_FILES[name].file} with sha256 {digest or 'unknown: not on this machine'}"
            for name, digest in extractor["own"].items()
        )
    spec = EXTRACTORS.get(extractor["name"])
    if spec is not None and spec.weights_variable:
        return f"a file named by ${spec.weights_variable}"
    return "those of the package" if extractor.get("package") else "none"
