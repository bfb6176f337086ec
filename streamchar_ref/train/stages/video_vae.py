"""Stage of the video VAE: frames in, the same frames out, with most weight where they change.

Shape letters: B batch, T frames, H and W pixels.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from streamchar_ref.loop.config import OptimConfig
from streamchar_ref.loop.stage import Draw, Stage
from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.networks.vae.video import TEMPORAL_STRIDE, VideoVae
from streamchar_ref.train.clips import HELD_OUT_IDENTITIES, draw_clip
from streamchar_ref.train.data import TrainingData
from streamchar_ref.train.pool import VideoBatch
from streamchar_ref.train.samples import video_samples
from streamchar_ref.train.stages.audio_vae import noisy
from streamchar_ref.train.stages.spec import StageSpec, budgets

INTEREST = 2.0
"""How much more a pixel counts for each unit of its interest, see `VideoBatch`."""
LARGE_ERRORS = 4.0
"""Weight of squared differences beside plain ones: eyes and lips are small and err most."""
_SHOWN_CLIPS, _SHOWN_FRAMES = 8, 32


class VideoVaeStage(Stage):
    """Trains encoder and decoder on short stretches of video.

    Args:
        vae: Networks.
        stretches: Draws stretches of the given number of frames.
        num_latents: Length of a stretch.
        motion_weight: How much more a pixel counts that changes by a tenth of its range.
        frozen: Train the decoder alone; latents stay what they are, and whatever was trained on
            them stays valid.
        show: Writes samples into a folder.
    """

    name = "video_vae"

    def __init__(
        self,
        vae: VideoVae,
        stretches: Callable[[Draw, int], VideoBatch],
        *,
        num_latents: int = 3,
        motion_weight: float = 4.0,
        frozen: bool = False,
        show: Callable[[Path], None] | None = None,
    ) -> None:
        super().__init__()
        self.video_vae = vae
        self._stretches, self._num_latents = stretches, num_latents
        self._motion_weight, self._frozen, self._show = motion_weight, frozen, show
        if frozen:
            self.name = "video_decoder"
            vae.encoder.requires_grad_(False)

    def forward(self, draw: Draw) -> tuple[Tensor, dict[str, Tensor]]:
        """Returns the loss of a batch."""
        batch = self._stretches(draw, self._num_latents * TEMPORAL_STRIDE)
        true, interest = (x.to(self._device) for x in (batch.frames, batch.interest))
        latents = noisy(self.video_vae.encoder(true), self.video_vae.config.latent_noise, draw)
        decoded, _ = self.video_vae.decoder(latents, None)
        decoded = decoded.float()
        weight = 1 + self._motion_weight * motion_of(true) + INTEREST * interest
        error = (decoded - true).abs()
        pixels, squares = (error * weight).mean(), (error.square() * weight).mean()
        edges = edge_distance(decoded.flatten(0, 1), true.flatten(0, 1))
        size = latents.float().square().mean()
        loss = pixels + LARGE_ERRORS * squares + 0.5 * edges + 1e-3 * size
        parts = {"pixels": pixels, "squares": squares, "edges": edges, "latent_power": size}
        return loss, parts

    @torch.no_grad()
    def finish(self) -> None:
        """Measures mean and deviation of the latents, unless they are to stay as they are."""
        if self._frozen:
            return
        measured = []
        for step in range(16):
            batch = self._stretches(Draw(step=step, batch=32, seed=7), 2 * TEMPORAL_STRIDE)
            latents = self.video_vae.encoder(batch.frames.to(self._device)).float()
            measured.append(latents.movedim(2, -1).flatten(0, 3))
        self.video_vae.whitening.measure(torch.cat(measured))

    def log_samples(self, folder: Path) -> None:
        """Writes samples, if there is a function for it."""
        if self._show:
            self._show(folder)

    @property
    def _device(self) -> torch.device:
        return self.video_vae.whitening.mean.device


def motion_of(frames: Float[Tensor, "B T 3 H W"]) -> Float[Tensor, "B T 1 H W"]:
    """How much each pixel's surroundings change over the stretch; 1 is a tenth of the range."""
    spread = frames.std(dim=1).mean(dim=1, keepdim=True)
    smooth = F.avg_pool2d(spread, 5, stride=1, padding=2)
    return (smooth / 0.2).clamp(max=4.0)[:, None].expand(-1, frames.shape[1], -1, -1, -1)


def edge_distance(
    decoded: Float[Tensor, "N 3 H W"], true: Float[Tensor, "N 3 H W"]
) -> Float[Tensor, ""]:
    """Distance of the differences between neighbouring pixels, at full and half size."""
    total = decoded.new_zeros(())
    for _ in range(2):
        for axis in (-2, -1):
            total = total + (decoded.diff(dim=axis) - true.diff(dim=axis)).abs().mean()
        decoded, true = F.avg_pool2d(decoded, 2), F.avg_pool2d(true, 2)
    return total / 4


def _make(model: StreamChar, data: TrainingData, *, frozen: bool = False) -> Stage:
    stream = data.config.stream

    def show(folder: Path) -> None:
        draw = partial(
            draw_clip,
            data.corpus,
            size=stream.size,
            fps=stream.fps,
            seed=data.seed,
            identities=HELD_OUT_IDENTITIES,
            max_frames=_SHOWN_FRAMES,
        )
        video_samples(folder, model.video_vae, [draw(n) for n in data.held_out[:_SHOWN_CLIPS]])

    pool = data.video_pool(model.device)
    return VideoVaeStage(model.video_vae, pool, num_latents=2, frozen=frozen, show=show)


SPEC = StageSpec(
    name=VideoVaeStage.name,
    make=_make,
    hands_over=("video_vae.",),
    budgets=budgets(
        OptimConfig(learning_rate=1.5e-3, batch=8, warmup_steps=50, ema_decay=0.998),
        micro_minutes=34,
        base_minutes=3.5,
        base_batch=64,
    ),
)

DECODER_SPEC = StageSpec(
    name="video_decoder",
    make=partial(_make, frozen=True),
    hands_over=("video_vae.decoder.",),
    needs=("video_vae",),
    is_required=False,
    budgets=budgets(
        OptimConfig(learning_rate=5e-4, batch=8, warmup_steps=50, ema_decay=0.998),
        micro_minutes=8,
        base_minutes=2,
        base_batch=64,
    ),
)
"""The decoder once more, on latents that stay as they are."""
