"""Aligns recognised words with reference words, and places both in time.

Shape letters: N reference words, M recognised words ("heard"), P aligned pairs, E errors,
K windows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from rapidfuzz.distance import Levenshtein

from evals.text.normalise import split_word


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """A minimum-edit alignment; words that are neither deleted nor inserted pair up in order.

    Attributes:
        is_deleted: Reference words without a heard word, shape [N].
        is_inserted: Heard words without a reference word, shape [M].
        is_hit: Pairs of equal words; the others are substitutions, shape [P].
    """

    is_deleted: Bool[np.ndarray, " N"]
    is_inserted: Bool[np.ndarray, " M"]
    is_hit: Bool[np.ndarray, " P"]

    @property
    def reference_index(self) -> Int[np.ndarray, " P"]:
        """Reference word of each pair."""
        return np.flatnonzero(~self.is_deleted)

    @property
    def heard_index(self) -> Int[np.ndarray, " P"]:
        """Heard word of each pair."""
        return np.flatnonzero(~self.is_inserted)

    @property
    def num_hits(self) -> int:
        """Pairs of the same word."""
        return int(self.is_hit.sum())

    @property
    def num_substitutions(self) -> int:
        """Pairs of different words."""
        return len(self.is_hit) - self.num_hits

    @property
    def num_deletions(self) -> int:
        """Reference words not heard."""
        return int(self.is_deleted.sum())

    @property
    def num_insertions(self) -> int:
        """Heard words not asked for."""
        return int(self.is_inserted.sum())

    @property
    def num_errors(self) -> int:
        """The edit distance."""
        return self.num_substitutions + self.num_deletions + self.num_insertions


def align(reference: Sequence[str], heard: Sequence[str]) -> Alignment:
    """Aligns heard words with reference words by the fewest edits.

    Ties are broken in favour of few, long and late gaps, so that a skip is one run of deletions
    and truncated speech ends in one.

    Args:
        reference: Words of the transcript.
        heard: Words of the recogniser.

    Returns:
        Deletions, insertions and pairs.

    Source:
        Edit distance by rapidfuzz; same counts as ``jiwer.process_words``, checked in
        ``tests/evals/text/test_text_align.py``.
    """
    codes: dict[str, int] = {}
    first, second = ([codes.setdefault(w, len(codes)) for w in ws] for ws in (reference, heard))
    is_deleted, is_inserted = np.zeros(len(first), dtype=bool), np.zeros(len(second), dtype=bool)
    for edit in Levenshtein.editops(first, second):
        if edit.tag == "delete":
            is_deleted[edit.src_pos] = True
        elif edit.tag == "insert":
            is_inserted[edit.dest_pos] = True
    is_deleted = _merge_gaps(
        first, is_deleted, [w for w, x in zip(second, is_inserted, strict=True) if not x]
    )
    is_inserted = _merge_gaps(
        second, is_inserted, [w for w, x in zip(first, is_deleted, strict=True) if not x]
    )
    is_hit = np.array(first, dtype=int)[~is_deleted] == np.array(second, dtype=int)[~is_inserted]
    return Alignment(is_deleted=is_deleted, is_inserted=is_inserted, is_hit=is_hit)


def _merge_gaps(
    words: Sequence[int], is_gap: Bool[np.ndarray, " N"], partners: Sequence[int]
) -> Bool[np.ndarray, " N"]:
    """Moves gaps at no cost, so that they form fewer and later runs.

    Args:
        words: One of the two sequences.
        is_gap: Its words without a partner.
        partners: Partners of the other words, in order.

    Returns:
        Equally many gaps at the same edit distance.
    """
    gap = is_gap.tolist()
    start, pair = 0, 0  # ``pair``: index of the partner of the word at ``start``
    while start < len(words):
        if not gap[start]:
            start, pair = start + 1, pair + 1
            continue
        end = start
        while end < len(words) and gap[end]:
            end += 1
        start, pair = _join_left(words, gap, partners, (start, end, pair))
        start, end, pair = _slide_right(words, gap, partners, (start, pair))
        start = end
    return np.array(gap, dtype=bool)


def _join_left(
    words: Sequence[int], gap: list[bool], partners: Sequence[int], run: tuple[int, int, int]
) -> tuple[int, int]:
    """Moves the run [start, end) left if that merges it with another; a run at the end stays."""
    start, end, pair = run
    if end == len(words):
        return start, pair
    left, right, partner = start, end, pair
    while left > 0 and not gap[left - 1]:
        if not _may_move(partners[partner - 1], words[left - 1], words[right - 1]):
            return start, pair
        left, right, partner = left - 1, right - 1, partner - 1
    if left == 0:
        return start, pair
    gap[left:end] = [True] * (right - left) + [False] * (end - right)
    while left > 0 and gap[left - 1]:
        left -= 1
    return left, partner


def _slide_right(
    words: Sequence[int], gap: list[bool], partners: Sequence[int], run: tuple[int, int]
) -> tuple[int, int, int]:
    """Moves the run at ``start`` right as far as possible, merging the runs it meets."""
    start, pair = run
    end = start
    while end < len(words):
        if gap[end]:
            end += 1
        elif _may_move(partners[pair], words[end], words[start]):
            gap[start], gap[end] = False, True
            start, end, pair = start + 1, end + 1, pair + 1
        else:
            break
    return start, end, pair


def _may_move(partner: int, word: int, other: int) -> bool:
    """Whether pairing a partner with ``other`` instead of ``word`` costs no edit."""
    return partner == other or partner != word


def place_words(
    words: Sequence[str], heard: Sequence[str], span_s: Float[np.ndarray, "M 2"], normaliser: str
) -> Float[np.ndarray, "N 2"]:
    """Assigns a time span to each normalised word.

    A normaliser may join words (``twenty one``) or split them (``don't``); words made of several
    recognised ones share their time evenly.

    Args:
        words: Normalised words of the whole recognised text.
        heard: The words as the recogniser wrote them.
        span_s: Start and end of each of those.
        normaliser: Name of the normaliser that made ``words``.

    Returns:
        Start and end of each normalised word.
    """
    parts = [split_word(word, normaliser) for word in heard]
    word_by_word = [word for part in parts for word in part]
    spans = np.array(
        [
            piece
            for part, span in zip(parts, span_s, strict=True)
            for piece in _shares(span, len(part))
        ]
    ).reshape(-1, 2)
    placed = np.zeros((len(words), 2))
    from_single, from_word = 0, 0
    for block in Levenshtein.editops(word_by_word, list(words)).as_matching_blocks():
        hull = _hull(spans, from_single, block.a)
        placed[from_word : block.b] = _shares(hull, block.b - from_word)
        from_single, from_word = block.a + block.size, block.b + block.size
        placed[block.b : from_word] = spans[block.a : from_single]
    return placed


def _shares(span: Float[np.ndarray, "2"], count: int) -> Float[np.ndarray, "K 2"]:
    """Divides a span into ``count`` equal ones."""
    edges = np.linspace(span[0], span[1], count + 1)
    return np.stack([edges[:-1], edges[1:]], axis=1)


def _hull(spans: Float[np.ndarray, "M 2"], first: int, last: int) -> Float[np.ndarray, "2"]:
    """From the start of word ``first`` to the end of word ``last - 1``, or the gap before."""
    if last > first:
        return np.array([spans[first, 0], spans[last - 1, 1]])
    before = spans[first - 1, 1] if first > 0 else 0.0
    after = spans[first, 0] if first < len(spans) else before
    return np.array([before, after])


def reference_times_s(
    alignment: Alignment, span_s: Float[np.ndarray, "M 2"], duration_s: float
) -> Float[np.ndarray, " N"]:
    """Assigns a time to each reference word.

    Args:
        alignment: Of reference and heard words.
        span_s: Start and end of each heard word.
        duration_s: Length of the recording; final deletions lie between the last word and its end.

    Returns:
        The middle of the heard word for a pair; interpolated between neighbours for a deletion.
    """
    middles = span_s.mean(axis=1)[alignment.heard_index]
    paired = np.concatenate([[-1], alignment.reference_index, [len(alignment.is_deleted)]])
    times = np.concatenate([[0.0], middles, [max([duration_s, *middles[-1:]])]])
    return np.interp(np.arange(len(alignment.is_deleted)), paired, times)


def operations_s(
    alignment: Alignment, span_s: Float[np.ndarray, "M 2"], duration_s: float
) -> list[tuple[float, str]]:
    """Lists the edit operations in order of time.

    Args:
        alignment: Of reference and heard words.
        span_s: Start and end of each heard word.
        duration_s: Length of the recording.

    Returns:
        Time and ``equal``, ``sub`` or ``del`` for each reference word, ``ins`` for each insertion.
    """
    tags = np.where(alignment.is_deleted, "del", "sub").astype("<U5")
    tags[alignment.reference_index[alignment.is_hit]] = "equal"
    times = reference_times_s(alignment, span_s, duration_s)
    inserted = span_s.mean(axis=1)[alignment.is_inserted]
    edits = [*zip(times.tolist(), tags.tolist(), strict=True), *((t, "ins") for t in inserted)]
    return sorted((round(float(t), 3), str(tag)) for t, tag in edits)


def error_times_s(
    alignment: Alignment, span_s: Float[np.ndarray, "M 2"], duration_s: float
) -> Float[np.ndarray, " E"]:
    """Times of all errors: of the reference word, or of the heard word if it was inserted."""
    reference_s = reference_times_s(alignment, span_s, duration_s)
    is_wrong = alignment.is_deleted.copy()
    is_wrong[alignment.reference_index[~alignment.is_hit]] = True
    inserted_s = span_s.mean(axis=1)[alignment.is_inserted]
    return np.sort(np.concatenate([reference_s[is_wrong], inserted_s]))


def error_curve(
    alignment: Alignment,
    span_s: Float[np.ndarray, "M 2"],
    duration_s: float,
    *,
    window_s: float = 15.0,
) -> Float[np.ndarray, "K 3"]:
    """Computes the error rate in windows of playing time.

    Args:
        alignment: Of reference and heard words.
        span_s: Start and end of each heard word.
        duration_s: Length of the recording.
        window_s: Length of a window; the last one may be shorter.

    Returns:
        Start, end and rate of each window: errors per reference word, NaN without reference words.
    """
    if duration_s <= 0:
        return np.zeros((0, 3))
    edges = np.append(np.arange(0, duration_s, window_s), duration_s)
    reference_s = reference_times_s(alignment, span_s, duration_s)
    error_s = error_times_s(alignment, span_s, duration_s)
    words, errors = (
        np.histogram(np.clip(times, 0, duration_s), bins=edges)[0]
        for times in (reference_s, error_s)
    )
    rates = np.divide(errors, words, out=np.full(len(words), np.nan), where=words > 0)
    return np.stack([edges[:-1], edges[1:], rates], axis=1)
