"""Completion in the shell: verbs without loading any, options and choices of the verb at hand."""

import shlex
from collections.abc import Mapping, Sequence
from enum import EnumType
from importlib.metadata import EntryPoint
from typing import Any

import typer

from streamchar_ref.commands import COMPLETE

SHELLS = ("bash", "zsh", "fish")

_SCRIPTS = {
    "bash": f"""\
_streamchar() {{
  local IFS=$'\\n'
  COMPREPLY=($({COMPLETE}="${{COMP_LINE:0:COMP_POINT}}" streamchar))
}}
complete -o default -o bashdefault -F _streamchar streamchar
""",
    "zsh": f"""\
_streamchar() {{
  local -a found
  found=("${{(@f)$({COMPLETE}="${{(j: :)words[1,CURRENT]}}" streamchar)}}")
  [[ -n "$found" ]] && compadd -a found || _files
}}
compdef _streamchar streamchar
""",
    "fish": f"""\
complete -c streamchar -a '({COMPLETE}=(commandline -cp) streamchar)'
""",
}


def script(shell: str) -> str:
    """Returns what a shell evaluates to complete ``streamchar``; empty for one not known here."""
    return _SCRIPTS.get(shell, "")


def completions(line: str, verbs: Mapping[str, EntryPoint]) -> list[str]:
    """Finds what may stand at the cursor.

    Args:
        line: The command line up to the cursor, with the program's name.
        verbs: By name; only that of the line is loaded.

    Returns:
        Words; none where a file or a free text is due.
    """
    words = _words(line)[1:]
    if len(words) < 2:
        start = words[0] if words else ""
        names = [*sorted(verbs), "--help", "--version"]
        return [name for name in names if name.startswith(start)]
    verb, *before, start = words
    if verb not in verbs:
        return []
    return _in_command(typer.main.get_command(verbs[verb].load()), before, start)


def _words(line: str) -> list[str]:
    """Splits a line that may end inside a word or a quotation."""
    for closing in ("", "'", '"'):
        try:
            words = shlex.split(line + closing)
        except ValueError:
            continue
        return [*words, ""] if line.endswith((" ", "\t")) and not closing else words
    return line.split(" ")


def _in_command(command: Any, before: Sequence[str], start: str) -> list[str]:
    rest = list(before)
    while rest and rest[0] in getattr(command, "commands", {}):
        command = command.commands[rest.pop(0)]
    inner = getattr(command, "commands", {})
    if inner and not start.startswith("-"):
        return [name for name in sorted(inner) if name.startswith(start)]
    options = [one for one in command.params if one.param_type_name == "option"]
    named = {name: one for one in options for name in (*one.opts, *one.secondary_opts)}
    waiting = named.get(rest[-1]) if rest else None
    if waiting is not None and not waiting.is_flag:
        return [choice for choice in _choices(waiting) if choice.startswith(start)]
    if not start.startswith("-"):
        return []
    used = {id(named[word]) for word in rest if word in named and not named[word].multiple}
    names = [name for name, one in named.items() if id(one) not in used]
    return [name for name in [*names, "--help"] if name.startswith(start)]


def _choices(option: Any) -> list[str]:
    """Returns the values of an option that takes one of a few, whichever typer made it."""
    annotation = getattr(getattr(option, "type_descriptor", None), "annotation", None)
    if isinstance(annotation, EnumType):
        return [str(one.value) for one in annotation]  # type: ignore[var-annotated]
    found = getattr(getattr(option, "type", None), "choices", ())
    return [str(getattr(one, "value", one)) for one in found]
