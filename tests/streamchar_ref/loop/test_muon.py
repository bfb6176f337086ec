"""Muon in float32 is torch's Muon without its rounding to bfloat16."""

from collections.abc import Sequence
from unittest import mock

import pytest
import torch
from torch import Tensor, nn

from streamchar_ref.loop.config import OptimConfig
from streamchar_ref.loop.muon import ExactMuon, orthogonalised
from streamchar_ref.loop.optim import group_optimizers

COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def matrices(seed: int = 0) -> list[nn.Parameter]:
    torch.manual_seed(seed)
    return [nn.Parameter(torch.randn(shape)) for shape in ((8, 24), (24, 8), (6, 6))]


def updated(optimizer: torch.optim.Optimizer, weights: Sequence[nn.Parameter]) -> None:
    for step in range(4):
        for number, weight in enumerate(weights):
            torch.manual_seed(100 * step + number)
            weight.grad = torch.randn_like(weight)
        optimizer.step()


def torch_muon(weights: Sequence[nn.Parameter]) -> torch.optim.Muon:
    return torch.optim.Muon([*weights], lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")


def test_it_equals_torchs_muon_without_rounding() -> None:
    ours, theirs = matrices(), matrices()
    updated(ExactMuon(ours, lr=0.02, weight_decay=0.1), ours)
    with mock.patch.object(Tensor, "bfloat16", Tensor.clone):
        updated(torch_muon(theirs), theirs)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_torchs_state_can_be_gone_on_with() -> None:
    weights = matrices()
    theirs = torch_muon(weights)
    updated(theirs, weights)
    ours = ExactMuon(matrices(), lr=0.02, weight_decay=0.1)
    ours.load_state_dict(theirs.state_dict())
    for own, weight in zip(ours.param_groups[0]["params"], weights, strict=True):
        kept = theirs.state[weight]["momentum_buffer"]
        assert torch.equal(ours.state[own]["momentum_buffer"], kept)


@pytest.mark.parametrize("shape", [(8, 24), (24, 8), (12, 12)])
def test_all_singular_values_come_near_one(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    matrix = torch.randn(shape)
    found = orthogonalised(matrix, COEFFICIENTS, steps=5, eps=1e-7)
    values = torch.linalg.svdvals(found)
    assert 0.5 < values.min() <= values.max() < 1.5
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    turned = left.T @ found @ right.T
    torch.testing.assert_close(turned, torch.diag(turned.diagonal()), rtol=0, atol=1e-4)


@pytest.mark.parametrize(("bfloat16", "expected"), [(True, torch.optim.Muon), (False, ExactMuon)])
def test_a_stage_in_float32_is_updated_in_float32(
    bfloat16: bool, expected: type[torch.optim.Optimizer]
) -> None:
    stage = nn.ModuleDict({"blocks": nn.ModuleList([nn.Linear(4, 4)])})
    groups = group_optimizers(stage, OptimConfig(muon=True, bfloat16=bfloat16))
    assert type(groups[0].optimizers[0]) is expected
