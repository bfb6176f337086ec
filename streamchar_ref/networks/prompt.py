"""Prompt to vectors: a frozen T5 encoder and learned queries that gather what it says.

The small encoder is trained on the world's captions and then frozen. Its words are hashed, so no
word is unknown and no vocabulary travels; a word that captions never use may, one time in eight,
be taken for one that they do use. Pretrained encoders load by path, `PretrainedPrompt`.

Shape letters: B batch, N words, P vectors, E their width.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

BUCKETS = 1024
SALT = b"99667"
"""Under this salt no two of the 133 words of captions and voices share a bucket. Tried were 1.7
million; among those without collisions it has the fewest with other words that people write."""
_WORD = re.compile(r"[a-z]+|[0-9]+")


@dataclass(frozen=True, kw_only=True)
class PromptConfig:
    """Size of the prompt encoder.

    Attributes:
        width: E.
        num_layers: Of the encoder.
        num_heads: Attention heads.
        feed_forward: Width of its feed-forward layers.
        num_tokens: P.
    """

    width: int = 128
    num_layers: int = 2
    num_heads: int = 4
    feed_forward: int = 256
    num_tokens: int = 8


class PromptEncoder(nn.Module):
    """A small T5 encoder and P learned queries.

    Args:
        config: Its size.
    """

    def __init__(self, config: PromptConfig) -> None:
        super().__init__()
        from transformers import T5Config, T5EncoderModel

        self.encoder = T5EncoderModel(
            T5Config(
                vocab_size=BUCKETS,
                d_model=config.width,
                num_layers=config.num_layers,
                num_heads=config.num_heads,
                d_kv=config.width // config.num_heads,
                d_ff=config.feed_forward,
                dropout_rate=0.0,
            )
        )
        _attend_nearby(self.encoder)
        self.queries = nn.Parameter(torch.randn(config.num_tokens, config.width))

    def forward(self, texts: Sequence[str]) -> Float[Tensor, "B P E"]:
        """Returns vectors of deviation about 1; an empty text has some, too."""
        words = hashed_words(texts).to(self.queries.device)
        is_word = words > 0
        states = self.encoder(input_ids=words, attention_mask=is_word.long()).last_hidden_state
        logits = self.queries @ states.transpose(1, 2) / states.shape[-1] ** 0.5
        logits = logits.masked_fill(~is_word[:, None], torch.finfo(logits.dtype).min)
        gathered = logits.softmax(dim=-1) @ states
        return F.rms_norm(gathered, gathered.shape[-1:])


class PretrainedPrompt(nn.Module):
    """A pretrained T5 or UMT5 encoder from a folder; the first P tokens of its output.

    Args:
        path: Folder with weights and tokenizer of ``transformers``.
        num_tokens: P.
        dtype: Of its weights and vectors.
    """

    def __init__(self, path: Path, num_tokens: int, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        from transformers import AutoConfig, AutoTokenizer, T5EncoderModel, UMT5EncoderModel

        self.tokenizer = AutoTokenizer.from_pretrained(str(path), local_files_only=True)
        kind = AutoConfig.from_pretrained(str(path), local_files_only=True).model_type
        encoder = UMT5EncoderModel if kind == "umt5" else T5EncoderModel
        self.encoder = encoder.from_pretrained(str(path), local_files_only=True, dtype=dtype)
        self.num_tokens = num_tokens

    @torch.inference_mode()
    def forward(self, texts: Sequence[str]) -> Float[Tensor, "B P E"]:
        """Returns the encoder's states; padding is zero."""
        tokens = self.tokenizer(
            list(texts),
            max_length=self.num_tokens,
            padding="max_length",
            truncation=True,
            return_tensors="pt",
        ).to(self.encoder.device)
        states = self.encoder(**tokens).last_hidden_state
        return states * tokens["attention_mask"][..., None]


@torch.no_grad()
def _attend_nearby(encoder: nn.Module) -> None:
    """Begins with heads of different reach, so that a colour soon belongs to the noun beside it.

    Source:
        Press et al., arXiv:2108.12409: slopes of linear biases; here they are learned on.
    """
    bias = encoder.get_submodule("encoder.block.0.layer.0.SelfAttention.relative_attention_bias")
    assert isinstance(bias, nn.Embedding)
    num_buckets, num_heads = bias.weight.shape
    distance = torch.arange(num_buckets) % (num_buckets // 2)  # words after come second
    slopes = 2.0 ** (1 - 8 / num_heads * torch.arange(num_heads))
    bias.weight.copy_(-distance[:, None] * slopes)


def hashed_words(texts: Sequence[str]) -> Int64[Tensor, "B N"]:
    """Turns texts into numbers below `BUCKETS`, the same everywhere; 0 is padding, 1 the start."""
    rows = [[1, *(2 + _hash(word) for word in _WORD.findall(text.lower()))] for text in texts]
    longest = max(len(row) for row in rows)
    return torch.tensor([row + [0] * (longest - len(row)) for row in rows])


def _hash(word: str) -> int:
    digest = blake2b(word.encode(), digest_size=8, salt=SALT).digest()
    return int.from_bytes(digest, "little") % (BUCKETS - 2)
