"""Video VAE: four frames and 8 x 8 pixels to one latent, and back, frame after frame.

A latent is made of its own four frames alone; the decoder also sees the frame before, carried
from chunk to chunk, so that a stream cut anywhere gives the same pictures.

Shape letters: B batch, T frames, F latent frames, C latent channels, H and W pixels or cells.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from streamchar_ref.networks.vae.causal import FrameBlock, Past, run
from streamchar_ref.networks.vae.whitening import LatentNormalizer

TEMPORAL_STRIDE = 4
SPATIAL_STRIDE = 8


@dataclass(frozen=True, kw_only=True)
class VideoVaeConfig:
    """Size of the video VAE.

    Attributes:
        channels: C.
        widths: Of the features at a half, a quarter and an eighth of the resolution.
        first_latent_frames: Frames in the first latent of a video: 4 like all others, or 1.
        latent_noise: Deviation of the noise on latents of deviation 1 in training, against which
            the decoder must be robust.

    Raises:
        ValueError: If the first latent has neither 1 nor 4 frames.
    """

    channels: int = 8
    widths: tuple[int, int, int] = (32, 64, 128)
    first_latent_frames: int = 4
    latent_noise: float = 0.1

    def __post_init__(self) -> None:
        if self.first_latent_frames not in (1, TEMPORAL_STRIDE):
            raise ValueError(f"first_latent_frames is 1 or 4, not {self.first_latent_frames}")

    def num_latents(self, num_frames: int) -> int:
        """Returns the latents of a video that starts here.

        Args:
            num_frames: Length.

        Returns:
            Number of latents.

        Raises:
            ValueError: If the frames do not fill whole latents.
        """
        missing = TEMPORAL_STRIDE - self.first_latent_frames
        if (num_frames + missing) % TEMPORAL_STRIDE:
            raise ValueError(
                f"{num_frames} frames are not {self.first_latent_frames} plus a multiple of "
                f"{TEMPORAL_STRIDE}"
            )
        return (num_frames + missing) // TEMPORAL_STRIDE


class VideoVae(nn.Module):
    """Convolutional autoencoder of pictures in [-1, 1].

    Args:
        config: Its size.
    """

    def __init__(self, config: VideoVaeConfig) -> None:
        super().__init__()
        self.config = config
        self.whitening = LatentNormalizer(config.channels)
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)

    def encode(self, frames: Float[Tensor, "B T 3 H W"]) -> Float[Tensor, "B F C h w"]:
        """Returns whitened latents of a video that starts here."""
        self.config.num_latents(frames.shape[1])
        missing = TEMPORAL_STRIDE - self.config.first_latent_frames
        frames = torch.cat([frames[:, :1].expand(-1, missing, -1, -1, -1), frames], dim=1)
        return channels_second(self.whitening.whiten(channels_last(self.encoder(frames))))

    def encode_picture(self, picture: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 1 C h w"]:
        """Returns the latent of four equal frames."""
        frames = picture[:, None].expand(-1, TEMPORAL_STRIDE, -1, -1, -1)
        return channels_second(self.whitening.whiten(channels_last(self.encoder(frames))))

    def decode(
        self, latents: Float[Tensor, "B F C h w"], past: Past | None = None
    ) -> tuple[Float[Tensor, "B T 3 H W"], Past]:
        """Turns latents into frames.

        Args:
            latents: Whitened, the next ones of a stream.
            past: What the last call returned; ``None`` at the start of a stream.

        Returns:
            Frames about in [-1, 1], not clipped; and the state for the next call.
        """
        frames, state = self.decoder(
            channels_second(self.whitening.colour(channels_last(latents))), past
        )
        missing = TEMPORAL_STRIDE - self.config.first_latent_frames if past is None else 0
        return frames[:, missing:], state


class Encoder(nn.Module):
    """Four frames at a time to one latent before whitening."""

    def __init__(self, config: VideoVaeConfig) -> None:
        super().__init__()
        half, quarter, eighth = config.widths
        self.frame = nn.Sequential(
            nn.Conv2d(3, half, 4, 2, 1),
            nn.SiLU(),
            nn.Conv2d(half, quarter, 4, 2, 1),
            Residual(quarter),
        )
        self.group = nn.Sequential(
            nn.Conv2d(TEMPORAL_STRIDE * quarter, eighth, 4, 2, 1),
            Residual(eighth),
            Residual(eighth),
            nn.SiLU(),
            nn.Conv2d(eighth, config.channels, 1),
        )

    def forward(self, frames: Float[Tensor, "B T 3 H W"]) -> Float[Tensor, "B F C h w"]:
        """Returns raw latents; T is a multiple of four."""
        batch = len(frames)
        x = self.frame(frames.flatten(0, 1))
        x = x.unflatten(0, (-1, TEMPORAL_STRIDE)).flatten(1, 2)
        return self.group(x).unflatten(0, (batch, -1))


class Decoder(nn.Module):
    """Latents to frames, each with a look at the one before."""

    def __init__(self, config: VideoVaeConfig) -> None:
        super().__init__()
        half, quarter, eighth = config.widths
        self.stages = nn.ModuleList(
            [
                PerFrame(nn.Conv2d(config.channels, eighth, 3, padding=1), limit=True),
                FrameBlock(eighth),
                FrameBlock(eighth),
                PerFrame(SpatialUpsample(eighth, quarter)),
                FrameBlock(quarter),
                TemporalUpsample(quarter),
                FrameBlock(quarter),
                PerFrame(SpatialUpsample(quarter, half)),
                FrameBlock(half),
                PerFrame(
                    nn.Sequential(nn.SiLU(), nn.Conv2d(half, 12, 3, padding=1), nn.PixelShuffle(2))
                ),
            ]
        )

    def forward(
        self, latents: Float[Tensor, "B F C h w"], past: Past | None
    ) -> tuple[Float[Tensor, "B T 3 H W"], Past]:
        """Returns four frames a latent, and the state."""
        return run(self.stages, latents, past)


class Residual(nn.Module):
    """Two convolutions beside a straight way."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        """Returns the features, refined."""
        return x + self.second(F.silu(self.first(F.silu(x))))


class SpatialUpsample(nn.Module):
    """Doubles height and width."""

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width_in, width_out * 4, 1)

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N D H2 W2"]:
        """Returns features of twice the size."""
        return F.pixel_shuffle(self.conv(F.silu(x)), 2)


class PerFrame(nn.Module):
    """A layer of pictures, run on every frame; it has no state.

    Args:
        layer: From pictures to pictures.
        limit: Soften inputs beyond +-3 first, where no latent of training lay.
    """

    def __init__(self, layer: nn.Module, *, limit: bool = False) -> None:
        super().__init__()
        self.layer = layer
        self.limit = limit

    def step(
        self, x: Float[Tensor, "B T C H W"], past: Tensor | None
    ) -> tuple[Float[Tensor, "B T D _ _"], Tensor]:
        """Returns the output, and an empty state."""
        y = x.flatten(0, 1)
        if self.limit:
            y = torch.tanh(y / 3) * 3
        return self.layer(y).unflatten(0, x.shape[:2]), x.new_zeros(0)


class TemporalUpsample(nn.Module):
    """One latent frame to four frames; it has no state."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, TEMPORAL_STRIDE * width, 1)

    def step(
        self, x: Float[Tensor, "B F C H W"], past: Tensor | None
    ) -> tuple[Float[Tensor, "B T C H W"], Tensor]:
        """Returns four times as many frames, and an empty state."""
        y = self.conv(x.flatten(0, 1)).unflatten(1, (TEMPORAL_STRIDE, -1))
        return y.flatten(0, 1).unflatten(0, (len(x), -1)), x.new_zeros(0)


def channels_last(latents: Float[Tensor, "B F C h w"]) -> Float[Tensor, "B F h w C"]:
    """Moves the channels to the end."""
    return latents.movedim(2, -1)


def channels_second(latents: Float[Tensor, "B F h w C"]) -> Float[Tensor, "B F C h w"]:
    """Moves the channels from the end to behind the frames."""
    return latents.movedim(-1, 2)
