"""A page in headless Chromium, driven over its DevTools socket."""

import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_S = 60.0
_OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--remote-debugging-port=0",
    "--autoplay-policy=no-user-gesture-required",
    "--window-size=1280,800",
)


def find_chromium() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Page:
    """A page; its expressions are evaluated one after the other."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket, self._count = socket, 0
        self.errors: list[str] = []

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        self._count += 1
        self._socket.send(json.dumps({"id": self._count, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv(timeout=PATIENCE_S))
            if message.get("method") == "Runtime.exceptionThrown":
                self.errors.append(str(message["params"]["exceptionDetails"]))
            if message.get("id") == self._count:
                return dict(message["result"])

    def evaluate(self, expression: str) -> Any:
        done = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def wait_for(self, expression: str) -> None:
        end_s = time.monotonic() + PATIENCE_S
        while not self.evaluate(expression):
            assert time.monotonic() < end_s, f"never: {expression}"
            time.sleep(0.1)

    def open(self, url: str) -> None:
        self.call("Runtime.enable")
        self.call("Page.enable")
        self.call("Page.navigate", url=url)
        self.wait_for("document.readyState === 'complete' && document.body.dataset.state")


@contextmanager
def chromium(program: str, folder: Path) -> Iterator[Page]:
    """Starts a browser with a new profile, and stops it."""
    arguments = [program, *_OPTIONS, f"--user-data-dir={folder}", "about:blank"]
    process = subprocess.Popen(
        arguments, stderr=subprocess.DEVNULL, env={**os.environ, "TZ": "UTC"}
    )
    try:
        with connect(_page_of(folder), max_size=2**26) as socket:
            yield Page(socket)
    finally:
        process.terminate()
        process.wait()


def _page_of(folder: Path) -> str:
    """Returns the DevTools address of the one page."""
    place, end_s = folder / "DevToolsActivePort", time.monotonic() + PATIENCE_S
    while not (place.is_file() and place.read_text().strip()):
        assert time.monotonic() < end_s, "the browser did not start"
        time.sleep(0.1)
    port = place.read_text().split()[0]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/json") as answer:
        targets = json.load(answer)
    return str(next(each for each in targets if each["type"] == "page")["webSocketDebuggerUrl"])
