"""Stage of the many-step teacher: orchestrator and DiT together, by flow matching.

Shape letters: B batch, F and A video and audio latents of a chunk, N tokens of a latent, D width.
"""

from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from streamchar_ref.loop.config import OptimConfig
from streamchar_ref.loop.stage import Draw, Stage
from streamchar_ref.model.config import Config
from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.networks.dit import JointDiT, Velocities
from streamchar_ref.networks.orchestrator import Orchestrator, OrchestratorOutput
from streamchar_ref.networks.reader import TranscriptReader, as_orchestrator, as_reader
from streamchar_ref.networks.text import PHONES
from streamchar_ref.sampling import flow
from streamchar_ref.sampling.orders import JOINT, SOUND_FIRST
from streamchar_ref.train.augmentation import ContextAugmentation
from streamchar_ref.train.data import TrainingData
from streamchar_ref.train.latent_losses import (
    apply_pixel_metric,
    by_noise_level,
    draw_sigma,
    video_weight,
)
from streamchar_ref.train.samples import chunk_samples
from streamchar_ref.train.stages.latent_windows import (
    BOTH,
    chunk_clips,
    clip_sensitivity,
    preview_window,
    window_source,
)
from streamchar_ref.train.stages.spec import StageSpec, budgets
from streamchar_ref.train.stages.speech import (
    AUX_WEIGHT,
    CONDITION_DROP,
    alignment_losses,
    drop_condition,
    over_loss,
    read_or_not,
    run_orchestrator,
    speech_losses,
    weighted,
)
from streamchar_ref.train.windows import TrainingWindow

APART = 0.2
"""Share of windows whose two modalities have noise levels of their own."""


