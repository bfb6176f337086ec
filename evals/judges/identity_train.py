"""Trains `identity_world` on the painted style: which heads are of one person, drawn from what?"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from evals.extractors.networks.identity_world import IdentityNetwork, network_input
from evals.judges.identity_check import write_figures
from evals.judges.identity_data import STYLE, Person, draw_batch, draw_person, standardized_numbers
from evals.judges.training import JudgeSpec, JudgeStage
from streamchar_ref.loop.fit import Draw, OptimConfig

NUM_PEOPLE = 1300
SCENES_A_PERSON = 3
FRAMES_A_SCENE = 2
NUM_VIEWS = 3
TEMPERATURE = 0.1
OPTIM = OptimConfig(
    learning_rate=2e-3,
    betas=(0.9, 0.999),
    weight_decay=0.02,
    clip=math.inf,
    ema_decay=0.99,
    batch=24,
    num_steps=1600,
    seed=0,
    log_every=50,
)


class IdentityStage(JudgeStage):
    """The network over heads; a sample of a batch is a person in `NUM_VIEWS` views.

    Args:
        people: To learn from, at least a batch of them.
        settings: Batch and seed.
    """

    network: IdentityNetwork

    def __init__(self, people: Sequence[Person], settings: OptimConfig) -> None:
        super().__init__("identity_world", IdentityNetwork(len(people[0].numbers)), settings)
        self._people = people
        self._numbers = standardized_numbers(people)

    def forward(self, draw: Draw) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """Returns the contrastive loss and half of that of the attributes, and each."""
        rng = np.random.default_rng([draw.seed, draw.step, draw.rank, 0x1DE])
        chosen, heads = draw_batch(self._people, rng, num_people=draw.batch, num_views=NUM_VIEWS)
        numbers = torch.from_numpy(self._numbers[chosen]).repeat_interleave(NUM_VIEWS, dim=0)
        embeddings = self.network(network_input(heads)).float()
        with torch.autocast("cpu", enabled=False):
            contrastive = contrast(embeddings, NUM_VIEWS)
            attributes = F.smooth_l1_loss(self.network.attributes(embeddings), numbers)
            parts = {"contrast": contrastive, "attributes": attributes}
            return contrastive + 0.5 * attributes, parts


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


def people() -> Iterator[Person]:
    """Draws the people to train on; those whose face is not found are left out."""
    for identity in range(NUM_PEOPLE):
        person = draw_person(identity, num_scenes=SCENES_A_PERSON, num_frames=FRAMES_A_SCENE)
        if person is not None:
            yield person


def amounts(examples: Sequence[Person]) -> dict[str, int]:
    """Counts people."""
    return {"people": len(examples)}


IDENTITY_WORLD = JudgeSpec(
    name="identity_world",
    style=STYLE,
    date="2026-11-28",
    examples=people,
    preparation_share=0.4,
    stage=IdentityStage,
    optim=OPTIM,
    amounts=amounts,
    write_figures=write_figures,
)
