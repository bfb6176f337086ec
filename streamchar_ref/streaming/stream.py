"""From a transcript to playable chunks: the main path of the project, top to bottom."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float32, UInt8

from streamchar_ref.core.errors import InputError
from streamchar_ref.media import AVChunk
from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.networks.vae.convert import to_uint8, to_wave
from streamchar_ref.sampling.config import SamplerConfig
from streamchar_ref.streaming.context import FULL, ContextOptions
from streamchar_ref.streaming.given_speech import speech_for
from streamchar_ref.streaming.pointers import ChunkObservation, PointerFn, own_pointer
from streamchar_ref.streaming.rollout import rollout_chunk
from streamchar_ref.streaming.state import StreamState, initial_state
from streamchar_ref.streaming.transcript import Transcript, TranscriptBatch, TranscriptPrefix

FASTEST_PER_S = 20.0
"""Phonemes a second above which nobody speaks: with fewer than that known, text may run out."""
Precision = Literal["float32", "bfloat16"]
_POLL_S = 0.01


def stream(
    model: StreamChar,
    transcript: Transcript,
    *,
    prompt: str,
    reference: UInt8[np.ndarray, "H W 3"],
    seed: int = 0,
    speech: Float32[np.ndarray, " S"] | None = None,
    sampler: SamplerConfig | None = None,
    options: ContextOptions = FULL,
    precision: Precision = "float32",
    pointer: PointerFn | None = own_pointer,
    clock: Callable[[], float] = time.perf_counter,
) -> Iterator[AVChunk]:
    """Yields each chunk as soon as it can be played.

    Args:
        model: Networks with their config.
        transcript: What to say; it may still be arriving.
        prompt: What the character looks and sounds like.
        reference: Its picture.
        seed: The same seed gives the same stream.
        speech: Samples of the transcript, for a model of the order ``sound_given``; the stream is
            as long as they are.
        sampler: How chunks are sampled; what it leaves open, or all by default, is the
            checkpoint's.
        options: What a chunk may look back at.
        precision: ``bfloat16`` lets large products run in half precision.
        pointer: Moves the transcript window; without one it stays at the beginning.
        clock: Seconds; replaced in tests.

    Yields:
        Chunks in playing order, until all is said.

    Raises:
        InputError: If speech is missing, or given to a model that speaks itself; if a model without
            a pointer is given another one, or more text than it reads.
    """
    start, config = clock(), model.config.stream
    sampler = sampler or SamplerConfig()
    if pointer not in (None, own_pointer) and not model.config.has_orchestrator:
        raise InputError("this model has no transcript window for a pointer to move; take its own")
    is_half = precision == "bfloat16"
    with torch.inference_mode():
        given = speech_for(model, speech)
        state = initial_state(model, model.conditioning([prompt], [reference]), [seed])
    video_past, audio_past, index = None, None, 0
    while given.has(index) if given else index * config.chunk_s < transcript.longest_s:
        prefix = _wait_for_text(transcript, state, index, config.chunk_s, lambda: clock() - start)
        with torch.inference_mode():  # not while the caller has the chunk
            text = TranscriptBatch.of([prefix], model.device)
            with torch.autocast(model.device.type, torch.bfloat16, enabled=is_half):
                chunk = rollout_chunk(
                    model,
                    state,
                    text,
                    sampler,
                    options=options,
                    sound=given.chunk(index) if given else None,
                )
                video, audio = chunk.latents
                frames, video_past = model.video_vae.decode(video, video_past)
                samples, audio_past = model.audio_vae.decode(audio, audio_past)
            wave = to_wave(samples[0])
            seen = ChunkObservation(
                text=prefix.text,
                position=float(state.position),
                advance=float(chunk.advance),
                samples=wave,
                length_s=config.chunk_s,
            )
            state = _moved(state, chunk.state, pointer, seen)
        frames = frames[0, -config.chunk_frames :]  # a chunk's first latent may be 1 frame
        yield AVChunk(
            index=index,
            frames=to_uint8(frames),
            samples=wave,
            spoken=float(state.position) if pointer and model.config.has_orchestrator else None,
        )
        if prefix.is_final and bool(chunk.is_over):
            return
        index += 1


def _wait_for_text(
    transcript: Transcript,
    state: StreamState,
    num_chunks: int,
    chunk_s: float,
    elapsed_s: Callable[[], float],
) -> TranscriptPrefix:
    """Returns what has arrived of a transcript, once it is enough."""
    while True:
        prefix = enough_text(transcript, float(state.position), num_chunks, chunk_s, elapsed_s())
        if prefix is not None:
            return prefix
        time.sleep(_POLL_S)


def enough_text(
    transcript: Transcript, position: float, num_chunks: int, chunk_s: float, elapsed_s: float
) -> TranscriptPrefix | None:
    """Says whether the next chunk can be made.

    Where the text may run out, it waits until the viewer is only one chunk behind: what arrives
    meanwhile is said at once, in place of silence that was made ahead of its time.

    Args:
        transcript: It may still be arriving.
        position: Phonemes spoken.
        num_chunks: Made so far.
        chunk_s: Length of each.
        elapsed_s: Since the request.

    Returns:
        What has arrived; ``None`` where it is better to wait.
    """
    prefix = transcript.prefix(elapsed_s)
    lasts = position + FASTEST_PER_S * chunk_s < len(prefix.text)
    if prefix.is_final or lasts or elapsed_s >= (num_chunks - 1) * chunk_s:
        return prefix
    return None


def _moved(
    before: StreamState, after: StreamState, pointer: PointerFn | None, chunk: ChunkObservation
) -> StreamState:
    """Moves the window as the pointer says; what has not arrived yet cannot be skipped."""
    advance = 0.0 if pointer is None else pointer(chunk)
    unsaid = max(len(chunk.text) - chunk.position, 0.0)
    step = torch.tensor([min(max(advance, 0.0), unsaid)]).to(before.position)
    return replace(after, position=before.position + step)
