"""What a metric is: a name, a unit, a direction, a protocol, and a score for each recording."""

import hashlib
import inspect
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

import numpy as np

from evals.protocols.info import (
    MAX_DECIMALS,
    UNBOUNDED,
    Axis,
    Bounds,
    Direction,
    Level,
    MetricInfo,
    spaced,
)
from evals.recording.recording import Recording

Status = Literal[
    "computed", "not_applicable", "generation_failure", "evaluator_failure", "unavailable"
]
Features = Mapping[str, Mapping[str, np.ndarray]]
"""What extractors found in one recording: extractor name -> array name -> array."""


class Unscored(Exception):
    """Raised where a number cannot be had; becomes an unscored row with this reason.

    Args:
        reason: For a reader of the table, e.g. ``no face in any frame``.
        status: ``not_applicable`` if the input cannot have this number, ``unavailable`` if
            weights or packages are missing, ``generation_failure`` if the output is broken.
    """

    def __init__(self, reason: str, status: Status = "not_applicable") -> None:
        super().__init__(reason)
        self.reason = reason
        self.status: Status = status


def other_size(own: Sequence[int], truth: Sequence[int]) -> Unscored:
    """Returns what to raise where two pictures, by width and height, cannot be laid on another."""
    return Unscored(
        f"pictures of {own[0]} x {own[1]} against {truth[0]} x {truth[1]}: cut both to one shape"
    )


@dataclass(frozen=True, kw_only=True)
class MetricWindow:
    """A metric on a stretch of one recording.

    Attributes:
        t0_s: Start in playing time.
        t1_s: End in playing time.
        value: In the metric's unit, or that of its `Curve`; NaN if nothing could be measured there.
    """

    t0_s: float
    t1_s: float
    value: float


class Curve(NamedTuple):
    """What the windows of a metric hold where that is not the metric itself.

    Attributes:
        quantity: Name of a metric, or words for an axis.
        unit: Of the windows' values.
    """

    quantity: str
    unit: str


@dataclass(frozen=True, kw_only=True)
class Score:
    """One metric on one recording.

    Attributes:
        value: In the metric's unit; NaN when it could not be measured.
        weight: Share in the mean over recordings, e.g. reference words for ``wer``.
        status: ``computed``, or why not.
        reason: Why ``value`` is NaN; empty otherwise.
        components: What the value was made of: counts, times, words; JSON types only.
        windows: The metric over playing time, or what its `Curve` says, where it has a curve.
    """

    value: float
    weight: float = 1.0
    status: Status = "computed"
    reason: str = ""
    components: Mapping[str, Any] = field(default_factory=dict)
    windows: tuple[MetricWindow, ...] = ()

    def with_failed(self, streams: int) -> "Score":
        """Returns the score of a set with the number of streams that failed and are not in it."""
        if self.status != "computed":
            return self
        return replace(self, components={**self.components, "n_failed": streams})

    @classmethod
    def without_value(cls, status: Status, reason: str) -> "Score":
        """Makes the score of what could not be measured."""
        return cls(value=math.nan, weight=0.0, status=status, reason=reason)


@dataclass(frozen=True, kw_only=True)
class MetricContext:
    """What a metric may know beyond the one recording.

    Attributes:
        references: Embeddings of the reference pictures in the run: extractor -> identity -> [D].
        reference_faults: Extractor -> why some of them are not there though they should be.
    """

    references: Mapping[str, Mapping[str, np.ndarray]] = field(default_factory=dict)
    reference_faults: Mapping[str, str] = field(default_factory=dict)


