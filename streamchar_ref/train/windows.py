"""Training windows: one chunk of a clip with all that a stream would know there, and the truth.

A window is the state of a stream in the middle of a true clip: the context is assembled by the
functions that streams use, and degraded by `augment`.

Shape letters: B batch, F and A video and audio latents of a chunk, C and Ca channels, h and w, W
transcript window.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from streamchar_ref.loop.fit import Draw
from streamchar_ref.model.config import Config
from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.networks.dit import DitContext
from streamchar_ref.networks.durations import Times
from streamchar_ref.networks.orchestrator import OrchestratorInputs
from streamchar_ref.train.augmentation import (
    AugmentationDraws,
    AugmentedContext,
    ContextAugmentation,
    augment,
)
from streamchar_ref.train.latent_cache import LatentClip
from streamchar_ref.train.latent_store import ClipLengths, LatentStore, WindowPlaces

_PROMPTS_AT_ONCE = 64


@dataclass(frozen=True, kw_only=True)
class TrainingWindow:
    """A batch of training windows.

    Attributes:
        inputs: What the orchestrator reads.
        context: What the DiT sees.
        video: Clean latents of the chunk.
        audio: Clean latents of the chunk.
        times: When the phonemes of the transcript window are said.
        position: Phonemes said by the end of each audio latent, from the window's pointer.
        alignment: Row of the transcript window, see `pointer.alignment_loss`.
        phones: Class of the sound, 0 for silence.
        is_over: Whether all has been said.
        gap: True lip gap.
        mouth: Share of each cell that the mouth takes.
        identity: Numbers of the characters.
    """

    inputs: OrchestratorInputs
    context: DitContext
    video: Float[Tensor, "B F C h w"]
    audio: Float[Tensor, "B A Ca"]
    times: Times
    position: Float[Tensor, "B A"]
    alignment: Int64[Tensor, "B A"]
    phones: Int64[Tensor, "B A"]
    is_over: Float[Tensor, "B A"]
    gap: Float[Tensor, "B A"]
    mouth: Float[Tensor, "B F h w"]
    identity: Int64[Tensor, " B"]


class WindowPool:
    """Training windows of many clips, gathered on the device that the clips are on.

    Args:
        store: Clips, each at least a chunk long.
        config: Of the model.
        augmentation: How the context is degraded.

    Raises:
        ValueError: If the sound of a clip ends before its picture.
    """

    def __init__(
        self, store: LatentStore, config: Config, augmentation: ContextAugmentation
    ) -> None:
        geometry, lengths = config.geometry, store.lengths
        last = np.round((lengths.video - geometry.chunk_latents) * geometry.audio_per_video)
        if (lengths.video < geometry.chunk_latents).any():
            raise ValueError("a clip is shorter than a chunk")
        if (last + geometry.chunk_audio_latents > lengths.audio).any():
            raise ValueError("the sound of a clip ends before its picture")
        self.store, self._config, self._augmentation = store, config, augmentation

    def __call__(self, draw: Draw) -> TrainingWindow:
        """Draws a batch; the same draw gives the same."""
        return self.draw(np.random.default_rng([draw.seed, draw.step, draw.rank, 0x77]), draw.batch)

    def draw(self, rng: np.random.Generator, batch: int) -> TrainingWindow:
        """Draws a batch; the same generator state gives the same.

        Args:
            rng: Of the draw.
            batch: B.

        Returns:
            The batch.
        """
        store, config, device = self.store, self._config, self.store.device
        places, draws = _draw(store.lengths, config, self._augmentation, rng, batch, device)

        def normal(shape: torch.Size) -> Tensor:
            return torch.from_numpy(rng.standard_normal(shape, np.float32)).to(device)

        count = config.geometry.chunk_audio_latents
        position = store.cut_audio(store.position, places, count)
        state, text = store.states(config, places), store.transcripts(places.clip)
        needed = position[:, -1].ceil().long()
        augmented = augment(config, state, text, draws, needed=needed, normal=normal)
        return _window(store, config, places, augmented, position)


def window_source(
    model: StreamChar, clips: Sequence[LatentClip], augmentation: ContextAugmentation
) -> WindowPool:
    """Puts clips on the device of a model.

    Args:
        model: Whose prompt encoder and audio VAE are trained already.
        clips: Each at least a chunk long.
        augmentation: How the context is degraded.

    Returns:
        Windows of them.
    """
    config = model.config
    with torch.no_grad():
        silence = model.silence(
            max(config.orchestrator.history_latents, config.geometry.motion_audio_latents)
        )[0]
    prompts = prompt_vectors(model, [clip.prompt for clip in clips])
    store = LatentStore.of(clips, prompts=prompts, silence=silence, device=model.device)
    return WindowPool(store, config, augmentation)


@torch.no_grad()
def prompt_vectors(model: StreamChar, texts: Sequence[str]) -> dict[str, Tensor]:
    """Encodes every text once; the prompt encoder is frozen."""
    distinct = sorted(set(texts))
    vectors: dict[str, Tensor] = {}
    for at in range(0, len(distinct), _PROMPTS_AT_ONCE):
        some = distinct[at : at + _PROMPTS_AT_ONCE]
        vectors |= zip(some, model.prompt(some).cpu(), strict=True)
    return vectors


def _window(
    store: LatentStore,
    config: Config,
    places: WindowPlaces,
    augmented: AugmentedContext,
    position: Float[Tensor, "B A"],
) -> TrainingWindow:
    """Adds the truth about the chunk, as it looks from the window's pointer."""
    inputs, context, place, num_known = augmented
    geometry, sizes = config.geometry, config.orchestrator
    num_video, num_audio = geometry.chunk_latents, geometry.chunk_audio_latents
    first = (place - sizes.text_behind)[:, None]
    spoken = store.cut_audio(store.row, places, num_audio).long()
    row = spoken - first
    alignment = torch.where((row >= 0) & (row < sizes.window), row + 1, -1)
    num_tokens = store.num_tokens[places.clip][:, None]
    return TrainingWindow(
        inputs=inputs,
        context=context,
        video=store.cut_video(store.video, places, num_video),
        audio=store.cut_audio(store.audio, places, num_audio),
        times=_times(store, places, first, num_known, sizes.window),
        position=(position - (place + inputs.fraction)[:, None]).clamp(min=0),
        alignment=torch.where(spoken < 0, 0, alignment),
        phones=store.cut_audio(store.phone, places, num_audio).long(),
        is_over=(position >= num_tokens).float(),
        gap=store.cut_audio(store.gap, places, num_audio),
        mouth=store.cut_video(store.mouth, places, num_video),
        identity=store.identity[places.clip],
    )


