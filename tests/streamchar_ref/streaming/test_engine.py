from collections.abc import Iterator
from itertools import islice
from threading import Event
from typing import Any

import numpy as np
import pytest
import torch

from streamchar_ref.core.errors import InputError
from streamchar_ref.media import AVChunk
from streamchar_ref.model.config import preset
from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.networks.layers import JointBlock
from streamchar_ref.sampling.config import SamplerConfig
from streamchar_ref.streaming.decoding import EarlyPiece
from streamchar_ref.streaming.engine import Engine
from streamchar_ref.streaming.engine_config import EngineConfig, EngineFull, EngineStopped
from streamchar_ref.streaming.live import LiveTranscript
from streamchar_ref.streaming.stream import stream
from streamchar_ref.streaming.transcript import Transcript
from tests.streamchar_ref.tiny import tiny_model

TEXTS = ("Hello there, all of you.", "How are you today?", "We think so.")
PICTURE = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def model() -> StreamChar:
    return talkative(tiny_model())


def talkative(model: StreamChar, *, is_over: bool = False) -> StreamChar:
    """Never says that all is said, or always."""
    with torch.no_grad():
        model.orchestrator.over_out.weight.zero_()
        model.orchestrator.over_out.bias.fill_(5.0 if is_over else -5.0)
    return model


def plain(model: StreamChar, text: str, seed: int, count: int) -> list[AVChunk]:
    chunks = stream(model, Transcript(text), prompt="a man", reference=PICTURE, seed=seed)
    return list(islice(chunks, count))


def engine_of(model: StreamChar, **settings: Any) -> Engine:
    """With a clock that stands still, so that nothing depends on how fast the machine is."""
    return Engine(model, EngineConfig(**settings), clock=Clock())


def start(engine: Engine, text: str, seed: int) -> int:
    return engine.open(Transcript(text), prompt="a man", reference=PICTURE, seed=seed)


def run(engine: Engine, steps: int) -> dict[int, list[AVChunk]]:
    """Chunks of each stream, in the order in which they came."""
    made: dict[int, list[AVChunk]] = {}
    for _ in range(steps):
        for each in engine.step():
            made.setdefault(each.stream, []).append(each.chunk)
    return made


def joined(chunks: list[AVChunk], frames: int) -> tuple[np.ndarray, np.ndarray]:
    """The first frames of a stream, and its sound as long."""
    pictures = np.concatenate([chunk.frames for chunk in chunks])[:frames]
    return pictures, np.concatenate([chunk.samples for chunk in chunks])[: 640 * frames]


def assert_same(ours: list[AVChunk], theirs: list[AVChunk]) -> None:
    frames = min(sum(len(chunk.frames) for chunk in each) for each in (ours, theirs))
    assert frames > 0
    for one, other in zip(joined(ours, frames), joined(theirs, frames), strict=True):
        np.testing.assert_array_equal(one, other)


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def alone(engine: Engine) -> Iterator[AVChunk]:
    return engine.stream(Transcript(TEXTS[2]), prompt="a man", reference=PICTURE, seed=3)


@pytest.mark.parametrize("overlap", [True, False])
@pytest.mark.parametrize("first_latents", [0, 2])
def test_a_stream_alone_equals_the_plain_path_bit_for_bit(
    model: StreamChar, overlap: bool, first_latents: int
) -> None:
    chunks = list(islice(alone(engine_of(model, overlap=overlap, first_latents=first_latents)), 4))
    expected = plain(model, TEXTS[2], 3, 4)
    assert_same(chunks, expected)
    assert [chunk.index for chunk in chunks] == [0, 1, 2, 3]
    is_cut = first_latents > 0
    assert [c.spoken for c in chunks[is_cut:]] == [c.spoken for c in expected[: 4 - is_cut]]


