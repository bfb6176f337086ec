"""Transcripts as phonemes: the tokens that the orchestrator reads and the pointer counts.

One token is one phoneme; where words begin, stress and punctuation ride on it, so that a position
in the tokens is a position in the speech. The front end is that of the world's speech.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from streamchar_ref.world.lexicon import Sentence, read_text
from streamchar_ref.world.tables import PHONES as PHONES

PAD, END = 0, 1
"""Tokens that are no phoneme: no text here yet; the transcript ends here."""
FIRST_PHONE = 2
NUM_TOKENS = FIRST_PHONE + len(PHONES)
MARKS = ("", ",", ";", ":", ".", "!", "?")
STRESSES = ("", "\u02cc", "\u02c8")
_TOKEN_OF = {phone: FIRST_PHONE + index for index, phone in enumerate(PHONES)}


@dataclass(frozen=True, kw_only=True)
class PhonemeText:
    """A transcript, or as much of it as has arrived.

    Attributes:
        tokens: A row a phoneme: token, whether a word begins, stress, mark after it, [N, 4].
        words: As spoken.
        word_starts: Index of each word's first phoneme.
    """

    tokens: Int64[np.ndarray, "N 4"]
    words: tuple[str, ...]
    word_starts: Int64[np.ndarray, " M"]

    def __len__(self) -> int:
        return len(self.tokens)

    def __add__(self, more: "PhonemeText") -> "PhonemeText":
        return PhonemeText(
            tokens=np.concatenate([self.tokens, more.tokens]),
            words=self.words + more.words,
            word_starts=np.concatenate([self.word_starts, more.word_starts + len(self)]),
        )

    def window(
        self, position: int, *, behind: int, ahead: int, is_final: bool
    ) -> Int64[np.ndarray, "W 4"]:
        """Cuts out what lies around a position.

        Args:
            position: Phonemes that have been spoken.
            behind: Rows before the position.
            ahead: Rows from the position on.
            is_final: Whether the transcript ends here; then the end is marked.

        Returns:
            Rows like `tokens`, padded where there is no text.
        """
        end = np.array([[END, 0, 0, 0]] * is_final, np.int64).reshape(-1, 4)
        rows = np.concatenate([self.tokens, end])
        window = np.zeros((behind + ahead, 4), np.int64)
        start = position - behind
        first, last = max(start, 0), min(start + behind + ahead, len(rows))
        if first < last:
            window[first - start : last - start] = rows[first:last]
        return window


def empty_text() -> PhonemeText:
    """Returns a transcript of which nothing has arrived."""
    return PhonemeText(
        tokens=np.zeros((0, 4), np.int64), words=(), word_starts=np.zeros(0, np.int64)
    )


def read_phonemes(transcript: str) -> PhonemeText:
    """Reads a transcript.

    Args:
        transcript: English text.

    Returns:
        Its phonemes.

    Raises:
        UnreadableText: If there is nothing that can be said.
        WeightsMissing: If the dictionary is not on this machine.
    """
    return phonemes_of(read_text(transcript))


def phonemes_of(sentences: Iterable[Sentence]) -> PhonemeText:
    """Flattens sentences that are read already."""
    rows: list[tuple[int, int, int, int]] = []
    words, starts = [], []
    for word in (word for sentence in sentences for word in sentence):
        words.append(word.text)
        starts.append(len(rows))
        for index, phoneme in enumerate(word.phonemes):
            is_last = index == len(word.phonemes) - 1
            mark = MARKS.index(word.mark) if is_last else 0
            stress = STRESSES.index(phoneme.stress)
            rows.append((_TOKEN_OF[phoneme.phone], int(index == 0), stress, mark))
    return PhonemeText(
        tokens=np.array(rows, np.int64).reshape(-1, 4),
        words=tuple(words),
        word_starts=np.array(starts, np.int64),
    )
