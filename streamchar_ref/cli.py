"""``streamchar``: finds the verbs that the packages register and imports a verb when it is used."""

import ast
import io
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path

from streamchar_ref import __version__
from streamchar_ref.commands import COMPLETE, GROUP


def main(arguments: Sequence[str] | None = None) -> None:
    """Hands the rest of the command line to the verb that it starts with.

    Args:
        arguments: By default those of this process, which is then a user's: libraries are quiet.

    Raises:
        SystemExit: Always: 0 done, 1 measured with failures above policy, 2 used wrongly.
    """
    if arguments is None:
        _quiet_libraries()
    _open_closed_streams()
    verb, *rest = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    verbs = {entry.name: entry for entry in entry_points(group=GROUP)}
    line = os.environ.get(COMPLETE)
    if line is not None:
        sys.stdout.write("".join(f"{word}\n" for word in _completed(line, verbs)))
    elif verb == "--show-completion":
        _show_completion(rest)
    elif verb in {"-h", "--help"}:
        sys.stdout.write(_help(verbs))
    elif verb == "--version":
        sys.stdout.write(f"streamchar {__version__}\n")
    elif verb in verbs:
        verbs[verb].load()(args=rest, prog_name=f"streamchar {verb}")
    else:
        near = "".join(f" Did you mean {name!r}?" for name in get_close_matches(verb, verbs, 1))
        sys.stderr.write(f"streamchar has no command {verb!r:.100}.{near} See: streamchar --help\n")
        sys.exit(2)
    sys.exit(0)


def _completed(line: str, verbs: dict[str, EntryPoint]) -> list[str]:
    from streamchar_ref.commands.completion import completions  # loads typer

    return completions(line, verbs)


def _show_completion(rest: Sequence[str]) -> None:
    from streamchar_ref.commands.completion import SHELLS, script

    shell = rest[0] if rest else Path(os.environ.get("SHELL", "")).name
    if not script(shell):
        sys.stderr.write(f"completion is for {', '.join(SHELLS)}: --show-completion bash\n")
        sys.exit(2)
    sys.stdout.write(script(shell))


def _open_closed_streams() -> None:
    """Lets anything be printed: to a stream that is closed, and in any locale."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _quiet_libraries() -> None:
    """Keeps what libraries tell programmers off the screen; ``-W`` brings it back.

    Worker processes are started with the options of this one. Errors are still printed.
    """
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    if not sys.warnoptions:
        sys.warnoptions.append("ignore")
        warnings.simplefilter("ignore")
    if logging.lastResort is not None:
        logging.lastResort.setLevel(logging.ERROR)


def _help(verbs: dict[str, EntryPoint]) -> str:
    lines = [f"  {name:<10} {_summary(entry)}" for name, entry in sorted(verbs.items())]
    return "\n".join(
        [
            "Usage: streamchar COMMAND [OPTIONS]",
            "",
            "Measure streaming talking-character generation, and stream the reference model.",
            "",
            "Commands (each has its own --help):",
            *lines,
            "",
            'Completion in bash, zsh or fish: eval "$(streamchar --show-completion bash)"',
            "",
        ]
    )


def _summary(entry: EntryPoint) -> str:
    """Reads the first line of a module's docstring without running the module."""
    spec = find_spec(entry.module)
    if spec is None or spec.origin is None:
        return f"(cannot be found: {entry.value})"
    docstring = ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8")))
    return (docstring or "").split("\n")[0]
