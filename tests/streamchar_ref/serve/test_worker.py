"""The worker before an engine that is ahead of what it has handed over."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("websockets")  # with starlette and uvicorn: the extra `serve`

from streamchar_ref.media import AVChunk
from streamchar_ref.serve.wire import HEADER, SKIPS_WAIT
from streamchar_ref.serve.worker import MOST_UNSAID, Worker
from streamchar_ref.streaming.engine_config import EngineChunk
from streamchar_ref.streaming.live import LiveTranscript, Piece, read_piece
from streamchar_ref.world.reference import Person

ANNA, BEN = (
    Person(picture=np.full((8, 8, 3), level, np.uint8), prompt=name)
    for level, name in ((9, "Anna"), (200, "Ben"))
)
TEXT = read_piece("Good morning, all of you.")


class Ahead:
    """Hands over a chunk when the next one has been denoised already."""

    def __init__(self) -> None:
        self.transcripts: list[LiveTranscript] = []
        self.prompts: list[str] = []
        self.index = 0

    def open(self, transcript: LiveTranscript, *, prompt: str, **_: Any) -> int:
        self.transcripts.append(transcript)
        self.prompts.append(prompt)
        self.index = 0
        return len(self.transcripts)

    def step(self) -> list[EngineChunk]:
        transcript, half = self.transcripts[-1], len(TEXT.text) / 2
        transcript.said((self.index + 2) * half)
        spoken = min((self.index + 1) * half, len(transcript.text))
        frames = np.zeros((4, 8, 8, 3), np.uint8)
        samples = np.zeros(2_560, np.float32)
        chunk = AVChunk(index=self.index, frames=frames, samples=samples, spoken=spoken)
        self.index += 1
        return [EngineChunk(stream=len(self.transcripts), chunk=chunk, is_last=False)]

    def close(self, stream: int) -> None: ...


class Seen:
    def __init__(self) -> None:
        self.flags: list[int] = []
        self.told: list[str] = []

    def deliver(self, message: bytearray) -> None:
        self.flags.append(HEADER.unpack_from(message)[1])

    def tell(self, kind: str, **values: Any) -> None:
        self.told.append(kind)


@pytest.fixture
def speaking() -> tuple[Worker, Ahead, Seen]:
    engine, seen = Ahead(), Seen()
    worker = Worker(engine, fps=25, sample_rate=16_000)
    worker._speak(seen, TEXT, ANNA, 0)
    return worker, engine, seen


def test_no_speech_is_skipped_that_has_not_been_heard(
    speaking: tuple[Worker, Ahead, Seen],
) -> None:
    worker, _, seen = speaking
    for _ in range(3):  # half of the text, all of it, and silence
        worker._step()
    assert seen.flags == [0, 0, 0]
    worker._speak(seen, TEXT, ANNA, 0)
    worker._step()
    assert seen.flags[3] == SKIPS_WAIT  # silence may be skipped


def test_another_character_begins_a_stream_of_its_own(
    speaking: tuple[Worker, Ahead, Seen],
) -> None:
    worker, engine, seen = speaking
    worker._speak(seen, TEXT, ANNA, 0)
    worker._speak(seen, TEXT, BEN, 0)
    assert engine.prompts == ["Anna", "Ben"]
    assert [kind for kind in seen.told if kind != "captions"] == ["begun", "ended", "begun"]


def test_a_visitor_cannot_have_hours_waiting(speaking: tuple[Worker, Ahead, Seen]) -> None:
    worker, engine, seen = speaking
    long = Piece(typed=TEXT.typed, text=TEXT.text, length=MOST_UNSAID)
    before = len(engine.transcripts[0].text)
    worker._speak(seen, long, ANNA, 0)
    assert seen.told[-1] == "error"
    assert len(engine.transcripts[0].text) == before
