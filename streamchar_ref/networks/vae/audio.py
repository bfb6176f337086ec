"""Audio VAE: waveform to 25 latents a second, and latents straight back to the waveform.

Latent f stands for samples [640 f, 640 f + 640) at the default rates. The encoder looks a little
ahead; the decoder does not, and carries what it needs from chunk to chunk, so that a stream cut
anywhere gives the same samples.

Shape letters: B batch, S samples, C latent channels, F latents, T spectrum frames.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from streamchar_ref.networks.vae.causal import CausalConv1d, ConvNeXt, Past, run
from streamchar_ref.networks.vae.mel import LogMel
from streamchar_ref.networks.vae.whitening import LatentNormalizer


@dataclass(frozen=True, kw_only=True)
class AudioVaeConfig:
    """Size of the audio VAE.

    Attributes:
        channels: C.
        width: Of the decoder.
        num_blocks: Of the decoder.
        encoder_width: Of the encoder.
        encoder_blocks: Of the encoder, before and again after it goes to the latent rate.
        sample_rate: Samples a second.
        hop: Samples from one spectrum frame to the next.
        frames_per_latent: Spectrum frames that become one latent.
        look_ahead: Spectrum frames that the encoder sees beyond a latent's own.
        latent_noise: Deviation of the noise on latents of deviation 1 in training, against which
            the decoder must be robust.
    """

    channels: int = 32
    width: int = 192
    num_blocks: int = 6
    encoder_width: int = 160
    encoder_blocks: int = 3
    sample_rate: int = 16_000
    hop: int = 160
    frames_per_latent: int = 4
    look_ahead: int = 8
    latent_noise: float = 0.1

    @property
    def latent_samples(self) -> int:
        """Samples that a latent stands for."""
        return self.hop * self.frames_per_latent

    @property
    def window(self) -> int:
        """Samples in a spectrum frame; four frames overlap everywhere."""
        return 4 * self.hop


class AudioVae(nn.Module):
    """Convolutional autoencoder of speech with an inverse Fourier transform at its end.

    Args:
        config: Its size.

    Source:
        The head follows Vocos (Siuzdak, arXiv:2306.00814), without its discriminators.
    """

    def __init__(self, config: AudioVaeConfig) -> None:
        super().__init__()
        self.config = config
        self.whitening = LatentNormalizer(config.channels)
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)

    def encode(self, samples: Float[Tensor, "B S"]) -> Float[Tensor, "B F C"]:
        """Returns whitened latents; samples that fill no whole latent at the end are dropped."""
        return self.whitening.whiten(self.encoder(samples))

    def decode(
        self, latents: Float[Tensor, "B F C"], past: Past | None = None
    ) -> tuple[Float[Tensor, "B S"], Past]:
        """Turns latents into sound.

        Args:
            latents: Whitened, the next ones of a stream.
            past: What the last call returned; ``None`` at the start of a stream.

        Returns:
            Samples about in [-1, 1], not clipped; and the state for the next call.
        """
        return self.decoder(self.whitening.colour(latents), past)


class Encoder(nn.Module):
    """Log-mel frames to latents; a causal network that is fed a few frames early."""

    def __init__(self, config: AudioVaeConfig) -> None:
        super().__init__()
        self.config = config
        width, stride = config.encoder_width, config.frames_per_latent
        self.mel = LogMel(sample_rate=config.sample_rate, hop=config.hop, window=config.window)
        self.enter = CausalConv1d(80, width, 3)
        self.frames = nn.ModuleList(ConvNeXt(width) for _ in range(config.encoder_blocks))
        self.down = nn.Conv1d(width, width, stride, stride)
        self.latents = nn.ModuleList(ConvNeXt(width) for _ in range(config.encoder_blocks))
        self.leave = nn.Conv1d(width, config.channels, 1)

    def forward(self, samples: Float[Tensor, "B S"]) -> Float[Tensor, "B F C"]:
        """Returns latents before whitening."""
        config = self.config
        whole = samples.shape[1] - samples.shape[1] % config.latent_samples
        ahead = config.look_ahead * config.hop
        padded = F.pad(samples[:, :whole], (0, config.window - config.hop + ahead))
        mel = (self.mel(padded) + 5.0) / 3.0  # speech lies about within [-2, 2]
        x, _ = run([self.enter, *self.frames], mel, None)
        x = self.down(x[:, :, config.look_ahead :])
        x, _ = run(self.latents, x, None)
        return self.leave(x).transpose(1, 2)


class Decoder(nn.Module):
    """Latents to spectrum frames to overlapping pieces of the waveform."""

    def __init__(self, config: AudioVaeConfig) -> None:
        super().__init__()
        self.config = config
        self.enter = CausalConv1d(config.channels, config.width, 3)
        self.spread = nn.Conv1d(config.width, config.width * config.frames_per_latent, 1)
        self.blocks = nn.ModuleList(ConvNeXt(config.width) for _ in range(config.num_blocks))
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, config.window + 2)
        self.register_buffer("window", torch.hann_window(config.window), persistent=False)

    def forward(
        self, latents: Float[Tensor, "B F C"], past: Past | None
    ) -> tuple[Float[Tensor, "B S"], Past]:
        """Returns samples and state, see `AudioVae.decode`."""
        enter_past, block_past, tail = (None, None, None)
        if past is not None:
            enter_past, block_past, tail = past[0], past[1:-1], past[-1]
        x, enter_past = self.enter.step(latents.transpose(1, 2), enter_past)
        x = self.spread(x)
        x = x.unflatten(1, (-1, self.config.frames_per_latent)).transpose(2, 3).flatten(2)
        x, block_past = run(self.blocks, x, block_past)
        pieces = self._pieces(self.head(self.norm(x.transpose(1, 2))))
        samples, tail = self._overlap(pieces, tail)
        return samples, (enter_past, *block_past, tail)

    def _pieces(self, spectrum: Float[Tensor, "B T bins2"]) -> Float[Tensor, "B T window"]:
        log_magnitude, phase = spectrum.float().chunk(2, dim=-1)
        magnitude = log_magnitude.clamp(max=6.0).exp()  # full scale is 320 at most
        pieces = torch.fft.irfft(torch.polar(magnitude, phase), n=self.config.window)
        return pieces * self.get_buffer("window") / 1.5  # squared windows of four frames add to 1.5

    def _overlap(
        self, pieces: Float[Tensor, "B T window"], tail: Float[Tensor, "B P"] | None
    ) -> tuple[Float[Tensor, "B S"], Float[Tensor, "B P"]]:
        """Adds overlapping pieces; what later frames will add to is kept as the tail."""
        hop, num_frames = self.config.hop, pieces.shape[1]
        total = hop * num_frames + self.config.window - hop
        added = F.fold(pieces.transpose(1, 2), (1, total), (1, self.config.window), stride=(1, hop))
        added = added[:, 0, 0]
        if tail is not None:
            added = torch.cat([added[:, : tail.shape[1]] + tail, added[:, tail.shape[1] :]], dim=1)
        return added[:, : hop * num_frames], added[:, hop * num_frames :]
