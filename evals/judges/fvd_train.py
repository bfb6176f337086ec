"""Trains `fvd_world` on the flat style: which damage is in a clip, how much, which movement?"""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from evals.extractors.networks.fvd_world import DAMAGES, VideoNetwork
from evals.judges.drawn import Take
from evals.judges.fvd_data import Example, draw_take, example
from evals.judges.training import JudgeSpec, JudgeStage
from streamchar_ref.loop.fit import Draw, OptimConfig

STYLE = "flat"
NUM_TAKES = 360
OPTIM = OptimConfig(
    learning_rate=2e-3,
    betas=(0.9, 0.999),
    weight_decay=0.01,
    clip=5.0,
    ema_decay=0.99,
    batch=16,
    num_steps=1400,
    seed=0,
    log_every=50,
)


class VideoStage(JudgeStage):
    """The video network and all that it is asked for.

    Args:
        takes: To cut clips from.
        settings: Batch and seed.
    """

    network: VideoNetwork

    def __init__(self, takes: Sequence[Take], settings: OptimConfig) -> None:
        network = VideoNetwork()
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        super().__init__("fvd_world", network, settings)
        self._takes = takes

    def forward(self, draw: Draw) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """Returns the sum of the losses, and each as it is weighted."""
        rng = np.random.default_rng([draw.seed, draw.step, draw.rank, 0xFD])
        chosen = rng.integers(len(self._takes), size=draw.batch)
        batch = joined([example(self._takes[take], rng) for take in chosen])
        maps = self.network.body(batch["planes"]).float()
        with torch.autocast("cpu", enabled=False):
            losses = self._losses(maps, batch)
            return torch.stack(list(losses.values())).sum(), losses

    def _losses(
        self, maps: Float[Tensor, "B C T H W"], batch: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        features = self.network.pool(maps)
        logits, doses = self.network.to_damage(features).split(len(DAMAGES), dim=1)
        tracks = self.network.to_tracks(maps.mean(dim=(3, 4))).transpose(1, 2)
        statistics = self.network.to_statistics(features)
        return {
            "damage": 4 * F.binary_cross_entropy_with_logits(logits, batch["is_damaged"]),
            "dose": 4 * F.smooth_l1_loss(doses, batch["doses"], beta=0.1),
            "statistics": 0.5 * F.mse_loss(statistics, batch["statistics"]),
            "tracks": 0.3 * F.mse_loss(tracks, batch["tracks"]),
            "size": 1e-3 * features.square().mean(),
        }


def joined(examples: Sequence[Example]) -> dict[str, Tensor]:
    """Stacks examples to a batch, field by field."""
    batch: dict[str, Any] = {
        f.name: torch.from_numpy(np.stack([getattr(each, f.name) for each in examples]))
        for f in fields(Example)
    }
    return batch


def takes() -> Iterator[Take]:
    """Draws the takes to train on, each of another identity."""
    return (draw_take(STYLE, identity) for identity in range(NUM_TAKES))


def amounts(examples: Sequence[Take]) -> dict[str, int]:
    """Counts takes."""
    return {"takes": len(examples)}


FVD_WORLD = JudgeSpec(
    name="fvd_world",
    style=STYLE,
    date="2026-11-28",
    examples=takes,
    preparation_share=0.3,
    stage=VideoStage,
    optim=OPTIM,
    amounts=amounts,
)
