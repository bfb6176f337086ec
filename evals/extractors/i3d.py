"""I3D's 400 logits for clips of 16 frames, the features of published FVD values.

The network is loaded as TorchScript.
Shape letters: T frames, H and W pixels.
"""

import math
import warnings
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Literal

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from evals.extractors.clip_features import ClipFeatures
from evals.extractors.networks.door import require_pixels, require_range
from evals.extractors.networks.inception import tensorflow_resize
from streamchar_ref.core.device import placed, run_placed
from streamchar_ref.core.one_thread import one_thread
from streamchar_ref.weights import locate

FEATURE_SIZE = 400
SIDE = 224
DATASET_SIDE = 256
CD_FVD_SIDE = 128
Preprocess = Literal["stylegan-v", "stylegan-v-256", "common-metrics", "cd-fvd", "tf-original"]
Clips = Literal["disjoint", "one at random"]


class I3dExtractor(ClipFeatures):
    """Embeds clips; features as of `ClipFeatures`, with D = 400.

    Args:
        preprocess: ``stylegan-v`` passes the frames unchanged, so that the network resizes them
            to 224 x 224 and rescales them; ``stylegan-v-256`` cuts the centre and makes it 256 x
            256 before, as that data set is; ``common-metrics`` scales the shorter side to 224,
            crops the centre and maps to [-1, 1] before the network; ``cd-fvd`` scales the shorter
            side to 128 with antialiasing, crops the centre, rounds to 8 bits and makes it 224;
            ``tf-original`` squashes to 224 x 224 on TensorFlow's grid.
        clip_frames: Frames per clip.
        clips: ``disjoint`` takes all of them, ``one at random`` one a video, at any start.
    """

    def __init__(
        self,
        *,
        preprocess: Preprocess = "stylegan-v",
        clip_frames: int = 16,
        clips: Clips = "disjoint",
    ) -> None:
        super().__init__(
            clip_frames=clip_frames,
            stride_frames=clip_frames if clips == "disjoint" else 1,
            feature_size=FEATURE_SIZE,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # only TorchScript is available
            path = locate("i3d") / "i3d_torchscript.pt"
            self._network = placed(torch.jit.load(str(path), map_location="cpu").eval())
        self._preprocess = preprocess
        self._draw = OneClip() if clips == "one at random" else None

    def prepare(self, frame: UInt8[np.ndarray, "H W 3"]) -> np.ndarray:
        """Returns what is buffered of a frame."""
        require_pixels(frame, "I3D")
        if self._draw is not None:
            self._draw.see(frame)
        return _FRAMEWISE.get(self._preprocess, _unchanged)(frame)

    def embed(self, frames: UInt8[np.ndarray, "T H W 3"]) -> np.ndarray:
        """Embeds one clip; where one is drawn, it waits until all are known."""
        if self._draw is None:
            return logits(self._network, frames, self._preprocess)
        self._draw.offer(frames)
        return np.zeros((0, FEATURE_SIZE), np.float32)

    def finish(self) -> dict[str, np.ndarray]:
        """Returns the features of all clips, or of the one that was drawn."""
        if self._draw is None:
            return super().finish()
        clip = self._draw.clip
        empty = np.zeros((0, FEATURE_SIZE), np.float32)
        return {
            "features": empty if clip is None else logits(self._network, clip, self._preprocess),
            "start_frame": np.array([] if clip is None else [self._draw.start_frame], np.int64),
        }


class OneClip:
    """Draws one of the clips of a video whose length is not known before its end.

    The n-th clip replaces the one that is kept with probability 1/n, so that every start is equally
    likely. The draw is fixed by the first frame: the same video has the same clip, and videos of
    one length have different ones.
    """

    def __init__(self) -> None:
        self._rng: np.random.Generator | None = None
        self._num_clips = 0
        self.clip: np.ndarray | None = None
        self.start_frame = 0

    def see(self, frame: np.ndarray) -> None:
        """Takes a frame; the first one seeds the draw."""
        if self._rng is None:
            self._rng = np.random.default_rng(zlib.crc32(np.ascontiguousarray(frame).tobytes()))

    def offer(self, clip: np.ndarray) -> None:
        """Takes the next clip, which begins one frame after the one before."""
        assert self._rng is not None
        self._num_clips += 1
        if self._rng.random() * self._num_clips < 1:
            self.clip, self.start_frame = clip, self._num_clips - 1


@one_thread()
@torch.inference_mode()
def logits(network: Any, frames: np.ndarray, preprocess: Preprocess) -> np.ndarray:
    """Embeds one clip.

    Args:
        network: As TorchScript; called with a clip [1, 3, T, H, W].
        frames: RGB, uint8 [T, H, W, 3], as `I3dExtractor.prepare` left them.
        preprocess: See `I3dExtractor`.

    Returns:
        [1, 400].

    Raises:
        WrongConvention: If the frames are not 8-bit pixels, or the mapped ones not in [-1, 1].
    """
    require_pixels(frames, "I3D")
    clip = torch.from_numpy(frames.transpose(3, 0, 1, 2)[None].copy())
    is_raw = preprocess in {"stylegan-v", "stylegan-v-256"}
    if not is_raw:
        clip = require_range(_CLIPWISE[preprocess](clip), -1, 1, "I3D", is_mapped=True)
    options = {"rescale": is_raw, "resize": is_raw, "return_features": True}
    return run_placed(network, clip, **options)


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


def squashed(clip: UInt8[Tensor, "1 3 T H W"]) -> Float[Tensor, "1 3 T 224 224"]:
    """Makes any frame 224 x 224 bilinearly and maps to [-1, 1]."""
    frames = clip[0].transpose(0, 1).float()
    frames = F.interpolate(frames, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
    return (2 * frames / 255 - 1).transpose(0, 1)[None]


def squashed_as_tensorflow(clip: UInt8[Tensor, "1 3 T H W"]) -> Float[Tensor, "1 3 T 224 224"]:
    """The same on TensorFlow 1's grid, as the code of the FVD paper does."""
    frames = tensorflow_resize(clip[0].transpose(0, 1).float(), SIDE)
    return (2 * frames / 255 - 1).transpose(0, 1)[None]


def centre_square(frame: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "S S 3"]:
    """Cuts the largest square around the centre."""
    height, width = frame.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return frame[top : top + side, left : left + side]


def dataset_square(frame: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "256 256 3"]:
    """Makes a frame what a data set of 256 x 256 holds."""
    square = centre_square(frame)
    is_smaller = square.shape[0] > DATASET_SIDE
    how = cv2.INTER_AREA if is_smaller else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(square, (DATASET_SIDE, DATASET_SIDE), interpolation=how), np.uint8)


def small_square(frame: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "128 128 3"]:
    """Scales the shorter side to 128 with antialiasing, cuts the centre, rounds to 8 bits."""
    height, width = frame.shape[:2]
    scale = CD_FVD_SIDE / min(height, width)
    size = [max(CD_FVD_SIDE, round(side * scale)) for side in (height, width)]
    pixels = torch.from_numpy(np.ascontiguousarray(frame)).permute(2, 0, 1)[None].float()
    small = F.interpolate(pixels, size=size, mode="bilinear", antialias=True)
    rounded = small[0].permute(1, 2, 0).round().clamp(0, 255).byte().numpy()
    return centre_square(rounded)


def _unchanged(frame: np.ndarray) -> np.ndarray:
    return frame


_FRAMEWISE: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "stylegan-v-256": dataset_square,
    "cd-fvd": small_square,
}
_CLIPWISE: Mapping[str, Callable[[Tensor], Tensor]] = {
    "common-metrics": centred,
    "cd-fvd": squashed,
    "tf-original": squashed_as_tensorflow,
}
