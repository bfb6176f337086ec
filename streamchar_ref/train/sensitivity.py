"""How much of a picture hangs on each direction of the video latents.

Whitening makes all directions equally strong, though half of them hardly show: without this, a
model spends most of its effort on what nobody sees.

Shape letters: B clips, F latents, C channels, h and w cells, P pixel values.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from streamchar_ref.networks.vae.video import VideoVae

_STEP = 0.3
"""Of a change, where latents have deviation 1."""


@torch.no_grad()
def pixel_sensitivity(
    vae: VideoVae, latents: Float[Tensor, "B F C h w"], *, floor: float
) -> Float[Tensor, "C C"]:
    """Measures how pixels answer to small changes of latents.

    Args:
        vae: Trained.
        latents: Whitened, of some clips.
        floor: Weight that a direction has which does not show, between 0 and 1.

    Returns:
        Symmetric matrix M: ``|d M|^2`` of a difference ``d`` of two latents, summed over cells, is
        about the squared difference of their pictures, scaled so that an isotropic ``d`` keeps
        its length on the average.
    """
    generator = torch.Generator().manual_seed(0)
    cells = (*latents.shape[:2], 1, *latents.shape[3:])
    signs = torch.randint(2, cells, generator=generator).to(latents) * 2 - 1
    answers = torch.stack(
        [_answer(vae, latents, signs, number) for number in range(latents.shape[2])]
    )
    products = (answers @ answers.T).double()
    products = products * len(products) / products.trace()
    strengths, directions = torch.linalg.eigh(products)
    roots = (floor + (1 - floor) * strengths.clamp(min=0)).sqrt()
    return ((directions * roots) @ directions.T).to(latents)


def _answer(vae: VideoVae, latents: Tensor, signs: Tensor, number: int) -> Float[Tensor, " P"]:
    change = torch.zeros_like(latents)
    change[:, :, number] = _STEP * signs[:, :, 0]
    more, less = (vae.decode(latents + sign * change)[0] for sign in (1, -1))
    return (more - less).flatten()
