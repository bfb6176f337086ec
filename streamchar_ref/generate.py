"""From a transcript to playable chunks: the main path of the project, top to bottom."""

import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

from streamchar_ref import flow
from streamchar_ref.denoise import Denoiser
from streamchar_ref.media import AVChunk
from streamchar_ref.memory import empty_memory
from streamchar_ref.streamchar import StreamChar
from streamchar_ref.transcript import Transcript


def stream(
    model: StreamChar,
    transcript: Transcript,
    *,
    prompt: str,
    reference: UInt8[np.ndarray, "H W 3"],
    seed: int = 0,
    clock: Callable[[], float] = time.perf_counter,
) -> Iterator[AVChunk]:
    """Yields each chunk as soon as it can be played.

    Args:
        model: Networks with their config.
        transcript: What to say; it may still be arriving.
        prompt: What the character looks and sounds like.
        reference: Its picture.
        seed: The same seed gives the same stream.
        clock: Seconds; replaced in tests.

    Yields:
        Chunks in playing order, until all is said.
    """
    start, config = clock(), model.config
    sigmas = flow.shifted_sigmas(config.stream.num_steps, config.stream.sigma_shift)
    generator = torch.Generator().manual_seed(seed)
    with torch.inference_mode():
        cast = model.cast([prompt], [reference])
    memory = empty_memory(config, batch=1, device=model.device)
    video_past, audio_past = None, None
    while memory.num_chunks * config.stream.chunk_s < transcript.longest_s:
        known = transcript.known(clock() - start)
        with torch.inference_mode():  # not while the caller has the chunk
            denoise = Denoiser(model, cast, memory, [known])
            video, audio = flow.sample(denoise, denoise.noise(generator), sigmas)
            advance, is_over = denoise.progress(audio)
            memory = memory.append(video, audio, advance)
            frames, video_past = model.video_vae.decode(video, video_past)
            samples, audio_past = model.audio_vae.decode(audio, audio_past)
        frames = frames[0, -config.stream.chunk_frames :]  # a chunk's first latent may be 1 frame
        yield AVChunk(
            index=memory.num_chunks - 1, frames=to_uint8(frames), samples=to_wave(samples[0])
        )
        if known.is_whole and bool(is_over):
            return


def to_uint8(frames: Float[Tensor, "T 3 H W"]) -> UInt8[np.ndarray, "T H W 3"]:
    """Turns pictures in [-1, 1] into RGB bytes."""
    rgb = ((frames.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return rgb.permute(0, 2, 3, 1).contiguous().cpu().numpy()


def to_wave(samples: Float[Tensor, " S"]) -> Float32[np.ndarray, " S"]:
    """Cuts a waveform to [-1, 1]."""
    return samples.float().clamp(-1, 1).cpu().numpy()
