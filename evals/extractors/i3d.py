"""I3D's 400 logits for clips of 16 frames, the features of published FVD values.

The network is loaded as TorchScript.
Shape letters: T frames, H and W pixels.
"""

import math
import warnings
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import UInt8
from torch import Tensor

from evals.extractors.clip_features import ClipFeatures
from evals.extractors.one_thread import one_thread
from streamchar_ref.core.device import placed, run_placed
from streamchar_ref.weights import locate

FEATURE_SIZE = 400
SIDE = 224


class I3dExtractor(ClipFeatures):
    """Embeds disjoint clips; features as of `ClipFeatures`, with D = 400.

    Args:
        preprocess: ``stylegan-v`` passes the frames unchanged, so that the network resizes them
            to 224 x 224 and rescales them; ``common-metrics`` scales the shorter side to 224,
            crops the centre and maps to [-1, 1] before the network.
        clip_frames: Frames per clip.
    """

    def __init__(
        self,
        *,
        preprocess: Literal["stylegan-v", "common-metrics"] = "stylegan-v",
        clip_frames: int = 16,
    ) -> None:
        super().__init__(
            clip_frames=clip_frames, stride_frames=clip_frames, feature_size=FEATURE_SIZE
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # only TorchScript is available
            path = locate("i3d") / "i3d_torchscript.pt"
            self._network = placed(torch.jit.load(str(path), map_location="cpu").eval())
        self._preprocess = preprocess

    @one_thread()
    @torch.inference_mode()
    def embed(self, frames: UInt8[np.ndarray, "T H W 3"]) -> np.ndarray:
        """Embeds one clip."""
        clip = torch.from_numpy(frames.transpose(3, 0, 1, 2)[None].copy())
        is_raw = self._preprocess == "stylegan-v"
        clip = clip if is_raw else centred(clip)
        options = {"rescale": is_raw, "resize": is_raw, "return_features": True}
        return run_placed(self._network, clip, **options)


def centred(clip: UInt8[Tensor, "1 3 T H W"]) -> Tensor:
    """Scales the shorter side to 224 (the other rounded up), cuts the centre, maps to [-1, 1].

    Source:
        ``preprocess_single`` of JunyaoHu/common_metrics_on_video_quality (MIT), rewritten.
    """
    frames = clip[0].transpose(0, 1).float() / 255
    height, width = frames.shape[2:]
    scale = SIDE / min(height, width)
    size = [
        SIDE if side == min(height, width) else math.ceil(side * scale) for side in (height, width)
    ]
    frames = F.interpolate(frames, size=size, mode="bilinear", align_corners=False)
    top, left = ((side - SIDE) // 2 for side in size)
    cut = frames[:, :, top : top + SIDE, left : left + SIDE]
    return ((cut - 0.5) * 2).transpose(0, 1)[None]
