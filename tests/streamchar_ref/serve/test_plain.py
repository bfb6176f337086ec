import numpy as np
import pytest

from streamchar_ref.serve.plain import EngineFull, PlainEngine
from streamchar_ref.streaming.live import LiveTranscript
from streamchar_ref.streaming.stream import stream
from tests.streamchar_ref.tiny import tiny_model

PICTURE = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
CHUNK_S = 0.64
MODEL = tiny_model()
MODEL.orchestrator.over_out.bias.data.fill_(50.0)  # as soon as a text is final, it is all said
TEXT = "Hello there, my friend."


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def opened(texts: list[str], max_streams: int = 4) -> tuple[PlainEngine, Clock, list]:
    clock, live = Clock(), [LiveTranscript(text) for text in texts]
    engine = PlainEngine(MODEL, max_streams=max_streams, clock=clock)
    for each in live:
        engine.open(each, prompt="", reference=PICTURE)
    return engine, clock, live


def steps(engine: PlainEngine, most: int = 20) -> list[int]:
    """Streams whose chunks were made before there was nothing to do."""
    made: list[int] = []
    while len(made) < most and (chunks := engine.step()):
        made += [each.stream for each in chunks]
    return made


def test_its_chunks_are_those_of_the_plain_path() -> None:
    engine, _, _ = opened([TEXT])
    alone = stream(MODEL, LiveTranscript(TEXT), prompt="", reference=PICTURE)
    for made in (engine.step(), engine.step()):
        expected = next(alone)
        np.testing.assert_array_equal(made[0].chunk.frames, expected.frames)
        np.testing.assert_array_equal(made[0].chunk.samples, expected.samples)
        assert (made[0].chunk.spoken, made[0].is_last) == (expected.spoken, False)


def test_streams_are_one_chunk_ahead_and_take_turns() -> None:
    engine, clock, _ = opened([TEXT, TEXT])
    assert steps(engine) == [1, 2, 1, 2]
    clock.now_s += CHUNK_S / 2
    assert steps(engine) == []
    clock.now_s += CHUNK_S / 2
    assert steps(engine) == [1, 2]


def test_a_stream_that_waits_for_text_does_not_stall_another() -> None:
    engine, clock, live = opened([TEXT, TEXT])
    live[0].said(len(live[0].text))
    assert steps(engine) == [1, 2, 1, 2]
    clock.now_s += CHUNK_S
    assert steps(engine) == [1, 2]


def test_text_after_silence_is_said_at_once() -> None:
    engine, clock, live = opened([TEXT])
    live[0].said(len(live[0].text))
    assert steps(engine) == [1, 1]
    live[0].append("More.")
    live[0].said(len(live[0].text) - 1)  # this model's own pointer hardly moves
    assert steps(engine) == [1, 1]  # the viewer skips what waits, and is one chunk behind again
    clock.now_s += CHUNK_S / 2
    assert steps(engine) == []


def test_a_full_engine_says_how_many_it_serves_and_goes_on() -> None:
    engine, _, _ = opened([TEXT, TEXT], max_streams=2)
    with pytest.raises(EngineFull, match="2 streams are open"):
        engine.open(LiveTranscript(TEXT), prompt="", reference=PICTURE)
    engine.close(1)
    assert engine.open(LiveTranscript(TEXT), prompt="", reference=PICTURE) == 3
    assert set(steps(engine)) == {2, 3}


def test_a_finished_stream_ends() -> None:
    engine, clock, live = opened(["Hi."])
    live[0].finish()
    clock.now_s += CHUNK_S
    made = [chunk for _ in range(3) for chunk in engine.step()]
    assert [(len(each.chunk.frames) > 0, each.is_last) for each in made] == [
        (True, False),
        (False, True),
    ]
    assert engine.step() == []
