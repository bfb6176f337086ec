"""ArcFace's ResNet-18 for grey faces, the network of VBench-2.0's human identity.

Modules are named so that the state dict that VBench-2.0 loads, ``resnet18_110.pth``, loads by key.
Shape letters: N faces, C channels, H and W pixels.
"""

import cv2
import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from evals.extractors.networks.door import require_pixels, require_range
from streamchar_ref.core.one_thread import one_thread

SIDE = 128
EMBEDDING_SIZE = 512
FEATURE_SIZE = 2 * EMBEDDING_SIZE
"""Of a face and of its mirror image."""
WIDTHS = (64, 128, 256, 512)


class Block(nn.Module):
    """Two convolutions added to their input; both rectifiers share their slope.

    Args:
        given: Channels in.
        made: Channels out.
        stride: Of the second convolution.
    """

    def __init__(self, given: int, made: int, stride: int) -> None:
        super().__init__()
        self.bn0 = nn.BatchNorm2d(given)
        self.conv1 = nn.Conv2d(given, given, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(given)
        self.prelu = nn.PReLU()
        self.conv2 = nn.Conv2d(given, made, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(made)
        self.downsample: nn.Module = nn.Identity()
        if stride > 1 or given != made:
            self.downsample = nn.Sequential(
                nn.Conv2d(given, made, 1, stride=stride, bias=False), nn.BatchNorm2d(made)
            )

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N _ _ _"]:
        """Applies both."""
        inner = self.prelu(self.bn1(self.conv1(self.bn0(x))))
        made: Tensor = self.prelu(self.bn2(self.conv2(inner)) + self.downsample(x))
        return made


class Face18(nn.Module):
    """Grey faces of 128 px to 512 numbers.

    Source:
        Deng et al., ArcFace, CVPR 2019; as in ronghuaiyang/arcface-pytorch without squeeze and
        excitation, rewritten.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, WIDTHS[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        self.prelu = nn.PReLU()
        self.maxpool = nn.MaxPool2d(2)
        given = WIDTHS[0]
        for at, made in enumerate(WIDTHS, start=1):
            stride = 1 if at == 1 else 2
            layer = nn.Sequential(Block(given, made, stride), Block(made, made, 1))
            setattr(self, f"layer{at}", layer)
            given = made
        self.bn4 = nn.BatchNorm2d(given)
        self.fc5 = nn.Linear(given * (SIDE // 16) ** 2, EMBEDDING_SIZE)
        self.bn5 = nn.BatchNorm1d(EMBEDDING_SIZE)

    def forward(self, faces: Float[Tensor, "N 1 128 128"]) -> Float[Tensor, "N 512"]:
        """Embeds grey faces in [-1, 1].

        Args:
            faces: See `grey_pair`.

        Returns:
            Embeddings, not of unit length.

        Raises:
            WrongConvention: If values are outside [-1, 1], or none is negative.
        """
        require_range(faces, -1.0, 1.0, "ArcFace's ResNet-18")
        return self.embed(faces)

    def embed(self, faces: Float[Tensor, "N 1 128 128"]) -> Float[Tensor, "N 512"]:
        """Embeds what `grey_pair` made, however bright it is."""
        x = self.maxpool(self.prelu(self.bn1(self.conv1(faces))))
        for at in range(1, len(WIDTHS) + 1):
            x = getattr(self, f"layer{at}")(x)
        made: Tensor = self.bn5(self.fc5(self.bn4(x).flatten(1)))
        return made


def load_face18(path: str) -> Face18:
    """Reads a state dict without running pickled code; keys may begin with ``module.``."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    network = Face18()
    network.load_state_dict({key.removeprefix("module."): value for key, value in state.items()})
    return network.eval()


def grey_pair(face: np.ndarray) -> Float[Tensor, "2 1 128 128"]:
    """Prepares a face as VBench-2.0 does.

    Args:
        face: RGB, uint8 [H, W, 3].

    Returns:
        Scaled to 128 px bilinearly, grey, (x - 127.5) / 127.5; the face and its mirror image.

    Raises:
        WrongConvention: If it is not 8-bit RGB.
    """
    scaled = cv2.resize(require_pixels(face, "ArcFace's ResNet-18"), (SIDE, SIDE))
    grey = cv2.cvtColor(scaled, cv2.COLOR_RGB2GRAY)
    pair = np.stack([grey, grey[:, ::-1]]).astype(np.float32)
    return torch.from_numpy((pair - 127.5) / 127.5)[:, None]


@one_thread()
@torch.inference_mode()
def embed_face(network: Face18, face: np.ndarray) -> Float32[np.ndarray, " 1024"]:
    """Embeds one uint8 RGB face and its mirror image, joined, of unit length."""
    joined = network.embed(grey_pair(face)).flatten().numpy()
    unit: np.ndarray = joined / max(float(np.linalg.norm(joined)), 1e-12)
    return unit
