"""A server on a free port with an engine of the test's own, and a client for it."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

pytest.importorskip("uvicorn")
pytest.importorskip("starlette")
pytest.importorskip("websockets")

from websockets.sync.client import ClientConnection, connect

from streamchar_ref.serve.app import make_app
from streamchar_ref.serve.server import HOST, listen, make_server
from streamchar_ref.serve.session import Hello
from streamchar_ref.serve.wire import HEADER
from streamchar_ref.serve.worker import Worker
from tests.streamchar_ref.serve.fake_engine import FPS, RATE, FakeEngine

TOKEN = "a-token"
PATIENCE_S = 30.0
SPEAK = {"do": "speak", "text": "Hello there, my friend.", "character": "7", "voice": ""}


@dataclass(kw_only=True)
class Served:
    engine: FakeEngine
    port: int

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}/{TOKEN}/"

    def connect(self, token: str = TOKEN, **options: Any) -> ClientConnection:
        options = {"max_size": 2**26, "open_timeout": PATIENCE_S, **options}
        return connect(f"ws://{HOST}:{self.port}/{token}/live", **options)


@contextmanager
def served(engine: FakeEngine, idle_s: float = 60.0) -> Iterator[Served]:
    worker = Worker(engine, fps=FPS, sample_rate=RATE, idle_s=idle_s)
    listener = listen(0)
    hello = Hello(fps=FPS, sample_rate=RATE, max_streams=engine.max_streams)
    server = make_server(make_app(worker, hello, TOKEN))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    worker.start()
    thread.start()
    try:
        yield Served(engine=engine, port=listener.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join()
        worker.stop()
        listener.close()


def wait_until(is_true: Any) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not is_true():
        assert time.monotonic() < end_s, "it took too long"
        time.sleep(0.01)


def ask(client: ClientConnection, **changes: Any) -> None:
    client.send(json.dumps({**SPEAK, **changes}))


def next_message(client: ClientConnection, kind: str) -> dict[str, Any]:
    """Reads on until a message of a kind; chunks are of the kind ``chunk``."""
    while True:
        data = client.recv(timeout=PATIENCE_S)
        if isinstance(data, bytes):
            names = "magic flags columns stream index rate fps samples frames width height spoken"
            values = HEADER.unpack_from(data)
            message = {
                "is": "chunk",
                "data": data,
                **dict(zip(names.split(), values, strict=False)),
            }
            message |= dict(
                zip(("start_s", "made_s", "took_s", "sent_s"), values[-4:], strict=True)
            )
        else:
            message = json.loads(data)
        if message["is"] == kind:
            return message
