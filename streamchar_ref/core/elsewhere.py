"""Tasks on other machines: what travels with a task, and what must be the same there.

A task is pickled whole and unpickled only once the worker has the threads, variables and folder of
the machine that sent it. A worker with other code or other package versions is refused, because
its numbers would be filed under the protocol of this machine.
"""

import os
import pickle
import platform
import re
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from streamchar_ref.core.errors import InputError
from streamchar_ref.core.executor import one_thread_only

PREFIX = "STREAMCHAR_"
"""Environment variables that travel with a task."""
_ROOT = Path(__file__).resolve().parents[2]
_SOURCES = ("streamchar_ref", "evals", "baselines")


class UnfitMachine(InputError):
    """A worker's machine cannot do the work as this one would; says what to mend."""


@dataclass(frozen=True, kw_only=True)
class Site:
    """The machine that sends tasks.

    Attributes:
        folder: Working folder, to which paths are relative.
        variables: Environment variables with `PREFIX`.
        code: What decides results, see `code_state`.
    """

    folder: str
    variables: Mapping[str, str]
    code: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a function returned or raised.

    Attributes:
        result: Its result.
        error: Its exception, if it raised one.
    """

    result: Any = None
    error: Exception | None = None

    def settle(self, future: "Future[Any]") -> None:
        """Passes it on to whoever waits."""
        if self.error is not None:
            future.set_exception(self.error)
        else:
            future.set_result(self.result)


def this_site() -> Site:
    """Returns what tasks of this process take along."""
    variables = {name: text for name, text in os.environ.items() if name.startswith(PREFIX)}
    return Site(folder=str(Path.cwd()), variables=variables, code=code_state())


def packed(work: Callable[..., Any], arguments: tuple[Any, ...]) -> bytes:
    """Pickles a function of a module and its arguments."""
    return pickle.dumps((work, arguments))


def run_packed(site: Site, task: bytes) -> Outcome:
    """Runs a task as the sending machine would.

    Args:
        site: Of the sender.
        task: From `packed`.

    Returns:
        What came of it, exceptions included; `UnfitMachine` if it was not begun.
    """
    one_thread_only()
    try:
        _settle_in(site)
        work, arguments = pickle.loads(task)
        return Outcome(result=work(*arguments))
    except Exception as error:  # for whoever asks for the result
        return Outcome(error=_that_travels(error))


@cache
def code_state() -> dict[str, str]:
    """What decides results beside the input: our source, Python, and the packages that we need."""
    digest = sha256()
    for path in sorted(path for name in _SOURCES for path in (_ROOT / name).rglob("*.py")):
        digest.update(path.relative_to(_ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    python = ".".join(platform.python_version_tuple()[:2])
    state = {"streamchar's source": digest.hexdigest()[:12], "python": python}
    for package in _needed():
        try:
            state[package] = version(package)
        except PackageNotFoundError:
            continue
    return state


def _needed() -> list[str]:
    """Packages that the program and its default metrics require."""
    try:
        lines = requires("streamchar") or []
    except PackageNotFoundError:  # run from the source without an installation
        return []
    wanted = [line for line in lines if "extra ==" not in line or "metrics" in line.split(";")[1]]
    return [name.group() for line in wanted if (name := re.match(r"[\w.-]+", line))]


def _settle_in(site: Site) -> None:
    here = code_state()
    if here != site.code:
        names = [n for n in {**site.code, **here} if here.get(n) != site.code.get(n)]
        told = ", ".join(
            f"{n}: {here.get(n, 'none')} there, {site.code.get(n, 'none')} here" for n in names
        )
        raise UnfitMachine(
            f"the worker on {platform.node()} has other code ({told}); install the same revision "
            "and versions on all machines"
        )
    try:
        os.chdir(site.folder)
    except OSError as error:
        raise UnfitMachine(
            f"the worker on {platform.node()} cannot enter {site.folder}: {error.strerror}; "
            "all machines must share the disk that the command is given on"
        ) from error
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        if name not in site.variables:
            del os.environ[name]
    os.environ.update(site.variables)


def _that_travels(error: Exception) -> Exception:
    """Returns the error if it can be pickled, else one that says the same."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # whatever a class does when it is pickled
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
