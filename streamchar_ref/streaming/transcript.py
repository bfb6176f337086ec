"""A transcript that may still be arriving while it is being spoken."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from streamchar_ref.model.text import PhonemeText, empty_text, read_phonemes
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


class Transcript:
    """Pieces of text with the times at which they arrive.

    Args:
        pieces: Seconds after the request, rising from 0 or more, and words; or all words at once.

    Raises:
        UnreadableText: If no piece can be said, or one has letters of another script.
        ValueError: If the times fall.
    """

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

    def known(self, elapsed_s: float) -> TranscriptPrefix:
        """Returns what has arrived so many seconds after the request."""
        count = sum(t_s <= elapsed_s for t_s in self._times)
        return TranscriptPrefix(text=self._texts[count], is_final=count == len(self._times))

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
