"""Training windows: one chunk of a clip with all that a stream would know there, and the truth.

A window is the state of a stream in the middle of a true clip: the context is assembled by the
functions that streams use, and degraded by `augment`.

Shape letters: B batch, F and A video and audio latents of a chunk, C and Ca channels, h and w, W
transcript window.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from streamchar_ref.loop.fit import Draw
from streamchar_ref.model.config import Config
from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.networks.dit import DitContext
from streamchar_ref.networks.durations import PhonemeTimes
from streamchar_ref.networks.orchestrator import OrchestratorInputs
from streamchar_ref.streaming.context import ContextOptions
from streamchar_ref.train.augmentation import (
    AugmentationDraws,
    AugmentedContext,
    ContextAugmentation,
    NormalFn,
    augment,
)
from streamchar_ref.train.latent_cache import LatentClip
from streamchar_ref.train.latent_store import LatentStore, WindowChoice, WindowPlaces
from streamchar_ref.train.window_draws import draw_augmentation, draw_windows

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
    times: PhonemeTimes
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
        geometry, table = config.geometry, store.table
        last = np.round((table.num_video - geometry.chunk_latents) * geometry.audio_per_video)
        if (table.num_video < geometry.chunk_latents).any():
            raise ValueError("a clip is shorter than a chunk")
        if (last + geometry.chunk_audio_latents > table.num_audio).any():
            raise ValueError("the sound of a clip ends before its picture")
        self.store, self._config, self._augmentation = store, config, augmentation

    def __call__(self, draw: Draw) -> TrainingWindow:
        """Draws a batch; the same draw gives the same on the same kind of device.

        The noise is drawn on the device, all else on the CPU.

        Args:
            draw: Randomness of the step.

        Returns:
            The batch.
        """
        config, store, augmentation = self._config, self.store, self._augmentation
        rng = np.random.default_rng([draw.seed, draw.step, draw.rank, 0x77])
        choice = draw_windows(
            store.table, config, augmentation.first_chunk, batch=draw.batch, rng=rng
        )
        draws = draw_augmentation(choice, config, augmentation, rng=rng, device=store.device)
        generator = torch.Generator(store.device).manual_seed(int(rng.integers(2**63)))
        normal = partial(torch.randn, generator=generator, device=store.device)
        return self.assemble(choice, draws, normal=normal)

    def assemble(
        self, choice: WindowChoice, draws: AugmentationDraws, *, normal: NormalFn
    ) -> TrainingWindow:
        """Gathers windows: contexts as streams assemble them, degraded, and the truth.

        Args:
            choice: The windows.
            draws: How their context is degraded.
            normal: Draws noise, see `augment`.

        Returns:
            The batch.
        """
        store, config = self.store, self._config
        places = store.locate(config, choice)
        chunk = store.chunks(config, places)
        augmented = augment(
            config,
            store.states(config, places),
            store.transcripts(places),
            draws,
            needed=chunk["position"][:, -1].ceil().long(),
            normal=normal,
            options=ContextOptions(visible=self._augmentation.visible),
        )
        return _window(store, config, places, augmented, chunk)


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
    chunk: dict[str, Any],
) -> TrainingWindow:
    """Adds the truth about the chunk, as it looks from the window's pointer."""
    inputs, context, place, num_known = augmented
    size = config.orchestrator.window
    first = (place - config.orchestrator.text_behind)[:, None]
    spoken, position = chunk["row"].long(), chunk["position"]
    row = spoken - first
    alignment = torch.where((row >= 0) & (row < size), row + 1, -1)
    return TrainingWindow(
        inputs=inputs,
        context=context,
        video=chunk["video"],
        audio=chunk["audio"],
        times=_times(store, places, first, num_known, size),
        position=(position - (place + inputs.fraction)[:, None]).clamp(min=0),
        alignment=torch.where(spoken < 0, 0, alignment),
        phones=chunk["phone"].long(),
        is_over=(position >= places.num_tokens[:, None]).float(),
        gap=chunk["gap"],
        mouth=chunk["mouth"],
        identity=places.identity,
    )


def _times(
    store: LatentStore,
    places: WindowPlaces,
    first: Int64[Tensor, "B 1"],
    num_known: Int64[Tensor, " B"],
    count: int,
) -> PhonemeTimes:
    """Cuts out when the rows of the transcript window are said; never, where there is no text."""
    rows = first + torch.arange(count, device=first.device)
    inside = (rows >= 0) & (rows < num_known[:, None])
    held = rows.clamp(0, store.times.shape[1] - 1)
    times = store.times[places.clip[:, None], held] - places.begin[:, None, None]
    start, end = torch.where(inside[..., None], times, torch.inf).movedim(-1, 0).contiguous()
    return PhonemeTimes(start=start, end=end)
