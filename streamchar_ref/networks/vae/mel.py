"""Log-mel spectrogram, frame j from samples [hop j, hop j + window): no padding, no future.

Shape letters: B batch, S samples, M mel bands, T frames.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

FLOOR = 1e-5


class LogMel(nn.Module):
    """Natural logarithm of the magnitude in mel bands.

    Args:
        sample_rate: Of the waveform.
        hop: Samples from one frame to the next.
        window: Samples in a frame.
        num_bands: M.

    Source:
        Mel scale of Slaney's Auditory Toolbox, as in librosa; checked against it in
        tests/streamchar_ref/networks/vae/test_mel.py.
    """

    def __init__(
        self, *, sample_rate: int = 16_000, hop: int = 160, window: int = 640, num_bands: int = 80
    ) -> None:
        super().__init__()
        self.hop, self.window_samples = hop, window
        self.register_buffer("window", torch.hann_window(window), persistent=False)
        filters = mel_filters(sample_rate, window, num_bands)
        self.register_buffer("filters", filters, persistent=False)

    def forward(self, samples: Float[Tensor, "B S"]) -> Float[Tensor, "B M T"]:
        """Returns frames that lie wholly inside the waveform."""
        with torch.autocast(samples.device.type, enabled=False):  # bfloat16 knows 0.03 nats only
            spectrum = torch.stft(
                samples.float(),
                self.window_samples,
                self.hop,
                window=self.get_buffer("window"),
                center=False,
                return_complex=True,
            )
            return (self.get_buffer("filters") @ spectrum.abs()).clamp_min(FLOOR).log()


def mel_filters(sample_rate: int, window: int, num_bands: int) -> Float[Tensor, "M bins"]:
    """Returns triangles of equal area, evenly spaced on the mel scale up to half the rate."""
    with torch.device("cpu"):  # numbers are read off on the way, also where a model has no memory
        return _triangles(sample_rate, window, num_bands)


def _triangles(sample_rate: int, window: int, num_bands: int) -> Float[Tensor, "M bins"]:
    edges = torch.linspace(0, _to_mel(sample_rate / 2), num_bands + 2, dtype=torch.float64)
    hertz = torch.tensor([_to_hertz(edge) for edge in edges.tolist()], dtype=torch.float64)
    bins = torch.linspace(0, sample_rate / 2, window // 2 + 1, dtype=torch.float64)
    low, centre, high = hertz[:-2, None], hertz[1:-1, None], hertz[2:, None]
    rise, fall = (bins - low) / (centre - low), (high - bins) / (high - centre)
    area = 2 / (high - low)
    return (torch.minimum(rise, fall).clamp_min(0) * area).float()


_LINEAR_TO, _HERTZ_A_MEL, _STEP = 1000.0, 200 / 3, math.log(6.4) / 27


def _to_mel(hertz: float) -> float:
    if hertz < _LINEAR_TO:
        return hertz / _HERTZ_A_MEL
    return _LINEAR_TO / _HERTZ_A_MEL + math.log(hertz / _LINEAR_TO) / _STEP


def _to_hertz(mel: float) -> float:
    start = _LINEAR_TO / _HERTZ_A_MEL
    if mel < start:
        return mel * _HERTZ_A_MEL
    return _LINEAR_TO * math.exp(_STEP * (mel - start))
