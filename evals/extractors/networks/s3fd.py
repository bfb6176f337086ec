"""S3FD, the face detector of the published SyncNet pipelines.

Modules are named so that the official state dict, ``sfd_face.pth``, loads by key.
Shape letters: H and W pixels, P anchors, N faces.
"""

from itertools import pairwise

import cv2
import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from evals.extractors.networks.door import require_pixels
from streamchar_ref.core.one_thread import one_thread

STRIDES = (4, 8, 16, 32, 64, 128)
"""Of the six maps; an anchor is a square of four strides."""
MEAN = (104.0, 117.0, 123.0)
"""Subtracted from blue, green and red, in 0..255."""
VARIANCES = (0.1, 0.2)
MIN_CANDIDATE, MAX_CANDIDATES, CANDIDATE_IOU = 0.05, 750, 0.3
FINAL_IOU = 0.1
_STAGES = ((3, 64, 64), (64, 128, 128), (128, 256, 256, 256), (256, 512, 512, 512),
           (512, 512, 512, 512))  # fmt: skip
_TAPS = (16, 23, 30)


class ScaledNorm(nn.Module):
    """Divides the channels of each pixel by their length and weighs each channel."""

    def __init__(self, channels: int, scale: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), float(scale)))

    def forward(self, x: Float[Tensor, "1 C H W"]) -> Float[Tensor, "1 C H W"]:
        """Normalises one map."""
        length = x.pow(2).sum(dim=1, keepdim=True).sqrt() + 1e-10
        return x / length * self.weight[:, None, None]


class S3fd(nn.Module):
    """VGG-16 with six detection heads.

    Source:
        Zhang et al., S3FD: Single Shot Scale-invariant Face Detector, ICCV 2017; layer shapes as in
        joonson/syncnet_python (MIT), compared once with its code on random weights.
    """

    def __init__(self) -> None:
        super().__init__()
        self.vgg = nn.ModuleList(_vgg())
        self.L2Norm3_3 = ScaledNorm(256, 10)
        self.L2Norm4_3 = ScaledNorm(512, 8)
        self.L2Norm5_3 = ScaledNorm(512, 5)
        self.extras = nn.ModuleList([
            nn.Conv2d(1024, 256, 1), nn.Conv2d(256, 512, 3, 2, 1),
            nn.Conv2d(512, 128, 1), nn.Conv2d(128, 256, 3, 2, 1),
        ])  # fmt: skip
        widths = (256, 512, 512, 1024, 512, 256)
        self.loc = nn.ModuleList(nn.Conv2d(width, 4, 3, padding=1) for width in widths)
        self.conf = nn.ModuleList(
            nn.Conv2d(width, 2 if row else 4, 3, padding=1) for row, width in enumerate(widths)
        )

    def forward(
        self, picture: Float[Tensor, "1 3 H W"]
    ) -> tuple[Float[Tensor, " P"], Float[Tensor, "P 4"]]:
        """Returns the probability of a face and its box, in shares of the picture, an anchor."""
        height, width = picture.shape[2:]
        scores, boxes = [], []
        for row, features in enumerate(self._maps(picture)):
            logits = self.conf[row](features)[0]
            background = logits[:-1].max(dim=0).values
            scores.append((logits[-1] - background).sigmoid().flatten())
            shifts = self.loc[row](features)[0].permute(1, 2, 0).reshape(-1, 4)
            anchors = _anchors(features.shape[2], features.shape[3], STRIDES[row])
            boxes.append(_boxes(shifts, anchors / torch.tensor([width, height] * 2)))
        return torch.cat(scores), torch.cat(boxes)

    def _maps(self, x: Tensor) -> list[Tensor]:
        maps = []
        norms = dict(zip(_TAPS, (self.L2Norm3_3, self.L2Norm4_3, self.L2Norm5_3), strict=True))
        for index, layer in enumerate(self.vgg, start=1):
            x = layer(x)
            if index in norms:
                maps.append(norms[index](x))
        maps.append(x)
        for index, layer in enumerate(self.extras):
            x = layer(x).relu()
            if index % 2:
                maps.append(x)
        return maps


def load_s3fd(path: str) -> S3fd:
    """Reads a state dict without running pickled code."""
    network = S3fd()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return network.eval()


@one_thread()
@torch.inference_mode()
def detect(
    network: S3fd, frame: np.ndarray, *, scale: float, min_score: float
) -> Float32[np.ndarray, "N 4"]:
    """Finds the faces of a frame as the published pipelines do.

    Args:
        network: With weights.
        frame: RGB, uint8 [H, W, 3].
        scale: By which the frame is made smaller first.
        min_score: Probability above which a face is one.

    Returns:
        Left, top, right, bottom in pixels of the frame, the surest face first.

    Raises:
        WrongConvention: If the frame is not 8-bit RGB.
    """
    require_pixels(frame, "S3FD")
    small = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    rgb = small.astype(np.float32) - np.array(MEAN[::-1], np.float32)
    scores, boxes = network(torch.from_numpy(rgb.transpose(2, 0, 1)[None].copy()))
    height, width = frame.shape[:2]
    kept = _suppressed(scores.numpy(), boxes.numpy(), MIN_CANDIDATE, CANDIDATE_IOU)
    found = boxes.numpy()[kept[:MAX_CANDIDATES]] * np.array([width, height] * 2, np.float32)
    strength = scores.numpy()[kept[:MAX_CANDIDATES]]
    return found[_suppressed(strength, found, min_score, FINAL_IOU)]


def _suppressed(
    scores: np.ndarray, boxes: np.ndarray, min_score: float, max_iou: float
) -> np.ndarray:
    """Rows above a score, the surest first, without those that overlap a surer one."""
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] > min_score]
    kept: list[int] = []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(int(best))
        low = np.maximum(boxes[best, :2], boxes[order, :2])
        high = np.minimum(boxes[best, 2:], boxes[order, 2:])
        shared = np.prod(np.clip(high - low, 0, None), axis=1)
        areas = np.prod(boxes[order, 2:] - boxes[order, :2], axis=1)
        union = areas - shared + np.prod(boxes[best, 2:] - boxes[best, :2])
        order = order[shared <= max_iou * union]
    return np.array(kept, int)


def _anchors(rows: int, columns: int, stride: int) -> Tensor:
    """Centre and size in pixels of the anchor of each cell, row by row."""
    y, x = torch.meshgrid(
        (torch.arange(rows) + 0.5) * stride, (torch.arange(columns) + 0.5) * stride, indexing="ij"
    )
    size = torch.full_like(x, 4 * stride)
    return torch.stack([x, y, size, size], dim=-1).reshape(-1, 4)


def _boxes(shifts: Float[Tensor, "P 4"], anchors: Float[Tensor, "P 4"]) -> Float[Tensor, "P 4"]:
    """Moves and scales anchors; returns corners."""
    centres = anchors[:, :2] + shifts[:, :2] * VARIANCES[0] * anchors[:, 2:]
    sizes = anchors[:, 2:] * torch.exp(shifts[:, 2:] * VARIANCES[1])
    low = centres - sizes / 2
    return torch.cat([low, low + sizes], dim=1)


def _vgg() -> list[nn.Module]:
    layers: list[nn.Module] = []
    for stage, widths in enumerate(_STAGES):
        for inputs, outputs in pairwise(widths):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
        layers.append(nn.MaxPool2d(2, 2, ceil_mode=stage == 2))
    layers += [nn.Conv2d(512, 1024, 3, padding=6, dilation=6), nn.ReLU()]
    return [*layers, nn.Conv2d(1024, 1024, 1), nn.ReLU()]
