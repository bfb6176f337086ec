"""Damages JSON, CSV and any other file in one place."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

from tests.faults.generators import values

DEEP = 100_000


def mangle(rng: Random, path: Path) -> str:
    """Damages a file; JSON is damaged inside as often as it is damaged as text.

    Args:
        rng: Decides how.
        path: A file that is there.

    Returns:
        What was done, in words.
    """
    draw = rng.random()
    if draw < 0.12:
        done = rng.choice(_PLACES)(path)
    elif draw < 0.65 and path.suffix in (".json", ".jsonl") and (parsed := _parsed(path)):
        done = _inside(rng, path, *parsed)
    elif draw < 0.65 and path.suffix == ".csv":
        done = _cell(rng, path)
    else:
        content, done = bytes_of(rng, path.read_bytes())
        path.write_bytes(content)
    return f"{path.name}: {done}"


def _gone(path: Path) -> str:
    path.unlink()
    return "removed"


def _folder(path: Path) -> str:
    path.unlink()
    path.mkdir()
    return "a folder in its place"


def _loop(path: Path) -> str:
    path.unlink()
    path.symlink_to(path.name)
    return "a link to itself"


def _dangling(path: Path) -> str:
    path.unlink()
    path.symlink_to("nowhere")
    return "a link to nothing"


def _empty(path: Path) -> str:
    path.write_bytes(b"")
    return "emptied"


_PLACES: tuple[Callable[[Path], str], ...] = (_gone, _folder, _loop, _dangling, _empty)


def replace_folder(rng: Random, path: Path) -> str:
    """Removes a folder, puts a file in its place, or puts another one in it."""
    how = rng.choice(("removed", "a file in its place", "a stranger in it"))
    if how == "a stranger in it":
        (
            path / values.text(rng).replace("/", "_").replace("\x00", "_")[:80].strip(".") / "x"
        ).mkdir(parents=True, exist_ok=True)
        return f"{path.name}: {how}"
    shutil.rmtree(path)
    if how != "removed":
        path.write_text("x")
    return f"{path.name}: {how}"


def bytes_of(rng: Random, content: bytes) -> tuple[bytes, str]:
    """Damages bytes; returns them and what was done."""
    at = rng.randrange(len(content) + 1)
    line = rng.choice(content.split(b"\n"))
    ways: dict[str, Callable[[], bytes]] = {
        f"cut at {at}": lambda: content[:at],
        f"begins at {at}": lambda: content[at:],
        f"bytes flipped from {at}": lambda: _flipped(rng, content, at),
        f"zeros from {at}": lambda: content[:at] + bytes(len(content) - at),
        f"a byte 255 at {at}": lambda: content[:at] + b"\xff" + content[at:],
        f"a byte 0 at {at}": lambda: content[:at] + b"\0" + content[at:],
        "UTF-16": lambda: content.decode(errors="replace").encode("utf-16"),
        "a byte order mark": lambda: b"\xef\xbb\xbf" + content,
        "a line twice": lambda: content + line + b"\n",
        "all twice": lambda: content + content,
        "a line gone": lambda: content.replace(line + b"\n", b"", 1),
        "no line ends": lambda: content.replace(b"\n", b" "),
        "CR LF": lambda: content.replace(b"\n", b"\r\n"),
        "CR": lambda: content.replace(b"\n", b"\r"),
        "brackets nested too deeply": lambda: content + b"[" * DEEP + b"]" * DEEP,
        "only nested brackets": lambda: b'{"a":' * DEEP + b"1" + b"}" * DEEP,
        "a long line": lambda: content + b'{"' + b"x" * 300_000 + b'": 1}\n',
        "a huge number": lambda: content.replace(b"0", b"9" * 5000, 1),
        "half a surrogate pair": lambda: content.replace(b'"', b'"\\ud800', 1),
        "another program's file": lambda: b"\x89PNG\r\n\x1a\n" + content[:64],
        "quotes gone": lambda: content.replace(b'"', b""),
        "random bytes": lambda: rng.randbytes(200),
    }
    way = rng.choice(list(ways))
    return ways[way](), way


def _flipped(rng: Random, content: bytes, at: int) -> bytes:
    damaged = bytearray(content)
    for place in range(at, min(at + rng.choice((1, 1, 8, 64)), len(damaged))):
        damaged[place] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def _parsed(path: Path) -> tuple[list[Any], str] | None:
    """Values of a file and what is behind them; None if it is damaged already, or empty."""
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".jsonl":
            entries, rest = [json.loads(line) for line in text.splitlines()], "\n"
        else:  # a value of the cache has a seal behind it
            entry, end = json.JSONDecoder().raw_decode(text)
            entries, rest = [entry], text[end:]
    except (ValueError, RecursionError):
        return None
    return (entries, rest) if entries else None


def _inside(rng: Random, path: Path, entries: list[Any], rest: str) -> str:
    is_lines = path.suffix == ".jsonl"
    number = rng.randrange(len(entries))
    whole, done = damaged_value(rng, entries[number])
    entries[number] = whole
    lines = [json.dumps(entry, indent=None if is_lines else 1) for entry in entries]
    if rng.random() < 0.1:
        lines[number] = lines[number].replace("{", '{"sample_id": 1, "sample_id": 2, ', 1)
        done += "; a key twice"
    path.write_text("\n".join(lines) + rest, encoding="utf-8")
    return done


def damaged_value(rng: Random, whole: Any) -> tuple[Any, str]:
    """Changes, removes or adds a field somewhere in a JSON value; returns it and what was done."""
    places = list(_places(whole, ()))
    if not places or rng.random() < 0.05:
        return values.value(rng), "another value"
    *folder, last = rng.choice(places)
    inner = whole
    for key in folder:
        inner = inner[key]
    words = ".".join(map(str, [*folder, last]))
    way = rng.random()
    if way < 0.6:
        fresh = values.value(rng)
        inner[last] = fresh
        return whole, f"{words} = {fresh!r:.60}"
    if way < 0.85:
        del inner[last]
        return whole, f"without {words}"
    if isinstance(inner, dict):
        name = values.text(rng)
        inner[name] = inner.pop(last) if rng.random() < 0.5 else values.value(rng)
        return whole, f"{words}: a key {name!r:.40}"
    inner.append(values.value(rng))
    return whole, f"{words}: one more"


def _places(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    pairs = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, inner in pairs:
        yield (*path, key)
        yield from _places(inner, (*path, key))


def _cell(rng: Random, path: Path) -> str:
    rows = [line.split(",") for line in path.read_text(encoding="utf-8").split("\n")]
    row = rng.choice(rows)
    column = rng.randrange(len(row))
    way = rng.random()
    if way < 0.7:
        row[column] = str(values.value(rng))
    elif way < 0.85:
        del row[column]
    else:
        row.insert(column, "x" * rng.choice((1, 200_000)))
    path.write_text("\n".join(map(",".join, rows)), encoding="utf-8", errors="replace")
    return f"column {column} of a row is {row[column : column + 1]!r:.60}"
