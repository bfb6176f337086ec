"""From a transcript to playable chunks: the main path of the project, top to bottom."""

import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

from streamchar_ref.media import AVChunk
from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.sampling import flow
from streamchar_ref.sampling.config import PLAIN, ChunkObservation, PointerFn, Sampling, own_pointer
from streamchar_ref.sampling.denoise import Denoiser
from streamchar_ref.streaming.state import StreamState
from streamchar_ref.streaming.transcript import Transcript, TranscriptPrefix

FASTEST_PER_S = 20.0
"""Phonemes a second above which nobody speaks: with fewer than that known, text may run out."""
_POLL_S = 0.01


def stream(
    model: StreamChar,
    transcript: Transcript,
    *,
    prompt: str,
    reference: UInt8[np.ndarray, "H W 3"],
    seed: int = 0,
    sampling: Sampling = PLAIN,
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
        sampling: Steps, guidance, and what a chunk may look back at.
        pointer: Moves the transcript window; without one it stays at the beginning.
        clock: Seconds; replaced in tests.

    Yields:
        Chunks in playing order, until all is said.
    """
    start, config = clock(), sampling.over(model.config.stream)
    chunk_s, is_half = config.chunk_s, sampling.precision == "bfloat16"
    sigmas = flow.shifted_sigmas(config.num_steps, config.sigma_shift)
    generator = torch.Generator().manual_seed(seed)
    with torch.inference_mode():
        cast = model.cast([prompt], [reference])
        memory = model.opening(cast)
    video_past, audio_past = None, None
    while memory.num_chunks * chunk_s < transcript.longest_s:
        known = _listen(transcript, memory, chunk_s, lambda: clock() - start)
        with torch.inference_mode():  # not while the caller has the chunk
            with torch.autocast(model.device.type, torch.bfloat16, enabled=is_half):
                denoise = Denoiser(model, cast, memory, [known], generator, sampling)
                video, audio = flow.sample(denoise, denoise.noise(), sigmas)
                advance, is_over = denoise.progress(audio)
                frames, video_past = model.video_vae.decode(video, video_past)
                samples, audio_past = model.audio_vae.decode(audio, audio_past)
            wave = to_wave(samples[0])
            heard = ChunkObservation(
                text=known.text,
                position=float(memory.position),
                advance=float(advance),
                samples=wave,
                length_s=chunk_s,
            )
            memory = memory.append(video, audio, _moved(pointer, heard).to(advance))
        frames = frames[0, -config.chunk_frames :]  # a chunk's first latent may be 1 frame
        yield AVChunk(
            index=memory.num_chunks - 1,
            frames=to_uint8(frames),
            samples=wave,
            spoken=None if pointer is None else float(memory.position),
        )
        if known.is_final and bool(is_over):
            return


def _listen(
    transcript: Transcript, memory: StreamState, chunk_s: float, elapsed_s: Callable[[], float]
) -> TranscriptPrefix:
    """Returns what has arrived of a transcript.

    Where the text may run out, it waits until the viewer is only one chunk behind: what arrives
    meanwhile is said at once, in place of silence that was made ahead of its time.
    """
    while True:
        now_s = elapsed_s()
        known = transcript.known(now_s)
        lasts = float(memory.position) + FASTEST_PER_S * chunk_s < len(known.text)
        if known.is_final or lasts or now_s >= (memory.num_chunks - 1) * chunk_s:
            return known
        time.sleep(_POLL_S)


def _moved(pointer: PointerFn | None, heard: ChunkObservation) -> Float[Tensor, "1"]:
    """Asks the pointer; what has not arrived yet cannot be skipped."""
    advance = 0.0 if pointer is None else pointer(heard)
    return torch.tensor([min(advance, max(len(heard.text) - heard.position, 0.0))])


def to_uint8(frames: Float[Tensor, "T 3 H W"]) -> UInt8[np.ndarray, "T H W 3"]:
    """Turns pictures in [-1, 1] into RGB bytes."""
    rgb = ((frames.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return rgb.permute(0, 2, 3, 1).contiguous().cpu().numpy()


def to_wave(samples: Float[Tensor, " S"]) -> Float32[np.ndarray, " S"]:
    """Cuts a waveform to [-1, 1]."""
    return samples.float().clamp(-1, 1).cpu().numpy()
