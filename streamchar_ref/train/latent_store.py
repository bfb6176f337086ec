"""Clips of a run end to end on the training device, where windows are cut out of them.

A window is gathered in a few tensor operations for the whole batch: nothing is done per row, and
nothing comes back from the device.

Shape letters: B batch, N clips, M phonemes of the longest transcript, F and A video and audio
latents of all clips, C and Ca channels, h and w cells, R reference pictures of all clips, P prompt
vectors, E their width, H latents of silence.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float16, Float32, Int16, Int64
from torch import Tensor

from streamchar_ref.model.config import Config
from streamchar_ref.model.streamchar import Conditioning
from streamchar_ref.sampling.noise import NoiseSource
from streamchar_ref.streaming.state import StreamState
from streamchar_ref.streaming.transcript import TranscriptBatch
from streamchar_ref.train.latent_cache import LatentClip

_PER_LATENT = ("video", "mouth", "audio", "position", "row", "phone", "gap", "reference")
_NO_NOISE = NoiseSource(states=(), num_chunks=())


@dataclass(frozen=True, kw_only=True)
class ClipLengths:
    """Lengths of clips, on the CPU, where it is decided where windows are cut.

    Attributes:
        video: Video latents.
        audio: Audio latents.
        tokens: Phonemes of the transcript.
        reference: Reference pictures.
    """

    video: Int64[np.ndarray, " N"]
    audio: Int64[np.ndarray, " N"]
    tokens: Int64[np.ndarray, " N"]
    reference: Int64[np.ndarray, " N"]

    def __len__(self) -> int:
        return len(self.video)


@dataclass(frozen=True, kw_only=True)
class WindowPlaces:
    """Where the windows of a batch lie in their clips.

    Attributes:
        clip: Number of the clip, [B].
        start: First video latent of the chunk; at 0 a stream begins, [B].
        begin: First audio latent of the chunk, [B].
        sink: First video latent of the sink, [B].
        reference: Reference picture; without meaning where a stream begins, [B].
    """

    clip: Int64[Tensor, " B"]
    start: Int64[Tensor, " B"]
    begin: Int64[Tensor, " B"]
    sink: Int64[Tensor, " B"]
    reference: Int64[Tensor, " B"]


@dataclass(frozen=True, kw_only=True)
class LatentStore:
    """Clips end to end; see `LatentClip` for what is known of each.

    Attributes:
        lengths: Of the clips.
        first_video: First video latent of each clip, [N].
        first_audio: First audio latent of each clip, [N].
        first_reference: First reference picture of each clip, [N].
        num_tokens: Phonemes of each transcript, [N].
        identity: Numbers of the characters, [N].
        prompt: Text vectors, [N, P, E].
        tokens: Transcripts, padded, [N, M, 4].
        start: When each phoneme begins, padded, [N, M].
        end: When it ends, padded, [N, M].
        video: [F, C, h, w].
        mouth: [F, h, w].
        audio: [A, Ca].
        position: [A].
        row: [A].
        phone: [A].
        gap: [A].
        reference: [R, C, h, w].
        silence: What is heard before a stream; at least as many latents as a state keeps, [H, Ca].
    """

    lengths: ClipLengths
    first_video: Int64[Tensor, " N"]
    first_audio: Int64[Tensor, " N"]
    first_reference: Int64[Tensor, " N"]
    num_tokens: Int64[Tensor, " N"]
    identity: Int64[Tensor, " N"]
    prompt: Float[Tensor, "N P E"]
    tokens: Int16[Tensor, "N M 4"]
    start: Float32[Tensor, "N M"]
    end: Float32[Tensor, "N M"]
    video: Float16[Tensor, "F C h w"]
    mouth: Float16[Tensor, "F h w"]
    audio: Float16[Tensor, "A Ca"]
    position: Float32[Tensor, " A"]
    row: Int16[Tensor, " A"]
    phone: Int16[Tensor, " A"]
    gap: Float32[Tensor, " A"]
    reference: Float16[Tensor, "R C h w"]
    silence: Float[Tensor, "H Ca"]

    @classmethod
    def of(
        cls,
        clips: Sequence[LatentClip],
        *,
        prompts: Mapping[str, Tensor],
        silence: Float[Tensor, "H Ca"],
        device: str | torch.device = "cpu",
    ) -> "LatentStore":
        """Copies clips to a device.

        Args:
            clips: At least one.
            prompts: Vectors of every clip's prompt, [P, E].
            silence: Latents of what is heard before a stream.
            device: Where windows are wanted.

        Returns:
            The store.
        """
        lengths = ClipLengths(
            **{
                name: np.array([len(getattr(clip, name)) for clip in clips])
                for name in ("video", "audio", "tokens", "reference")
            }
        )
        longest = max(1, int(lengths.tokens.max()))
        tensors = {
            **{name: np.concatenate([getattr(c, name) for c in clips]) for name in _PER_LATENT},
            **{
                name: np.stack([_padded(getattr(clip, name), longest) for clip in clips])
                for name in ("tokens", "start", "end")
            },
            **{
                f"first_{name}": np.cumsum(count) - count
                for name, count in vars(lengths).items()
                if name != "tokens"
            },
            "num_tokens": lengths.tokens,
            "identity": np.array([clip.identity for clip in clips]),
        }
        return cls(
            lengths=lengths,
            prompt=torch.stack([prompts[clip.prompt] for clip in clips]).to(device),
            silence=silence.to(device),
            **{name: torch.from_numpy(array).to(device) for name, array in tensors.items()},
        )

    @property
    def device(self) -> torch.device:
        """Where the clips are."""
        return self.video.device

    @property
    def num_bytes(self) -> int:
        """Memory that the clips take on the device."""
        return sum(x.numel() * x.element_size() for x in vars(self).values() if torch.is_tensor(x))

    def states(self, config: Config, places: WindowPlaces) -> StreamState:
        """Returns the states that streams would have in the middle of true clips.

        A stream opens with its picture held still, in silence; there the first latent of the clip
        is that picture, since what comes next goes on from it.

        Args:
            config: Of the model.
            places: Of the next chunks.

        Returns:
            The states, without noise generators.
        """
        geometry, clip, start = config.geometry, places.clip, places.start
        first, has_begun = self.first_video[clip], start > 0
        num_history = max(config.orchestrator.history_latents, geometry.motion_audio_latents)

        def video(at: Int64[Tensor, " B"], count: int) -> Float[Tensor, "B count C h w"]:
            return _take(self.video, torch.where(has_begun[:, None], _span(at, count), 0), first)

        opening = _take(self.video, torch.zeros_like(start)[:, None], first)
        portrait = _take(self.reference, places.reference[:, None], self.first_reference[clip])
        heard = _span(places.begin - num_history, num_history)
        audio = _take(self.audio, heard.clamp(min=0), self.first_audio[clip])
        silence = self.silence[len(self.silence) - num_history :].expand_as(audio)
        return StreamState(
            conditioning=Conditioning(
                prompt=self.prompt[clip],
                reference=torch.where(has_begun.reshape(-1, 1, 1, 1, 1), portrait, opening),
            ),
            num_chunks=start.add(geometry.chunk_latents - 1) // geometry.chunk_latents,
            sink=video(places.sink, geometry.sink_latents),
            motion_video=video(start - geometry.motion_latents, geometry.motion_latents),
            history=torch.where((heard >= 0)[..., None], audio, silence),
            num_history=places.begin.clamp(max=num_history),
            position=self._position_before(places),
            has_ended=torch.zeros_like(has_begun),
            noise=_NO_NOISE,
        )

    def transcripts(self, clip: Int64[Tensor, " B"]) -> TranscriptBatch:
        """Returns the whole transcripts of clips."""
        return TranscriptBatch(
            tokens=self.tokens[clip].long(),
            lengths=self.num_tokens[clip],
            is_final=torch.ones_like(clip, dtype=torch.bool),
        )

    def cut_video(
        self, flat: Tensor, places: WindowPlaces, count: int
    ) -> Float[Tensor, "B count *rest"]:
        """Gathers the chunks of what is known of video latents: `video` or `mouth`."""
        return _take(flat, _span(places.start, count), self.first_video[places.clip])

    def cut_audio(self, flat: Tensor, places: WindowPlaces, count: int) -> Tensor:
        """Gathers the chunks of what is known of audio latents, such as `audio` or `row`."""
        return _take(flat, _span(places.begin, count), self.first_audio[places.clip])

    def _position_before(self, places: WindowPlaces) -> Float[Tensor, " B"]:
        before = self.first_audio[places.clip] + (places.begin - 1).clamp(min=0)
        return torch.where(places.begin > 0, self.position[before], 0.0)


def _padded(rows: np.ndarray, count: int) -> np.ndarray:
    """Fills up with zeros, which nobody reads."""
    return np.pad(rows, [(0, count - len(rows)), *[(0, 0)] * (rows.ndim - 1)])


def _span(first: Int64[Tensor, " B"], count: int) -> Int64[Tensor, "B count"]:
    return first[:, None] + torch.arange(count, device=first.device)


def _take(flat: Tensor, index: Int64[Tensor, "B K"], first: Int64[Tensor, " B"]) -> Tensor:
    """Gathers rows of clips; half precision becomes single."""
    taken = flat.index_select(0, (index + first[:, None]).flatten()).unflatten(0, index.shape)
    return taken.float() if taken.dtype == torch.float16 else taken
