"""DINO's ViT-B/16, the features of VBench's subject consistency.

Modules are named so that the official state dict, ``dino_vitbase16_pretrain.pth``, loads by key.
Shape letters: N pictures, H and W pixels, T tokens.
"""

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32
from torch import Tensor, nn

from evals.extractors.networks.door import WrongConvention, require_pixels
from streamchar_ref.core.one_thread import one_thread

FEATURE_SIZE = 768
PATCH, SIDE, GRID = 16, 224, 14
HEADS, DEPTH = 12, 12
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Attention(nn.Module):
    """Self-attention of all tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(FEATURE_SIZE, 3 * FEATURE_SIZE)
        self.proj = nn.Linear(FEATURE_SIZE, FEATURE_SIZE)

    def forward(self, x: Float[Tensor, "N T 768"]) -> Float[Tensor, "N T 768"]:
        """Mixes tokens."""
        count, tokens, size = x.shape
        heads = self.qkv(x).reshape(count, tokens, 3, HEADS, size // HEADS).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(heads[0], heads[1], heads[2])
        joined: Tensor = self.proj(mixed.transpose(1, 2).reshape(count, tokens, size))
        return joined


class Block(nn.Module):
    """Attention and a perceptron, each on normalised tokens and added to them."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(FEATURE_SIZE, eps=1e-6)
        self.attn = Attention()
        self.norm2 = nn.LayerNorm(FEATURE_SIZE, eps=1e-6)
        self.mlp = nn.ModuleDict({
            "fc1": nn.Linear(FEATURE_SIZE, 4 * FEATURE_SIZE),
            "fc2": nn.Linear(4 * FEATURE_SIZE, FEATURE_SIZE),
        })  # fmt: skip

    def forward(self, x: Float[Tensor, "N T 768"]) -> Float[Tensor, "N T 768"]:
        """Applies both."""
        x = x + self.attn(self.norm1(x))
        hidden = F.gelu(self.mlp["fc1"](self.norm2(x)))
        added: Tensor = x + self.mlp["fc2"](hidden)
        return added


class PatchEmbedding(nn.Module):
    """A token for each 16 x 16 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, FEATURE_SIZE, PATCH, PATCH)


class DinoVit(nn.Module):
    """ViT-B/16 up to the class token.

    Args:
        depth: Blocks; 12 in the official weights.

    Source:
        Caron et al., Emerging Properties in Self-Supervised Vision Transformers, ICCV 2021; as
        in facebookresearch/dino (Apache-2.0), rewritten.
    """

    def __init__(self, depth: int = DEPTH) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, FEATURE_SIZE))
        self.pos_embed = nn.Parameter(torch.zeros(1, GRID**2 + 1, FEATURE_SIZE))
        self.patch_embed = PatchEmbedding()
        self.blocks = nn.ModuleList(Block() for _ in range(depth))
        self.norm = nn.LayerNorm(FEATURE_SIZE, eps=1e-6)

    def forward(self, pictures: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N 768"]:
        """Embeds standardised pictures of any size.

        Args:
            pictures: See `dino_input`.

        Returns:
            The class token.

        Raises:
            WrongConvention: If nothing is below 0, as in pictures that were not standardised.
        """
        if float(pictures.min()) >= 0:
            raise WrongConvention("DINO takes pictures standardised by the mean of ImageNet")
        return self.embed(pictures)

    def embed(self, pictures: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N 768"]:
        """Embeds what `dino_input` made, however bright it is."""
        grid = self.patch_embed.proj(pictures)
        tokens = grid.flatten(2).transpose(1, 2)
        first = self.cls_token.expand(len(tokens), -1, -1)
        x = torch.cat([first, tokens], dim=1) + self._places(grid.shape[2], grid.shape[3])
        for block in self.blocks:
            x = block(x)
        found: Tensor = self.norm(x)[:, 0]
        return found

    def _places(self, rows: int, columns: int) -> Tensor:
        """Position embeddings, stretched to another grid as in the official code."""
        if rows == columns == GRID:
            return self.pos_embed
        size = self.pos_embed.shape[2]
        square = self.pos_embed[:, 1:].reshape(1, GRID, GRID, size).permute(0, 3, 1, 2)
        scale = ((rows + 0.1) / GRID, (columns + 0.1) / GRID)
        stretched = F.interpolate(square, scale_factor=scale, mode="bicubic")
        flat = stretched.permute(0, 2, 3, 1).reshape(1, -1, size)
        return torch.cat([self.pos_embed[:, :1], flat], dim=1)


def load_dino(path: str) -> DinoVit:
    """Reads a state dict without running pickled code."""
    network = DinoVit()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return network.eval()


@one_thread()
@torch.inference_mode()
def embed_picture(network: DinoVit, picture: np.ndarray) -> Float32[np.ndarray, " 768"]:
    """Embeds one uint8 RGB picture [H, W, 3]; the result has unit length."""
    found = network.embed(dino_input(picture))[0]
    unit: np.ndarray = F.normalize(found, dim=0).numpy()
    return unit


def dino_input(picture: np.ndarray) -> Float[Tensor, "1 3 H W"]:
    """Prepares a picture as VBench does.

    Args:
        picture: RGB, uint8 [H, W, 3].

    Returns:
        The shorter side is 224 px (bilinear, no antialiasing, rounded to 8 bits), the rest
        follows; standardised.

    Raises:
        WrongConvention: If it is not 8-bit RGB.
    """
    pixels = require_pixels(picture, "DINO")
    height, width = pixels.shape[:2]
    short = min(height, width)
    size = [SIDE if side == short else int(SIDE * side / short) for side in (height, width)]
    tensor = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None].float()
    scaled = F.interpolate(tensor, size=size, mode="bilinear", align_corners=False).round()
    mean, deviation = (torch.tensor(x)[:, None, None] for x in (MEAN, DEVIATION))
    return (scaled.clamp(0, 255) / 255 - mean) / deviation
