"""The network of `align_world`: ConvNeXt blocks over time with a CTC head.

Shape letters: B stretches, H mel frames of 10 ms, T = H / 2 frames of 20 ms, M mel bands, D width,
C classes.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from evals.text.progress import PHONES

NUM_MELS = 64
NUM_CLASSES = len(PHONES) + 1
WIDTH = 160
NUM_BLOCKS = 6
KERNEL = 7


class Block(nn.Module):
    """A ConvNeXt block over time.

    Source:
        Liu et al., "A ConvNet for the 2020s", CVPR 2022, in one dimension.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mix = nn.Conv1d(width, width, KERNEL, padding=KERNEL // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.grow = nn.Linear(width, 3 * width)
        self.shrink = nn.Linear(3 * width, width)

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """Returns the sum of input and change."""
        mixed = self.mix(x.transpose(1, 2)).transpose(1, 2)
        changed: Tensor = self.shrink(F.gelu(self.grow(self.norm(mixed))))
        return x + changed


class AlignWorld(nn.Module):
    """Phoneme recogniser: log-mel to log-probabilities of blank and `PHONES`, every 20 ms.

    A frame sees 0.4 s to either side.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv1d(NUM_MELS, WIDTH, 4, 2, padding=1)
        self.blocks = nn.Sequential(*(Block(WIDTH) for _ in range(NUM_BLOCKS)))
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, NUM_CLASSES)

    def forward(self, features: Float[Tensor, "B H 64"]) -> Float[Tensor, "B T C"]:
        """Returns natural log-probabilities; frame k is centred 20 k + 5 ms into the sound."""
        return self.log_probs(self.encode(features))

    def encode(self, features: Float[Tensor, "B H 64"]) -> Float[Tensor, "B T D"]:
        """Returns the hidden states that both training heads read."""
        hidden: Tensor = self.blocks(self.stem(features.transpose(1, 2)).transpose(1, 2))
        return self.norm(hidden)

    def log_probs(self, hidden: Float[Tensor, "B T D"]) -> Float[Tensor, "B T C"]:
        """Returns natural log-probabilities of blank and phonemes."""
        return torch.log_softmax(self.head(hidden).float(), dim=-1)
