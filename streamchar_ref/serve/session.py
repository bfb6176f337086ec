"""One visitor: messages in, chunks and messages out, over one WebSocket.

From the page come JSON objects ``{"do": ...}`` and, as a binary message, a picture file:
``speak`` (text, after what is being said), ``replace`` (text, in place of what is not said yet),
both with ``character`` (number, or "own" for the picture) and ``voice``; ``stop``.
To the page go JSON objects ``{"is": ...}`` (hello, begun, captions, portrait, refused, ended,
error) and chunks as `wire` packs them.
"""

import asyncio
import base64
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocket, WebSocketDisconnect

from streamchar_ref.core.errors import InputError
from streamchar_ref.serve.people import as_jpeg, character, person_of_picture, with_voice
from streamchar_ref.serve.wire import stamp_sent
from streamchar_ref.serve.worker import Worker
from streamchar_ref.streaming.live import read_piece
from streamchar_ref.world.reference import STYLE, Person, check_voice

MAX_LETTERS = 2000
MOST_WAITING = 16
"""Messages that wait for a visitor who does not read; with one more, the connection is ended."""
OWN = "own"
_POLICY, _FULL_STOP = 1008, tuple(".!?")
_TOO_SLOW = "the page did not read what was sent to it"


@dataclass(frozen=True, kw_only=True)
class Hello:
    """What the page is told first.

    Attributes:
        fps: Frames a second.
        sample_rate: Of the sound.
        max_streams: How many visitors can be served at once.
    """

    fps: float
    sample_rate: int
    max_streams: int


class Session:
    """Serves a visitor until the connection ends.

    Args:
        socket: The connection, not yet accepted.
        worker: Makes the chunks.
        hello: What the page is told first.
        clock: Seconds; that of the worker.
    """

    def __init__(
        self,
        socket: WebSocket,
        worker: Worker,
        hello: Hello,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._socket, self._worker, self._hello, self._clock = socket, worker, hello, clock
        self._loop = asyncio.get_running_loop()
        self._waiting: asyncio.Queue[bytearray | str] = asyncio.Queue(MOST_WAITING)
        self._is_too_slow = asyncio.Event()
        self._is_gone = False
        self._own: Person | None = None

    async def run(self) -> None:
        """Talks with the page."""
        await self._socket.accept()
        hello = {**vars(self._hello), "voices": STYLE.voices, "max_letters": MAX_LETTERS}
        self._say("hello", **hello)
        jobs = [
            asyncio.create_task(job)
            for job in (self._listen(), self._send(), self._is_too_slow.wait())
        ]
        try:
            done, _ = await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
            for job in done:
                job.result()
        except WebSocketDisconnect:
            return
        finally:
            self._is_gone = True
            self._worker.leave(self)
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)
        if self._is_too_slow.is_set():
            await self._socket.close(_POLICY, _TOO_SLOW)

    def deliver(self, message: bytearray) -> None:
        """Takes a chunk from the worker's thread."""
        if not self._is_gone:
            self._loop.call_soon_threadsafe(self._offer, message)

    def tell(self, kind: str, **values: Any) -> None:
        """Takes a message about the stream from the worker's thread."""
        if not self._is_gone:
            self._loop.call_soon_threadsafe(lambda: self._say(kind, **values))

    def _say(self, kind: str, **values: Any) -> None:
        self._offer(json.dumps({"is": kind, **values}))

    def _offer(self, message: bytearray | str) -> None:
        try:
            self._waiting.put_nowait(message)
        except asyncio.QueueFull:
            self._is_too_slow.set()

    async def _send(self) -> None:
        while True:
            message = await self._waiting.get()
            if isinstance(message, str):
                await self._socket.send_text(message)
            else:
                await self._socket.send_bytes(stamp_sent(message, self._clock()))

    async def _listen(self) -> None:
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            try:
                await self._take(message)
            except InputError as error:
                self._say("error", reason=str(error))

    async def _take(self, message: Any) -> None:
        """Does what the page asks."""
        picture = message.get("bytes")
        if picture is not None:
            self._own = await run_in_threadpool(person_of_picture, picture)
            shown = base64.b64encode(as_jpeg(self._own.picture)).decode()
            self._say("portrait", picture=f"data:image/jpeg;base64,{shown}")
            return
        asked = _parsed(message["text"])
        match asked.get("do"):
            case "speak" | "replace" as do:
                piece = await run_in_threadpool(read_piece, _sentence(asked.get("text")))
                person = await self._person(asked)
                act = self._worker.speak if do == "speak" else self._worker.replace
                act(self, piece, person)
            case "stop":
                self._worker.leave(self)
            case other:
                raise InputError(f"the page asked for {other!r:.40}, which is unknown")

    async def _person(self, asked: dict[str, Any]) -> Person:
        who, voice = str(asked.get("character", "")), str(asked.get("voice", ""))
        check_voice(voice)
        if who == OWN and self._own is not None:
            return with_voice(self._own, voice)
        if not (who.isascii() and who.isdecimal()):
            raise InputError("choose a character, or a picture of your own")
        return await run_in_threadpool(character, who, voice)


def _parsed(text: str) -> dict[str, Any]:
    try:
        asked = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError("the page sent a message that is no JSON") from error
    if not isinstance(asked, dict):
        raise InputError("the page sent a message that is no JSON object")
    return asked


def _sentence(text: Any) -> str:
    """Checks a typed text, and ends it as a sentence."""
    if not isinstance(text, str) or not text.strip():
        raise InputError("type something to say")
    if len(text) > MAX_LETTERS:
        raise InputError(f"this text has {len(text)} letters; at most {MAX_LETTERS} go at once")
    typed = text.strip()
    return typed if typed.endswith(_FULL_STOP) else f"{typed}."
