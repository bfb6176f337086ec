"""Stage of speech: orchestrator and DiT learn to read and to speak, without any video.

Shape letters: B batch, A audio latents of a chunk, W width of the audio condition, D of the DiT.
"""

from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from streamchar_ref.loop.config import OptimConfig
from streamchar_ref.loop.stage import Draw, Stage
from streamchar_ref.model.config import Config
from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.networks.dit import JointDiT
from streamchar_ref.networks.durations import duration_loss, length_regulate
from streamchar_ref.networks.orchestrator import (
    Orchestrator,
    OrchestratorConfig,
    OrchestratorOutput,
)
from streamchar_ref.networks.pointer import alignment_loss, pointer_loss
from streamchar_ref.networks.reader import TranscriptReader, as_orchestrator, as_reader
from streamchar_ref.networks.text import PHONES
from streamchar_ref.sampling import flow
from streamchar_ref.train.augmentation import ContextAugmentation
from streamchar_ref.train.data import TrainingData
from streamchar_ref.train.latent_losses import draw_sigma
from streamchar_ref.train.samples import speech_samples
from streamchar_ref.train.stages.latent_windows import (
    SOUND,
    chunk_clips,
    preview_window,
    window_source,
)
from streamchar_ref.train.stages.spec import StageSpec, budgets
from streamchar_ref.train.windows import TrainingWindow

DURATION_TEACHER_FORCING_PROB = 0.75
"""Share of windows in which the orchestrator gets the true times of the phones, where durations are
predicted; in the others it infers the alignment from the audio."""
AUDIO_DROPOUT_PROB = 0.2
"""Share of windows in which the orchestrator does not get the noisy audio; with teacher forcing it
is half of them."""
CONDITION_DROP = 0.1
"""Share of windows in which the DiT gets no audio condition."""
AUX_WEIGHT = 0.2
"""Weight of the loss of auxiliary heads on the middle of the DiT."""


class SpeechStage(Stage):
    """Trains orchestrator and DiT to read and to speak the transcript, without video tokens.

    Args:
        orchestrator: Network.
        dit: Network; its weights for video stay as they are.
        windows: Draws a batch.
        shift: Of the noise levels, see `draw_sigma`.
        show: Writes samples into a folder.
    """

    name = "speech"

    def __init__(
        self,
        orchestrator: Orchestrator | TranscriptReader,
        dit: JointDiT,
        windows: Callable[[Draw], TrainingWindow],
        *,
        shift: float = 1.0,
        show: Callable[[Path], None] | None = None,
    ) -> None:
        super().__init__()
        self.orchestrator, self.dit = orchestrator, dit
        self.phones = nn.Linear(dit.config.width, 1 + len(PHONES))
        self._windows, self._shift, self._show = windows, shift, show

    def forward(self, draw: Draw) -> tuple[Tensor, dict[str, Tensor]]:
        """Returns the loss of a batch."""
        window = self._windows(draw)
        generator = draw.generator(window.audio.device)
        parts, hidden_states = self._losses(window, generator)
        aid = F.cross_entropy(
            self.phones(hidden_states).flatten(0, 1).float(), window.phones.flatten()
        )
        return weighted(parts) + AUX_WEIGHT * aid, parts | {"aid": aid}

    def log_samples(self, folder: Path) -> None:
        """Writes samples, if there is a function for it."""
        if self._show:
            self._show(folder)

    def _losses(
        self, window: TrainingWindow, generator: torch.Generator
    ) -> tuple[dict[str, Tensor], Float[Tensor, "B A D"]]:
        orchestrator = as_orchestrator(self.orchestrator)
        return speech_losses(orchestrator, self.dit, window, generator, self._shift)


class ReadingSpeechStage(SpeechStage):
    """Trains a DiT that reads the transcript itself."""

    def _losses(
        self, window: TrainingWindow, generator: torch.Generator
    ) -> tuple[dict[str, Tensor], Float[Tensor, "B A D"]]:
        reader = as_reader(self.orchestrator)
        noise = torch.randn(window.audio.shape, generator=generator, device=generator.device)
        sigma = draw_sigma(len(noise), generator, self._shift)
        noisy = flow.add_noise(window.audio, noise, sigma)
        transcript = read_or_not(reader, window, generator)
        context = self.dit.encode_context(window.context, sound_only=True, transcript=transcript)
        velocity, states = self.dit.forward_audio(noisy, sigma, None, context)
        parts = {
            "audio": F.mse_loss(velocity.float(), noise - window.audio),
            "over": over_loss(reader, states, window),
        }
        return parts, states


def read_or_not(
    reader: TranscriptReader, window: TrainingWindow, generator: torch.Generator
) -> Float[Tensor, "B W D"] | None:
    """Embeds the transcripts of a batch; some batches go without, for classifier-free guidance.

    A whole batch at once: then there are no tokens of it, as in the free pass of a stream.

    Args:
        reader: Network.
        window: What is known before the chunks.
        generator: Of the draw; its seed alone is used, which needs no word from the device.

    Returns:
        Tokens for `JointDiT.encode_context`.
    """
    own = torch.Generator().manual_seed(generator.initial_seed() ^ 0x7265)
    is_read = float(torch.rand((), generator=own)) >= CONDITION_DROP
    return reader.prefill(window.inputs) if is_read else None


def over_loss(
    reader: TranscriptReader, states: Float[Tensor, "B A D"], window: TrainingWindow
) -> Float[Tensor, ""]:
    """Returns how well the end of the speech is told from the states of the DiT."""
    return F.binary_cross_entropy_with_logits(reader.is_over(states).float(), window.is_over)


