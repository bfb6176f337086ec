"""Speaker embeddings every 0.8 s by Resemblyzer's encoder.

Shape letters: S samples, T mel frames, K windows with speech.
"""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32
from torch import Tensor, nn

from evals.extractors import SAMPLE_RATE
from evals.extractors.mel import mel_spectrogram
from streamchar_ref.core.device import placed, run_placed
from streamchar_ref.core.one_thread import one_thread
from streamchar_ref.weights import locate

NUM_MELS = 40
FFT_SIZE = 400
HOP_SAMPLES = 160
WINDOW_FRAMES = 160
EMBEDDING_SIZE = 256
TARGET_DBFS = -30.0
FRAMES_A_S = SAMPLE_RATE / HOP_SAMPLES
_WINDOWS_AT_ONCE = 32


class SpeakerEncoder(nn.Module):
    """Three LSTM layers over mel power, the last state projected onto the unit sphere.

    Source:
        Wan et al., Generalized End-to-End Loss for Speaker Verification, arXiv:1710.10467;
        Resemblyzer 0.1.4 (Apache-2.0), compared in tests/evals/extractors/test_voice.py.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(NUM_MELS, EMBEDDING_SIZE, 3, batch_first=True)
        self.linear = nn.Linear(EMBEDDING_SIZE, EMBEDDING_SIZE)

    def forward(self, mel: Float[Tensor, "K T 40"]) -> Float[Tensor, "K 256"]:
        """Embeds windows; components are not negative and the norm is 1."""
        _, (hidden, _) = self.lstm(mel)
        raw = self.linear(hidden[-1]).relu()
        return raw / raw.norm(dim=1, keepdim=True)


class VoiceExtractor:
    """Embeds the windows of 1.6 s that contain speech.

    Features: ``embeddings`` [K, 256], ``start_s`` [K] and ``duration_s`` of the sound. Unlike in
    Resemblyzer, silence is not removed, so that windows keep their time; mostly silent windows
    are dropped instead.

    Args:
        hop_s: From one window to the next.
        range_db: A frame is speech if it is at most this far below the loudest (95th percentile).
        floor_dbfs: Level below which nothing is speech.
        min_speech: Required share of speech frames in a window.
    """

    def __init__(
        self,
        *,
        hop_s: float = 0.8,
        range_db: float = 30.0,
        floor_dbfs: float = -55.0,
        min_speech: float = 0.5,
    ) -> None:
        self._encoder = placed(load_encoder(str(locate("resemblyzer") / "pretrained.pt")))
        self._hop_frames = round(hop_s * FRAMES_A_S)
        self._range_db, self._floor_dbfs, self._min_speech = range_db, floor_dbfs, min_speech

    def extract(self, samples: Float32[np.ndarray, " S"]) -> Mapping[str, np.ndarray]:
        """Returns embeddings of all windows with speech."""
        mel = mel_spectrogram(
            raised_volume(samples), fft_size=FFT_SIZE, hop=HOP_SAMPLES, num_mels=NUM_MELS
        )
        num_frames = len(samples) // HOP_SAMPLES
        starts = np.arange(0, num_frames - WINDOW_FRAMES + 1, self._hop_frames)
        speech = speech_frames(samples, range_db=self._range_db, floor_dbfs=self._floor_dbfs)
        shares = np.array([speech[at : at + WINDOW_FRAMES].mean() for at in starts])
        starts = starts[shares >= self._min_speech]
        windows = [mel[at : at + WINDOW_FRAMES] for at in starts]
        return {
            "embeddings": embed(self._encoder, windows),
            "start_s": starts / FRAMES_A_S,
            "duration_s": np.array(len(samples) / SAMPLE_RATE),
        }


def load_encoder(path: str) -> SpeakerEncoder:
    """Loads a state dict without running pickled code; weights for training are ignored."""
    state = torch.load(path, map_location="cpu", weights_only=True)["model_state"]
    encoder = SpeakerEncoder()
    encoder.load_state_dict({name: state[name] for name in encoder.state_dict()})
    return encoder.eval()


@one_thread()
@torch.inference_mode()
def embed(encoder: SpeakerEncoder, windows: list[np.ndarray]) -> Float32[np.ndarray, "K 256"]:
    """Embeds mel windows, a fixed number at a time so that results do not depend on batching."""
    embeddings = [np.zeros((0, EMBEDDING_SIZE), np.float32)]
    for at in range(0, len(windows), _WINDOWS_AT_ONCE):
        mel = torch.from_numpy(np.stack(windows[at : at + _WINDOWS_AT_ONCE]))
        embeddings.append(run_placed(encoder, mel))
    return np.concatenate(embeddings)


def raised_volume(samples: Float32[np.ndarray, " S"]) -> Float32[np.ndarray, " S"]:
    """Amplifies quiet sound to -30 dBFS, the encoder's training level; loud sound is unchanged."""
    power = float(np.mean(samples.astype(np.float64) ** 2)) if len(samples) else 0.0
    if power == 0:
        return samples
    gain = 10 ** (TARGET_DBFS / 20) / np.sqrt(power)
    return samples * np.float32(max(1.0, gain))


def speech_frames(
    samples: Float32[np.ndarray, " S"], *, range_db: float, floor_dbfs: float
) -> Bool[np.ndarray, " T"]:
    """Marks every 10 ms that are loud enough for speech; music and noise may be, too."""
    count = len(samples) // HOP_SAMPLES
    frames = samples[: count * HOP_SAMPLES].reshape(count, HOP_SAMPLES).astype(np.float64)
    level = 10 * np.log10((frames**2).mean(axis=1) + 1e-12)
    if not count:
        return np.zeros(0, bool)
    return level > max(floor_dbfs, float(np.percentile(level, 95)) - range_db)