class BaseMetric(ABC):
    """What every metric says of itself.

    Only ``params`` and ``needs`` enter the protocol hash; how values are shown does not.

    Attributes:
        name: The field's standard term, lower case.
        unit: ``1`` for ratios.
        higher_is_better: ``None`` where neither is.
        zero_is_best: Whether values are signed and best at zero, e.g. an offset; with
            ``higher_is_better`` of ``None``.
        bounds: Smallest and largest value there can be; intervals and bands stay inside.
        label: Name in tables and on axes; ``name`` with blanks by default.
        distinction: What tells it from other metrics of its class, in words; for its definition.
        axis: What it measures; tables list metrics axis by axis.
        level: ``headline`` if the default table shows it, else ``detail``.
        decimals: Largest number of decimals in print; the interval may support fewer.
        is_percent: Whether it is a ratio that readers know in per cent.
        is_project_specific: Whether a published metric of like name has other values.
        replaces: Metric whose place it takes in the headline where it has a value.
        remark: Sentence below tables that show it, for what its readers must not conclude.
        curve: What its windows hold, if not values of the metric itself.
        domain: ``world`` or ``real`` if a network behind it was trained for one, else ``any``.
        is_default: Whether ``score`` computes it unless told otherwise.
        needs: Names of the extractors whose features it reads.
        needs_at_times: Those of them that it reads in some recordings only.
        is_of_speech: Whether it has no meaning without speech in the sound, see `absence`.
        is_of_arrivals: Whether it reads the arrival times themselves, and hence has no other value
            for the stream as it was played.
        protocol: Name and version, e.g. ``wer/whisper-base@1``.
        params: All settings of its own; extractors and input add theirs to the hash.
    """

    name: str
    unit: str
    higher_is_better: bool | None
    zero_is_best: bool = False
    bounds: Bounds = UNBOUNDED
    label: str = ""
    distinction: str = ""
    axis: Axis = Axis.OTHER
    level: Level = Level.DETAIL
    decimals: int = MAX_DECIMALS
    is_percent: bool = False
    is_project_specific: bool = False
    replaces: str = ""
    remark: str = ""
    curve: Curve | None = None
    domain: str = "any"
    is_default: bool = True
    needs: tuple[str, ...] = ()
    needs_at_times: tuple[str, ...] = ()
    is_of_speech: bool = False
    is_of_arrivals: bool = False
    protocol: str
    params: Mapping[str, Any]

    @property
    def info(self) -> MetricInfo:
        """What readers of its values must know."""
        return MetricInfo(
            unit=self.unit,
            higher_is_better=self.higher_is_better,
            zero_is_best=self.zero_is_best,
            bounds=self.bounds,
            label=self.label or spaced(self.name),
            axis=self.axis,
            level=self.level,
            decimals=self.decimals,
            is_percent=self.is_percent,
            is_project_specific=self.is_project_specific,
            replaces=self.replaces,
            remark=self.remark,
        )

    @property
    def definition(self) -> str:
        """What it measures: its setting of that name, else the first words of its class."""
        text = self.params.get("definition") or inspect.getdoc(type(self)) or ""
        words = " ".join(str(text).split("\n\n")[0].split())
        return f"{words.removesuffix('.')}; {self.distinction}." if self.distinction else words

    @property
    def direction(self) -> Direction:
        """Which values are better."""
        return self.info.direction

    def params_for(self, recording: Recording) -> Mapping[str, Any]:
        """Further settings for one recording, as its language: numbers of others are apart."""
        return {}

    def check_domain(self, domain: str) -> None:
        """Refuses a network's judgement on pictures of another kind than it was trained on.

        Args:
            domain: Of the recording, ``real`` or ``world``.

        Raises:
            Unscored: If the domains differ.
        """
        if self.domain not in {"any", domain}:
            raise Unscored(f"its network is for domain {self.domain!r}, this is {domain!r}")


class Metric(BaseMetric):
    """A metric with a value for every recording.

    Subclasses set the attributes and write `measure`; several instances of one class with other
    parameters are several protocols of one metric.
    """

    @abstractmethod
    def measure(self, recording: Recording, features: Features, context: MetricContext) -> Score:
        """Measures one recording and changes nothing.

        Args:
            recording: What to measure.
            features: What the extractors in `needs` found in it.
            context: What it may know beyond the recording.

        Returns:
            The value, what it was made of, and its curve if it has one.

        Raises:
            Unscored: If the number cannot be had; the reason goes into the row.
        """

    def score(self, recording: Recording, features: Features, context: MetricContext) -> Score:
        """Measures one recording; what cannot be measured is NaN with its reason."""
        try:
            self.check_domain(recording.domain)
            return self.measure(recording, features, context)
        except Unscored as why:
            return Score(value=math.nan, weight=0.0, status=why.status, reason=why.reason)


def require_transcript(recording: Recording) -> None:
    """Refuses a recording of which it is not known what should be said.

    Args:
        recording: For its transcript.

    Raises:
        Unscored: If there is none.
    """
    if not recording.transcript.strip():
        raise Unscored("there is no transcript")


def protocol_hash(params: Mapping[str, Any]) -> str:
    """Returns 12 hex digits of the SHA-256 of the parameters as sorted JSON."""
    text = json.dumps(params, sort_keys=True, allow_nan=False, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"protocol parameters are JSON values, not {type(value).__name__}")
