"""The judges by name, and where their training and their test are."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Judge:
    """Where a judge's commands are; nothing is imported until one is asked for.

    Attributes:
        train: ``module:function`` that takes ``out``, ``max_minutes`` and ``say`` and returns how
            the weights were made.
        test: ``module:function`` that takes ``say`` and returns figures on what it never saw.
    """

    train: str
    test: str

    def trainer(self) -> Callable[..., dict[str, Any]]:
        """Imports the training."""
        return _found(self.train)

    def tester(self) -> Callable[..., dict[str, Any]]:
        """Imports the test."""
        return _found(self.test)


def _found(where: str) -> Callable[..., dict[str, Any]]:
    module, name = where.split(":")
    function: Callable[..., dict[str, Any]] = getattr(import_module(module), name)
    return function


JUDGES = {
    "sync_world": Judge(
        train="evals.judges.sync_world:train", test="evals.judges.sync_check:check"
    ),
    "align_world": Judge(
        train="evals.judges.align_world:train", test="evals.judges.align_check:check"
    ),
    "fvd_world": Judge(
        train="evals.judges.fvd_world_train:train", test="evals.judges.fvd_world_check:check"
    ),
    "identity_world": Judge(
        train="evals.judges.identity_train:train", test="evals.judges.identity_check:check"
    ),
}
