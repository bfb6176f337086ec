"""I3D's 400 logits of every 16 frames, the features of published FVD numbers.

The network is a TorchScript file by path; nothing here knows its layers.
Shape letters: T frames, H and W pixels.
"""

import math
import warnings
from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import UInt8
from torch import Tensor

from evals.extractors.one_thread import one_thread
from streamchar_ref.weights import locate

FEATURE_SIZE = 400
SIDE = 224


class I3dExtractor:
    """Cuts a video into clips from its start; what is left at the end is dropped.

    Features: ``features`` [N, 400] and ``start_frame`` [N].

    Args:
        preprocess: ``stylegan-v`` hands the frames over as they are, for the file to squash to
            224 x 224 and scale; ``common-metrics`` scales the shorter side to 224, cuts the
            centre and maps to [-1, 1] outside.
        clip_frames: Frames in a clip; neighbouring clips share none.
    """

    def __init__(
        self,
        *,
        preprocess: Literal["stylegan-v", "common-metrics"] = "stylegan-v",
        clip_frames: int = 16,
    ) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # the file exists in no other form
            path = locate("i3d") / "i3d_torchscript.pt"
            self._network = torch.jit.load(str(path), map_location="cpu").eval()
        self._preprocess = preprocess
        self._clip_frames = clip_frames
        self._held: list[np.ndarray] = []
        self._features: list[np.ndarray] = []

    def update(
        self, frames: UInt8[np.ndarray, "T H W 3"], upstream: Mapping[str, Mapping[str, np.ndarray]]
    ) -> dict[str, np.ndarray]:
        """Takes the next frames; clips do not depend on how they are batched."""
        for frame in frames:
            self._held.append(frame)
            if len(self._held) == self._clip_frames:
                self._features.append(self._embed(np.stack(self._held)))
                self._held = []
        return {}

    def finish(self) -> dict[str, np.ndarray]:
        """Returns the features of all whole clips."""
        count = len(self._features)
        return {
            "features": np.concatenate([np.zeros((0, FEATURE_SIZE), np.float32), *self._features]),
            "start_frame": self._clip_frames * np.arange(count),
        }

    @one_thread()
    @torch.inference_mode()
    def _embed(self, frames: UInt8[np.ndarray, "T H W 3"]) -> np.ndarray:
        clip = torch.from_numpy(frames.transpose(3, 0, 1, 2)[None].copy())
        is_raw = self._preprocess == "stylegan-v"
        clip = clip if is_raw else centred(clip)
        found = self._network(clip, rescale=is_raw, resize=is_raw, return_features=True)
        features: np.ndarray = found.float().numpy()
        return features


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
