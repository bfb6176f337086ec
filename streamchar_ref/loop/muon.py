"""Muon in float32, for devices that only emulate the bfloat16 in which torch's Muon iterates."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn


class ExactMuon(torch.optim.Muon):
    """Updates matrices by their orthogonalised momentum, with steps as large as AdamW's.

    Its state is that of torch's Muon, so a run can go on with either.

    Args:
        matrices: Weights of two dimensions.
        lr: Learning rate.
        weight_decay: Decoupled, as in AdamW.

    Source:
        Jordan et al., Muon, https://kellerjordan.github.io/posts/muon/; steps as large as AdamW's
        by Liu et al., Muon is Scalable for LLM Training, arXiv:2502.16982.
    """

    def __init__(self, matrices: Iterable[nn.Parameter], *, lr: float, weight_decay: float) -> None:
        super().__init__(matrices, lr=lr, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Updates all matrices that have a gradient; a closure is not called."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._update(weight, weight.grad, group)

    def _update(self, weight: nn.Parameter, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[weight]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        mean = state["momentum_buffer"]
        mean.lerp_(gradient, 1 - group["momentum"])
        ahead = gradient.lerp(mean, group["momentum"])  # Nesterov's
        direction = orthogonalised(
            ahead, group["ns_coefficients"], steps=group["ns_steps"], eps=group["eps"]
        )
        weight.mul_(1 - group["lr"] * group["weight_decay"])
        weight.add_(direction, alpha=-group["lr"] * 0.2 * math.sqrt(max(weight.shape)))


def orthogonalised(
    matrix: Float[Tensor, "M N"],
    coefficients: tuple[float, float, float],
    *,
    steps: int,
    eps: float,
) -> Float[Tensor, "M N"]:
    """Brings all singular values near 1 by Newton and Schulz's iteration, of fifth order.

    Args:
        matrix: Any.
        coefficients: Of x, x^3 and x^5, by which each step maps singular values.
        steps: Of the iteration.
        eps: Smallest norm to divide by.

    Returns:
        A matrix with the singular vectors of the given one.
    """
    linear, cubic, quintic = coefficients
    is_tall = matrix.shape[0] > matrix.shape[1]
    found = matrix.T if is_tall else matrix
    found = found / found.norm().clamp(min=eps)
    for _ in range(steps):
        square = found @ found.T
        square = torch.addmm(square, square, square, beta=cubic, alpha=quintic)
        found = torch.addmm(found, square, found, beta=linear)
    return found.T if is_tall else found
