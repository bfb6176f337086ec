"""A system that breaks the contract is refused with one sentence, before anything is written."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from evals.recording.contract import problem_with_chunk, problem_with_lengths, problems_with_system
from evals.recording.record import RecordPlan, record
from evals.recording.run_folder import recordings_of
from evals.recording.system import Prompt, problems_with
from streamchar_ref.core.errors import InputError
from streamchar_ref.media import AVChunk

PROMPT = Prompt(
    prompt_id="p", transcript="hello there", reference=np.zeros((8, 8, 3), np.uint8)
)  # fmt: skip
FRAMES = np.zeros((4, 16, 24, 3), np.uint8)
SAMPLES = np.zeros(4 * 640, np.float32)


def chunk(index: Any = 0, frames: Any = FRAMES, samples: Any = SAMPLES) -> AVChunk:
    """A chunk whose fields are whatever they are: the tests' type checker is passed by."""
    made = object.__new__(AVChunk)
    for name, value in (
        ("index", index), ("frames", frames), ("samples", samples), ("spoken", None)
    ):  # fmt: skip
        object.__setattr__(made, name, value)
    return made


class Yields:
    """Yields what it is told."""

    name = "yields"
    fps = 25
    sample_rate = 16_000

    def __init__(self, *chunks: Any) -> None:
        self.chunks = chunks

    def stream(self, prompt: Any, *, seed: int) -> Iterator[Any]:
        yield from self.chunks


BROKEN_CHUNKS: dict[str, tuple[tuple[Any, ...], tuple[str, ...]]] = {
    "float frames": (
        (chunk(frames=FRAMES / np.float32(255)),),
        ("float32 in [0, 1]", "np.round(frames * 255)", "uint8"),
    ),
    "float64 frames": ((chunk(frames=np.full((4, 16, 24, 3), 0.5)),), ("float64 in [0, 1]",)),
    "frames in -1 to 1": (
        (chunk(frames=np.linspace(-1, 1, 4 * 16 * 24 * 3).reshape(4, 16, 24, 3)),),
        ("in [-1, 1]", "(frames + 1) * 127.5"),
    ),
    "frames of 16 bits": ((chunk(frames=FRAMES.astype(np.uint16)),), ("uint16", "uint8")),
    "colour first": (
        (chunk(frames=np.zeros((4, 3, 16, 24), np.uint8)),),
        ("(4, 3, 16, 24)", "frames.transpose(0, 2, 3, 1)"),
    ),
    "colour first of all": (
        (chunk(frames=np.zeros((3, 4, 16, 24), np.uint8)),), ("transpose(1, 2, 3, 0)",)
    ),
    "a batch": ((chunk(frames=FRAMES[None]),), ("a batch", "frames[0]")),
    "one frame": ((chunk(frames=FRAMES[0]),), ("frames[None]",)),
    "grey without an axis": ((chunk(frames=FRAMES[..., 0]),), ("grey",)),
    "grey with an axis": ((chunk(frames=FRAMES[..., :1]),), ("grey", "np.repeat")),
    "alpha": ((chunk(frames=np.zeros((4, 16, 24, 4), np.uint8)),), ("frames[..., :3]",)),
    "tensor frames": ((chunk(frames=torch.zeros(4, 16, 24, 3)),), ("torch.Tensor", ".cpu()")),
    "a list of frames": ((chunk(frames=list(FRAMES)),), ("a list", "NumPy")),
    "tensor samples": ((chunk(samples=torch.zeros(2560)),), ("torch.Tensor", ".cpu()")),
    "stereo, channels first": (
        (chunk(samples=np.stack([SAMPLES, SAMPLES])),), ("(2, 2560)", "mean(axis=0)")
    ),
    "stereo, channels last": (
        (chunk(samples=np.stack([SAMPLES, SAMPLES], axis=1)),), ("(2560, 2)", "mean(axis=1)")
    ),
    "mono with a channel": ((chunk(samples=SAMPLES[None]),), ("samples[0]",)),
    "interleaved stereo": (
        tuple(chunk(i, samples=np.repeat(SAMPLES, 2)) for i in range(3)),
        ("2 times as long as the picture in every chunk", "reshape(-1, 2)"),
    ),
    "integer samples": (
        (chunk(samples=np.zeros(2560, np.int16)),), ("int16", "(samples / 32768)")
    ),
    "double samples": ((chunk(samples=np.zeros(2560)),), ("float64", "astype(np.float32)")),
    "NaN samples": ((chunk(samples=np.full(2560, np.nan, np.float32)),), ("NaN or infinite",)),
    "loud samples": ((chunk(samples=np.full(2560, 3e4, np.float32)),), ("[-1, 1]", "3e+04")),
    "size changes": (
        (chunk(), chunk(1, frames=np.zeros((4, 24, 24, 3), np.uint8))),
        ("chunk 1", "frame size changes"),
    ),
    "index stands still": ((chunk(), chunk()), ("chunk 1 came with index 0",)),
    "index from 1": ((chunk(1),), ("chunk 0 came with index 1", "count up from 0")),
    "index as text": ((chunk("0"),), ("index is a str",)),
    "nothing": ((), ("yields no chunks",)),
    "None": ((None,), ("chunk 0 is None", "AVChunk(")),
    "a pair": (((FRAMES, SAMPLES),), ("chunk 0 is a tuple", "AVChunk(")),
    "a dictionary": (({"frames": FRAMES, "samples": SAMPLES},), ("chunk 0 is a dict",)),
    "no pixels": ((chunk(frames=np.zeros((4, 0, 24, 3), np.uint8)),), ("at least one pixel",)),
}  # fmt: skip


