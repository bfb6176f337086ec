"""The best path by blocks is the best path."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.text.best_path import JumpingPath

JUMP = -3.0


def path(seed: int, frames: int, phonemes: int, kept_bytes: int = 2**20) -> JumpingPath:
    rng = np.random.default_rng(seed)
    log_probs = rng.integers(-4, 1, (frames, 4)).astype(np.float32)  # with ties, and sums are exact
    return JumpingPath(
        log_probs=log_probs,
        waiting=log_probs[:, 0],
        labels=rng.integers(1, 4, phonemes),
        jump=JUMP,
        kept_bytes=kept_bytes,
    )


def score_of(problem: JumpingPath, states: tuple[int, ...], jumps: frozenset[int]) -> float:
    """Sum of a path's scores; minus infinity for one that takes a step that there is not."""
    total = 0.0
    for t, state in enumerate(states):
        is_phoneme, index = state % 2, state // 2
        before = states[t - 1] if t else -1
        step = state - before
        if t in jumps or (t == 0 and state > 1):
            total += JUMP if is_phoneme else -np.inf
        elif t and not (
            step in (0, 1)
            or (step == 2 and is_phoneme and problem.labels[index] != problem.labels[index - 1])
        ):
            return -np.inf
        emitted = problem.log_probs[t, problem.labels[index]] if is_phoneme else problem.waiting[t]
        total += float(emitted)
    return total


@pytest.mark.parametrize("seed", range(8))
def test_no_path_scores_higher(seed: int) -> None:
    problem = path(seed, frames=4, phonemes=2)
    states, jumps = problem.decode()
    found = score_of(problem, tuple(states.tolist()), frozenset(jumps))
    highest = max(
        score_of(problem, states, frozenset(t for t in (1, 2, 3) if chosen[t - 1]))
        for states in product(range(5), repeat=4)
        for chosen in product((False, True), repeat=3)
    )
    assert found == highest


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 99),
    frames=st.integers(1, 40),
    phonemes=st.integers(1, 9),
    kept=st.integers(1, 500),
)
def test_blocks_of_any_size_give_the_same_path(
    seed: int, frames: int, phonemes: int, kept: int
) -> None:
    states, jumps = path(seed, frames, phonemes).decode()
    again, jumps_again = path(seed, frames, phonemes, kept).decode()
    assert again.tolist() == states.tolist()
    assert jumps_again == jumps
