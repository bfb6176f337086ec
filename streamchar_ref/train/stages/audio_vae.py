"""Stage of the audio VAE: waveforms in, the same waveforms out.

Shape letters: B batch, S samples, F latents, C latent channels.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from streamchar_ref.loop.config import OptimConfig
from streamchar_ref.loop.stage import Draw, Stage
from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.networks.vae.audio import AudioVae
from streamchar_ref.train.data import TrainingData
from streamchar_ref.train.samples import audio_samples
from streamchar_ref.train.spectral import mel_loss, spectral_loss
from streamchar_ref.train.stages.spec import StageSpec, budgets

WARM_LATENTS = 8
"""Latents at the start of a window whose past the decoder does not know; they are not scored."""


class AudioVaeStage(Stage):
    """Trains encoder and decoder on short stretches of speech.

    Args:
        vae: Networks.
        stretches: Draws waveforms of the given number of samples, [B, S].
        num_latents: Length of a stretch.
        mel_weight: Of the mel distance, beside the spectral one.
        frozen: Train the decoder alone; latents stay what they are, and whatever was trained on
            them stays valid.
        show: Writes samples into a folder.
    """

    name = "audio_vae"

    def __init__(
        self,
        vae: AudioVae,
        stretches: Callable[[Draw, int], Tensor],
        *,
        num_latents: int = 24,
        mel_weight: float = 2.0,
        frozen: bool = False,
        show: Callable[[Path], None] | None = None,
    ) -> None:
        super().__init__()
        self.audio_vae = vae
        self._stretches, self._num_latents, self._mel_weight = stretches, num_latents, mel_weight
        self._frozen, self._show = frozen, show
        if frozen:
            self.name = "audio_decoder"
            vae.encoder.requires_grad_(False)

    def forward(self, draw: Draw) -> tuple[Tensor, dict[str, Tensor]]:
        """Returns the loss of a batch."""
        config = self.audio_vae.config
        true = self._drawn(draw, self._num_latents * config.latent_samples)
        latents = noisy(self.audio_vae.encoder(true), config.latent_noise, draw)
        decoded, _ = self.audio_vae.decoder(latents, None)
        warm = WARM_LATENTS * config.latent_samples
        decoded, true = decoded[:, warm:].float(), true[:, warm:]
        spectral = spectral_loss(decoded, true)
        mel = mel_loss(self.audio_vae.encoder.mel, decoded, true)
        size = latents.float().square().mean()
        loss = spectral + self._mel_weight * mel + 1e-3 * size
        return loss, {"spectral": spectral, "mel": mel, "latent_power": size}

    @torch.no_grad()
    def finish(self) -> None:
        """Measures mean and deviation of the latents, unless they are to stay as they are."""
        if self._frozen:
            return
        measured = []
        for step in range(16):
            draw = Draw(step=step, batch=32, seed=7)
            samples = self._drawn(draw, 64 * self.audio_vae.config.latent_samples)
            measured.append(self.audio_vae.encoder(samples).flatten(0, 1).float())
        self.audio_vae.whitening.measure(torch.cat(measured))

    def log_samples(self, folder: Path) -> None:
        """Writes samples, if there is a function for it."""
        if self._show:
            self._show(folder)

    def _drawn(self, draw: Draw, num_samples: int) -> Float[Tensor, "B S"]:
        return self._stretches(draw, num_samples).to(self.audio_vae.whitening.mean.device)


def noisy(
    latents: Float[Tensor, " B *rest"], noise: float, draw: Draw
) -> Float[Tensor, " B *rest"]:
    """Adds noise in units of the deviation of the batch, so that it cannot be outgrown."""
    generator = draw.generator()
    drawn = torch.randn(latents.shape, generator=generator).to(latents)
    return latents + noise * latents.detach().std() * drawn


def _make(model: StreamChar, data: TrainingData, *, frozen: bool = False) -> Stage:
    def show(folder: Path) -> None:
        audio_samples(folder, model.audio_vae, [data.corpus[n].samples for n in data.held_out])

    return AudioVaeStage(model.audio_vae, data.sound_pool(model.device), frozen=frozen, show=show)


SPEC = StageSpec(
    name=AudioVaeStage.name,
    make=_make,
    hands_over=("audio_vae.",),
    budgets=budgets(
        OptimConfig(learning_rate=1e-3, batch=16, warmup_steps=50, ema_decay=0.995),
        micro_minutes=12,
        base_minutes=3.8,
        base_batch=64,
    ),
)

DECODER_SPEC = StageSpec(
    name="audio_decoder",
    make=partial(_make, frozen=True),
    hands_over=("audio_vae.decoder.",),
    needs=("audio_vae",),
    is_required=False,
    budgets=budgets(
        OptimConfig(learning_rate=5e-4, batch=16, warmup_steps=50, ema_decay=0.998),
        micro_minutes=8,
        base_minutes=2,
        base_batch=64,
    ),
)
"""The decoder once more, on latents that stay as they are."""
