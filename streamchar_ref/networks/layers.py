"""Attention, rotary positions and modulation, shared by context and noisy tokens.

Tokens come in segments that share a kind: G groups of N tokens, every group with a modulation of
its own (a noise level; for video also the sound of its latent frame).

Shape letters: B batch, G groups, N tokens, L all tokens of a call, D width, h heads, d head width.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

Kind = Literal["video", "audio", "text"]
KeyValue = tuple[Tensor, Tensor]
TIME_BASE, SPACE_BASE = 1000.0, 100.0


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Tokens of one role.

    Attributes:
        x: The tokens, [B, G, N, D].
        modulation: Shifts, scales and gates of each group, [B, G, 1, 6D].
        kind: Whose feed-forward layers they pass.
    """

    x: Tensor
    modulation: Tensor
    kind: Kind

    @property
    def num_tokens(self) -> int:
        """Tokens of all groups."""
        return self.x.shape[1] * self.x.shape[2]


class JointBlock(nn.Module):
    """One attention over all tokens, and feed-forward layers for each kind.

    Args:
        width: D.
        num_heads: h.
        expansion: Width of the feed-forward layers in units of D, for video and for audio.
        text_expansion: The same for a transcript; 0 for blocks that see none.

    Source:
        Modulation from one shared network plus a table in each block follows PixArt-alpha,
        arXiv:2310.00426; normalised queries and keys Dehghani et al., arXiv:2302.05442.
    """

    def __init__(
        self, width: int, num_heads: int, expansion: tuple[int, int], text_expansion: int = 0
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.query_scale = nn.Parameter(torch.ones(width // num_heads))
        self.key_scale = nn.Parameter(torch.ones(width // num_heads))
        self.out = nn.Linear(width, width, bias=False)
        video, audio = (feed_forward(width, factor) for factor in expansion)
        self.feed_forward = nn.ModuleDict({"video": video, "audio": audio})
        self.table = nn.Parameter(torch.randn(6 * width) / math.sqrt(width))
        last = [video[-1], audio[-1]]
        if text_expansion:
            text = feed_forward(width, text_expansion)
            self.feed_forward["text"] = text
            last.append(text[-1])
        for layer in (self.out, *last):
            nn.init.zeros_(layer.get_parameter("weight"))  # a new block changes nothing

    def forward(
        self,
        segments: Sequence[Segment],
        rotation: Float[Tensor, "2 L d2"],
        context: KeyValue | None = None,
        *,
        keys_only: bool = False,
    ) -> tuple[Sequence[Segment], KeyValue]:
        """Updates the tokens.

        Args:
            segments: They attend to each other and to the context.
            rotation: Rotary positions of all their tokens, see `rotary`.
            context: Keys and values of tokens that are attended to and not updated.
            keys_only: Leave the segments as they are: of the last block of a context, only keys
                and values are used.

        Returns:
            The segments, and their own keys and values.
        """
        mods = [(s.modulation + self.table).chunk(6, dim=-1) for s in segments]
        mixed = [
            modulate(s.x, m[0], m[1]).flatten(1, 2) for s, m in zip(segments, mods, strict=True)
        ]
        query, own = self._project(torch.cat(mixed, dim=1), rotation)
        if keys_only:
            return segments, own
        key, value = own
        if context is not None:
            key, value = (torch.cat(pair, dim=2) for pair in zip(context, own, strict=True))
        attended = attention(query, key, value).transpose(1, 2).flatten(2)
        parts = self.out(attended).split([s.num_tokens for s in segments], dim=1)
        done = []
        for segment, mod, part in zip(segments, mods, parts, strict=True):
            x = segment.x + mod[2] * part.unflatten(1, segment.x.shape[1:3])
            y = self.feed_forward[segment.kind](modulate(x, mod[3], mod[4]))
            done.append(replace(segment, x=x + mod[5] * y))
        return done, own

    def _project(
        self, x: Float[Tensor, "B L D"], rotation: Float[Tensor, "2 L d2"]
    ) -> tuple[Float[Tensor, "B h L d"], KeyValue]:
        query, key, value = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).unbind(2)
        query, key = (F.rms_norm(t, t.shape[-1:]) for t in (query, key))
        query, key = query * self.query_scale, key * self.key_scale
        query, key, value = (t.transpose(1, 2).to(x.dtype) for t in (query, key, value))
        return rotate(query, rotation), (rotate(key, rotation), value)


def attention(
    query: Float[Tensor, "B h L d"], key: Float[Tensor, "B h M d"], value: Float[Tensor, "B h M d"]
) -> Float[Tensor, "B h L d"]:
    """Attends to everything, by the quickest way there is.

    In training on a CPU that is plain products: going back, the fused kernel takes several times
    as long in half precision.
    """
    if query.device.type == "cpu" and torch.is_grad_enabled():
        scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
        return scores.softmax(dim=-1) @ value
    return F.scaled_dot_product_attention(query, key, value)


def feed_forward(width: int, expansion: int) -> nn.Sequential:
    """Returns two linear layers with a GELU between."""
    return nn.Sequential(
        nn.Linear(width, expansion * width, bias=False),
        nn.GELU(),
        nn.Linear(expansion * width, width, bias=False),
    )


def modulate(
    x: Float[Tensor, "B G N D"],
    shift: Float[Tensor, " B #G 1 D"],
    scale: Float[Tensor, " B #G 1 D"],
) -> Float[Tensor, "B G N D"]:
    """Normalises tokens, then shifts and scales them."""
    return F.rms_norm(x, x.shape[-1:]) * (1 + scale) + shift


class TimestepEmbedding(nn.Module):
    """Noise level to a vector of width D.

    Args:
        width: D.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        frequencies = torch.exp(torch.linspace(0, math.log(1000.0), 32))
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.layers = nn.Sequential(nn.Linear(64, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, sigma: Float[Tensor, "*rest"]) -> Float[Tensor, "*rest D"]:
        """Returns one vector for each noise level."""
        angles = sigma[..., None] * self.get_buffer("frequencies")
        return self.layers(torch.cat([angles.sin(), angles.cos()], dim=-1))


def rotary(positions: Float[Tensor, "L 3"], head_width: int) -> Float[Tensor, "2 L d2"]:
    """Computes cosines and sines of rotary positions on one clock and two axes of the picture.

    Args:
        positions: Time in frames, row and column of each token.
        head_width: d, a multiple of 8: half of it turns with time, a quarter with each axis.

    Returns:
        Cosines and sines.

    Raises:
        ValueError: If the width cannot be shared out.

    Source:
        Su et al., RoFormer, arXiv:2104.09864.
    """
    if head_width % 8:
        raise ValueError(f"heads are {head_width} wide; rotary positions need a multiple of 8")
    shares = ((head_width // 4, TIME_BASE), *((head_width // 8, SPACE_BASE),) * 2)
    angles = [
        positions[:, axis, None] * base ** (-torch.arange(count) / count)
        for axis, (count, base) in enumerate(shares)
    ]
    turned = torch.cat(angles, dim=-1)
    return torch.stack([turned.cos(), turned.sin()])


def rotate(
    x: Float[Tensor, "B h L d"], rotation: Float[Tensor, "2 #L d2"]
) -> Float[Tensor, "B h L d"]:
    """Turns queries or keys by their positions, or all by the same."""
    cos, sin = rotation.to(x.dtype).unbind(0)
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)
