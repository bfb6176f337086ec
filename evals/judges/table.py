"""The judges by name, and where their training and their test are."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evals.judges.training import JudgeSpec


@dataclass(frozen=True, kw_only=True)
class Judge:
    """Where a judge is defined; nothing is imported until it is asked for.

    Attributes:
        spec: ``module:name`` of its `JudgeSpec`.
        test: ``module:function`` that takes ``log`` and returns figures on what it never saw.
    """

    spec: str
    test: str

    def load_spec(self) -> "JudgeSpec[Any]":
        """Imports the training."""
        spec: JudgeSpec[Any] = _load(self.spec)
        return spec

    def load_test(self) -> Callable[..., dict[str, Any]]:
        """Imports the test."""
        function: Callable[..., dict[str, Any]] = _load(self.test)
        return function


def _load(path: str) -> Any:
    module, name = path.split(":")
    return getattr(import_module(module), name)


JUDGES = {
    "sync_world": Judge(
        spec="evals.judges.sync_train:SYNC_WORLD", test="evals.judges.sync_check:check"
    ),
    "align_world": Judge(
        spec="evals.judges.align_train:ALIGN_WORLD", test="evals.judges.align_check:check"
    ),
    "fvd_world": Judge(
        spec="evals.judges.fvd_train:FVD_WORLD", test="evals.judges.fvd_check:check"
    ),
    "identity_world": Judge(
        spec="evals.judges.identity_train:IDENTITY_WORLD", test="evals.judges.identity_check:check"
    ),
}
