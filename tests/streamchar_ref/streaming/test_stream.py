import math
from collections.abc import Callable, Sequence
from itertools import islice

import numpy as np
import pytest
import torch

from streamchar_ref.media import AVChunk
from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.networks.reader import as_orchestrator
from streamchar_ref.networks.vae.convert import to_square, to_uint8, to_wave
from streamchar_ref.sampling.config import SamplerConfig
from streamchar_ref.streaming.context import FULL, ContextOptions
from streamchar_ref.streaming.pointers import PointerFn, own_pointer
from streamchar_ref.streaming.stream import Precision, stream
from streamchar_ref.streaming.transcript import Transcript
from tests.streamchar_ref.tiny import tiny_model

FIRST, SECOND, OTHER = "Hello there.", "How are you today?", "We think so."
PICTURE = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)


def talkative(*assignments: str, is_over: bool = False) -> StreamChar:
    """A model that never says that all is said, or always."""
    model = tiny_model(*assignments)
    with torch.no_grad():
        model.orchestrator.over_out.weight.zero_()
        model.orchestrator.over_out.bias.fill_(5.0 if is_over else -5.0)
    return model


def each_s(seconds: float) -> Callable[[], float]:
    """A clock that is read once a chunk and at the start."""
    times = iter(range(10_000))
    return lambda: seconds * next(times)


def play(
    model: StreamChar,
    pieces: str | Sequence[tuple[float, str]] = FIRST,
    *,
    prompt: str = "a man with a beard",
    reference: np.ndarray = PICTURE,
    seed: int = 0,
    seconds: float = 0.0,
    count: int | None = None,
    sampler: SamplerConfig | None = None,
    options: ContextOptions = FULL,
    precision: Precision = "float32",
    pointer: PointerFn | None = own_pointer,
) -> list[AVChunk]:
    chunks = stream(
        model,
        Transcript(pieces),
        prompt=prompt,
        reference=reference,
        seed=seed,
        sampler=sampler,
        options=options,
        precision=precision,
        pointer=pointer,
        clock=each_s(seconds),
    )
    return list(islice(chunks, count))


def is_same(one: AVChunk, other: AVChunk) -> bool:
    return np.array_equal(one.frames, other.frames) and np.array_equal(one.samples, other.samples)


def differ(one: AVChunk, other: AVChunk) -> bool:
    return not np.array_equal(one.frames, other.frames) and not np.array_equal(
        one.samples, other.samples
    )


def test_a_stream_ends_by_its_longest_time() -> None:
    chunks = play(talkative())
    assert len(chunks) == math.ceil(Transcript(FIRST).longest_s / 0.64)


def test_a_stream_ends_when_all_is_said() -> None:
    assert len(play(talkative(is_over=True))) == 1


def test_a_stream_does_not_end_while_text_may_still_arrive() -> None:
    chunks = play(talkative(is_over=True), [(0.0, FIRST), (3.0, SECOND)], seconds=1.0)
    assert len(chunks) == 3, "asked at 1, 2 and 3 seconds"


@pytest.mark.parametrize(
    ("assignments", "frames", "samples"),
    [
        ((), 16, 10_240),
        (("orchestrator.mode=once",), 16, 10_240),
        (("orchestrator.pointer=soft_position",), 16, 10_240),
        (("stream.sink_latents=0", "stream.motion_latents=0"), 16, 10_240),
        (("stream.chunk_frames=17", "video_vae.first_latent_frames=1"), 17, 10_880),
    ],
    ids=str,
)
def test_chunks_are_what_players_expect(
    assignments: tuple[str, ...], frames: int, samples: int
) -> None:
    for index, chunk in enumerate(play(talkative(*assignments), count=3)):
        assert chunk.index == index
        assert chunk.frames.shape == (frames, 32, 32, 3)
        assert chunk.frames.dtype == np.uint8
        assert chunk.samples.shape == (samples,)
        assert chunk.samples.dtype == np.float32
        assert np.abs(chunk.samples).max() <= 1


def test_the_same_seed_gives_the_same_stream() -> None:
    model = talkative()
    one, again = play(model, count=5), play(model, count=5)
    other = play(model, seed=1, count=1)
    assert all(is_same(a, b) for a, b in zip(one, again, strict=True))
    assert differ(one[0], other[0])


