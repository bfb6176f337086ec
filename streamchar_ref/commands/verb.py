"""How every command ends: data on stdout, complaints on stderr in one line, and the exit code."""

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from typing import Any

import typer
from typer.core import TyperCommand

from streamchar_ref.commands import GROUP
from streamchar_ref.commands.output import visible_output
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.names import short
from streamchar_ref.media.chunk import MediaError

_REMEDIES = {
    errno.ENOENT: "there is no such file or folder",
    errno.EEXIST: "a file is in the way; choose another name",
    errno.ENOTDIR: "a file is where a folder should be; choose another name",
    errno.EISDIR: "a folder is where a file should be; choose another name",
    errno.EACCES: "permission denied",
    errno.ENOSPC: "the disk is full; free some of it, then give the same command again",
    errno.EDQUOT: "your share of the disk is used up; free some, then give the same command again",
    errno.EFBIG: "the file would be larger than is allowed here (ulimit -f)",
    errno.EROFS: "the disk is read-only",
    errno.ENAMETOOLONG: "the name is too long for a file",
    errno.EMFILE: "too many files are open; raise the limit (ulimit -n)",
}


_LARGEST = 2**63
"""Whole numbers below it fit what tables and generators of random numbers take."""

_MOST_LETTERS = 1_000
"""Of an error line: what is quoted in it may be of any length."""


class Verb(typer.Typer):
    """A command line whose commands turn what the user can mend into one line and exit code 2."""

    def __init__(self, doc: str | None, *, no_args_is_help: bool = False) -> None:
        super().__init__(add_completion=False, help=doc, no_args_is_help=no_args_is_help)

    def command(self, name: str | None = None, **options: Any) -> Callable[..., Any]:
        """Registers a command as `typer.Typer.command` does."""
        return super().command(name, **{"cls": _Command, **options})


class _Command(TyperCommand):
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if any("\0" in arg for arg in args):
            raise typer.BadParameter("an argument holds NUL, which no name or text has")
        rest: list[str] = super().parse_args(ctx, args)
        for name, value in ctx.params.items():
            if isinstance(value, int | float) and not -_LARGEST < value < _LARGEST:  # NaN, too
                option = f"--{name.replace('_', '-')}"
                raise typer.BadParameter(f"{option} {value!r:.60} is no number that can be used")
        return rest

    def invoke(self, ctx: Any) -> Any:  # typer has a click of its own, or that of the package
        with visible_output(), one_line_errors():
            return super().invoke(ctx)


def run_verb(name: str, *arguments: str) -> None:
    """Does what ``streamchar NAME ARGUMENTS`` does; nothing if no installed package has the verb.

    Args:
        name: Of a verb.
        *arguments: Of its command line.
    """
    for entry in entry_points(group=GROUP, name=name):
        typer.main.get_command(entry.load()).main(
            args=list(arguments), prog_name=f"streamchar {name}", standalone_mode=False
        )


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turns errors that the user can mend into one line on stderr and exit code 2.

    Raises:
        Exit: With code 2.
    """
    try:
        yield
    except BrokenPipeError:  # whoever read our output has enough of it
        raise
    except (InputError, MediaError) as error:
        _stop(str(error), error)
    except OSError as error:
        _stop(os_error_in_words(error), error)
    except KeyboardInterrupt:
        typer.echo("interrupted; what was finished is kept", err=True)
        raise
    except MemoryError as error:
        _stop(f"out of memory{f': {error}' if str(error) else ''}; try fewer --jobs", error)


def os_error_in_words(error: OSError) -> str:
    """Says which file an error of the system is about, what is wrong, and what to do if known."""
    if error.errno is None:
        return str(error)
    words = _REMEDIES.get(error.errno) or (error.strerror or str(error)).lower()
    places = [str(name) for name in (error.filename, error.filename2) if name is not None]
    return f"{' -> '.join(places)}: {words}" if places else words


def _stop(message: str, error: BaseException) -> None:
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    words = short("; ".join(lines), _MOST_LETTERS) or type(error).__name__
    typer.echo(f"error: {words}", err=True)
    raise typer.Exit(code=2) from error
