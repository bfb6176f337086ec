"""A transcript that may still be arriving while it is being spoken.

Shape letters: B batch, N phonemes of the longest transcript, W transcript window.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from streamchar_ref.networks.text import END, PhonemeText, empty_text, read_phonemes
from streamchar_ref.world.lexicon import UnreadableText

SLOWEST_PER_S = 5.0
"""Phonemes a second below which nobody speaks: the longest a stream may take is reckoned by it."""
SPARE_S = 6.0


@dataclass(frozen=True, kw_only=True)
class TranscriptPrefix:
    """As much of a transcript as has arrived.

    Attributes:
        text: Its phonemes.
        is_final: Whether nothing more will come.
    """

    text: PhonemeText
    is_final: bool


@dataclass(frozen=True, kw_only=True)
class TranscriptBatch:
    """Transcripts of several streams, as far as they have arrived, on the model's device.

    Attributes:
        tokens: See `PhonemeText.tokens`, padded, [B, N, 4]; N is at least 1.
        lengths: Phonemes of each, [B].
        is_final: Whether nothing more will come, [B].
    """

    tokens: Int64[Tensor, "B N 4"]
    lengths: Int64[Tensor, " B"]
    is_final: Bool[Tensor, " B"]

    @classmethod
    def of(
        cls, prefixes: Sequence[TranscriptPrefix], device: torch.device | str = "cpu"
    ) -> "TranscriptBatch":
        """Stacks transcripts."""
        lengths = [len(prefix.text) for prefix in prefixes]
        tokens = np.zeros((len(prefixes), max(1, *lengths), 4), np.int64)
        for row, prefix in zip(tokens, prefixes, strict=True):
            row[: len(prefix.text)] = prefix.text.tokens
        return cls(
            tokens=torch.from_numpy(tokens).to(device),
            lengths=torch.tensor(lengths, device=device),
            is_final=torch.tensor([prefix.is_final for prefix in prefixes], device=device),
        )

    def windows(
        self, place: Int64[Tensor, " B"], *, behind: int, ahead: int
    ) -> Int64[Tensor, "B W 4"]:
        """Cuts out what lies around a position of each, as `PhonemeText.window` does.

        Args:
            place: Phonemes that have been spoken.
            behind: Rows before the position.
            ahead: Rows from the position on.

        Returns:
            Tokens; padded where there is no text, and marked where a final one ends.
        """
        rows = place[:, None] - behind + torch.arange(behind + ahead, device=place.device)
        inside = (rows >= 0) & (rows < self.lengths[:, None])
        held = rows.clamp(0, self.tokens.shape[1] - 1)[..., None].expand(-1, -1, 4)
        window = torch.where(inside[..., None], self.tokens.gather(1, held), 0)
        is_end = (rows == self.lengths[:, None]) & self.is_final[:, None]
        window[..., 0] = torch.where(is_end, END, window[..., 0])
        return window


class Transcript:
    """Pieces of text with the times at which they arrive.

    Args:
        pieces: Seconds after the request, rising from 0 or more, and words; or all words at once.

    Raises:
        UnreadableText: If no piece can be said, or one has letters of another script.
        ValueError: If the times fall.
    """

    is_live = False
    """Whether text may come at any time: then a stream keeps going, and no text is waited for."""

    def __init__(self, pieces: str | Sequence[tuple[float, str]]) -> None:
        arrivals = [(0.0, pieces)] if isinstance(pieces, str) else list(pieces)
        self._times = [t_s for t_s, _ in arrivals]
        if self._times != sorted(self._times):
            raise ValueError(f"times of the transcript's pieces must rise, not {self._times}")
        self._texts = list(accumulate((_read(text) for _, text in arrivals), initial=empty_text()))
        if not len(self._texts[-1]):
            raise UnreadableText("the transcript has no words to say")

    @property
    def text(self) -> PhonemeText:
        """All of it."""
        return self._texts[-1]

    def prefix(self, elapsed_s: float) -> TranscriptPrefix:
        """Returns what has arrived so many seconds after the request."""
        count = sum(t_s <= elapsed_s for t_s in self._times)
        return TranscriptPrefix(text=self._texts[count], is_final=count == len(self._times))

    def said(self, spoken: float) -> None:
        """Learns how far a stream has got, in phonemes; a text of fixed times does not care."""

    @property
    def num_unsaid(self) -> float:
        """Phonemes still to be said, of a live transcript; 0 for others."""
        return 0.0

    @property
    def longest_s(self) -> float:
        """Playing time after which a stream is ended even if the model does not end it."""
        return self._times[-1] + len(self.text) / SLOWEST_PER_S + SPARE_S


def _read(piece: str) -> PhonemeText:
    """Reads a piece; one without letters, such as a full stop that came late, says nothing."""
    try:
        return read_phonemes(piece)
    except UnreadableText:
        if any(character.isalnum() for character in piece):
            raise
        return empty_text()