@pytest.mark.parametrize("fault", BROKEN_CHUNKS)
def test_check_and_record_refuse_a_broken_chunk_with_one_sentence(
    tmp_path: Path, fault: str
) -> None:
    chunks, parts = BROKEN_CHUNKS[fault]
    (problem,) = problems_with(Yields(*chunks), PROMPT)
    assert all(part in problem for part in parts), problem
    assert "\n" not in problem
    run = tmp_path / "run"
    with pytest.raises(InputError) as refused:
        record(Yields(*chunks), [PROMPT], RecordPlan(out=run, suite="s"))
    assert problem in str(refused.value)
    assert not run.exists()


def test_a_chunk_that_keeps_the_contract_has_no_problem() -> None:
    assert problem_with_chunk(chunk(), 0) == ""
    assert problem_with_chunk(chunk(np.int64(1)), 1, FRAMES.shape[1:]) == ""
    assert problems_with(Yields(chunk(), chunk(1)), PROMPT) == []


def test_sound_may_run_ahead_in_one_chunk_only() -> None:
    assert problem_with_lengths([4, 4], [2 * 2560, 0], 640) == ""
    assert "2 times" in problem_with_lengths([4, 4, 0], [5120, 5120, 640], 640)


def test_a_chunk_that_breaks_the_contract_later_fails_that_recording(tmp_path: Path) -> None:
    broken = Yields(chunk(), chunk(1), chunk(2, frames=FRAMES / 255))
    counts = record(broken, [PROMPT], RecordPlan(out=tmp_path, suite="s"))
    assert counts == {"recorded": 0, "failed": 1, "kept": 0}
    (failed,) = recordings_of(tmp_path)
    assert "chunk 2: frames are float64 in [0, 1]" in failed.error


def without(name: str) -> Any:
    fields = {"name": "x", "fps": 25, "sample_rate": 16_000, "stream": Yields(chunk()).stream}
    return SimpleNamespace(**{key: value for key, value in fields.items() if key != name})


def with_(**changes: Any) -> Any:
    made = without("")
    vars(made).update(changes)
    return made


def _returns(value: Any) -> Callable[..., Any]:
    def stream(prompt: Any, *, seed: int) -> Any:
        return value

    return stream


def _without_seed(prompt: Any) -> Iterator[AVChunk]:
    yield chunk()


def _without_prompt(*, seed: int) -> Iterator[AVChunk]:
    yield chunk()


async def _asynchronous(prompt: Any, *, seed: int) -> Any:
    yield chunk()


BROKEN_SYSTEMS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "no name": (without("name"), ("it has no name", "set name")),
    "no fps": (without("fps"), ("it has no fps", "set fps = 25")),
    "no sample_rate": (without("sample_rate"), ("it has no sample_rate", "set sample_rate")),
    "no stream": (without("stream"), ("no method stream", "def stream(self, prompt, *, seed)")),
    "fps 0": (with_(fps=0), ("fps is 0 and must be above 0",)),
    "fps below 0": (with_(fps=-25), ("must be above 0",)),
    "fps as text": (with_(fps="25"), ("fps is '25', not a number",)),
    "fps None": (with_(fps=None), ("fps is None",)),
    "fps NaN": (with_(fps=float("nan")), ("must be above 0",)),
    "sample_rate as text": (with_(sample_rate="16k"), ("sample_rate is '16k'",)),
    "sample_rate with a fraction": (with_(sample_rate=1.5), ("not a whole number",)),
    "stream without seed": (with_(stream=_without_seed), ("does not take a seed", "seed)")),
    "stream without prompt": (with_(stream=_without_prompt), ("cannot be called with a prompt",)),
    "asynchronous stream": (with_(stream=_asynchronous), ("without async",)),
    "stream returns a list": (with_(stream=_returns([chunk()])), ("returns a list", "yield each")),
    "stream returns None": (with_(stream=_returns(None)), ("returns None", "yield AVChunks")),
    "stream returns a chunk": (with_(stream=_returns(chunk())), ("returns one chunk",)),
    "the class itself": (Yields, ("it is the class Yields",)),
}


@pytest.mark.parametrize("fault", BROKEN_SYSTEMS)
def test_check_and_record_refuse_a_broken_system_with_one_sentence(
    tmp_path: Path, fault: str
) -> None:
    system, parts = BROKEN_SYSTEMS[fault]
    (problem,) = problems_with(system, PROMPT)
    assert all(part in problem for part in parts), problem
    run = tmp_path / "run"
    with pytest.raises(InputError) as refused:
        record(system, [PROMPT], RecordPlan(out=run, suite="s"))
    assert problem in str(refused.value)
    assert not run.exists()


def test_a_system_may_take_the_seed_in_any_way() -> None:
    def positional(prompt: Any, seed: int = 0) -> Iterator[AVChunk]:
        yield chunk()

    def anything(prompt: Any, **more: Any) -> Iterator[AVChunk]:
        yield chunk()

    for stream in (positional, anything):
        assert problems_with_system(with_(stream=stream)) == []
    assert problems_with_system(with_(fps=29.97, sample_rate=np.int64(48_000))) == []


def test_an_error_of_the_system_is_one_line_with_its_place() -> None:
    class Raises(Yields):
        def stream(self, prompt: Any, *, seed: int) -> Iterator[Any]:
            raise RuntimeError("a long story\n\nout of words")
            yield

    (problem,) = problems_with(Raises(), PROMPT)
    assert "it raises RuntimeError: a long story; out of words" in problem
    assert Path(__file__).name in problem


def test_a_name_that_cannot_be_a_folder_is_told_by_the_check() -> None:
    (problem,) = problems_with_system(with_(name="lab/model"))
    assert "'lab/model' cannot name a folder" in problem
