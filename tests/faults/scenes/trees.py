"""What is in a folder, as hashes that two runs can be compared by."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


def tree(folder: Path, *, times: bool = False) -> dict[str, str]:
    """Returns a hash of every file below a folder, by path; empty folders count, too.

    Args:
        folder: May be missing.
        times: Leave out the times of training.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_file():
            content = _timeless(path) if times else path.read_bytes()
            found[name] = hashlib.sha256(content).hexdigest()
        elif path.is_symlink() or not any(path.iterdir()):
            found[name] = "empty"
    return found


def _timeless(path: Path) -> bytes:
    readers: dict[str, Callable[[Path], bytes]] = {
        "state.pt": _state,
        "log.csv": _log,
        "checkpoint.json": _index,
    }
    return readers.get(path.name, Path.read_bytes)(path)


def _state(path: Path) -> bytes:
    import torch

    content = torch.load(path, weights_only=True)
    content["state"].pop("seconds", None)
    return "\n".join(_words(content)).encode()


def _words(value: Any) -> list[str]:
    if hasattr(value, "numpy"):
        return [hashlib.sha256(value.contiguous().numpy().tobytes()).hexdigest()]
    if isinstance(value, dict):
        return [word for key in value for word in (str(key), *_words(value[key]))]
    if isinstance(value, list | tuple):
        return [word for item in value for word in _words(item)]
    return [repr(value)]


def _log(path: Path) -> bytes:
    lines = path.read_text().splitlines()
    return "\n".join([lines[0], *(line.split(",")[0] for line in lines[1:])]).encode()


def _index(path: Path) -> bytes:
    index = json.loads(path.read_text())
    for stage in index.get("origin", {}).values():
        for name in ("minutes", "state"):  # the second is the hash of a file with seconds in it
            stage.pop(name, None)
    index.pop("digest", None)
    return json.dumps(index, sort_keys=True).encode()
