"""Trains `align_world` on the painted style's voices: which phonemes are spoken, and when?

CTC, whose emissions are held to the exact times of the world: a phoneme may be emitted only
within its span and a little around it, so that the recogniser's peaks do not drift late. A second
head, which is not kept, names the phoneme that sounds in each frame: that is learned sooner.
"""

from collections.abc import Iterator, Sequence
from itertools import islice

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from evals.extractors.networks.align_world import NUM_CLASSES, WIDTH, AlignWorld
from evals.judges.align_data import Batch, Sentence, draw_batch, spoken_sentences
from evals.judges.training import JudgeSpec, JudgeStage
from streamchar_ref.loop.fit import Draw, OptimConfig

STYLE = "painted"
NUM_SENTENCES = 420
STRETCH_MEL_FRAMES = 400
NAMING = 2.0  # a phoneme lasts some four frames
OPTIM = OptimConfig(
    learning_rate=2e-3,
    betas=(0.9, 0.98),
    weight_decay=0.01,
    ema_decay=0.998,
    batch=16,
    num_steps=2600,
    seed=30,
    log_every=50,
)
_FORBIDDEN = -30.0


class AlignStage(JudgeStage):
    """The recogniser with its second head.

    Args:
        sentences: To draw from.
        settings: Batch and seed.
    """

    network: AlignWorld

    def __init__(self, sentences: Sequence[Sentence], settings: OptimConfig) -> None:
        super().__init__("align_world", AlignWorld(), settings)
        self.naming = nn.Linear(WIDTH, NUM_CLASSES)
        self._sentences = sentences

    def forward(self, draw: Draw) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """Returns the sum of both heads' losses, and each."""
        batch = draw_batch(
            self._sentences,
            draw.generator(),
            size=draw.batch,
            num_mel_frames=STRETCH_MEL_FRAMES,
        )
        hidden = self.network.encode(batch.features)
        log_probs, named = self.network.log_probs(hidden), self.naming(hidden).float()
        with torch.autocast("cpu", enabled=False):
            ctc = held_ctc_loss(log_probs, batch)
            naming = F.cross_entropy(named.flatten(0, 1), batch.sounding.flatten())
            return ctc + NAMING * naming, {"ctc": ctc, "naming": naming}


def held_ctc_loss(log_probs: Float[Tensor, "B T C"], batch: Batch) -> Float[Tensor, ""]:
    """CTC over the alignments that keep to the phonemes' own times, a phoneme."""
    held = log_probs.masked_fill(~batch.may_emit, _FORBIDDEN)
    lengths = torch.full((len(held),), held.shape[1])
    total = F.ctc_loss(
        held.transpose(0, 1),
        batch.phones,
        lengths,
        batch.num_phones,
        reduction="sum",
        zero_infinity=True,
    )
    return total / batch.num_phones.sum().clamp_min(1)


def sentences() -> Iterator[Sentence]:
    """Makes the training speech."""
    return islice(spoken_sentences(STYLE, seed=OPTIM.seed), NUM_SENTENCES)


def amounts(examples: Sequence[Sentence]) -> dict[str, int]:
    """Counts sentences and seconds."""
    num_mel_frames = sum(len(sentence.power) for sentence in examples)
    return {"sentences": len(examples), "seconds": round(num_mel_frames / 100)}


ALIGN_WORLD = JudgeSpec(
    name="align_world",
    style=STYLE,
    date="2026-11-28",
    examples=sentences,
    preparation_share=0.4,
    stage=AlignStage,
    optim=OPTIM,
    amounts=amounts,
)
