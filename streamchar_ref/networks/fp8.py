"""Linear layers in float8: weights scaled by output, what they read scaled by token.

Shape letters: I features in, O features out.
"""

import copy

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

FP8 = torch.float8_e4m3fn
LARGEST = torch.finfo(FP8).max
TINY = 1e-12
MULTIPLE = 16
"""Features of a layer in float8 are whole multiples of it, as the matrix unit asks."""


class Fp8Linear(nn.Module):
    """A linear layer for inference whose product is computed in float8 (e4m3).

    Sums are kept in bfloat16 or better, so outputs are at most as exact as bfloat16.

    Args:
        layer: The layer that it replaces.

    Raises:
        ValueError: If the layer's sizes are no multiples of `MULTIPLE`.

    Source:
        The format is that of Micikevicius et al., FP8 Formats for Deep Learning,
        arXiv:2209.05433; one scale a row and a column as in ``torch.nn.functional.scaled_mm``.
    """

    weight: Tensor
    scale: Tensor

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        if not fits(layer):
            raise ValueError(
                f"float8 needs multiples of {MULTIPLE} features, the layer has "
                f"{layer.in_features} and {layer.out_features}"
            )
        weight, scale = _quantised(layer.weight.detach())
        self.register_buffer("weight", weight)
        self.register_buffer("scale", scale)
        self.bias = layer.bias

    def forward(self, x: Float[Tensor, "*B I"]) -> Float[Tensor, "*B O"]:
        """Computes the layer; the output has the type of the input."""
        rows, scale = _quantised(x.reshape(-1, x.shape[-1]))
        product = F.scaled_mm(
            rows,
            self.weight.t(),
            scale_a=scale,
            scale_recipe_a=F.ScalingType.RowWise,
            scale_b=self.scale.t(),
            scale_recipe_b=F.ScalingType.RowWise,
            output_dtype=torch.bfloat16,
        )
        out = product.to(x.dtype).reshape(*x.shape[:-1], -1)
        return out if self.bias is None else out + self.bias.to(x.dtype)


def fits(layer: nn.Linear) -> bool:
    """Whether a layer has sizes that float8 can be computed with."""
    return layer.in_features % MULTIPLE == 0 and layer.out_features % MULTIPLE == 0


def in_fp8(module: nn.Module) -> nn.Module:
    """Copies a network, with float8 in place of all linear layers that fit.

    Args:
        module: The network; left as it is.

    Returns:
        The copy.
    """
    made = copy.deepcopy(module)
    for name, layer in list(made.named_modules()):
        if type(layer) is nn.Linear and fits(layer):
            made.set_submodule(name, Fp8Linear(layer))
    return made


def _quantised(x: Float[Tensor, "R I"]) -> tuple[Tensor, Float[Tensor, "R 1"]]:
    """Scales each row to the range of float8."""
    scale = (x.abs().amax(dim=-1, keepdim=True).float() / LARGEST).clamp(min=TINY)
    return (x.float() / scale).clamp(-LARGEST, LARGEST).to(FP8), scale
