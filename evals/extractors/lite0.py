"""ImageNet features of single frames, for a Frechet distance without Inception.

Shape letters: T frames, H and W pixels.
"""

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from evals.extractors import FPS
from evals.extractors.networks.lite0 import FEATURE_SIZE, load_lite0
from streamchar_ref.core.device import placed, run_placed
from streamchar_ref.core.one_thread import one_thread
from streamchar_ref.weights import locate

SIDE = 224
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


class Lite0Extractor:
    """Embeds a few frames per second.

    Features: ``features`` [N, 1280] and ``frame`` [N].

    Args:
        frames_per_s: Low, because neighbouring frames are nearly equal.
    """

    def __init__(self, *, frames_per_s: float = 2.0) -> None:
        weights = locate("efficientnet-lite0") / "efficientnet-lite0.pth"
        self._network = placed(load_lite0(str(weights)))
        self._share = frames_per_s / FPS
        self._num_frames = 0
        self._frames: list[int] = []
        self._features: list[np.ndarray] = []

    def update(
        self, frames: UInt8[np.ndarray, "T H W 3"], upstream: Mapping[str, Mapping[str, np.ndarray]]
    ) -> dict[str, np.ndarray]:
        """Processes the next frames one by one, so that results do not depend on batches."""
        for frame in frames:
            index, self._num_frames = self._num_frames, self._num_frames + 1
            if int(index * self._share) > int((index - 1) * self._share) or index == 0:
                self._frames.append(index)
                self._features.append(self._embed(frame))
        return {}

    def finish(self) -> dict[str, np.ndarray]:
        """Returns the features of the chosen frames."""
        return {
            "features": np.concatenate([np.zeros((0, FEATURE_SIZE), np.float32), *self._features]),
            "frame": np.array(self._frames, np.int64),
        }

    @one_thread()
    @torch.inference_mode()
    def _embed(self, frame: UInt8[np.ndarray, "H W 3"]) -> np.ndarray:
        return run_placed(self._network, network_input(frame))


def network_input(frame: UInt8[np.ndarray, "H W 3"]) -> Float[Tensor, "1 3 224 224"]:
    """Resizes to 224 x 224 (bilinear, antialiased) and standardises by ImageNet's statistics."""
    picture = torch.from_numpy(frame.transpose(2, 0, 1)[None].astype(np.float32) / 255)
    picture = F.interpolate(picture, (SIDE, SIDE), mode="bilinear", antialias=True)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    return (picture - mean) / std
