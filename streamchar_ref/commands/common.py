"""What several commands check and ask."""

import os
from pathlib import Path
from typing import Annotated

import typer

from streamchar_ref.core.errors import InputError

Preset = Annotated[str, typer.Option(help="tiny, micro, base; see: streamchar ls presets")]
Device = Annotated[str, typer.Option(help="cpu or cuda; empty takes cuda if there is.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def check_out(out: Path, *suffixes: str) -> None:
    """Looks before minutes of work whether a file can be written.

    Args:
        out: The file.
        *suffixes: What its name may end in.

    Raises:
        InputError: If it cannot.
    """
    if out.suffix.lower() not in suffixes:
        raise InputError(f"--out {out}: the name must end in {' or '.join(suffixes)}")
    if out.is_dir():
        raise InputError(f"--out {out} is a folder")
    if not out.parent.is_dir():
        raise InputError(f"--out {out}: there is no folder {out.parent}")


def num_cores() -> int:
    """Returns on how many cores this process may run."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
