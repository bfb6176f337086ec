"""Kinds of failure in long speech that an error rate does not distinguish: loops, skips, stops.

Shape letters: N reference words, M heard words, R runs.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from evals.text.align import Alignment

MIN_LOOP_WORDS = 3  # a repetition of two words is as often a recogniser error
MIN_SHARE_REPEATED = 0.75  # of a loop's words: one misrecognised word must not hide it
ANCHOR_HITS = 2  # one hit after a long gap is as often chance
NGRAM = 4


@dataclass(frozen=True, kw_only=True)
class Run:
    """Consecutive words.

    Attributes:
        start: Index of the first.
        stop: Index after the last.
    """

    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, kw_only=True)
class Failures:
    """Failures of one recording, as runs of words.

    Attributes:
        loops: Runs of heard words that repeat what was heard just before.
        longest_insertion: Longest run of inserted words, in words.
        excess_ngrams: Heard 4-grams beyond their count in the reference; one of each is free.
        skips: Runs of reference words left out before the speech ended.
        num_words: Reference words.
        num_reached: Reference words up to the last one that was reliably said.
        num_misplaced: Heard words that occur in the reference, but in another order.
    """

    loops: tuple[Run, ...]
    longest_insertion: int
    excess_ngrams: int
    skips: tuple[Run, ...]
    num_words: int
    num_reached: int
    num_misplaced: int

    @property
    def longest_skip(self) -> int:
        """Words in the longest skip."""
        return max(map(len, self.skips), default=0)

    @property
    def completion(self) -> float:
        """Share of the reference words up to where the speech ended."""
        return self.num_reached / self.num_words

    @property
    def early_stop_words(self) -> int:
        """Reference words after the end of the speech."""
        return self.num_words - self.num_reached


def runs(mask: Bool[np.ndarray, " N"]) -> list[Run]:
    """Returns the runs of true values in order."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [Run(start=int(a), stop=int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def is_loop(heard: Sequence[str], run: Run) -> bool:
    """Whether a run of heard words repeats, with some period, what was heard just before it."""
    if len(run) < MIN_LOOP_WORDS:
        return False
    first = max(0, run.start - len(run))
    codes: dict[str, int] = {}
    words = np.array([codes.setdefault(word, len(codes)) for word in heard[first : run.stop]])
    start = run.start - first
    for period in range(1, start + 1):
        same = int((words[start:] == words[start - period : len(words) - period]).sum())
        if same >= MIN_SHARE_REPEATED * len(run):
            return True
    return False


def excess_ngrams(reference: Sequence[str], heard: Sequence[str], n: int = NGRAM) -> int:
    """Counts heard n-grams beyond their count in the reference; the first of each is free."""
    expected, observed = _ngrams(reference, n), _ngrams(heard, n)
    return sum(max(0, count - max(1, expected[gram])) for gram, count in observed.items())


def _ngrams(words: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(words[i:] for i in range(n)), strict=False))


def num_reached(alignment: Alignment) -> int:
    """Counts the reference words up to the last one that was reliably said.

    Words after a long run of deletions count only if at least `ANCHOR_HITS` of them are hits:
    otherwise a stray last word could match anywhere in the rest of the text.

    Args:
        alignment: Of reference and heard words.

    Returns:
        Index after that word; 0 if there is none.
    """
    hits: Int[np.ndarray, " H"] = alignment.reference_index[alignment.is_hit]
    for gap in reversed(runs(alignment.is_deleted)):
        num_after = int((hits >= gap.stop).sum())
        if num_after >= ANCHOR_HITS or (num_after and len(gap) <= ANCHOR_HITS):
            break
        hits = hits[hits < gap.start]
    return int(hits[-1]) + 1 if len(hits) else 0


def find_failures(reference: Sequence[str], heard: Sequence[str], alignment: Alignment) -> Failures:
    """Classifies the errors of one recording.

    Args:
        reference: Words of the transcript.
        heard: Words of the recogniser.
        alignment: Of the two.

    Returns:
        Loops, skips and how far the speech got.
    """
    insertions = runs(alignment.is_inserted)
    reached = num_reached(alignment)
    shared = (Counter(reference) & Counter(heard)).total()
    return Failures(
        loops=tuple(run for run in insertions if is_loop(heard, run)),
        longest_insertion=max(map(len, insertions), default=0),
        excess_ngrams=excess_ngrams(reference, heard),
        skips=tuple(run for run in runs(alignment.is_deleted) if run.start < reached),
        num_words=len(reference),
        num_reached=reached,
        num_misplaced=shared - alignment.num_hits,
    )


def seconds_per_word(alignment: Alignment, span_s: Float[np.ndarray, "M 2"]) -> float:
    """Mean time from one spoken reference word to the next; NaN for fewer than two.

    Args:
        alignment: Of reference and heard words.
        span_s: Start and end of each heard word.

    Returns:
        Seconds, including pauses, over reference neighbours that were both said.
    """
    start_s = span_s[alignment.heard_index, 0]
    is_next = np.diff(alignment.reference_index) == 1
    steps = np.diff(start_s)[is_next & (np.diff(alignment.heard_index) == 1)]
    return float(steps.mean()) if len(steps) else float("nan")
