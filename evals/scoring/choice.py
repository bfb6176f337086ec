"""Picks metrics by name and protocol, and shards of a list."""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import TypeVar

from evals.metrics import EVERY_METRIC
from evals.protocols.base import Metric
from evals.protocols.set_metric import SetMetric
from evals.protocols.takes_metric import TakesMetric
from streamchar_ref.core.errors import InputError

Item = TypeVar("Item")


def choose_metrics(
    names: Sequence[str], protocol: str, more: Sequence[Metric] = ()
) -> tuple[list[Metric], list[SetMetric | TakesMetric]]:
    """Chooses what to compute.

    Args:
        names: Metrics; all if empty.
        protocol: ``default``, with which a metric without a default protocol is taken only if it
            is named; ``all``; or a protocol id such as ``wer/seed-tts-en@1``, which is then the
            only one of its metric.
        more: Metrics of this run beside those of `EVERY_METRIC`.

    Returns:
        Metrics of samples; metrics of several recordings together, sets or takes.

    Raises:
        InputError: If a name or the protocol is unknown, naming the nearest, or if they do not
            go together.
    """
    everything: list[Metric | SetMetric | TakesMetric] = [*EVERY_METRIC, *more]
    _check_no_protocols(names, [metric.protocol for metric in everything])
    _check_known(names, {metric.name for metric in everything}, "metric")
    _check_known(
        [protocol], {"default", "all"} | {metric.protocol for metric in everything}, "protocol"
    )
    by_default = {metric.name for metric in everything if metric.is_default}
    chosen = [
        metric
        for metric in everything
        if (not names or metric.name in names)
        and (metric.protocol == protocol or protocol == "all"
             or (protocol == "default" and metric.is_default)
             or (protocol == "default" and names and metric.name not in by_default))
    ]  # fmt: skip
    if not chosen:
        raise InputError(f"none of {', '.join(names)} has the protocol {protocol!r}")
    return (
        [metric for metric in chosen if isinstance(metric, Metric)],
        [metric for metric in chosen if not isinstance(metric, Metric)],
    )


def _check_no_protocols(names: Sequence[str], protocols: Sequence[str]) -> None:
    """Tells a protocol in the place of a metric, with or without its version."""
    for name in filter(lambda name: "/" in name, names):
        found = [protocol for protocol in protocols if protocol.startswith(name)]
        if found:
            raise InputError(
                f"{name!r} is a protocol, not a metric: ask for the metric "
                f"{name.partition('/')[0]!r} and the protocol {found[0]!r}"
            )


def _check_known(names: Sequence[str], known: set[str], what: str) -> None:
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"see: streamchar ls {what}s"
            raise InputError(f"unknown {what} {name!r}; {hint}")


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
