"""The world's own answer on its way through the VAEs: the ceiling of models on their latents."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from jaxtyping import Float32, UInt8

from baselines.ground_truth import chunks_of, world_clip
from evals.recording.role import Role
from evals.recording.system import Prompt
from streamchar_ref.core.errors import InputError
from streamchar_ref.media import AVChunk
from streamchar_ref.model.checkpoint import Checkpoint, CheckpointError, load_checkpoint
from streamchar_ref.model.shipped import shipped_checkpoint
from streamchar_ref.networks.vae.audio import AudioVae
from streamchar_ref.networks.vae.causal import Past
from streamchar_ref.networks.vae.convert import reconstruct_audio, reconstruct_video
from streamchar_ref.networks.vae.video import TEMPORAL_STRIDE, VideoVae

PARTS = ("both", "audio", "video")
VaeT = TypeVar("VaeT", VideoVae, AudioVae)


class VaeRoundTrip:
    """The prompt's character says its transcript, encoded and decoded.

    Args:
        checkpoint: Folder that holds the VAEs, be it of a whole model or of a stage of training;
            by default the one that comes with the package.
        part: What goes through a VAE: ``both``, ``audio`` or ``video``. The other stays as drawn.

    Raises:
        InputError: If the checkpoint cannot be used or there is no such part.
    """

    name = "vae_round_trip"
    role = Role.CEILING
    fps = 25

    def __init__(self, *, checkpoint: str = "", part: str = "both") -> None:
        if part not in PARTS:
            raise InputError(f"part is one of {', '.join(PARTS)}, not {part!r}")
        try:
            found = load_checkpoint(Path(checkpoint) if checkpoint else shipped_checkpoint())
            config = found.config
            self._video = None if part == "audio" else _filled(VideoVae(config.video_vae), found)
            self._audio = None if part == "video" else _filled(AudioVae(config.audio_vae), found)
        except CheckpointError as error:
            raise InputError(str(error)) from error
        if config.stream.fps != self.fps or config.video_vae.first_latent_frames != TEMPORAL_STRIDE:
            raise InputError(
                f"preset {config.preset!r} has {config.stream.fps} frames per second and "
                f"{config.video_vae.first_latent_frames} in its first latent; the world's clips "
                f"have {self.fps} and need {TEMPORAL_STRIDE}"
            )
        self.size, self.sample_rate = config.stream.size, config.audio_vae.sample_rate
        self.checkpoint = f"{config.preset} sha256:{found.digest[:12]}"

    def stream(self, prompt: Prompt, *, seed: int) -> Iterator[AVChunk]:
        """Yields the chunks of `ground_truth.GroundTruth` at the size of the checkpoint."""
        clip = world_clip(prompt, seed=seed)
        samples = clip.samples if self._audio is None else _audio(self._audio, clip.samples)
        past, begin = None, 0
        for chunk in chunks_of(clip, self.size):
            frames, end = chunk.frames, begin + len(chunk.samples)
            if self._video is not None:
                frames, past = _video(self._video, frames, past)
            yield replace(chunk, frames=frames, samples=samples[begin:end])
            begin = end


def _filled(vae: VaeT, checkpoint: Checkpoint) -> VaeT:
    """Puts a checkpoint's weights into a VAE."""
    name = "video_vae" if isinstance(vae, VideoVae) else "audio_vae"
    own = {
        key.removeprefix(f"{name}."): tensor
        for key, tensor in checkpoint.tensors.items()
        if key.startswith(f"{name}.")
    }
    if not own:
        there = ", ".join(sorted({key.partition(".")[0] for key in checkpoint.tensors}))
        other = "audio" if name == "video_vae" else "video"
        raise CheckpointError(
            f"the checkpoint has no weights of {name} (it has: {there}); give another one, or "
            f"part={other} to do without"
        )
    try:
        vae.load_state_dict(own)
    except RuntimeError as error:
        raise CheckpointError(f"the weights of {name} do not fit their config: {error}") from error
    return vae.eval()


def _video(
    vae: VideoVae, frames: UInt8[np.ndarray, "T H W 3"], past: Past | None
) -> tuple[UInt8[np.ndarray, "T H W 3"], Past]:
    """Encodes and decodes the next frames; the last one fills its latent."""
    missing = -len(frames) % TEMPORAL_STRIDE
    padded = np.concatenate([frames, frames[-1:].repeat(missing, axis=0)])
    decoded, past = reconstruct_video(vae, padded, past)
    return decoded[: len(frames)], past


def _audio(vae: AudioVae, samples: Float32[np.ndarray, " S"]) -> Float32[np.ndarray, " S"]:
    """Encodes and decodes audio; silence fills the last latent."""
    padded = np.pad(samples, (0, -len(samples) % vae.config.latent_samples))
    return reconstruct_audio(vae, padded)[: len(samples)]