def _times(
    store: LatentStore,
    places: WindowPlaces,
    first: Int64[Tensor, "B 1"],
    num_known: Int64[Tensor, " B"],
    count: int,
) -> Times:
    """Cuts out when the rows of the transcript window are said; never, where there is no text."""
    rows = first + torch.arange(count, device=first.device)
    inside = (rows >= 0) & (rows < num_known[:, None])
    held = rows.clamp(0, store.tokens.shape[1] - 1)
    begin = places.begin[:, None]
    start, end = (
        torch.where(inside, times[places.clip].gather(1, held) - begin, torch.inf)
        for times in (store.start, store.end)
    )
    return Times(start=start, end=end)


def _draw(
    lengths: ClipLengths,
    config: Config,
    augmentation: ContextAugmentation,
    rng: np.random.Generator,
    batch: int,
    device: torch.device,
) -> tuple[WindowPlaces, AugmentationDraws]:
    rows = [_draw_row(lengths, config, augmentation, rng) for _ in range(batch)]
    tensors = {
        name: torch.from_numpy(np.array([row[name] for row in rows], kind)).to(device)
        for name, kind in _KINDS.items()
    }
    places = {name: tensors.pop(name) for name in ("clip", "start", "begin", "sink", "reference")}
    return WindowPlaces(**places), AugmentationDraws(**tensors)


_KINDS = {
    **dict.fromkeys(("clip", "start", "begin", "sink", "reference"), np.int64),
    **{f"has_{name}": np.bool_ for name in ("prompt", "reference", "sink", "motion", "history")},
    **{"pointer_offset": np.int64, "is_cut": np.bool_, "text_ahead": np.int64},
    **dict.fromkeys(("motion_sigma", "history_sigma"), np.float32),
}


def _draw_row(
    lengths: ClipLengths,
    config: Config,
    augmentation: ContextAugmentation,
    rng: np.random.Generator,
) -> dict[str, float]:
    geometry = config.geometry
    clip = int(rng.integers(len(lengths)))
    last = int(lengths.video[clip]) - geometry.chunk_latents
    is_first = rng.random() < augmentation.first_chunk or last <= geometry.motion_latents
    start = 0 if is_first else int(rng.integers(geometry.motion_latents, last + 1))
    has_prompt = rng.random() >= augmentation.prompt_drop
    latest = start - geometry.chunk_latents
    sink = int(rng.integers(latest + 1)) if latest >= 0 else 0
    has_sink = (latest >= 0 or not start) and rng.random() >= augmentation.sink_drop
    has_motion = rng.random() >= augmentation.motion_drop
    is_noisy = rng.random() < augmentation.motion_noise
    motion_sigma = rng.uniform(0, augmentation.motion_sigma) if is_noisy else 0.0
    reference = int(rng.integers(lengths.reference[clip])) if start else 0
    has_reference = rng.random() >= augmentation.reference_drop
    is_off, most = rng.random() < augmentation.pointer_off, augmentation.pointer_phonemes
    offset = int(rng.integers(-most, most + 1)) if is_off else 0
    is_cut = rng.random() < augmentation.text_cut
    return {
        "clip": clip,
        "start": start,
        "begin": round(start * geometry.audio_per_video),
        "sink": sink,
        "reference": reference,
        "has_prompt": has_prompt,
        "has_reference": has_reference,
        "has_sink": has_sink,
        "has_motion": has_motion,
        "pointer_offset": offset,
        "is_cut": is_cut,
        "text_ahead": int(rng.integers(1, config.orchestrator.text_ahead)) if is_cut else 0,
        "motion_sigma": motion_sigma,
        "has_history": rng.random() >= augmentation.history_drop,
        "history_sigma": rng.uniform(0, augmentation.history_sigma),
    }
