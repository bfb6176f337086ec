"""How the judge of video is trained, on the flat style, and what it can do, on both."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from evals.extractors.networks.fvd_world import DAMAGES, VideoNetwork
from evals.extractors.networks.weights_file import save_weights
from evals.extractors.one_thread import one_thread
from evals.judges.drawn import Take
from evals.judges.fvd_world_data import Example, draw_take, example
from evals.judges.schedule import Average, Say, Schedule

STYLE = "flat"
HELD_OUT = range(9000, 10_000)
"""Identities to measure on. Training is on those below, suites take those above."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a training does.

    Attributes:
        num_takes: Drawn before it starts, each of another identity.
        num_steps: Steps.
        batch: Clips in a step.
        peak_rate: Highest learning rate.
        preparation_share: Of the minutes, after which no more takes are drawn.
        seed: Of everything.
    """

    num_takes: int = 360
    num_steps: int = 1400
    batch: int = 16
    peak_rate: float = 2e-3
    preparation_share: float = 0.3
    seed: int = 0


@one_thread()
def train(
    out: Path, *, max_minutes: float, say: Say = lambda line: None, recipe: Recipe = Recipe()
) -> dict[str, Any]:
    """Draws takes, trains on them, and writes the weights.

    Args:
        out: File for the weights.
        max_minutes: In all; see `evals.judges.schedule.Schedule`.
        say: Told how it goes.
        recipe: What to do.

    Returns:
        How it was made, as kept in the file.
    """
    schedule = Schedule(
        num_steps=recipe.num_steps, max_minutes=max_minutes, peak_rate=recipe.peak_rate
    )
    takes = collect(schedule, say, recipe)
    network, losses = fit(takes, schedule, say, recipe)
    about = schedule.account(
        "fvd_world",
        losses,
        is_prepared=len(takes) == recipe.num_takes,
        digits=3,
        style=STYLE,
        seed=recipe.seed,
        takes=len(takes),
    )
    save_weights(out, network, {"training": about})
    return about


def collect(schedule: Schedule, say: Say, recipe: Recipe) -> list[Take]:
    """Draws the takes to train on; fewer if the time for that is up."""
    takes: list[Take] = []
    for identity in range(recipe.num_takes):
        takes.append(draw_take(STYLE, identity))
        if identity % 50 == 49:
            say(f"{len(takes)} takes, {schedule.elapsed_minutes:.1f} min")
        if schedule.elapsed_minutes > recipe.preparation_share * schedule.max_minutes:
            break
    return takes


def fit(
    takes: Sequence[Take], schedule: Schedule, say: Say, recipe: Recipe
) -> tuple[VideoNetwork, list[float]]:
    """Trains a new network on takes.

    Args:
        takes: To cut clips from.
        schedule: How long.
        say: Told how it goes.
        recipe: Batch and seed.

    Returns:
        The network in inference mode, and the loss of each step.
    """
    rng = np.random.default_rng([recipe.seed, 0xFD])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        network = VideoNetwork()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    network.train()
    average = Average(network, decay=0.99)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.01)
    losses: list[float] = []
    for step in schedule.steps(optimizer):
        chosen = rng.integers(len(takes), size=recipe.batch)
        loss = _loss(network, [example(takes[take], rng) for take in chosen])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        average.update(network)
        losses.append(float(loss.detach()))
        if step % 50 == 49:
            say(f"step {step + 1}: loss {np.mean(losses[-50:]):.3f}, "
                f"{schedule.elapsed_minutes:.1f} min")  # fmt: skip
    average.put_into(network)
    return network.eval(), losses


def _loss(network: VideoNetwork, examples: Sequence[Example]) -> Float[Tensor, ""]:
    """Sum over all that the network is asked: which damage, how much, which movement."""
    known: dict[str, Any] = {
        f.name: torch.from_numpy(np.stack([getattr(one, f.name) for one in examples]))
        for f in fields(Example)
    }
    with torch.autocast("cpu", torch.bfloat16):
        maps = network.body(known["planes"])
    maps = maps.float()
    features = network.pool(maps)
    logits, doses = network.to_damage(features).split(len(DAMAGES), dim=1)
    tracks = network.to_tracks(maps.mean(dim=(3, 4))).transpose(1, 2)
    return (
        4 * F.binary_cross_entropy_with_logits(logits, known["is_damaged"])
        + 4 * F.smooth_l1_loss(doses, known["doses"], beta=0.1)
        + 0.5 * F.mse_loss(network.to_statistics(features), known["statistics"])
        + 0.3 * F.mse_loss(tracks, known["tracks"])
        + 1e-3 * features.square().mean()
    )
