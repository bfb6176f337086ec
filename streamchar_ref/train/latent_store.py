"""Clips of a run end to end on the training device, where windows are cut out of them.

A window is gathered in a few tensor operations for the whole batch: nothing is done per row, and
nothing comes back from the device.

Shape letters: B batch, N clips, M phonemes of the longest transcript, F and A video and audio
latents of all clips, Fr the same with all reference pictures behind them, As the same with silence
behind them, C and Ca channels, h and w cells, P prompt vectors, E their width.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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

_NO_NOISE = NoiseSource(states=(), num_chunks=())


@dataclass(frozen=True, kw_only=True)
class ClipTable:
    """Where each clip lies in a `LatentStore`; on the CPU, where windows are chosen.

    Attributes:
        num_video: Video latents.
        num_audio: Audio latents.
        num_tokens: Phonemes of the transcript.
        num_references: Reference pictures.
        first_video: Row of the first video latent.
        first_audio: Row of the first audio latent.
        first_reference: Row of the first reference picture, in the same tensor as the video.
        identity: Number of the character.
    """

    num_video: Int64[np.ndarray, " N"]
    num_audio: Int64[np.ndarray, " N"]
    num_tokens: Int64[np.ndarray, " N"]
    num_references: Int64[np.ndarray, " N"]
    first_video: Int64[np.ndarray, " N"]
    first_audio: Int64[np.ndarray, " N"]
    first_reference: Int64[np.ndarray, " N"]
    identity: Int64[np.ndarray, " N"]

    @classmethod
    def of(cls, clips: Sequence[LatentClip]) -> "ClipTable":
        """Lays clips end to end."""
        video, audio, tokens, references = (
            np.array([len(getattr(clip, name)) for clip in clips])
            for name in ("video", "audio", "tokens", "reference")
        )
        return cls(
            num_video=video,
            num_audio=audio,
            num_tokens=tokens,
            num_references=references,
            first_video=np.cumsum(video) - video,
            first_audio=np.cumsum(audio) - audio,
            first_reference=np.cumsum(references) - references + video.sum(),
            identity=np.array([clip.identity for clip in clips]),
        )

    def __len__(self) -> int:
        return len(self.identity)


@dataclass(frozen=True, kw_only=True)
class WindowChoice:
    """Which windows a batch has.

    Attributes:
        clip: Number of the clip.
        start: First video latent of the chunk; at 0 a stream begins.
        sink: First video latent of the sink.
        reference: Reference picture; neither is used where a stream begins.
    """

    clip: Int64[np.ndarray, " B"]
    start: Int64[np.ndarray, " B"]
    sink: Int64[np.ndarray, " B"]
    reference: Int64[np.ndarray, " B"]


@dataclass(frozen=True, kw_only=True)
class WindowPlaces:
    """Where the windows of a batch lie in a `LatentStore`.

    Attributes:
        clip: Number of the clip, [B].
        start: First video latent of the chunk in its clip, [B].
        begin: First audio latent of the chunk in its clip, [B].
        video: Row of the first video latent of the chunk, [B].
        audio: Row of the first audio latent of the chunk, [B].
        sink: Row of the first latent of the sink, [B].
        motion: Row of the first latent of the motion, [B].
        stride: Rows from one latent of sink and motion to the next: 0 where a stream begins, [B].
        reference: Row of the reference picture, [B].
        num_tokens: Phonemes of the transcript, [B].
        identity: Number of the character, [B].
    """

    clip: Int64[Tensor, " B"]
    start: Int64[Tensor, " B"]
    begin: Int64[Tensor, " B"]
    video: Int64[Tensor, " B"]
    audio: Int64[Tensor, " B"]
    sink: Int64[Tensor, " B"]
    motion: Int64[Tensor, " B"]
    stride: Int64[Tensor, " B"]
    reference: Int64[Tensor, " B"]
    num_tokens: Int64[Tensor, " B"]
    identity: Int64[Tensor, " B"]


@dataclass(frozen=True, kw_only=True)
class LatentStore:
    """Clips end to end; see `LatentClip` for what is known of each.

    Attributes:
        table: Where each clip lies.
        prompt: Text vectors of each clip, [N, P, E].
        tokens: Transcripts, padded, [N, M, 4].
        times: When each phoneme begins and ends, padded, [N, M, 2].
        video: Latents, all reference pictures behind them, [Fr, C, h, w].
        mouth: [F, h, w].
        audio: Latents, silence behind them, [As, Ca].
        position: [A].
        row: [A].
        phone: [A].
        gap: [A].
    """

    table: ClipTable
    prompt: Float[Tensor, "N P E"]
    tokens: Int16[Tensor, "N M 4"]
    times: Float32[Tensor, "N M 2"]
    video: Float16[Tensor, "Fr C h w"]
    mouth: Float16[Tensor, "F h w"]
    audio: Float32[Tensor, "As Ca"]
    position: Float32[Tensor, " A"]
    row: Int16[Tensor, " A"]
    phone: Int16[Tensor, " A"]
    gap: Float32[Tensor, " A"]

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
            silence: Latents of what is heard before a stream, as many as a state keeps.
            device: Where windows are wanted.

        Returns:
            The store.
        """
        longest = max(1, *(len(clip.tokens) for clip in clips))
        times = [np.stack([clip.start, clip.end], axis=-1) for clip in clips]
        audio = [clip.audio.astype(np.float32) for clip in clips]
        arrays = {
            "tokens": np.stack([_padded(clip.tokens, longest) for clip in clips]),
            "times": np.stack([_padded(each, longest) for each in times]),
            "video": np.concatenate([c.video for c in clips] + [c.reference for c in clips]),
            "audio": np.concatenate([*audio, silence.cpu().numpy()]),
            **{
                name: np.concatenate([getattr(clip, name) for clip in clips])
                for name in ("mouth", "position", "row", "phone", "gap")
            },
        }
        return cls(
            table=ClipTable.of(clips),
            prompt=torch.stack([prompts[clip.prompt] for clip in clips]).to(device),
            **{name: torch.from_numpy(array).to(device) for name, array in arrays.items()},
        )

    @property
    def device(self) -> torch.device:
        """Where the clips are."""
        return self.video.device

    @property
    def num_bytes(self) -> int:
        """Memory that the clips take on the device."""
        return sum(x.numel() * x.element_size() for x in vars(self).values() if torch.is_tensor(x))

    def locate(self, config: Config, choice: WindowChoice) -> WindowPlaces:
        """Looks up where windows lie.

        Args:
            config: Of the model.
            choice: The windows.

        Returns:
            Rows of the store's tensors.
        """
        geometry, table, clip, start = config.geometry, self.table, choice.clip, choice.start
        first, has_begun = table.first_video[clip], start > 0
        begin = np.round(start * geometry.audio_per_video).astype(np.int64)
        reference = table.first_reference[clip] + choice.reference
        places = {
            "clip": clip,
            "start": start,
            "begin": begin,
            "video": first + start,
            "audio": table.first_audio[clip] + begin,
            "sink": first + choice.sink * has_begun,
            "motion": first + (start - geometry.motion_latents) * has_begun,
            "stride": has_begun.astype(np.int64),
            "reference": np.where(has_begun, reference, first),
            "num_tokens": table.num_tokens[clip],
            "identity": table.identity[clip],
        }
        return WindowPlaces(**to_device(places, self.device))

    def states(self, config: Config, places: WindowPlaces) -> StreamState:
        """Returns the states that streams would have in the middle of true clips.

        A stream opens with its picture held still, in silence; there the first latent of the clip
        is that picture, since what comes next goes on from it. So it is before the clip, too, where
        a DiT looks back on more chunks than there are.

        Args:
            config: Of the model.
            places: Of the next chunks.

        Returns:
            The states, without noise generators.
        """
        geometry = config.geometry
        num_history = max(config.orchestrator.history_latents, geometry.motion_audio_latents)
        first = (places.video - places.start)[:, None]
        reference, sink, motion = _gather(
            self.video,
            places.reference[:, None],
            _span(places.sink, geometry.sink_latents, places.stride),
            _span(places.motion, geometry.motion_latents, places.stride).clamp(min=first),
        )
        position = self.position.index_select(0, (places.audio - 1).clamp(min=0))
        return StreamState(
            conditioning=Conditioning(
                prompt=self.prompt.index_select(0, places.clip), reference=reference
            ),
            num_chunks=(places.start + geometry.chunk_latents - 1) // geometry.chunk_latents,
            sink=sink,
            motion_video=motion,
            history=self._history(places, num_history),
            num_history=places.begin.clamp(max=num_history),
            position=position * places.stride,
            has_ended=torch.zeros_like(places.stride, dtype=torch.bool),
            cache=torch.zeros(len(places.stride), 0, device=self.device),
            noise=_NO_NOISE,
        )

    def transcripts(self, places: WindowPlaces) -> TranscriptBatch:
        """Returns the whole transcripts of clips."""
        return TranscriptBatch(
            tokens=self.tokens.index_select(0, places.clip).long(),
            lengths=places.num_tokens,
            is_final=torch.ones_like(places.clip, dtype=torch.bool),
        )

    def chunks(self, config: Config, places: WindowPlaces) -> dict[str, Any]:
        """Gathers what is known of chunks.

        Args:
            config: Of the model.
            places: Of the chunks.

        Returns:
            Video, mouth, audio, position, row, phone and gap, by name, each [B, latents, ...].
        """
        geometry = config.geometry
        video = _span(places.video, geometry.chunk_latents)
        audio = _span(places.audio, geometry.chunk_audio_latents)
        return {
            name: _gather(getattr(self, name), rows)[0]
            for names, rows in (
                (("video", "mouth"), video),
                (("audio", "position", "row", "phone", "gap"), audio),
            )
            for name in names
        }

    def _history(self, places: WindowPlaces, count: int) -> Float[Tensor, "B count Ca"]:
        """Gathers the sound before chunks; before a stream there is silence."""
        age = torch.arange(-count, 0, device=self.device)
        is_heard = age >= -places.begin[:, None]
        rows = torch.where(is_heard, places.audio[:, None] + age, len(self.audio) + age)
        return _gather(self.audio, rows)[0]


