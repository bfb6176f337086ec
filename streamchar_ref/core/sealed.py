"""Files that hold the SHA-256 of their own content, so that an altered or cut one is noticed.

An archive (``.npz``, torch's ``.pt``) carries it in the comment at its end, which the readers of
archives pass over; a JSON index carries it in a field. Neither needs a second file, which a kill
could leave behind.
"""

import hashlib
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import BadZipFile

from streamchar_ref.core.errors import InputError
from streamchar_ref.core.files import parse_json

DIGEST = "digest"
UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, EOFError, BadZipFile, zlib.error)
"""What reading an archive of numpy and its JSON raises if something else is in it."""
_MARK = b"sha256:"
_SEAL_BYTES = len(_MARK) + 64
_UNSEALED_END = b"\0\0"  # an archive's last field: the length of its comment
_SEALED_END = _SEAL_BYTES.to_bytes(2, "little")


def seal(path: Path) -> None:
    """Adds the digest to an archive that has no comment yet."""
    with path.open("r+b") as file:
        size = file.seek(0, 2)
        digest = _digest(file, size - len(_UNSEALED_END))
        file.seek(size - len(_UNSEALED_END))
        file.write(_SEALED_END + _MARK + digest.encode())


def verify_seal(path: Path) -> str:
    """Reads an archive to its end and compares it with its seal.

    Args:
        path: Archive that `seal` closed.

    Returns:
        The digest, 64 hex digits.

    Raises:
        InputError: If there is no seal or the content is not what was sealed.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2) - len(_SEALED_END) - _SEAL_BYTES
        if size > 0:
            file.seek(size)
            end = file.read()
            digest = _digest(file, size)
            if end == _SEALED_END + _MARK + digest.encode():
                return digest
    raise InputError(f"{path} was altered, cut, or written by something else")


def _digest(file: BinaryIO, size: int) -> str:
    """Hashes the first bytes of an archive as they are before it is sealed."""
    file.seek(0)
    found = hashlib.sha256()
    while size > 0:
        some = file.read(min(size, 1 << 20))
        if not some:
            break  # somebody cuts it just now: the digest will not match
        found.update(some)
        size -= len(some)
    found.update(_UNSEALED_END)
    return found.hexdigest()


def index_bytes(values: Mapping[str, Any]) -> bytes:
    """Returns a JSON index with the digest of everything else in it.

    Args:
        values: JSON values; the same values give the same bytes.

    Returns:
        UTF-8 text for `read_index`.
    """
    return _as_text({**values, DIGEST: hashlib.sha256(_as_text(values)).hexdigest()})


def read_index(
    path: Path, *, version: int, remedy: str, is_digest_needed: bool = True
) -> dict[str, Any]:
    """Reads a JSON index and compares it with its digest.

    Args:
        path: What `index_bytes` gave.
        version: Its field ``version`` must be this.
        remedy: What to do about another or a damaged one, for the message.
        is_digest_needed: Whether one without a digest is refused.

    Returns:
        The values; ``digest`` stands for the others.

    Raises:
        InputError: If it is no JSON object, of another version, or not what was written.
        OSError: If it cannot be read.
    """
    content = path.read_bytes()
    try:
        values = parse_json(content)
    except ValueError as error:
        raise InputError(f"{path} is damaged, {error}; {remedy}") from error
    found = values.get("version")
    if type(found) is not int or found != version:
        raise InputError(
            f"{path} has version {found!r:.40}, this program reads {version}; {remedy}"
        )
    if DIGEST not in values and not is_digest_needed:
        return {**values, DIGEST: hashlib.sha256(content).hexdigest()}
    if content != index_bytes({name: each for name, each in values.items() if name != DIGEST}):
        raise InputError(f"{path} is damaged: it is not what was written; {remedy}")
    return values


def _as_text(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values, indent=1, sort_keys=True).encode()
