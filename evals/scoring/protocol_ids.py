"""Ids of protocols in rows: what a metric is called, and which input its number is of."""

from typing import NamedTuple

NATIVE = "+native"
AS_PLAYED = "+as-played"
OF_THE_ROW = frozenset({"language", "reference"})
"""Settings that a row has beside those of its metric; see `BaseMetric.params_for`."""


class ProtocolId(NamedTuple):
    """A protocol as a row names it.

    Attributes:
        bare: Id of the metric's protocol.
        native: Whether files are taken as they are.
        as_played: Whether it is of what a viewer saw and heard.
    """

    bare: str
    native: bool
    as_played: bool


def split_protocol(protocol: str) -> ProtocolId:
    """Splits the protocol of a row into id and input."""
    return ProtocolId(
        bare=protocol.removesuffix(NATIVE).removesuffix(AS_PLAYED),
        native=protocol.endswith(NATIVE),
        as_played=protocol.endswith(AS_PLAYED),
    )


def is_of_own_recogniser(protocol: str) -> bool:
    """Whether a number rests on a recogniser that was named with ``--asr``."""
    return protocol.partition("/")[2].startswith("asr:")
