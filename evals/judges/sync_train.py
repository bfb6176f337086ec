"""Trains `sync_world` on the flat style: which sound belongs to which mouth?

A window of picture must find its window of sound among all of its own stretch, and the other way
round. Logits are minus the L2 distance that the scores are made of, so that a distance is in nats
and ``sync_c_world`` is the evidence a window gives for the best shift over a usual one.
"""

from collections.abc import Iterator, Sequence
from itertools import islice

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from evals.extractors.networks.sync_world import MEL_FRAMES_A_FRAME, SyncWorld
from evals.judges.sync_data import Batch, Mouths, draw_batch, speaking_mouths
from evals.judges.training import NUM_STATISTICS_BATCHES, JudgeSpec, JudgeStage
from streamchar_ref.loop.fit import Draw, OptimConfig

STYLE = "flat"
NUM_CLIPS = 240
STRETCH_FRAMES = 40
OPTIM = OptimConfig(
    learning_rate=2e-3,
    betas=(0.9, 0.98),
    weight_decay=0.02,
    ema_decay=0.998,
    batch=14,
    num_steps=1800,
    seed=20,
    log_every=50,
)


class SyncStage(JudgeStage):
    """Both streams of the network, matched within each stretch.

    Args:
        mouths: Clips to draw from.
        settings: Batch and seed.
    """

    network: SyncWorld

    def __init__(self, mouths: Sequence[Mouths], settings: OptimConfig) -> None:
        super().__init__("sync_world", SyncWorld(), settings)
        self._mouths = mouths

    def forward(self, draw: Draw) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """Returns the loss of a batch of stretches; it has no parts."""
        batch = self._batch(draw.generator(), size=draw.batch)
        visual = self.network.embed_mouth(batch.crops)
        audio = self.network.embed_sound(batch.features)
        with torch.autocast("cpu", enabled=False):
            return matching_loss(visual, audio), {}

    def finish(self) -> None:
        """Also sets the constant coordinate."""
        super().finish()
        generator = self.unseen_draw(NUM_STATISTICS_BATCHES).generator()
        place_outside(self.network, self._batch(generator, size=32))

    def _batch(self, generator: torch.Generator, *, size: int) -> Batch:
        return draw_batch(self._mouths, generator, size=size, num_frames=STRETCH_FRAMES)


def matching_loss(
    visual: Float[Tensor, "B N E"], audio: Float[Tensor, "B N E"]
) -> Float[Tensor, ""]:
    """Cross entropy of each window's partner among all of the stretch, both ways."""
    logits = -torch.cdist(visual, audio, compute_mode="donot_use_mm_for_euclid_dist")
    target = torch.arange(logits.shape[1]).expand(len(logits), -1)
    forth = F.cross_entropy(logits.flatten(0, 1), target.flatten())
    back = F.cross_entropy(logits.transpose(1, 2).flatten(0, 1), target.flatten())
    return (forth + back) / 2


@torch.inference_mode()
def place_outside(network: SyncWorld, batch: Batch) -> None:
    """Sets the constant coordinate so that the zero vector is as far as a wrong sound."""
    visual, audio = network.embed_mouth(batch.crops), network.embed_sound(batch.features)
    wrong = torch.cdist(visual, audio.roll(1, dims=0)).mean()
    inside = visual[..., :-1].square().sum(-1).mean()
    network.outside.copy_((wrong**2 - inside).clamp_min(0).sqrt())


def mouths() -> Iterator[Mouths]:
    """Draws the training clips."""
    clips = speaking_mouths(STYLE, seed=OPTIM.seed)
    return islice(filter(_is_long_enough, clips), NUM_CLIPS)


def _is_long_enough(clip: Mouths) -> bool:
    num_mel_frames = MEL_FRAMES_A_FRAME * STRETCH_FRAMES
    return len(clip.crops) >= STRETCH_FRAMES and len(clip.power) > num_mel_frames


def amounts(examples: Sequence[Mouths]) -> dict[str, int]:
    """Counts clips and seconds."""
    num_frames = sum(len(clip.crops) for clip in examples)
    return {"clips": len(examples), "seconds": round(num_frames / 25)}


SYNC_WORLD = JudgeSpec(
    name="sync_world",
    style=STYLE,
    date="2026-11-28",
    examples=mouths,
    preparation_share=0.45,
    stage=SyncStage,
    optim=OPTIM,
    amounts=amounts,
)
