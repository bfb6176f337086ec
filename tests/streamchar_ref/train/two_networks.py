"""A stage of two networks, each with a loss of its own."""

import copy

import torch
from torch import Tensor, nn

from streamchar_ref.loop.config import OptimConfig, OptimGroup
from streamchar_ref.loop.stage import Draw, Stage
from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.sampling.config import SamplerConfig
from streamchar_ref.train.stages.spec import Budget, StageSpec


class Distilling(Stage):
    """Two copies of the DiT with a loss each, as in distillation."""

    name = "student"

    def __init__(self, model: StreamChar) -> None:
        super().__init__()
        self.student, self.critic = (
            nn.ModuleDict({"dit": copy.deepcopy(model.dit)}) for _ in range(2)
        )

    def forward(self, draw: Draw) -> tuple[Tensor, dict[str, Tensor]]:
        network = self.student if draw.group == "student" else self.critic
        return torch.stack([p.square().mean() for p in network.parameters()]).mean(), {}


DISTILLING = StageSpec(
    name=Distilling.name,
    make=lambda model, data: Distilling(model),
    hands_over=("student.", "critic."),
    needs=("teacher",),
    samplers={
        "student": SamplerConfig(num_steps=1, kind="renoise"),
        "critic": SamplerConfig(num_steps=2),
    },
    budgets={
        "tiny": Budget(
            minutes=1,
            optim=OptimConfig(
                batch=1,
                groups=(
                    OptimGroup(name="student", parts=("student.",), every=2),
                    OptimGroup(name="critic", parts=("critic.",), ema_decay=0.0),
                ),
            ),
        )
    },
)
