"""Why features are missing, and whose failure that is.

A system fails only where a decoder finds its own file broken, which depends on the file's bytes
alone and is kept. What disk, memory, permissions, a network or a user's mistake stand in the way of
is an ``evaluator_failure``, which is never kept.
"""

import traceback
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from evals.protocols.base import Status

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Missing:
    """Why an extractor has no features of a recording.

    Attributes:
        reason: For a reader of the table.
        status: Of the rows that need it.
        log: Traceback of an unexpected error, for the log file.
    """

    reason: str
    status: Status
    log: str = ""


def is_verdict(found: object) -> bool:
    """Whether it says that the system's own output is broken."""
    return isinstance(found, Missing) and found.status == "generation_failure"


def is_fault(found: object) -> bool:
    """Whether it says that the machine, or we, failed: another try may find it."""
    return isinstance(found, Missing) and found.status == "evaluator_failure"


def failed_reading(error: Exception) -> Missing:
    """What is said of features where the machine, or we, failed: nothing of the system."""
    return Missing(
        reason=f"reading the file: {type(error).__name__}: {error}",
        status="evaluator_failure",
        log="".join(traceback.format_exception(error)),
    )


def without_verdict(found: Arrays | Missing) -> Arrays | Missing:
    """Features of a reference picture: an input, whose faults are not the system's failure."""
    if isinstance(found, Missing) and is_verdict(found):
        reason = f"reference_path: {found.reason}"
        return replace(found, status="evaluator_failure", reason=reason)
    return found
