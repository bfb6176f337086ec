"""LPIPS: distance of two pictures in the features of AlexNet, weighted as people judge.

Modules are named so that torchvision's ``alexnet-owt-7be5be79.pth`` and LPIPS's ``alex.pth`` load
by key. Shape letters: N pictures, H and W pixels.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from evals.extractors.networks.door import require_pixels, require_range
from streamchar_ref.core.one_thread import one_thread

WIDTHS = (64, 192, 384, 256, 256)
SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)
_TAPS = (1, 4, 7, 9, 11)


class LpipsAlex(nn.Module):
    """AlexNet's convolutions and a weight for each of their channels.

    Source:
        Zhang et al., The Unreasonable Effectiveness of Deep Features as a Perceptual Metric, CVPR
        2018, version 0.1; Krizhevsky, arXiv:1404.5997.
    """

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2),
            nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
            nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
            nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(),
        )  # fmt: skip
        for row, width in enumerate(WIDTHS):
            head = nn.Module()
            head.model = nn.Sequential(nn.Dropout(), nn.Conv2d(width, 1, 1, bias=False))
            self.add_module(f"lin{row}", head)

    def forward(
        self, first: Float[Tensor, "N 3 H W"], second: Float[Tensor, "N 3 H W"]
    ) -> Float[Tensor, " N"]:
        """Returns the distance of each pair; what looks like another range than [-1, 1] fails."""
        return self.distance(*(require_range(x, -1, 1, "LPIPS") for x in (first, second)))

    def distance(
        self, first: Float[Tensor, "N 3 H W"], second: Float[Tensor, "N 3 H W"]
    ) -> Float[Tensor, " N"]:
        """Returns the distance of pictures in [-1, 1], however bright."""
        total = torch.zeros(len(first))
        for row, (one, other) in enumerate(zip(self._maps(first), self._maps(second), strict=True)):
            head = getattr(self, f"lin{row}").model
            total = total + head((one - other) ** 2).mean(dim=(1, 2, 3))
        return total

    def _maps(self, x: Tensor) -> list[Tensor]:
        x = (x - torch.tensor(SHIFT)[:, None, None]) / torch.tensor(SCALE)[:, None, None]
        maps = []
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in _TAPS:
                maps.append(x / (x.pow(2).sum(dim=1, keepdim=True).sqrt() + 1e-10))
        return maps


def load_lpips(backbone: str, heads: str) -> LpipsAlex:
    """Reads both state dicts without running pickled code; AlexNet's classifier is left out."""
    trunk = torch.load(backbone, map_location="cpu", weights_only=True)
    network = LpipsAlex()
    own = network.state_dict()
    state = {name: trunk[name] for name in own if name.startswith("features.")}
    network.load_state_dict(state | torch.load(heads, map_location="cpu", weights_only=True))
    return network.eval()


@one_thread()
@torch.inference_mode()
def lpips_distance(network: LpipsAlex, first: np.ndarray, second: np.ndarray) -> float:
    """Returns the distance of two uint8 RGB pictures [H, W, 3]."""
    pair = [
        torch.from_numpy(require_pixels(picture, "LPIPS").transpose(2, 0, 1)[None].copy())
        for picture in (first, second)
    ]
    return float(network.distance(*(2 * pixels.float() / 255 - 1 for pixels in pair)))
