"""SyncNet: two stacks of convolutions that map mouth and sound to one space.

Modules are named so that the official state dict, ``syncnet_v2.model``, loads by key.
Shape letters: B sound windows, N mouth windows, F = N + 4 frames.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

WINDOW_FRAMES = 5
WINDOW_MFCC_FRAMES = 20
CROP_SIZE = 224


class SyncNet(nn.Module):
    """Embeds windows of 0.2 s of picture and of sound.

    Args:
        embedding_size: 1024 in the official weights.

    Source:
        Chung and Zisserman, Out of Time: Automated Lip Sync in the Wild, ACCVW 2016; layer shapes
        as in joonson/syncnet_python (MIT).
    """

    def __init__(self, embedding_size: int = 1024) -> None:
        super().__init__()
        self.embedding_size = embedding_size
        self.netcnnaud = nn.Sequential(
            *_convolution(nn.Conv2d(1, 64, 3, padding=1)),
            nn.MaxPool2d(1, 1),
            *_convolution(nn.Conv2d(64, 192, 3, padding=1)),
            nn.MaxPool2d(3, (1, 2)),
            *_convolution(nn.Conv2d(192, 384, 3, padding=1)),
            *_convolution(nn.Conv2d(384, 256, 3, padding=1)),
            *_convolution(nn.Conv2d(256, 256, 3, padding=1)),
            nn.MaxPool2d(3, 2),
            *_convolution(nn.Conv2d(256, 512, (5, 4))),
        )
        self.netcnnlip = nn.Sequential(
            *_convolution(nn.Conv3d(3, 96, (5, 7, 7), (1, 2, 2))),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *_convolution(nn.Conv3d(96, 256, (1, 5, 5), (1, 2, 2), (0, 1, 1))),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
            *_convolution(nn.Conv3d(256, 256, (1, 3, 3), padding=(0, 1, 1))),
            *_convolution(nn.Conv3d(256, 256, (1, 3, 3), padding=(0, 1, 1))),
            *_convolution(nn.Conv3d(256, 256, (1, 3, 3), padding=(0, 1, 1))),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *_convolution(nn.Conv3d(256, 512, (1, 6, 6))),
        )
        self.netfcaud = _head(embedding_size)
        self.netfclip = _head(embedding_size)

    def embed_sound(self, mfcc: Float[Tensor, "B 13 20"]) -> Float[Tensor, "B E"]:
        """Embeds windows of 20 frames of cepstral coefficients."""
        return self.netfcaud(self.netcnnaud(mfcc[:, None]).flatten(1))

    def embed_mouth(self, frames: Float[Tensor, "3 F 224 224"]) -> Float[Tensor, "N E"]:
        """Embeds every window of five neighbouring frames, BGR in 0..255.

        Only the first layer spans time, so that running densely over frames gives each window
        what it would get alone, without reading each frame five times.
        """
        return self.netfclip(self.netcnnlip(frames[None])[0].flatten(1).T)


def load_syncnet(path: str) -> SyncNet:
    """Reads a state dict without running pickled code."""
    network = SyncNet()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return network.eval()


def _convolution(layer: nn.Conv2d | nn.Conv3d) -> tuple[nn.Module, nn.Module, nn.Module]:
    norm = nn.BatchNorm2d if isinstance(layer, nn.Conv2d) else nn.BatchNorm3d
    return layer, norm(layer.out_channels), nn.ReLU(inplace=True)


def _head(embedding_size: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, embedding_size)
    )
