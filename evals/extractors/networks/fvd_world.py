"""The network of `fvd_world`: how a drawn video looks and moves, over 16 frames.

Pictures are seen at 64 pixels, with three planes that such a small picture would lose: how much
fine detail there is, the change since the frame before, and its order of magnitude, which tells a
still picture from a slow one. The network alternates convolutions over space and over time; its
64 features carry what damage there is, of what dose, and how face and head move.

Shape letters: B clips, T frames, H and W pixels.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor, nn

from evals.extractors.networks.weights_file import load_weights

TRACKS = ("gap", "blink", "yaw", "pitch", "roll")
"""Columns of a movement that the network predicts."""
DAMAGES = (
    "freeze", "shuffle", "stutter", "skip", "jitter", "seam", "flicker", "blur", "noise",
    "compress", "colour",
)  # fmt: skip
"""Kinds of damage that the network classifies; `evals.judges.damage` makes each."""
CLIP_FRAMES = 16
DETAIL_PX = 128
SIDE = 64
PLANES = 6
FEATURE_SIZE = 64
WIDTHS, STEPS = (16, 32, 48, 96), (1, 1, 2, 4)
NUM_STATISTICS = 3 * len(TRACKS)


def square(
    frames: UInt8[np.ndarray, "T H W 3"] | Sequence[np.ndarray], size: int
) -> UInt8[np.ndarray, "T size size 3"]:
    """Cuts the middle square of frames and scales it, averaging where it shrinks."""
    short = min(frames[0].shape[:2])
    top, left = ((side - short) // 2 for side in frames[0].shape[:2])
    how = cv2.INTER_AREA if short > size else cv2.INTER_CUBIC
    cut = [frame[top : top + short, left : left + short] for frame in frames]
    if short == size:
        return np.stack(cut)
    return np.stack([cv2.resize(frame, (size, size), interpolation=how) for frame in cut])


def planes(frames: UInt8[np.ndarray, "T H W 3"]) -> Float32[np.ndarray, "6 T 64 64"]:
    """Computes the input planes of the network.

    Args:
        frames: RGB at 25 fps, of any size; the middle square is taken.

    Returns:
        Red, green, blue, detail, change, and order of magnitude of the change.
    """
    large = square(frames, DETAIL_PX)
    small = np.stack([_halved(frame.astype(np.float32) / 255) for frame in large])
    detail = np.stack([_detail(frame) for frame in large])
    luma = small @ np.array([0.299, 0.587, 0.114], np.float32)
    change = np.diff(luma, axis=0)
    change = np.concatenate([change[:1], change]) if len(change) else np.zeros_like(luma)
    log_change = np.log(np.abs(change) + 1e-3) / 2 + 2.2
    colours = [2 * small[..., channel] - 1 for channel in range(3)]
    return np.stack([*colours, detail, 12 * change, log_change]).astype(np.float32)


def _detail(frame: UInt8[np.ndarray, "128 128 3"]) -> Float32[np.ndarray, "64 64"]:
    """Logarithm of the local contrast between neighbouring pixels, at half the size."""
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    edges = np.abs(cv2.Laplacian(grey, cv2.CV_32F))
    return np.asarray((np.log(_halved(edges) + 3e-3) + 4) / 1.5, np.float32)


def _halved(
    plane: Float32[np.ndarray, "128 128 *channels"],
) -> Float32[np.ndarray, "64 64 *channels"]:
    """Averages; in fractions of a grey level, for slow movement is no more than that."""
    return np.asarray(cv2.resize(plane, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.float32)


class OverSpace(nn.Module):
    """A convolution over each frame that halves it.

    Args:
        inputs: Channels.
        outputs: Channels.
        size: Of the kernel.
    """

    def __init__(self, inputs: int, outputs: int, size: int = 3) -> None:
        super().__init__()
        self.layer = nn.Conv2d(inputs, outputs, size, stride=2, padding=size // 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Float[Tensor, "B C T H W"]) -> Float[Tensor, "B D T h w"]:
        """Convolves each frame separately."""
        b, _, t = x.shape[:3]
        y = self.norm(self.layer(x.transpose(1, 2).flatten(0, 1))).relu()
        return y.unflatten(0, (b, t)).transpose(1, 2)


class OverTime(nn.Module):
    """A residual convolution over three frames at each place.

    Args:
        channels: In and out.
        step: From one of the three frames to the next.
    """

    def __init__(self, channels: int, step: int) -> None:
        super().__init__()
        self.layer = nn.Conv2d(
            channels, channels, (3, 1), padding=(step, 0), dilation=(step, 1), bias=False
        )
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Float[Tensor, "B C T H W"]) -> Float[Tensor, "B C T H W"]:
        """Convolves over time at each place separately."""
        y = self.norm(self.layer(x.flatten(3)))
        return (x + y.unflatten(3, x.shape[3:])).relu()


class VideoNetwork(nn.Module):
    """Clips to features; for training only, also to labels of damage and movement."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = PLANES
        for width, step in zip(WIDTHS, STEPS, strict=True):
            size = 5 if before == PLANES else 3
            layers += [OverSpace(before, width, size), OverTime(width, step)]
            before = width
        self.body = nn.Sequential(*layers)
        self.to_features = nn.Linear(5 * before, FEATURE_SIZE)
        self.to_damage = nn.Linear(FEATURE_SIZE, 2 * len(DAMAGES))
        self.to_statistics = nn.Linear(FEATURE_SIZE, NUM_STATISTICS)
        self.to_tracks = nn.Conv1d(before, len(TRACKS), 3, padding=1)

    def forward(self, x: Float[Tensor, "B 6 T 64 64"]) -> Float[Tensor, "B 64"]:
        """Returns the features of clips."""
        return self.pool(self.body(x))

    def pool(self, maps: Float[Tensor, "B C T H W"]) -> Float[Tensor, "B 64"]:
        """Returns the features, from the last maps' mean, extremes and change with time."""
        over_space = maps.mean(dim=(3, 4))
        pooled = (
            over_space.mean(dim=2),
            over_space.amax(dim=2),
            over_space.amin(dim=2),
            (over_space.var(dim=2) + 1e-4).sqrt(),
            maps.amax(dim=(3, 4)).amax(dim=2),
        )
        features: Tensor = self.to_features(torch.cat(pooled, dim=1))
        return features


def load_network(path: Path) -> VideoNetwork:
    """Reads the weights."""
    network = VideoNetwork()
    load_weights(path, network)
    return network


@torch.inference_mode()
def embed(network: VideoNetwork, clips: Sequence[np.ndarray]) -> Float32[np.ndarray, "N 64"]:
    """Returns the features of clips of 16 frames, each computed by itself."""
    rows = [network(torch.from_numpy(planes(clip))[None]).numpy() for clip in clips]
    return np.concatenate([np.zeros((0, FEATURE_SIZE), np.float32), *rows])