def speech_losses(
    orchestrator: Orchestrator,
    dit: JointDiT,
    window: TrainingWindow,
    generator: torch.Generator,
    shift: float,
) -> tuple[dict[str, Tensor], Float[Tensor, "B A D"]]:
    """Computes how well a window is read and spoken, as if it had no picture.

    Args:
        orchestrator: Network.
        dit: Network.
        window: The truth, and what is known before it.
        generator: Of the draw.
        shift: Of the noise levels, see `draw_sigma`.

    Returns:
        Losses by name, and the tokens in the middle of the blocks.
    """
    noise = torch.randn(window.audio.shape, generator=generator, device=generator.device)
    sigma = draw_sigma(len(noise), generator, shift)
    noisy = flow.add_noise(window.audio, noise, sigma)
    plan, is_teacher_forced = run_orchestrator(orchestrator, window, noisy, sigma, generator)
    condition = drop_condition(plan.condition, dit.no_condition, generator)
    context = dit.encode_context(window.context, sound_only=True)
    velocity, hidden_states = dit.forward_audio(noisy, sigma, condition, context)
    parts = {"audio": F.mse_loss(velocity.float(), noise - window.audio)}
    parts |= alignment_losses(plan, window, orchestrator.config, is_teacher_forced)
    return parts, hidden_states


def drop_condition(
    condition: Float[Tensor, "B A W"], nothing: Float[Tensor, " W"], generator: torch.Generator
) -> Float[Tensor, "B A W"]:
    """Replaces the audio condition of some windows by none, for classifier-free guidance."""
    chance = torch.rand(len(condition), generator=generator, device=generator.device)
    return torch.where((chance >= CONDITION_DROP)[:, None, None], condition, nothing)


def run_orchestrator(
    orchestrator: Orchestrator,
    window: TrainingWindow,
    noisy: Float[Tensor, "B A Ca"],
    sigma: Float[Tensor, " B"],
    generator: torch.Generator,
) -> tuple[OrchestratorOutput, Bool[Tensor, " B"]]:
    """Runs the orchestrator, in some windows without audio or with teacher forcing.

    Args:
        orchestrator: Network.
        window: Its inputs.
        noisy: Noisy audio latents of the chunk.
        sigma: Their noise level.
        generator: Of the draw.

    Returns:
        Its output, and which windows were teacher-forced.
    """
    config = orchestrator.config
    chance, other = torch.rand(2, len(noisy), generator=generator, device=generator.device)
    if config.timing == "emergent":
        is_teacher_forced = torch.zeros_like(chance, dtype=torch.bool)
        return orchestrator(
            window.inputs, noisy, sigma, is_audio_dropped=other < AUDIO_DROPOUT_PROB
        ), is_teacher_forced
    is_teacher_forced = chance < DURATION_TEACHER_FORCING_PROB
    plan = orchestrator(
        window.inputs,
        noisy,
        sigma,
        is_audio_dropped=is_teacher_forced & (other < 0.5),
        frame_alignment=length_regulate(window.times, num_latents=noisy.shape[1]),
        is_teacher_forced=is_teacher_forced,
    )
    return plan, is_teacher_forced


WEIGHTS = {"alignment": 0.5, "pointer": 0.1, "durations": 0.5, "phones": 0.3, "over": 0.1}


def alignment_losses(
    plan: OrchestratorOutput,
    window: TrainingWindow,
    config: OrchestratorConfig,
    is_teacher_forced: Bool[Tensor, " B"],
) -> dict[str, Tensor]:
    """Computes how well the orchestrator knows its place in the transcript.

    Args:
        plan: Its output.
        window: The truth.
        config: Kind of pointer and timing.
        is_teacher_forced: Windows in which it got the true times; they do not count for the
            alignment.

    Returns:
        Losses by name: alignment, pointer, phones, over; durations where they are predicted.
    """
    is_inferred = ~is_teacher_forced
    alignment = torch.where(is_inferred[:, None], window.alignment, -1)
    parts = {
        "alignment": alignment_loss(plan.progress, alignment),
        "pointer": pointer_loss(plan.progress, window.position, is_inferred, kind=config.pointer),
        "phones": F.cross_entropy(plan.phones.flatten(0, 1).float(), window.phones.flatten()),
        "over": F.binary_cross_entropy_with_logits(plan.is_over.float(), window.is_over),
    }
    if config.timing == "predicted":
        behind = config.text_behind
        parts["durations"] = duration_loss(plan.durations, window.times, behind=behind)
    return parts


def weighted(parts: dict[str, Tensor]) -> Tensor:
    """Adds losses with their weights; those without one count fully."""
    return torch.stack([WEIGHTS.get(name, 1.0) * part for name, part in parts.items()]).sum()


def speech_kind(config: Config) -> type[SpeechStage]:
    """Returns the stage that trains a model of this config."""
    return SpeechStage if config.has_orchestrator else ReadingSpeechStage


def _make(model: StreamChar, data: TrainingData) -> Stage:
    def show(folder: Path) -> None:
        window = preview_window(model, data, *SOUND)
        if window is not None:
            speech_samples(folder, model, window)

    windows = window_source(model, chunk_clips(model, data, *SOUND), ContextAugmentation())
    shift = model.config.sampler.required("shift")
    kind = speech_kind(model.config)
    return kind(model.orchestrator, model.dit, windows, shift=shift, show=show)


SPEC = StageSpec(
    name=SpeechStage.name,
    make=_make,
    hands_over=("orchestrator.", "dit."),
    needs=("prompt", "audio_vae"),
    budgets=budgets(
        OptimConfig(learning_rate=1e-3, muon=True, batch=64, cooldown=0.5, ema_decay=0.998),
        micro_minutes=38,
        base_minutes=7,
        base_batch=512,
    ),
)