def test_two_streams_of_one_model_do_not_disturb_each_other() -> None:
    model = talkative()
    alone = play(model, count=4)
    first, second = (
        stream(
            model,
            Transcript(FIRST),
            prompt="a man with a beard",
            reference=PICTURE,
            seed=seed,
            clock=each_s(0.0),
        )
        for seed in (0, 1)
    )
    for expected, chunk, _ in zip(alone, first, second, strict=False):
        assert is_same(expected, chunk)


def test_a_global_seed_does_not_matter() -> None:
    model = talkative()
    (expected,) = play(model, count=1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(99)
        assert is_same(play(model, count=1)[0], expected)


def test_text_that_arrives_later_is_not_known_earlier() -> None:
    model = talkative()
    one, other = (
        play(model, [(0.0, FIRST), (2.5, text)], seconds=1.0, count=3) for text in (SECOND, OTHER)
    )
    # asked at 1, 2, 3 ... seconds, so the third chunk is the first to know
    assert is_same(one[0], other[0])
    assert is_same(one[1], other[1])
    assert differ(one[2], other[2])


@pytest.mark.parametrize("what", ["prompt", "reference", "transcript"])
def test_a_stream_follows(what: str) -> None:
    model = talkative()
    changed = {
        "prompt": lambda: play(model, prompt="a woman in a hat", count=1),
        "reference": lambda: play(model, reference=255 - PICTURE, count=1),
        "transcript": lambda: play(model, OTHER, count=1),
    }
    assert differ(play(model, count=1)[0], changed[what]()[0])


@pytest.mark.parametrize("shape", [(16, 16), (100, 37), (33, 64)], ids=str)
def test_a_reference_may_have_another_size(shape: tuple[int, int]) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert play(talkative(is_over=True), reference=picture)[0].frames.shape == (16, 32, 32, 3)


def test_a_picture_is_cut_to_the_square_in_its_middle() -> None:
    wide = np.zeros((32, 96, 3), np.uint8)
    wide[:, 32:64] = PICTURE
    expected = torch.from_numpy(PICTURE).permute(2, 0, 1).float() / 127.5 - 1
    for picture in (PICTURE, wide, wide.transpose(1, 0, 2)):
        found = to_square(picture, 32)
        upright = found if picture.shape[0] == 32 else found.transpose(1, 2)
        torch.testing.assert_close(upright, expected)


def test_a_flat_picture_stays_flat_when_resized() -> None:
    grey = to_square(np.full((50, 70, 3), 51, np.uint8), 32)
    torch.testing.assert_close(grey, torch.full((3, 32, 32), 51 / 127.5 - 1))


def test_pictures_become_bytes() -> None:
    values = torch.tensor([-3.0, -1.0, 0.0, 1.0, 3.0])
    frames = values[:, None, None, None].expand(-1, 3, 2, 2)
    assert to_uint8(frames)[:, 0, 0, 0].tolist() == [0, 0, 128, 255, 255]
    picture = to_square(PICTURE, 32)
    assert np.array_equal(to_uint8(picture[None])[0], PICTURE)


def test_loud_sound_is_cut() -> None:
    assert to_wave(torch.tensor([-2.0, 0.5, 2.0])).tolist() == [-1, 0.5, 1]


def hasty() -> StreamChar:
    model = talkative()
    with torch.no_grad():
        as_orchestrator(model.orchestrator).pointer.advance.bias.fill_(9.0)
    return model


def test_text_that_stops_arriving_leaves_the_stream_idle_and_then_ends_it() -> None:
    pieces = [(0.0, FIRST), (3.0, SECOND)]
    chunks = play(hasty(), pieces, seconds=0.64)
    first, whole = len(Transcript(FIRST).text), len(Transcript(pieces).text)
    spoken = [chunk.spoken for chunk in chunks]
    assert spoken[:4] == [first] * 4, "idle: all that is known is said"
    assert spoken[4:] == [whole] * (len(chunks) - 4)
    assert len(chunks) == math.ceil(Transcript(pieces).longest_s / 0.64)


def test_a_quick_model_waits_for_text_and_does_not_fill_the_time_with_silence() -> None:
    chunks = play(hasty(), [(0.0, FIRST), (3.0, SECOND)], seconds=0.05)
    first = len(Transcript(FIRST).text)
    waiting = sum(chunk.spoken == first for chunk in chunks)
    assert waiting <= math.ceil(3.0 / 0.64) + 1, "one chunk ahead of the viewer, no more"