def test_an_engine_that_need_not_be_exact_is_so_but_for_rounding(model: StreamChar) -> None:
    guided, passes = SamplerConfig(guidance=2.0, picture_guidance=2.0), []
    exact, other = (
        Engine(model, EngineConfig(exact=is_exact), sampler=guided, clock=Clock())
        for is_exact in (True, False)
    )
    forward = model.dit.forward
    model.dit.forward = lambda *args: (passes.append(len(args[0])), forward(*args))[1]  # type: ignore
    try:
        ours, theirs = (joined(list(islice(alone(one), 3)), 24) for one in (other, exact))
    finally:
        del model.dit.forward
    assert set(passes) == {1, 2}
    assert np.abs(ours[0].astype(int) - theirs[0]).max() <= 1
    np.testing.assert_allclose(ours[1], theirs[1], atol=1e-4)


@pytest.mark.parametrize("is_over", [True, False])
def test_a_stream_ends_where_the_plain_path_ends(is_over: bool) -> None:
    model = talkative(tiny_model(), is_over=is_over)
    text, expected = "Ah.", plain(talkative(tiny_model(), is_over=is_over), "Ah.", 0, 1_000)
    engine = engine_of(model, first_latents=0)
    chunks = list(engine.stream(Transcript(text), prompt="a man", reference=PICTURE))
    assert len(chunks) == len(expected)
    assert engine.num_streams == 0


@pytest.mark.parametrize("batch", [1, 3])
def test_streams_that_join_and_leave_do_not_change_each_other(
    model: StreamChar, batch: int
) -> None:
    engine = engine_of(model, batch=batch)
    first = start(engine, TEXTS[0], 0)
    made = run(engine, 2)[first]
    second, third = start(engine, TEXTS[1], 1), start(engine, TEXTS[2], 2)
    later = run(engine, 3)
    engine.close(second)
    last = run(engine, 3)
    assert second not in last
    made += later.get(first, []) + last.get(first, [])
    assert_same(made, plain(model, TEXTS[0], 0, len(made)))
    for number, text, seed in ((second, TEXTS[1], 1), (third, TEXTS[2], 2)):
        chunks = later.get(number, []) + last.get(number, [])
        assert_same(chunks, plain(model, text, seed, len(chunks)))


