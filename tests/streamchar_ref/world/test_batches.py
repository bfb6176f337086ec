from itertools import islice

import numpy as np
import pytest

from streamchar_ref.world.batches import WindowPlan, draw_batch, window_batches

TEXTS = ["A lamp in the window.", "Five boats went over the pond.", "Why?"]
PLAN = WindowPlan(batch_size=3, num_frames=20, size=24, reference_size=32, seed=4)


def test_a_batch_has_everything_in_the_asked_shapes() -> None:
    batch = draw_batch(TEXTS, PLAN, index=0)
    assert batch.frames.shape == (3, 20, 24, 24, 3)
    assert batch.samples.shape == (3, 20 * 640)
    assert batch.references.shape == (3, 32, 32, 3)
    tracks = (batch.phonemes_spoken, batch.words_spoken, batch.characters_spoken, batch.visemes)
    assert {track.shape for track in tracks} == {(3, 20)}
    assert set(batch.transcripts) <= set(TEXTS)


def test_a_stream_is_taken_up_where_it_stopped() -> None:
    third = list(islice(window_batches(TEXTS, PLAN), 3))[2]
    again = next(window_batches(TEXTS, PLAN, start=2))
    assert third.index == again.index == 2
    assert third.frames.tobytes() == again.frames.tobytes()
    assert third.samples.tobytes() == again.samples.tobytes()
    assert third.identity.tolist() == again.identity.tolist()


def test_batches_and_seeds_differ() -> None:
    first, second = islice(window_batches(TEXTS, PLAN), 2)
    assert not np.array_equal(first.identity, second.identity)


def test_an_empty_source_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to say"):
        draw_batch([], PLAN, index=0)