class AuxiliaryHeads(nn.Module):
    """Predict exact labels from the DiT's middle layers, which speeds up their training.

    Args:
        width: D.

    Source:
        As Yu et al., Representation Alignment for Generation, arXiv:2410.06940, with labels of the
        synthetic world instead of another network's features.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.phones = nn.Linear(width, 1 + len(PHONES))
        self.gap = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 4))

    def forward(self, velocities: Velocities, window: TrainingWindow) -> Tensor:
        """Returns the loss of the labels, phones and lip gap."""
        video, audio = velocities.hidden_states
        phones = F.cross_entropy(self.phones(audio).flatten(0, 1).float(), window.phones.flatten())
        gap = self.gap(video.mean(dim=2)).float()
        steps = F.interpolate(window.gap[:, None], gap.shape[1] * 4, mode="linear")[:, 0]
        return phones + F.smooth_l1_loss(gap.flatten(1), 10 * steps)


class TeacherStage(Stage):
    """Trains the joint model on windows of true clips.

    Args:
        orchestrator: Network, trained on speech already.
        dit: Network, trained on speech already.
        config: Geometry and the sampler's shift.
        windows: Draws a batch.
        sensitivity: Of pixels to latents, see `pixel_sensitivity`.
        show: Writes samples into a folder.
    """

    name = "teacher"
    sensitivity: Tensor

    def __init__(
        self,
        orchestrator: Orchestrator | TranscriptReader,
        dit: JointDiT,
        config: Config,
        windows: Callable[[Draw], TrainingWindow],
        *,
        sensitivity: Float[Tensor, "C C"],
        show: Callable[[Path], None] | None = None,
    ) -> None:
        super().__init__()
        self.orchestrator, self.dit = orchestrator, dit
        self.aids = AuxiliaryHeads(config.dit.width)
        self._config, self._windows = config, windows
        self._show = show
        self.register_buffer("sensitivity", sensitivity, persistent=False)

    def forward(self, draw: Draw) -> tuple[Tensor, dict[str, Tensor]]:
        """Returns the loss of a batch."""
        window = self._windows(draw)
        clean, generator = (window.video, window.audio), draw.generator(window.video.device)
        noise = [torch.randn(x.shape, generator=generator, device=x.device) for x in clean]
        sigmas = self._levels(len(window.video), generator)
        noisy = [flow.add_noise(x, n, s) for x, n, s in zip(clean, noise, sigmas, strict=True)]
        velocities, place_losses = self._predict(window, noisy, sigmas, generator)
        video_error, audio_error = (
            velocity.float() - (n - x)
            for velocity, n, x in zip(
                (velocities.video, velocities.audio), noise, clean, strict=True
            )
        )
        errors = (
            apply_pixel_metric(video_error, self.sensitivity).square(),
            audio_error.square(),
        )
        parts = {
            "video": (errors[0] * video_weight(clean[0], window.mouth)).mean(),
            "audio": errors[1].mean(),
        }
        parts |= place_losses
        aid = self.aids(velocities, window)
        loss = weighted(parts) + AUX_WEIGHT * aid
        by_level = by_noise_level("video", errors[0], sigmas[0])
        by_level |= by_noise_level("audio", errors[1], sigmas[1])
        return loss, parts | {"aid": aid} | by_level

    def log_samples(self, folder: Path) -> None:
        """Writes samples, if there is a function for it."""
        if self._show:
            self._show(folder)

    def _predict(
        self,
        window: TrainingWindow,
        noisy: list[Tensor],
        sigmas: list[Tensor],
        generator: torch.Generator,
    ) -> tuple[Velocities, dict[str, Tensor]]:
        """Runs the networks; also returns how well the place in the transcript is known."""
        orchestrator = as_orchestrator(self.orchestrator)
        plan, is_teacher_forced = run_orchestrator(
            orchestrator, window, noisy[1], sigmas[1], generator
        )
        velocities: Velocities = self.dit(
            *noisy,
            *sigmas,
            drop_condition(plan.condition, self.dit.no_condition, generator),
            self.dit.encode_context(window.context),
        )
        losses = alignment_losses(plan, window, orchestrator.config, is_teacher_forced)
        return velocities, losses

    def _levels(self, batch: int, generator: torch.Generator) -> list[Tensor]:
        shift = self._config.sampler.required("shift")
        video, audio = (draw_sigma(batch, generator, shift) for _ in range(2))
        chance = torch.rand(batch, generator=generator, device=generator.device)
        return [video, torch.where(chance < APART, audio, video)]


class ReadingTeacherStage(TeacherStage):
    """Trains a DiT that reads the transcript itself.

    The end of the speech is told from the finished sound, as in streaming: a second, short pass.
    """

    def _predict(
        self,
        window: TrainingWindow,
        noisy: list[Tensor],
        sigmas: list[Tensor],
        generator: torch.Generator,
    ) -> tuple[Velocities, dict[str, Tensor]]:
        reader = as_reader(self.orchestrator)
        transcript = read_or_not(reader, window, generator)
        context = self.dit.encode_context(window.context, transcript=transcript)
        velocities: Velocities = self.dit(*noisy, *sigmas, None, context)
        return velocities, {"over": over_loss(reader, self.dit.hear(window.audio, context), window)}


class PictureAfterSoundStage(TeacherStage):
    """Trains the picture on sound that is there already, as rivals of the joint model need it.

    With ``order=sound_first`` it also trains the sound on its own, as `SpeechStage` does, on the
    same windows: a third more work a step than the joint model.
    """

    def forward(self, draw: Draw) -> tuple[Tensor, dict[str, Tensor]]:
        """Returns the loss of a batch."""
        window = self._windows(draw)
        generator = draw.generator(window.video.device)
        plan, velocities, parts = self._picture(window, generator)
        if self._config.order == SOUND_FIRST:
            shift = self._config.sampler.required("shift")
            orchestrator = as_orchestrator(self.orchestrator)
            spoken, _ = speech_losses(orchestrator, self.dit, window, generator, shift)
            parts |= spoken
        else:
            inferred = torch.zeros(len(window.video), dtype=torch.bool, device=generator.device)
            sizes = self.orchestrator.config
            parts |= alignment_losses(plan, window, sizes, inferred)
        aid = self.aids(velocities, window)
        by_level = {name: parts.pop(name) for name in [*parts] if name.startswith("video_")}
        return weighted(parts) + AUX_WEIGHT * aid, parts | {"aid": aid} | by_level

    def _picture(
        self, window: TrainingWindow, generator: torch.Generator
    ) -> tuple[OrchestratorOutput, Velocities, dict[str, Tensor]]:
        """Denoises the picture beside clean sound; in some windows without any, for guidance."""
        batch = len(window.video)
        video_noise, audio_noise = (
            torch.randn(x.shape, generator=generator, device=x.device)
            for x in (window.video, window.audio)
        )
        sigma = draw_sigma(batch, generator, self._config.sampler.required("shift"))
        chance = torch.rand(batch, generator=generator, device=generator.device)
        is_heard = chance >= CONDITION_DROP
        orchestrator = as_orchestrator(self.orchestrator)
        plan: OrchestratorOutput = orchestrator(
            window.inputs, window.audio, torch.zeros_like(sigma)
        )
        velocities = self.dit(
            flow.add_noise(window.video, video_noise, sigma),
            torch.where(is_heard[:, None, None], window.audio, audio_noise),
            sigma,
            (~is_heard).to(sigma),
            torch.where(is_heard[:, None, None], plan.condition, self.dit.no_condition),
            self.dit.encode_context(window.context),
        )
        miss = velocities.video.float() - (video_noise - window.video)
        error = apply_pixel_metric(miss, self.sensitivity).square()
        loss = (error * video_weight(window.video, window.mouth)).mean()
        return plan, velocities, {"video": loss} | by_noise_level("video", error, sigma)


def _make(model: StreamChar, data: TrainingData) -> Stage:
    def show(folder: Path) -> None:
        window = preview_window(model, data, *BOTH)
        if window is not None:
            chunk_samples(folder, model, window)

    clips = chunk_clips(model, data, *BOTH)
    return teacher_kind(model.config)(
        model.orchestrator,
        model.dit,
        model.config,
        window_source(model, clips, ContextAugmentation()),
        sensitivity=clip_sensitivity(model, clips),
        show=show,
    )


def teacher_kind(config: Config) -> type[TeacherStage]:
    """Returns the stage that trains a model of this config."""
    if not config.has_orchestrator:
        return ReadingTeacherStage
    return TeacherStage if config.order == JOINT else PictureAfterSoundStage


SPEC = StageSpec(
    name=TeacherStage.name,
    make=_make,
    hands_over=("orchestrator.", "dit."),
    needs=("prompt", "video_vae", "audio_vae", "speech"),
    budgets=budgets(
        OptimConfig(learning_rate=8e-4, muon=True, batch=32, ema_decay=0.998),
        micro_minutes=40,
        base_minutes=15,
        base_batch=256,
    ),
)
