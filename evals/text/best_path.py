"""The best path through alternating blanks and phonemes, in bounded memory.

Viterbi decoding keeps a step for each frame and state, which for an hour of speech and its text is
13 GB. So the forward pass keeps the scores at the beginnings of blocks alone, and the steps of a
block are computed again when the path is traced back through it. The path is the same.

Shape letters: T frames, B frames of a block, C classes, P phonemes, K = P - 1. Blank ``i`` stands
before phoneme ``i``; state ``2 i`` is blank ``i``, state ``2 i + 1`` phoneme ``i``.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float32, Int64, UInt8

KEPT_BYTES = 256 * 2**20
"""Of steps, one byte each, that are in memory at a time."""
_JUMPED = 3
"""Step into a state; below, how many states it advances."""


@dataclass(frozen=True, kw_only=True)
class _Scores:
    """Of the paths that end in each state, and of the best of them."""

    phonemes: Float32[np.ndarray, " P"]
    blanks: Float32[np.ndarray, " P+1"]
    top: np.float32

    @classmethod
    def before(cls, labels: Int64[np.ndarray, " P"], jump: float) -> "_Scores":
        """A path begins with the first blank or phoneme, or with a jump."""
        blanks = np.full(len(labels) + 1, -np.inf, np.float32)
        phonemes = np.full(len(labels), jump, np.float32)
        blanks[0] = phonemes[0] = 0
        return cls(blanks=blanks, phonemes=phonemes, top=np.float32(0))


@dataclass(frozen=True, kw_only=True)
class _Steps:
    """By which step each state of a block is entered."""

    phonemes: UInt8[np.ndarray, "B P"]
    blanks: UInt8[np.ndarray, "B P+1"]

    @classmethod
    def empty(cls, frames: int, phonemes: int) -> "_Steps":
        """Room for a block."""
        return cls(
            blanks=np.zeros((frames, phonemes + 1), np.uint8),
            phonemes=np.zeros((frames, phonemes), np.uint8),
        )

    def into(self, frame: int, state: int) -> int:
        """Returns the step into a state in a frame of the block."""
        index, is_phoneme = divmod(state, 2)
        return int((self.phonemes if is_phoneme else self.blanks)[frame, index])


@dataclass(frozen=True, kw_only=True)
class JumpingPath:
    """Frames against phonemes, where a path may jump from any state to any phoneme.

    Attributes:
        log_probs: Of classes.
        waiting: Score of a frame in a blank.
        labels: Classes of the phonemes, at least one.
        jump: Score of a jump.
        kept_bytes: See `KEPT_BYTES`.
    """

    log_probs: Float32[np.ndarray, "T C"]
    waiting: Float32[np.ndarray, " T"]
    labels: Int64[np.ndarray, " P"]
    jump: float
    kept_bytes: int = KEPT_BYTES

    def decode(self) -> tuple[Int64[np.ndarray, " T"], list[int]]:
        """Finds the best path, which may end in any state.

        Returns:
            The state of each frame, and the frames of jumps.
        """
        num_frames = len(self.log_probs)
        size = min(num_frames, max(1, self.kept_bytes // (2 * len(self.labels) + 1)))
        steps = _Steps.empty(size, len(self.labels))
        best = np.zeros(num_frames, np.int64)
        blocks = [range(at, min(at + size, num_frames)) for at in range(0, num_frames, size)]
        begun = [_Scores.before(self.labels, self.jump)]
        for block in blocks:
            begun.append(self._forward(begun[-1], block, steps, best))
        states, jumps, state = np.zeros(num_frames, np.int64), [], int(best[-1])
        for block, scores in zip(reversed(blocks), reversed(begun[:-1]), strict=True):
            if block is not blocks[-1]:  # whose steps are still there
                self._forward(scores, block, steps, best)
            for t in reversed(block):
                states[t] = state
                step = steps.into(t - block.start, state)
                if step == _JUMPED:
                    jumps.append(t)
                state = int(best[t - 1]) if step == _JUMPED else state - step
        return states, jumps

    @cached_property
    def _skip(self) -> Float32[np.ndarray, " K"]:
        """Score of leaving out a blank: none may be left out between two alike."""
        differs = self.labels[1:] != self.labels[:-1]
        return np.where(differs, np.float32(0), np.float32(-np.inf))

    def _forward(
        self, scores: _Scores, block: range, steps: _Steps, best: Int64[np.ndarray, " T"]
    ) -> _Scores:
        """Goes through a block of frames.

        Args:
            scores: Before it.
            block: Its frames.
            steps: Of the block; written here.
            best: Best state of each frame, where jumps come from; written here.

        Returns:
            Scores after it.
        """
        blanks, phonemes, top = scores.blanks.copy(), scores.phonemes.copy(), scores.top
        for t in block:
            into_blank, into_phoneme = (
                steps.blanks[t - block.start],
                steps.phonemes[t - block.start],
            )
            into_blank[:], into_phoneme[:] = 0, 0
            if t:
                before = phonemes.copy()
                _enter(phonemes, blanks[:-1], 1, into_phoneme)
                _enter(phonemes[1:], before[:-1] + self._skip, 2, into_phoneme[1:])
                _enter(phonemes, top + np.float32(self.jump), _JUMPED, into_phoneme)
                _enter(blanks[1:], before, 1, into_blank[1:])
            blanks += self.waiting[t]
            phonemes += self.log_probs[t].take(self.labels)
            states = (2 * int(blanks.argmax()), 2 * int(phonemes.argmax()) + 1)
            tops = (blanks[states[0] // 2], phonemes[states[1] // 2])
            top = max(tops)
            best[t] = min(state for state, one in zip(states, tops, strict=True) if one == top)
        return _Scores(blanks=blanks, phonemes=phonemes, top=top)


def _enter(
    scores: Float32[np.ndarray, " N"],
    sources: Float32[np.ndarray, " N"] | np.float32,
    step: int,
    into: UInt8[np.ndarray, " N"],
) -> None:
    """Takes a longer step where it scores higher; of equal scores the shorter one stays."""
    is_higher = sources > scores
    np.maximum(scores, sources, out=scores)
    np.maximum(into, is_higher.view(np.uint8) * np.uint8(step), out=into)
