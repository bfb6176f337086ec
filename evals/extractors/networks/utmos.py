"""UTMOS strong, the prediction of listeners' opinion of naturalness, by weights that a user has.

wav2vec 2.0, a recurrent layer and a perceptron. Modules are named so that the state dict
``utmos22_strong_step7459_v1.pt`` loads by key, its encoder by `fairseq_names`.
Shape letters: N sounds, S samples, T frames.
"""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from evals.extractors.networks.door import require_sound
from evals.extractors.networks.fairseq_names import renamed_state
from streamchar_ref.core.one_thread import one_thread

ENCODER = "wav2vec2."
EMBEDDING_SIZE = 128
MIN_SAMPLES = 400
"""Below it wav2vec 2.0 has no frame."""


class Utmos(nn.Module):
    """Opinion of naturalness, about 1 to 5.

    Args:
        **changes: Of the configuration of wav2vec 2.0 base, for small tests.

    Source:
        Saeki et al., UTMOS, Interspeech 2022; as in tarepan/SpeechMOS (MIT), rewritten on the
        encoder of transformers.
    """

    def __init__(self, **changes: Any) -> None:
        from transformers import Wav2Vec2Config, Wav2Vec2Model

        super().__init__()
        config = Wav2Vec2Config(**changes)
        self.wav2vec2 = Wav2Vec2Model(config)
        self.domain_emb = nn.Parameter(torch.zeros(1, EMBEDDING_SIZE))
        self.judge_emb = nn.Parameter(torch.zeros(1, EMBEDDING_SIZE))
        self.blstm = nn.LSTM(
            config.hidden_size + 2 * EMBEDDING_SIZE, 512, batch_first=True, bidirectional=True
        )
        self.projection = nn.Sequential(nn.Linear(1024, 2048), nn.ReLU(), nn.Linear(2048, 1))

    def forward(self, sounds: Float[Tensor, "N S"]) -> Float[Tensor, " N"]:
        """Rates sounds of 16 kHz in [-1, 1].

        Args:
            sounds: As they are, not standardised.

        Returns:
            The mean over frames, twice and plus 3.
        """
        frames = self.wav2vec2(sounds).last_hidden_state
        about = torch.cat([self.domain_emb, self.judge_emb], dim=1)
        known = about[:, None].expand(len(frames), frames.shape[1], -1)
        made, _ = self.blstm(torch.cat([frames, known], dim=2))
        opinions: Tensor = 2 * self.projection(made).mean(dim=1)[:, 0] + 3
        return opinions


def load_utmos(path: str) -> Utmos:
    """Reads a state dict without running pickled code."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    network = Utmos()
    put_state(network, state)
    return network.eval()


def put_state(network: Utmos, state: dict[str, Tensor]) -> None:
    """Puts the tensors of the published file into a network.

    Args:
        network: Of the same sizes.
        state: By the file's names.
    """
    rest = {name: tensor for name, tensor in state.items() if not name.startswith(ENCODER)}
    encoder = renamed_state(state, ENCODER)
    network.load_state_dict({f"{ENCODER}{name}": tensor for name, tensor in encoder.items()} | rest)


@one_thread()
@torch.inference_mode()
def rate_sound(network: Utmos, samples: np.ndarray, sample_rate: int) -> float:
    """Rates one sound, which `require_sound` lets pass; at least `MIN_SAMPLES` long."""
    sound = torch.from_numpy(require_sound(samples, sample_rate, "UTMOS"))
    return float(network(sound[None])[0])
