"""The Inception-v3 of FID: TensorFlow's weights of 2015, and what its graph does differently.

Modules are named so that the state dict ``pt_inception-2015-12-05-6726825d.pth``, which pytorch-fid
and torch-fidelity both read, loads by key. Shape letters: N pictures, H and W pixels, C channels.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32, UInt8
from torch import Tensor, nn

from evals.extractors.networks.door import require_pixels, require_range
from streamchar_ref.core.one_thread import one_thread

FEATURE_SIZE = 2048
SIDE = 299
Resize = Literal["pytorch-fid", "torch-fidelity"]


class Convolution(nn.Module):
    """Convolution, batch normalisation, ReLU."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int | tuple[int, int],
        *,
        stride: int = 1,
        padding: int | tuple[int, int] = 0,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C2 H2 W2"]:
        """Applies the three."""
        return F.relu(self.bn(self.conv(x)))


def _mean_pool(x: Tensor) -> Tensor:
    """Mean of 3 x 3 pixels; those outside the picture are not counted, as in TensorFlow."""
    return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


def _largest_pool(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 3, stride=1, padding=1)


class BlockA(nn.Module):
    """35 x 35: branches of 1, 5 and twice 3."""

    def __init__(self, inputs: int, pooled: int) -> None:
        super().__init__()
        self.branch1x1 = Convolution(inputs, 64, 1)
        self.branch5x5_1 = Convolution(inputs, 48, 1)
        self.branch5x5_2 = Convolution(48, 64, 5, padding=2)
        self.branch3x3dbl_1 = Convolution(inputs, 64, 1)
        self.branch3x3dbl_2 = Convolution(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = Convolution(96, 96, 3, padding=1)
        self.branch_pool = Convolution(inputs, pooled, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Joins the branches."""
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        five = self.branch5x5_2(self.branch5x5_1(x))
        return torch.cat([self.branch1x1(x), five, double, self.branch_pool(_mean_pool(x))], 1)


class BlockB(nn.Module):
    """35 to 17."""

    def __init__(self) -> None:
        super().__init__()
        self.branch3x3 = Convolution(288, 384, 3, stride=2)
        self.branch3x3dbl_1 = Convolution(288, 64, 1)
        self.branch3x3dbl_2 = Convolution(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = Convolution(96, 96, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Joins the branches."""
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), double, F.max_pool2d(x, 3, stride=2)], 1)


class BlockC(nn.Module):
    """17 x 17: branches of 7 in one direction after the other."""

    def __init__(self, width: int) -> None:
        super().__init__()
        flat: dict[str, object] = {"kernel": (1, 7), "padding": (0, 3)}
        tall: dict[str, object] = {"kernel": (7, 1), "padding": (3, 0)}
        self.branch1x1 = Convolution(768, 192, 1)
        self.branch7x7_1 = Convolution(768, width, 1)
        self.branch7x7_2 = Convolution(width, width, **flat)  # type: ignore[arg-type]
        self.branch7x7_3 = Convolution(width, 192, **tall)  # type: ignore[arg-type]
        self.branch7x7dbl_1 = Convolution(768, width, 1)
        self.branch7x7dbl_2 = Convolution(width, width, **tall)  # type: ignore[arg-type]
        self.branch7x7dbl_3 = Convolution(width, width, **flat)  # type: ignore[arg-type]
        self.branch7x7dbl_4 = Convolution(width, width, **tall)  # type: ignore[arg-type]
        self.branch7x7dbl_5 = Convolution(width, 192, **flat)  # type: ignore[arg-type]
        self.branch_pool = Convolution(768, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Joins the branches."""
        seven = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return torch.cat([self.branch1x1(x), seven, double, self.branch_pool(_mean_pool(x))], 1)


class BlockD(nn.Module):
    """17 to 8."""

    def __init__(self) -> None:
        super().__init__()
        self.branch3x3_1 = Convolution(768, 192, 1)
        self.branch3x3_2 = Convolution(192, 320, 3, stride=2)
        self.branch7x7x3_1 = Convolution(768, 192, 1)
        self.branch7x7x3_2 = Convolution(192, 192, (1, 7), padding=(0, 3))
        self.branch7x7x3_3 = Convolution(192, 192, (7, 1), padding=(3, 0))
        self.branch7x7x3_4 = Convolution(192, 192, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Joins the branches."""
        seven = self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x)))
        three = self.branch3x3_2(self.branch3x3_1(x))
        return torch.cat([three, self.branch7x7x3_4(seven), F.max_pool2d(x, 3, stride=2)], 1)


