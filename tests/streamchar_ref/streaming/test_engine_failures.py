"""Networks that fail in the middle of a stream: what was made before is kept."""

from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest

from streamchar_ref.media import AVChunk
from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.streaming.engine_config import EngineStopped
from tests.streamchar_ref.streaming.test_engine import (
    TEXTS,
    alone,
    assert_same,
    engine_of,
    plain,
    talkative,
)
from tests.streamchar_ref.tiny import tiny_model


def failing(model: StreamChar, after: int) -> Callable[..., object]:
    real, calls = model.dit.encode_context, iter(range(10_000))

    def encode_context(*args: object, **kwargs: object) -> object:
        if next(calls) >= after:
            raise RuntimeError("CUDA error: device lost\nmore lines")
        return real(*args, **kwargs)  # type: ignore[arg-type]

    return encode_context


def test_what_was_made_before_the_device_was_lost_is_returned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = talkative(tiny_model())
    expected = plain(model, TEXTS[2], 3, 3)
    monkeypatch.setattr(model.dit, "encode_context", failing(model, after=3))
    chunks: list[AVChunk] = []
    with pytest.raises(EngineStopped, match=r"after 4 chunks: CUDA error: device lost$"):
        chunks.extend(alone(engine_of(model)))
    assert sum(len(chunk.frames) for chunk in chunks) == sum(len(c.frames) for c in expected)
    assert_same(chunks, expected)


def test_a_stream_has_no_chunk_after_one_that_could_not_be_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = talkative(tiny_model())
    expected = plain(model, TEXTS[2], 3, 2)
    real, calls = model.video_vae.decode, iter(range(10_000))

    def decode(*args: Any) -> Any:
        if next(calls) == 2:
            raise RuntimeError("out of memory")
        return real(*args)

    monkeypatch.setattr(model.video_vae, "decode", decode)
    engine, chunks = engine_of(model, first_latents=0), []
    with pytest.raises(EngineStopped, match="after 2 chunks: out of memory"):  # noqa: PT012
        for chunk in alone(engine):
            chunks.append(chunk)  # noqa: PERF402
    assert len(chunks) == 2
    assert_same(chunks, expected)
    assert_same(list(islice(alone(engine), 2)), expected)  # the engine serves others