def test_a_chunk_does_not_wait_for_the_denoising_of_the_next(
    model: StreamChar, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls, begun, taken = model.dit.encode_context, iter(range(99)), Event(), Event()

    def encode_context(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == 1:
            begun.set()
            assert taken.wait(30), "the first chunk waits for the second"
        return real(*args, **kwargs)

    monkeypatch.setattr(model.dit, "encode_context", encode_context)
    engine = engine_of(model, first_latents=0)
    number = start(engine, TEXTS[0], 0)
    (first,) = engine.step()
    assert begun.wait(30)
    taken.set()
    chunks = [first.chunk, *run(engine, 2)[number]]
    assert_same(chunks, plain(model, TEXTS[0], 0, len(chunks)))


def test_a_stream_is_closed_while_another_is_made_and_that_goes_on(
    model: StreamChar, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_of(model, first_latents=0)
    first, second = start(engine, TEXTS[0], 0), start(engine, TEXTS[1], 1)
    made = run(engine, 1)  # of the first; the second is being denoised
    engine.close(second)
    more = run(engine, 2)
    assert second not in more
    chunks = made[first] + more[first]
    assert_same(chunks, plain(model, TEXTS[0], 0, len(chunks)))


def test_the_first_pictures_do_not_wait_for_the_rest_of_their_chunk(model: StreamChar) -> None:
    engine = engine_of(model, first_latents=1)
    number = start(engine, TEXTS[0], 0)
    early, *more = engine.step()
    assert (len(early.chunk.frames), len(early.chunk.samples)) == (4, 2_560)
    whole = plain(model, TEXTS[0], 0, 1)[0]
    assert early.chunk.spoken is not None
    assert whole.spoken is not None
    assert 0 <= early.chunk.spoken <= whole.spoken
    rest = more[0].chunk if more else run(engine, 1)[number][0]
    assert (rest.index, len(rest.frames)) == (1, len(whole.frames) - 4)
    assert rest.spoken == whole.spoken


@pytest.mark.parametrize(
    ("name", "at_least", "frames", "audio_latents"),
    [("tiny", 1, 4, 4), ("micro", 2, 8, 8), ("paper", 1, 9, 12)],
)
def test_an_early_piece_ends_where_pictures_and_sound_both_end(
    name: str, at_least: int, frames: int, audio_latents: int
) -> None:
    config = preset(name)
    cut = EarlyPiece.of(config, at_least)
    assert cut is not None
    assert (cut.frames, cut.audio_latents) == (frames, audio_latents)
    assert cut.samples * config.stream.fps == cut.frames * config.audio_vae.sample_rate
    assert EarlyPiece.of(config, 0) is None
    assert EarlyPiece.of(config, config.geometry.chunk_latents) is None


def test_the_stream_that_will_stall_first_is_served_first(model: StreamChar) -> None:
    clock = Clock()
    engine = Engine(model, EngineConfig(overlap=False, first_latents=0), clock=clock)
    old = start(engine, TEXTS[0], 0)
    assert [each.stream for each in engine.step()] == [old]
    clock.now_s = 0.1
    new = start(engine, TEXTS[1], 1)
    assert [each.stream for each in engine.step()] == [new]
    assert [each.stream for each in engine.step()] == [old]


def test_a_stream_far_ahead_of_its_viewer_waits(model: StreamChar) -> None:
    clock = Clock()
    config = EngineConfig(overlap=False, first_latents=0, ahead_s=1.0)
    engine = Engine(model, config, clock=clock)
    number = start(engine, TEXTS[0], 0)
    assert len(run(engine, 10)[number]) == 2  # 0.64 s each: one to play, one ahead
    clock.now_s = 0.64
    assert len(run(engine, 10)[number]) == 1


def test_late_text_of_one_stream_does_not_hold_up_the_others(model: StreamChar) -> None:
    clock = Clock()
    engine = Engine(model, EngineConfig(overlap=False, first_latents=0), clock=clock)
    late = engine.open(
        Transcript([(0.0, "We"), (50.0, "think so.")]), prompt="", reference=PICTURE, seed=0
    )
    other = start(engine, TEXTS[0], 1)
    made = run(engine, 8)
    assert len(made[other]) > len(made[late])
    clock.now_s = 49.0
    assert late in run(engine, 3)  # its viewer waits: it goes on, idle


def live(model: StreamChar, *texts: str) -> tuple[Engine, Clock, list[LiveTranscript]]:
    """Streams of conversations, each made one chunk ahead of its viewer."""
    clock, transcripts = Clock(), [LiveTranscript(text) for text in texts]
    config = EngineConfig(overlap=False, first_latents=0, ahead_s=0.64)
    engine = Engine(model, config, clock=clock)
    for each in transcripts:
        engine.open(each, prompt="a man", reference=PICTURE)
    return engine, clock, transcripts


def served(engine: Engine, most: int = 20) -> list[int]:
    """Streams whose chunks were made before there was nothing to do."""
    made: list[int] = []
    while len(made) < most and (chunks := engine.step()):
        made += [each.stream for each in chunks]
    return made


def test_conversations_take_turns_one_chunk_ahead_and_go_on_in_silence(model: StreamChar) -> None:
    engine, clock, transcripts = live(model, TEXTS[2], TEXTS[0])
    transcripts[0].said(len(transcripts[0].text))
    assert served(engine) == [0, 1, 0, 1]
    clock.now_s += 0.32
    assert served(engine) == []
    clock.now_s += 0.32
    assert served(engine) == [0, 1]


def test_text_after_silence_is_said_at_once() -> None:
    model = talkative(tiny_model())
    engine, clock, (transcript,) = live(model, TEXTS[0])
    transcript.said(len(transcript.text))
    assert served(engine) == [0, 0]
    transcript.append("More.")
    transcript.said(len(transcript.text) - 1)  # random weights hardly move their pointer
    assert served(engine) == [0, 0]  # the viewer skips what waits, and is one chunk behind again
    clock.now_s += 0.32
    assert served(engine) == []


def test_a_finished_conversation_ends() -> None:
    engine, _, (transcript,) = live(talkative(tiny_model(), is_over=True), "Ah.")
    transcript.finish()
    made = engine.step()
    assert [(len(each.chunk.frames), each.is_last) for each in made] == [(16, True)]
    assert engine.num_streams == 0


def test_no_more_streams_are_admitted_than_can_be_served(model: StreamChar) -> None:
    engine = engine_of(model, max_streams=2)
    start(engine, TEXTS[0], 0)
    start(engine, TEXTS[1], 0)
    with pytest.raises(EngineFull, match="2 streams are being served"):
        start(engine, TEXTS[2], 0)


def test_capacity_follows_from_what_chunks_have_cost(model: StreamChar) -> None:
    engine = engine_of(model)
    engine._is_parallel = True  # two cores
    engine._denoise_s.add(0.128)  # of 0.64 s
    engine._decode_s.add(0.064)
    assert engine.capacity == 4  # at 80 % of the busier stage
    single = engine_of(model, overlap=False)
    single._denoise_s.add(0.128)
    single._decode_s.add(0.064)
    assert single.capacity == 2


def test_a_closed_stream_leaves_no_work_behind(model: StreamChar) -> None:
    engine = engine_of(model)
    chunks = alone(engine)
    next(chunks)
    next(chunks)
    chunks.close()
    engine.take_spans()
    assert engine._stages.is_idle
    assert engine.step() == []
    assert engine.take_spans() == []


def test_the_threads_of_the_process_are_left_as_they_were(model: StreamChar) -> None:
    torch.set_num_threads(2)
    try:
        list(islice(alone(engine_of(model)), 2))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


def test_half_precision_moves_pictures_by_a_few_grey_levels_and_no_sample(
    model: StreamChar,
) -> None:
    chunks = list(islice(alone(engine_of(model, picture_precision="bfloat16")), 3))
    expected = plain(model, TEXTS[2], 3, 3)
    ours, theirs = (joined(each, 16) for each in (chunks, expected))
    np.testing.assert_array_equal(ours[1], theirs[1])
    difference = np.abs(ours[0].astype(int) - theirs[0])
    assert 0 < difference.mean() < 2


@pytest.mark.parametrize("factor", [1.0 + 1e-6, 1.01])
def test_compiled_blocks_that_compute_something_else_are_refused(
    monkeypatch: pytest.MonkeyPatch, factor: float
) -> None:
    model = talkative(tiny_model())

    def compiled(block: JointBlock, *, dynamic: bool) -> None:
        block.out.weight.data.mul_(factor)

    monkeypatch.setattr(JointBlock, "compile", compiled)
    engine = engine_of(model, compiled=True)
    if factor > 1.001:
        with pytest.raises(EngineStopped, match="compiled DiT gives video latents that differ"):
            engine.warm_up(1)
    else:
        assert engine.warm_up(1) > 0
        assert_same(list(islice(alone(engine_of(model)), 2)), plain(model, TEXTS[2], 3, 2))


def test_warming_up_tells_the_cost_of_a_chunk_and_leaves_no_stream(model: StreamChar) -> None:
    ticks = iter(range(100_000))
    engine = Engine(model, EngineConfig(overlap=False), clock=lambda: 0.001 * next(ticks))
    engine.warm_up(2)
    assert engine.num_streams == 0
    assert engine._denoise_s.value > 0
    assert engine._decode_s.value > 0


def test_a_single_stream_is_refused_beside_others(model: StreamChar) -> None:
    engine = engine_of(model)
    start(engine, TEXTS[0], 0)
    with pytest.raises(EngineFull, match="alone"):
        next(engine.stream(Transcript(TEXTS[1]), prompt="", reference=PICTURE))


@pytest.mark.parametrize(
    "wrong",
    [{"max_streams": 0}, {"batch": -1}, {"ahead_s": 0.0}, {"first_latents": -1}],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError, match="engine: "):
        EngineConfig(**wrong)  # type: ignore[arg-type]


def test_a_warm_up_that_is_refused_leaves_what_is_known_of_the_cost(model: StreamChar) -> None:
    engine = Engine(model)
    engine.warm_up()
    known = engine._denoise_s.value
    number = engine.open(Transcript("Hello."), prompt="", reference=PICTURE)
    with pytest.raises(EngineFull):
        engine.warm_up()
    engine.close(number)
    assert engine._denoise_s.value == known
    assert known > 0