class BlockE(nn.Module):
    """8 x 8; the pool of the last one takes the largest value, as the graph of 2015 does."""

    def __init__(self, inputs: int, pool: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self._pool = pool
        self.branch1x1 = Convolution(inputs, 320, 1)
        self.branch3x3_1 = Convolution(inputs, 384, 1)
        self.branch3x3_2a = Convolution(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3_2b = Convolution(384, 384, (3, 1), padding=(1, 0))
        self.branch3x3dbl_1 = Convolution(inputs, 448, 1)
        self.branch3x3dbl_2 = Convolution(448, 384, 3, padding=1)
        self.branch3x3dbl_3a = Convolution(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3dbl_3b = Convolution(384, 384, (3, 1), padding=(1, 0))
        self.branch_pool = Convolution(inputs, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Joins the branches."""
        three = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        return torch.cat(
            [
                self.branch1x1(x),
                self.branch3x3_2a(three),
                self.branch3x3_2b(three),
                self.branch3x3dbl_3a(double),
                self.branch3x3dbl_3b(double),
                self.branch_pool(self._pool(x)),
            ],
            1,
        )


class FidInception(nn.Module):
    """Inception-v3 up to the mean over its last map.

    Source:
        Szegedy et al., Rethinking the Inception Architecture, CVPR 2016; Heusel et al.,
        arXiv:1706.08500; layers as in mseitzer/pytorch-fid (Apache-2.0), rewritten.
    """

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Convolution(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = Convolution(32, 32, 3)
        self.Conv2d_2b_3x3 = Convolution(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = Convolution(64, 80, 1)
        self.Conv2d_4a_3x3 = Convolution(80, 192, 3)
        self.Mixed_5b, self.Mixed_5c = BlockA(192, 32), BlockA(256, 64)
        self.Mixed_5d, self.Mixed_6a = BlockA(288, 64), BlockB()
        self.Mixed_6b, self.Mixed_6c = BlockC(128), BlockC(160)
        self.Mixed_6d, self.Mixed_6e = BlockC(160), BlockC(192)
        self.Mixed_7a = BlockD()
        self.Mixed_7b, self.Mixed_7c = BlockE(1280, _mean_pool), BlockE(2048, _largest_pool)

    def forward(self, x: Float[Tensor, "N 3 299 299"]) -> Float[Tensor, "N 2048"]:
        """Embeds pictures in [-1, 1]; what looks like another range is an error."""
        return self.embed(require_range(x, -1, 1, "FID's Inception"))

    def embed(self, x: Float[Tensor, "N 3 299 299"]) -> Float[Tensor, "N 2048"]:
        """Embeds what `inception_input` made, however bright it is."""
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = F.max_pool2d(x, 3, stride=2)
        x = F.max_pool2d(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)), 3, stride=2)
        for block in (self.Mixed_5b, self.Mixed_5c, self.Mixed_5d, self.Mixed_6a, self.Mixed_6b,
                      self.Mixed_6c, self.Mixed_6d, self.Mixed_6e, self.Mixed_7a, self.Mixed_7b,
                      self.Mixed_7c):  # fmt: skip
            x = block(x)
        return x.mean(dim=(2, 3))


def load_inception(path: str) -> FidInception:
    """Reads a state dict without running pickled code; the classifier is left out."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    network = FidInception()
    network.load_state_dict({name: state[name] for name in network.state_dict()})
    return network.eval()


@one_thread()
@torch.inference_mode()
def embed_pictures(
    network: FidInception, pictures: np.ndarray, resize: Resize
) -> Float32[np.ndarray, "N 2048"]:
    """Embeds uint8 RGB pictures [N, H, W, 3] one at a time, for results that depend on no other."""
    require_pixels(pictures, "FID's Inception")
    rows = [
        network.embed(inception_input(torch.from_numpy(picture.copy()), resize))
        for picture in pictures
    ]
    return torch.cat(rows).numpy() if rows else np.zeros((0, FEATURE_SIZE), np.float32)


def inception_input(
    picture: UInt8[Tensor, "H W 3"], resize: Resize
) -> Float[Tensor, "1 3 299 299"]:
    """Scales a picture to 299 x 299 and to [-1, 1] as one of the two packages does.

    Args:
        picture: RGB.
        resize: ``pytorch-fid`` is PyTorch's bilinear with half-pixel centres, without
            antialiasing, then 2 x - 1; ``torch-fidelity`` is TensorFlow 1's, whose grid begins at
            the corner, then (x - 128) / 128.

    Returns:
        What the network takes.
    """
    pixels = picture.permute(2, 0, 1)[None].float()
    if resize == "pytorch-fid":
        scaled = F.interpolate(pixels / 255, size=(SIDE, SIDE), mode="bilinear")
        return 2 * scaled - 1
    return (tensorflow_resize(pixels, SIDE) - 128) / 128


def tensorflow_resize(
    pictures: Float[Tensor, "N C H W"], side: int
) -> Float[Tensor, "N C side side"]:
    """Resizes bilinearly as TensorFlow 1 does: corners, not centres, of pixels are matched."""
    rows, columns = (_corner_weights(size, side) for size in pictures.shape[2:])
    return rows @ pictures @ columns.T


def _corner_weights(size: int, side: int) -> Float[Tensor, "side size"]:
    places = torch.arange(side) * (size / side)
    low = places.floor().long().clamp(max=size - 1)
    share = (places - low).float()
    weights = torch.zeros(side, size)
    rows = torch.arange(side)
    weights[rows, low] += 1 - share
    weights[rows, (low + 1).clamp(max=size - 1)] += share
    return weights
