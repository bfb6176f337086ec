"""Picks metrics by name and protocol, and shards of a list."""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import TypeVar

from evals.metrics import EVERY_METRIC
from evals.protocols.base import BaseMetric, Metric
from evals.protocols.profile import DEFAULT, find_profile
from evals.protocols.set_metric import SetMetric
from evals.protocols.takes_metric import TakesMetric
from evals.scoring.names import axis_named, resolve_names
from streamchar_ref.core.errors import InputError

Item = TypeVar("Item")


def choose_metrics(
    names: Sequence[str],
    protocol: str = DEFAULT,
    *,
    profile: str = "",
    more: Sequence[Metric] = (),
) -> tuple[list[Metric], list[SetMetric | TakesMetric]]:
    """Chooses what to compute.

    Args:
        names: Metrics, their aliases, or axes, see `evals.scoring.names`; all if empty.
        protocol: ``default``, with which a metric without a default protocol is taken only if it
            is named, not with its axis; ``all``; or a protocol id such as
            ``wer/whisper-base+seed-tts-en@2``, which is then the only one of its metric.
        profile: Name of a set of protocols, see `evals.protocols.profile`, in place of a protocol.
        more: Metrics of this run beside those of `EVERY_METRIC`.

    Returns:
        Metrics of samples; metrics of several recordings together, sets or takes.

    Raises:
        InputError: If a name, the protocol or the profile is unknown, naming the nearest, or if
            they do not go together.
    """
    everything: list[Metric | SetMetric | TakesMetric] = [*EVERY_METRIC, *more]
    protocols = {metric.protocol for metric in everything}
    _check_no_protocols(names, [metric.protocol for metric in everything])
    _check_known(protocol, {DEFAULT, "all"} | protocols)
    if profile and protocol != DEFAULT:
        raise InputError("a profile is a set of protocols: give --profile or --protocol, not both")
    known = list(dict.fromkeys(metric.name for metric in everything))
    named = resolve_names(names, known, "unknown metric")
    chosen = [metric for metric in everything if not names or metric.name in named]
    if profile:
        wanted = protocols_of(profile) | {metric.protocol for metric in more}
    elif protocol == DEFAULT:
        wanted = _default_protocols(chosen, [name for name in names if axis_named(name) is None])
    else:
        wanted = protocols if protocol == "all" else {protocol}
    chosen = [metric for metric in chosen if metric.protocol in wanted]
    if not chosen:
        which = (
            f"a protocol of the profile {profile!r}" if profile else f"the protocol {protocol!r}"
        )
        raise InputError(f"none of {', '.join(names)} has {which}")
    return (
        [metric for metric in chosen if isinstance(metric, Metric)],
        [metric for metric in chosen if not isinstance(metric, Metric)],
    )


def protocols_of(profile: str) -> set[str]:
    """Returns the protocols of a profile.

    Args:
        profile: Its name; ``default`` is all that is computed by default.

    Returns:
        Ids.

    Raises:
        InputError: If there is no such profile; the message names the nearest.
    """
    if profile == DEFAULT:
        return {metric.protocol for metric in EVERY_METRIC if metric.is_default}
    return set(find_profile(profile).protocols)


def _default_protocols(chosen: Sequence[BaseMetric], names: Sequence[str]) -> set[str]:
    """Default protocols, and all protocols of metrics that have none and are named themselves."""
    by_default = {metric.name for metric in chosen if metric.is_default}
    named = set(resolve_names(names, {metric.name for metric in chosen}, "unknown metric"))
    return {
        metric.protocol
        for metric in chosen
        if metric.is_default or (metric.name in named and metric.name not in by_default)
    }


def _check_no_protocols(names: Sequence[str], protocols: Sequence[str]) -> None:
    """Tells a protocol in the place of a metric, with or without its version."""
    for name in filter(lambda name: "/" in name, names):
        found = [protocol for protocol in protocols if protocol.startswith(name)]
        if found:
            raise InputError(
                f"{name!r} is a protocol, not a metric: ask for the metric "
                f"{name.partition('/')[0]!r} and the protocol {found[0]!r}"
            )


def _check_known(protocol: str, known: set[str]) -> None:
    if protocol not in known:
        near = get_close_matches(protocol, known, 1)
        hint = f"did you mean {near[0]!r}?" if near else "see: streamchar ls protocols"
        raise InputError(f"unknown protocol {protocol!r}; {hint}")


def names_of(metrics: str | Sequence[str]) -> list[str]:
    """Reads names from a list, or from a text that separates them by commas."""
    parts = [metrics] if isinstance(metrics, str) else list(metrics)
    return [name.strip() for part in parts for name in part.split(",") if name.strip()]


def take_shard(items: Sequence[Item], shard: str) -> list[Item]:
    """Takes every n-th item of a list, so that the n parts are alike.

    Args:
        items: The whole list.
        shard: Which part, ``i/n`` with i counted from 1; empty for the whole list.

    Returns:
        The part, in the order of the list.

    Raises:
        InputError: If the text is neither empty nor ``i/n`` with 1 <= i <= n.
    """
    if not shard:
        return list(items)
    parts = shard.split("/")
    if len(parts) != 2 or not all(re.fullmatch("[0-9]{1,18}", part) for part in parts):
        raise InputError(f"--shard is i/n, e.g. 1/4, not {shard!r:.60}")
    index, count = int(parts[0]), int(parts[1])
    if not 1 <= index <= count:
        raise InputError(f"--shard {shard}: counts from 1/{count} to {count}/{count}")
    return list(items[index - 1 :: count])
