"""The network of `identity_world`: who a drawn person is, from the head.

The embedding is trained to be invariant to hue, light, pose, framing, clothes and backdrop, and to
encode the numbers that the person was drawn from. Shape letters: B heads, H and W pixels.
"""

from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32, UInt8
from torch import Tensor, nn

from evals.extractors.networks.weights_file import load_weights

SIDE = 64
WIDE_SIDE = 80
"""Heads to learn from are kept with this much more around, for the framing to vary."""
MARGIN = 1.75
"""Side of the square around a head, in heights of the mesh of the face."""
RISE = 0.12
"""How far its middle is above that of the mesh, in heights of the mesh."""
EMBEDDING_SIZE = 64
WIDTHS = (24, 48, 96, 160)


def cut_head(
    frame: UInt8[np.ndarray, "H W 3"], box: Float32[np.ndarray, " 4"], *, size: int = SIDE
) -> UInt8[np.ndarray, "size size 3"]:
    """Cuts a head out of a picture; outside of it the edge is repeated.

    Args:
        frame: RGB.
        box: Of the face mesh: x0, y0, x1, y1 in pixels.
        size: Of the result; above 64 it shows more at the same scale.

    Returns:
        A square with the head in its middle.
    """
    x0, y0, x1, y1 = (float(edge) for edge in box)
    height = y1 - y0
    half = MARGIN * height / 2 * size / SIDE
    x, y = (x0 + x1) / 2, (y0 + y1) / 2 - RISE * height
    left, top = round(x - half), round(y - half)
    side = max(1, round(2 * half))
    edges = (-top, top + side - frame.shape[0], -left, left + side - frame.shape[1])
    padding = [max(0, edge) for edge in edges]
    if any(padding):
        above, below, before, after = padding
        frame = np.pad(frame, ((above, below), (before, after), (0, 0)), mode="edge")
        left, top = left + before, top + above
    how = cv2.INTER_AREA if side > size else cv2.INTER_CUBIC
    cut = frame[top : top + side, left : left + side]
    return np.asarray(cv2.resize(cut, (size, size), interpolation=how), np.uint8)


class Layer(nn.Module):
    """A convolution that halves a picture and a residual one after it.

    Args:
        inputs: Channels.
        outputs: Channels.
        size: Of the first kernel.
    """

    def __init__(self, inputs: int, outputs: int, size: int) -> None:
        super().__init__()
        self.halve = nn.Conv2d(inputs, outputs, size, stride=2, padding=size // 2, bias=False)
        self.first = nn.BatchNorm2d(outputs)
        self.refine = nn.Conv2d(outputs, outputs, 3, padding=1, groups=4, bias=False)
        self.second = nn.BatchNorm2d(outputs)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D h w"]:
        """Halves height and width."""
        y = self.first(self.halve(x)).relu()
        return (y + self.second(self.refine(y))).relu()


class IdentityNetwork(nn.Module):
    """Heads to embeddings of length 1; and, for training only, to what they were drawn from.

    Args:
        num_attributes: Numbers that are asked for.
    """

    def __init__(self, num_attributes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for width in WIDTHS:
            layers.append(Layer(before, width, 5 if before == 3 else 3))
            before = width
        self.body = nn.Sequential(*layers)
        self.narrow = nn.Conv2d(before, 64, 1)
        places = (SIDE // 2 ** len(WIDTHS)) ** 2
        self.to_embedding = nn.Linear(64 * places + before, EMBEDDING_SIZE)
        self.to_attributes = nn.Linear(EMBEDDING_SIZE, num_attributes)

    def forward(self, x: Float[Tensor, "B 3 64 64"]) -> Float[Tensor, "B 64"]:
        """Embeds heads, given in [-1, 1]."""
        maps = self.body(x)
        pooled = torch.cat([self.narrow(maps).relu().flatten(1), maps.mean(dim=(2, 3))], dim=1)
        return F.normalize(self.to_embedding(pooled), dim=1)

    def attributes(self, embeddings: Float[Tensor, "B 64"]) -> Float[Tensor, "B A"]:
        """Reads the numbers that a person was drawn from out of embeddings."""
        numbers: Tensor = self.to_attributes(6 * embeddings)
        return numbers


def network_input(heads: UInt8[np.ndarray, "B H W 3"]) -> Float[Tensor, "B 3 H W"]:
    """Maps heads to [-1, 1]."""
    return torch.from_numpy(heads.transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1)


def load_network(path: Path) -> IdentityNetwork:
    """Reads the weights."""
    network = IdentityNetwork(num_attributes_in(path))
    load_weights(path, network)
    return network


def num_attributes_in(path: Path) -> int:
    """Returns how many numbers the network of a file was trained to read."""
    from safetensors import safe_open

    with safe_open(str(path), framework="pt") as file:
        return int(file.get_slice("to_attributes.bias").get_shape()[0])


@torch.inference_mode()
def embed(
    network: IdentityNetwork, heads: UInt8[np.ndarray, "B 64 64 3"]
) -> Float32[np.ndarray, "B 64"]:
    """Returns the embeddings of heads, each computed by itself."""
    rows = [network(network_input(head[None])).numpy() for head in heads]
    return np.concatenate([np.zeros((0, EMBEDDING_SIZE), np.float32), *rows])
