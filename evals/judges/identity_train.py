"""How the judge of identity is trained, on the painted style, whose exact labels it reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from evals.extractors.networks import WEIGHTS
from evals.extractors.networks.identity_world import IdentityNetwork, network_input
from evals.extractors.networks.weights_file import save_weights
from evals.extractors.one_thread import one_thread
from evals.judges.identity_check import write_figures
from evals.judges.identity_data import STYLE, Person, batches, meet
from evals.judges.schedule import Average, Say, Schedule

TEMPERATURE = 0.1


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a training does.

    Attributes:
        num_people: Drawn before it starts.
        num_scenes: Streams of each.
        num_frames: Of each stream.
        num_steps: Steps.
        people_a_step: In a batch.
        views: Of each of them.
        peak_rate: Highest learning rate.
        preparation_share: Of the minutes, after which no more people are drawn.
        seed: Of everything.
    """

    num_people: int = 1300
    num_scenes: int = 3
    num_frames: int = 2
    num_steps: int = 1600
    people_a_step: int = 24
    views: int = 3
    peak_rate: float = 2e-3
    preparation_share: float = 0.4
    seed: int = 0


@one_thread()
def train(
    out: Path, *, max_minutes: float, say: Say = lambda line: None, recipe: Recipe = Recipe()
) -> dict[str, Any]:
    """Draws people, trains on them, writes the weights and, beside them, what they can do.

    Args:
        out: File for the weights; elsewhere than in the package nothing is measured.
        max_minutes: In all; see `evals.judges.schedule.Schedule`.
        say: Told how it goes.
        recipe: What to do.

    Returns:
        How it was made, as kept in the file.
    """
    schedule = Schedule(
        num_steps=recipe.num_steps, max_minutes=max_minutes, peak_rate=recipe.peak_rate
    )
    people = collect(schedule, say, recipe)
    network, losses = fit(people, schedule, say, recipe)
    about = schedule.account(
        "identity_world",
        losses,
        is_prepared=len(people) >= 0.9 * recipe.num_people,
        digits=3,
        style=STYLE,
        seed=recipe.seed,
        people=len(people),
    )
    save_weights(out, network, {"training": about})
    if out.parent == WEIGHTS:
        write_figures(say=say)
    return about


def collect(schedule: Schedule, say: Say, recipe: Recipe) -> list[Person]:
    """Draws the people to train on; fewer if the time for that is up."""
    people: list[Person] = []
    for identity in range(recipe.num_people):
        person = meet(identity, num_scenes=recipe.num_scenes, num_frames=recipe.num_frames)
        if person is not None:
            people.append(person)
        if identity % 100 == 99:
            say(f"{len(people)} people, {schedule.elapsed_minutes:.1f} min")
        if schedule.elapsed_minutes > recipe.preparation_share * schedule.max_minutes:
            break
    return people


def fit(
    people: Sequence[Person], schedule: Schedule, say: Say, recipe: Recipe
) -> tuple[IdentityNetwork, list[float]]:
    """Trains a new network.

    Args:
        people: To learn from.
        schedule: How long.
        say: Told how it goes.
        recipe: Batch and seed.

    Returns:
        The network in inference mode, averaged over its last steps, and the loss of each step.
    """
    rng = np.random.default_rng([recipe.seed, 0x1DE])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        network = IdentityNetwork(len(people[0].numbers))
    network.train()
    average = Average(network, decay=0.99)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.02)
    drawn = batches(people, rng, num_people=recipe.people_a_step, num_views=recipe.views)
    losses: list[float] = []
    for step, (heads, numbers) in zip(schedule.steps(optimizer), drawn, strict=False):
        with torch.autocast("cpu", torch.bfloat16):
            embeddings = network(network_input(heads)).float()
        known = torch.from_numpy(numbers).repeat_interleave(recipe.views, dim=0)
        loss = contrast(embeddings, recipe.views) + 0.5 * F.smooth_l1_loss(
            network.attributes(embeddings), known
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        average.update(network)
        losses.append(float(loss.detach()))
        if step % 100 == 99:
            say(f"step {step + 1}: loss {np.mean(losses[-100:]):.3f}, "
                f"{schedule.elapsed_minutes:.1f} min")  # fmt: skip
    average.put_into(network)
    return network.eval(), losses


def contrast(embeddings: Float[Tensor, "B D"], views: int) -> Float[Tensor, ""]:
    """Supervised contrastive loss: each view must find the other views of its person.

    Args:
        embeddings: Of length 1; the views of one person follow one another.
        views: Of each person.

    Returns:
        Mean cross entropy over all pairs of views of one person.

    Source:
        Khosla et al., Supervised Contrastive Learning, arXiv:2004.11362, Eq. 2.
    """
    person = torch.arange(len(embeddings)) // views
    is_self = torch.eye(len(embeddings), dtype=torch.bool)
    is_same = (person[:, None] == person) & ~is_self
    logits = (embeddings @ embeddings.T / TEMPERATURE).masked_fill(is_self, -1e9)
    return -logits.log_softmax(dim=1)[is_same].mean()
