"""Configs as JSON: what is written beside weights, and what earlier versions wrote."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from streamchar_ref.core.config_values import filled
from streamchar_ref.core.errors import InputError
from streamchar_ref.model.config import Config
from streamchar_ref.sampling.config import DEFAULT
from streamchar_ref.sampling.orders import JOINT


def to_json(config: Config) -> dict[str, Any]:
    """Returns a config as JSON values.

    What earlier versions did not have is left out at its default, so that digests stay the same.
    """
    values: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(config)))
    if not values["orchestrator"]["num_key_value_heads"]:
        del values["orchestrator"]["num_key_value_heads"]
    if not config.dit.text_expansion:
        del values["dit"]["text_expansion"]
    if not config.dit.cached_chunks:
        del values["dit"]["cached_chunks"]
    if config.order == JOINT:
        del values["order"]
    return values


def from_json(values: Mapping[str, Any]) -> Config:
    """Reads what `to_json` wrote.

    Args:
        values: A dictionary for each part.

    Returns:
        The config.

    Raises:
        InputError: If a field is missing, unknown or of another kind, e.g. of another version.
    """
    try:
        return filled(Config, _of_this_version(values))
    except InputError as error:
        raise InputError(f"not a config of this version: {error}") from error


_SAMPLER_WAS = {"sigma_shift": "shift"} | {
    name: name
    for name in ("num_steps", "guidance", "picture_guidance", "temperature", "picture_temperature")
}


def _of_this_version(values: Any) -> Any:
    """Renames what a config of an earlier version calls otherwise."""
    if not isinstance(values, dict):
        return values
    orchestrator, stream = values.get("orchestrator"), values.get("stream")
    if isinstance(orchestrator, dict) and orchestrator.get("timing") == "foretold":
        values = {**values, "orchestrator": {**orchestrator, "timing": "predicted"}}
    if isinstance(stream, dict) and "sampler" not in values:
        sampler = {new: stream[old] for old, new in _SAMPLER_WAS.items() if old in stream}
        stream = {name: value for name, value in stream.items() if name not in _SAMPLER_WAS}
        values = {**values, "stream": stream, "sampler": {**asdict(DEFAULT), **sampler}}
    return values
