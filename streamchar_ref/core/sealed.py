"""Files that contain the SHA-256 of their own content, so that an altered or cut one is detected.

Plain bytes carry it at the end, together with a name; an archive (``.npz``, torch's ``.pt``) in
the comment at its end, which readers of archives skip; a JSON index in a field. None needs a
second file, which could be left behind when a process is killed.
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
"""Exceptions of numpy's and JSON's readers on files that are not what they should be."""
_HEX_BYTES = 64
_MARK = b"sha256:"
_SEAL_BYTES = len(_MARK) + _HEX_BYTES
_UNSEALED_END = b"\0\0"  # an archive's last field: the length of its comment
_SEALED_END = _SEAL_BYTES.to_bytes(2, "little")


def seal_bytes(name: str, content: bytes) -> bytes:
    """Returns content followed by the digest of a name and the content."""
    return content + _named_digest(name, content)


def unseal_bytes(name: str, sealed: bytes) -> bytes | None:
    """Returns the content that `seal_bytes` sealed under a name; None if the digest differs."""
    content, digest = sealed[:-_HEX_BYTES], sealed[-_HEX_BYTES:]
    return content if digest == _named_digest(name, content) else None


def _named_digest(name: str, content: bytes) -> bytes:
    digest = hashlib.sha256(name.encode() + b"\0")
    digest.update(content)
    return digest.hexdigest().encode()


def seal(path: Path) -> None:
    """Adds the digest to an archive that has no comment yet."""
    with path.open("r+b") as file:
        size = file.seek(0, 2)
        digest = _digest(file, size - len(_UNSEALED_END))
        file.seek(size - len(_UNSEALED_END))
        file.write(_SEALED_END + _MARK + digest.encode())


def verify_seal(path: Path) -> str:
    """Verifies that an archive matches its digest.

    Args:
        path: Archive that `seal` closed.

    Returns:
        The digest, 64 hex digits.

    Raises:
        InputError: If there is no digest or the content differs from what was sealed.
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
    """Hashes the first ``size`` bytes and the empty comment that followed before sealing."""
    file.seek(0)
    digest = hashlib.sha256()
    while size > 0:
        block = file.read(min(size, 1 << 20))
        if not block:
            break  # truncated while it is read: the digest will not match
        digest.update(block)
        size -= len(block)
    digest.update(_UNSEALED_END)
    return digest.hexdigest()


def index_bytes(values: Mapping[str, Any]) -> bytes:
    """Serialises a JSON index together with its digest.

    Args:
        values: JSON values; equal values give equal bytes.

    Returns:
        UTF-8 text for `read_index`.
    """
    return _as_text({**values, DIGEST: hashlib.sha256(_as_text(values)).hexdigest()})


def read_index(
    path: Path, *, version: int, remedy: str, is_digest_needed: bool = True
) -> dict[str, Any]:
    """Reads a JSON index and verifies its digest.

    Args:
        path: File with the content of `index_bytes`.
        version: Required value of its field ``version``.
        remedy: What to do if it cannot be used, for the message.
        is_digest_needed: Whether an index without a digest is refused.

    Returns:
        The values, including ``digest``.

    Raises:
        InputError: If it is not a JSON object, has another version, or was altered.
        OSError: If it cannot be read.
    """
    content = path.read_bytes()
    try:
        values = parse_json(content)
    except ValueError as error:
        raise InputError(f"{path} is damaged, {error}; {remedy}") from error
    written = values.get("version")
    if type(written) is not int or written != version:
        raise InputError(
            f"{path} has version {written!r:.40}, this program reads {version}; {remedy}"
        )
    if DIGEST not in values and not is_digest_needed:
        return {**values, DIGEST: hashlib.sha256(content).hexdigest()}
    if content != index_bytes({name: value for name, value in values.items() if name != DIGEST}):
        raise InputError(f"{path} is damaged: it is not what was written; {remedy}")
    return values


def _as_text(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values, indent=1, sort_keys=True).encode()
