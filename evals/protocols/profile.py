"""Profiles: named sets of protocols, one TOML file each, for tables beside those of others."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path

from streamchar_ref.core.errors import InputError

PROFILES = Path(__file__).parent / "profiles"
DEFAULT = "default"
"""The profile of all protocols that are computed by default; it needs no file."""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A named set of protocols.

    Attributes:
        name: As on the command line; the name of its file.
        title: What it is for.
        protocols: Ids.
    """

    name: str
    title: str
    protocols: tuple[str, ...]


@cache
def load_profiles(folder: Path = PROFILES) -> Mapping[str, Profile]:
    """Reads all profiles of a folder.

    Args:
        folder: With one TOML file a profile: ``title`` and the list ``protocols``.

    Returns:
        Name -> profile, in the order of names.

    Raises:
        InputError: If a file is no profile.
    """
    return {path.stem: _read(path) for path in sorted(folder.glob("*.toml"))}


def find_profile(name: str) -> Profile:
    """Returns the profile of a name.

    Args:
        name: Not `DEFAULT`, which has no file.

    Returns:
        The profile.

    Raises:
        InputError: If there is none; the message names the nearest.
    """
    known = load_profiles()
    if name not in known:
        near = get_close_matches(name, known, 1)
        hint = (
            f"did you mean {near[0]!r}?" if near else f"there are: {', '.join([DEFAULT, *known])}"
        )
        raise InputError(f"unknown profile {name!r}; {hint}")
    return known[name]


def _read(path: Path) -> Profile:
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path.name}: not TOML ({error})") from error
    protocols = entries.get("protocols")
    is_list = isinstance(protocols, list) and all(isinstance(one, str) for one in protocols)
    if set(entries) != {"title", "protocols"} or not is_list or not protocols:
        raise InputError(f"{path.name}: a profile has a title and a list of protocols, no more")
    return Profile(name=path.stem, title=str(entries["title"]), protocols=tuple(protocols))