def to_device(arrays: Mapping[str, np.ndarray], device: torch.device) -> dict[str, Tensor]:
    """Copies arrays of one shape, all of a dtype at once, without waiting for the device."""
    tensors: dict[str, Tensor] = {}
    for dtype in {array.dtype for array in arrays.values()}:
        same = {name: array for name, array in arrays.items() if array.dtype == dtype}
        packed = torch.from_numpy(np.stack(list(same.values())))
        if device.type == "cuda":
            packed = packed.pin_memory()
        tensors |= zip(same, packed.to(device, non_blocking=True).unbind(), strict=True)
    return tensors


def _padded(rows: np.ndarray, count: int) -> np.ndarray:
    """Fills up with zeros, which nobody reads."""
    return np.pad(rows, [(0, count - len(rows)), (0, 0)])


def _span(
    first: Int64[Tensor, " B"], count: int, stride: Int64[Tensor, " B"] | None = None
) -> Int64[Tensor, "B count"]:
    steps = torch.arange(count, device=first.device)
    return first[:, None] + (steps if stride is None else steps * stride[:, None])


def _gather(flat: Tensor, *rows: Int64[Tensor, "B _"]) -> list[Tensor]:
    """Gathers several sets of rows at once; half precision becomes single."""
    taken = flat.index_select(0, torch.cat([each.flatten() for each in rows]))
    taken = taken.float() if taken.dtype == torch.float16 else taken
    parts = taken.split([each.numel() for each in rows])
    return [part.unflatten(0, each.shape) for part, each in zip(parts, rows, strict=True)]
