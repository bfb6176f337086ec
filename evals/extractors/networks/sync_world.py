"""The network of `sync_world`: SyncNet's two streams in a small form.

As in SyncNet, a window is 5 frames of picture and 0.2 s of sound, there is a window at every
frame, each stream maps its windows to one space, and nothing but the L2 distance compares them.

Shape letters: B stretches, T frames, N = T - 4 windows, H mel frames, M mel bands, E dimensions.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

WINDOW_FRAMES = 5
WINDOW_MEL_FRAMES = 20
MEL_FRAMES_A_FRAME = 4
CROP_PX = 48
NUM_MELS = 40
EMBEDDING_SIZE = 64


class SyncWorld(nn.Module):
    """Embeds windows of mouth and of sound.

    The last coordinate is the same constant everywhere: it changes no distance between a mouth
    and a sound, and puts the zero vector, which stands for sound from outside the stream, as far
    away as a wrong sound.

    Source:
        Two streams, windows and distance after Chung and Zisserman, Out of Time: Automated Lip
        Sync in the Wild, ACCVW 2016; layers are our own.
    """

    embedding_size = EMBEDDING_SIZE

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("outside", torch.zeros(()))
        self.outside: Tensor
        self.motion = nn.Sequential(
            nn.Conv3d(1, 32, (WINDOW_FRAMES, 5, 5), (1, 3, 3), (0, 1, 1), bias=False),
            nn.BatchNorm3d(32),
            nn.ReLU(),
        )
        self.mouth = nn.Sequential(
            *_layer(nn.Conv2d(32, 64, 3, 2, 1, bias=False)),
            *_layer(nn.Conv2d(64, 96, 3, 2, 1, bias=False)),
            *_layer(nn.Conv2d(96, 128, 3, 1, 1, bias=False)),
            *_layer(nn.Conv2d(128, 160, 4, bias=False)),
        )
        self.mouth.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.mouth_head = nn.Linear(160, EMBEDDING_SIZE - 1)
        self.tone = nn.Sequential(*_layer(nn.Conv2d(1, 16, (3, 5), (1, 2), bias=False)))
        self.sound = nn.Sequential(
            *_layer(nn.Conv1d(16 * 18, 128, 5, bias=False)),
            *_layer(nn.Conv1d(128, 128, 4, 2, bias=False)),
            *_layer(nn.Conv1d(128, 160, 4, 2, bias=False)),
            *_layer(nn.Conv1d(160, 192, 2, bias=False)),
        )
        self.sound_head = nn.Conv1d(192, EMBEDDING_SIZE - 1, 1)

    def embed_mouth(self, crops: Float[Tensor, "B T 48 48"]) -> Float[Tensor, "B N E"]:
        """Embeds every window of five neighbouring grey crops, values in [0, 1].

        Each frame is brought to mean 0 and deviation 1 by itself, so that light, exposure and
        colour do not count, and a window depends on nothing but its own frames.
        """
        motion = self.motion(_levelled(crops)[:, None])
        batch, channels, windows, height, width = motion.shape
        flat = motion.transpose(1, 2).reshape(batch * windows, channels, height, width)
        flat = self.mouth(flat.contiguous(memory_format=torch.channels_last)).flatten(1)
        return self._placed(self.mouth_head(flat).float().view(batch, windows, -1))

    def embed_sound(self, features: Float[Tensor, "B H M"]) -> Float[Tensor, "B N2 E"]:
        """Embeds the sound at every video frame, 20 frames of log-mel each."""
        tone = self.tone(features[:, None])  # B, 16, H - 2, 18
        bands = tone.transpose(2, 3).flatten(1, 2)
        return self._placed(self.sound_head(self.sound(bands)).float().transpose(1, 2))

    def _placed(self, embedding: Tensor) -> Tensor:
        constant = self.outside.expand(*embedding.shape[:-1], 1)
        return torch.cat([embedding, constant], dim=-1)


def _levelled(crops: Tensor) -> Tensor:
    mean = crops.mean(dim=(2, 3), keepdim=True)
    deviation = crops.std(dim=(2, 3), keepdim=True)
    return (crops - mean) / (deviation + 0.02)


def _layer(layer: nn.Conv1d | nn.Conv2d) -> tuple[nn.Module, nn.Module, nn.Module]:
    norm = nn.BatchNorm1d if isinstance(layer, nn.Conv1d) else nn.BatchNorm2d
    return layer, norm(layer.out_channels), nn.ReLU()
