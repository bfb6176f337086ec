"""Which faces of a video are embedded: at a fixed rate, and always at start and end."""

import weakref
from collections.abc import Iterator

import numpy as np
import pytest

from evals.extractors import EXTRACTORS, SPECS
from evals.extractors.sampled_faces import SampledFaces
from evals.features.extraction import _run_frames, with_upstream
from evals.features.missing import Missing
from evals.numerics.windows import ends
from streamchar_ref.world.character import draw_character
from streamchar_ref.world.render import portrait


class PlaceOfFace(SampledFaces):
    """Embeds a face as the place of its box, so that tests need no network."""

    def __init__(self, samples_per_s: int = 2) -> None:
        super().__init__(samples_per_s=samples_per_s, embedding_size=1, min_face_px=32)

    def embed_face(
        self, frame: np.ndarray, box: np.ndarray, landmarks: np.ndarray
    ) -> tuple[np.ndarray, float]:
        return box[:1], float(frame[0, 0, 0])


def sampled(sizes: np.ndarray, *, samples_per_s: int = 2, batch: int = 32) -> dict[str, np.ndarray]:
    """Samples a video whose face has some size in each frame; 0 is no face."""
    num = len(sizes)
    frames = np.arange(num, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    face = {
        "num_faces": (sizes > 0).astype(np.int32),
        "has_mesh": sizes > 0,
        "box": np.stack([0 * sizes, 0 * sizes, sizes, sizes], axis=1).astype(np.float32),
        "landmarks": np.zeros((num, 1, 2), np.float32),
    }
    extractor = PlaceOfFace(samples_per_s)
    for start in range(0, num, batch):
        rows = slice(start, start + batch)
        part = {name: values[rows] for name, values in face.items()}
        extractor.update(frames[rows], {"face": part})
    return extractor.finish()


@pytest.mark.parametrize("samples_per_s", [2, 5])
def test_start_and_end_hold_a_sample_at_any_length(samples_per_s: int) -> None:
    for num in range(10, 101):
        frames = sampled(np.full(num, 100), samples_per_s=samples_per_s)["frame"]
        first, last = ends(num)
        assert ((frames >= first.start) & (frames < first.stop)).any()
        assert (frames >= last.start).any()
        assert len(frames) <= num * samples_per_s / 25 + 2


@pytest.mark.parametrize("num", [10, 30, 61, 100])
def test_a_face_that_is_seen_only_between_the_moments_is_sampled(num: int) -> None:
    """One frame of the start and one of the end show a face."""
    first, last = ends(num)
    for early in range(0, first.stop, 2):
        for late in range(last.start, num, 3):
            sizes = np.zeros(num)
            sizes[[early, late]] = 100
            found = sampled(sizes)
            assert found["frame"].tolist() == [early, late]
            assert found["sharpness"].tolist() == [early, late]  # read off the right frames
            assert len(found["sampled"]) == -(-2 * num // 25)


def test_samples_do_not_depend_on_how_frames_are_batched() -> None:
    sizes = np.where(np.random.default_rng(0).random(130) < 0.3, 100, 0)
    whole, cut = sampled(sizes, batch=130), sampled(sizes, batch=3)
    assert all(whole[name].tobytes() == cut[name].tobytes() for name in whole)


def test_a_face_in_every_frame_of_a_long_video_is_sampled_at_the_moments_alone() -> None:
    found = sampled(np.full(200, 100))
    assert found["frame"].tolist() == found["sampled"].tolist()


def test_each_of_several_faces_is_embedded_and_small_ones_are_not() -> None:
    num = 30
    face = {
        "num_faces": np.full(num, 3, np.int32),
        "has_mesh": np.ones(num, bool),
        "all_frame": np.repeat(np.arange(num), 3),
        "all_track": np.tile([4, 0, 7], num),
        "all_box": np.tile(
            np.array([[10, 0, 110, 99], [0, 0, 50, 50], [0, 0, 31, 90]], np.float32), (num, 1)
        ),
        "all_landmarks": np.zeros((3 * num, 1, 2), np.float32),
    }
    extractor = PlaceOfFace()
    extractor.update(np.zeros((num, 2, 2, 3), np.uint8), {"face": face})
    found = extractor.finish()
    assert found["track"].tolist() == [4, 0, 4, 0, 4, 0, 0, 4]
    assert found["frame"].tolist() == [0, 0, 13, 13, 25, 25, 29, 29]
    assert found["embedding"][:2, 0].tolist() == [10, 0]  # the main face first


HERE = [s.name for s in SPECS if s.track == "frames" and s.weights != ("i3d",)]  # not shipped


@pytest.mark.parametrize("name", HERE)
def test_no_extractor_holds_frames_of_the_past(name: str) -> None:
    """Memory does not grow with the length of a video: a view of a frame keeps its whole batch."""
    specs = [EXTRACTORS[upstream] for upstream in with_upstream([name])]
    person = portrait(draw_character(10_007))
    alive: list[weakref.ref[np.ndarray]] = []
    most = 0

    def batches() -> Iterator[np.ndarray]:
        nonlocal most
        for _ in range(4):
            batch = np.stack([person] * 12)
            alive.append(weakref.ref(batch))
            yield batch
            del batch
            most = max(most, sum(one() is not None for one in alive))

    found = _run_frames(batches(), specs)
    assert not isinstance(found[name], Missing)
    assert most <= 3  # the present one, and two that clips of 16 frames reach into
