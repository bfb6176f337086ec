"""A transcript that a conversation writes while it is being spoken."""

import math
import threading
from dataclasses import dataclass, replace

from streamchar_ref.networks.text import PhonemeText, empty_text, read_phonemes
from streamchar_ref.streaming.transcript import (
    SLOWEST_PER_S,
    SPARE_S,
    Transcript,
    TranscriptPrefix,
)
from streamchar_ref.world.lexicon import UnreadableText

_NOTHING_NEW = "the transcript is finished; open a new stream for more text"


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Text that came in at once.

    Attributes:
        typed: As it was given.
        text: Its phonemes, all of them.
        start: Its place in the transcript, in phonemes.
        length: How many of its phonemes belong to the transcript; the others were replaced.
    """

    typed: str
    text: PhonemeText
    start: int = 0
    length: int


def read_piece(text: str) -> Piece:
    """Reads text that is to be said; slow for words that no dictionary has.

    Args:
        text: English text.

    Returns:
        The piece, for `LiveTranscript`.

    Raises:
        UnreadableText: If there is nothing that can be said.
    """
    phonemes = read_phonemes(text)
    return Piece(typed=text, text=phonemes, length=len(phonemes))


class LiveTranscript(Transcript):
    """Text that is added and replaced while a stream says it; for any number of threads.

    Until it is finished, a stream that has said all goes on in silence. The engine reports the
    pointer of its stream by `said`, before the next chunk asks for its prefix.

    Args:
        text: What to say first, if anything.

    Raises:
        UnreadableText: If it cannot be said.
    """

    is_live = True

    def __init__(self, text: str | Piece = "") -> None:  # nothing of a scheduled one is used
        self._lock = threading.Lock()
        self._pieces: tuple[Piece, ...] = ()
        self._rest: tuple[Piece, ...] | None = None  # of a replacement that is still to be made
        self._text = empty_text()
        self._spoken = self._elapsed_s = 0.0
        self._longest_s = math.inf
        if text:
            self.append(text)

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """What it is made of; another tuple after each change."""
        with self._lock:
            return self._pieces

    @property
    def text(self) -> PhonemeText:
        """All that is to be said so far."""
        with self._lock:
            return self._text

    @property
    def num_unsaid(self) -> float:
        """Phonemes that are still to be said."""
        with self._lock:
            return self._unsaid()

    @property
    def is_finished(self) -> bool:
        """Whether nothing more will come."""
        with self._lock:
            return self._longest_s < math.inf

    @property
    def longest_s(self) -> float:
        """Playing time after which a stream is ended; infinite until the transcript is finished."""
        with self._lock:
            return self._longest_s

    def said(self, spoken: float) -> None:
        """Moves the pointer, behind which nothing is replaced.

        Args:
            spoken: Phonemes begun, as in `AVChunk.spoken`.
        """
        with self._lock:
            self._spoken = max(self._spoken, spoken)

    def prefix(self, elapsed_s: float) -> TranscriptPrefix:
        """Returns what the next chunk may say; a replacement is made here, between two chunks.

        Args:
            elapsed_s: Seconds after the request.

        Returns:
            Phonemes, and whether nothing more will come.
        """
        with self._lock:
            self._elapsed_s = elapsed_s
            if self._rest is not None:
                self._replace(self._rest)
            return TranscriptPrefix(text=self._text, is_final=self._longest_s < math.inf)

    def append(self, text: str | Piece) -> None:
        """Adds text at the end.

        Args:
            text: English text.

        Raises:
            ValueError: If the transcript is finished.
            UnreadableText: If it cannot be said; then nothing changes.
        """
        self._take(_piece(text), replaces=False)

    def replace(self, text: str | Piece) -> None:
        """Swaps what has not been said for other text, as soon as the next chunk is begun.

        What has been said stays, up to the end of the word that is being said.

        Args:
            text: English text.

        Raises:
            ValueError: If the transcript is finished.
            UnreadableText: If it cannot be said; then nothing changes.
        """
        self._take(_piece(text), replaces=True)

    def finish(self) -> None:
        """Says that nothing more will come; the stream ends when all is said."""
        with self._lock:
            if self._longest_s == math.inf:
                self._longest_s = self._elapsed_s + self._unsaid() / SLOWEST_PER_S + SPARE_S

    def _unsaid(self) -> float:
        if self._rest is None:
            return max(len(self._text) - self._spoken, 0.0)
        kept = word_end(self._text, self._spoken) - self._spoken
        return kept + sum(piece.length for piece in self._rest)

    def _take(self, piece: Piece, *, replaces: bool) -> None:
        with self._lock:
            if self._longest_s < math.inf:
                raise ValueError(_NOTHING_NEW)
            if replaces:
                self._rest = (piece,)
            elif self._rest is not None:
                self._rest += (piece,)
            else:
                self._add(piece)

    def _add(self, piece: Piece) -> None:
        self._pieces += (replace(piece, start=len(self._text)),)
        self._text += piece.text

    def _replace(self, rest: tuple[Piece, ...]) -> None:
        end = word_end(self._text, self._spoken)
        self._pieces = tuple(
            replace(piece, length=min(piece.length, end - piece.start))
            for piece in self._pieces
            if piece.start < end
        )
        self._text, self._rest = _head(self._text, end), None
        for piece in rest:
            self._add(piece)


def word_end(text: PhonemeText, spoken: float) -> int:
    """Returns the phonemes up to the end of the last word that has been begun."""
    later = text.word_starts[text.word_starts >= spoken]
    return int(later[0]) if len(later) else len(text)


def _piece(text: str | Piece) -> Piece:
    piece = read_piece(text) if isinstance(text, str) else text
    if not piece.length:
        raise UnreadableText("there are no words to say")
    return piece


def _head(text: PhonemeText, end: int) -> PhonemeText:
    starts = text.word_starts[text.word_starts < end]
    return PhonemeText(
        tokens=text.tokens[:end], words=text.words[: len(starts)], word_starts=starts
    )
