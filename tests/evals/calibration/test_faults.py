"""Each fault does exactly its dose, to its own track alone, and the same every time."""

import dataclasses
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from evals.calibration.faults import FAULTS, FLOORS
from evals.calibration.faults.base import (
    FRAME_SAMPLES,
    PICTURE,
    SOUND,
    Faulted,
    SpokenWord,
    Take,
    reordered,
)
from evals.calibration.faults.picture import REFERENCE_PX, rotation
from evals.protocols.base import Unscored

NUM_FRAMES = 75
SENTENCES = "The boats came home. We saw them all at the pier today."


def pictures(level: int = 0) -> np.ndarray:
    """Frames of a size not far from the reference, each with its number in a corner."""
    rng = np.random.default_rng(level)
    still = rng.integers(60, 190, (REFERENCE_PX // 4, 64, 3)).astype(np.uint8)
    frames = np.repeat(still[None], NUM_FRAMES, axis=0)
    frames[:, :8, :8] = np.arange(NUM_FRAMES)[:, None, None, None]
    return frames


class ToyWorld:
    """Says a word in 0.2 s, at a level of its own, and shows it."""

    def say(self, transcript: str) -> tuple[Iterator[np.ndarray], np.ndarray]:
        count = 5 * len(transcript.split())
        samples = np.repeat(
            [0.01 * (1 + len(word)) for word in transcript.split()], 5 * FRAME_SAMPLES
        )
        return iter([np.zeros((count, 64, 64, 3), np.uint8)]), samples.astype(np.float32)

    def another_take(self) -> tuple[Iterator[np.ndarray], np.ndarray]:
        return self.say(SENTENCES)

    def seed_take(self, number: int, share: float) -> tuple[Iterator[np.ndarray], np.ndarray]:
        return self.say(" ".join(SENTENCES.split()[number:]))

    def with_other(self, shares: np.ndarray) -> Iterator[np.ndarray]:
        levels = np.round(255 * shares).astype(np.uint8)
        yield np.broadcast_to(levels[:, None, None, None], (len(shares), 64, 64, 3)).copy()


def take(**changes: object) -> Take:
    words = SENTENCES.split()
    times = np.linspace(0.2, 2.6, len(words) + 1)
    rng = np.random.default_rng(1)
    made = Take(
        clip_id="clip",
        transcript=SENTENCES,
        samples=rng.uniform(-0.5, 0.5, NUM_FRAMES * FRAME_SAMPLES).astype(np.float32),
        words=tuple(
            SpokenWord(text=w, t0_s=float(a), t1_s=float(b))
            for w, a, b in zip(words, times[:-1], times[1:], strict=True)
        ),
        num_frames=NUM_FRAMES,
        open_frames=lambda: iter(np.split(pictures(), [32, 64])),
        open_other=lambda: iter([pictures(level=9)[:50]]),
        world=ToyWorld(),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def frames_of(faulted: Faulted) -> np.ndarray:
    assert faulted.frames is not None
    return np.concatenate(list(faulted.frames))


def sound_of(faulted: Faulted) -> np.ndarray:
    assert faulted.samples is not None
    return faulted.samples


@pytest.mark.parametrize("name", FAULTS)
def test_no_dose_leaves_the_clip_as_it_is(name: str) -> None:
    clean = FAULTS[name].apply(take(), FAULTS[name].clean)
    assert (clean.frames, clean.samples) == (None, None)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_touches_its_own_tracks_only_and_repeats(name: str) -> None:
    fault = FAULTS[name]
    dose = fault.few[len(fault.few) // 2]
    one, again = fault.apply(take(), dose), fault.apply(take(), dose)
    assert (one.frames is not None) == (PICTURE in fault.tracks)
    assert (one.samples is not None) == (SOUND in fault.tracks)
    if PICTURE in fault.tracks:
        assert np.array_equal(frames_of(one), frames_of(again))
    if SOUND in fault.tracks:
        assert np.array_equal(sound_of(one), sound_of(again))
    assert one.dose == again.dose


@pytest.mark.parametrize("name", FAULTS)
def test_the_table_is_in_order(name: str) -> None:
    fault = FAULTS[name]
    assert fault.name == name
    assert set(fault.few) <= set(fault.doses)
    rising = sorted(fault.doses)
    assert list(fault.doses) in (rising, rising[::-1])
    assert fault.source.endswith(".")
    assert (fault.inject.__doc__ or "").split("\n")[0].endswith(".")


@pytest.mark.parametrize("frames", [1, 3, 8])
def test_sound_moves_by_640_samples_a_frame(frames: int) -> None:
    clean, moved = take().samples, 640 * frames
    late = sound_of(FAULTS["sound_late"].apply(take(), frames))
    assert np.array_equal(late[moved:], clean)
    assert not late[:moved].any()
    early = sound_of(FAULTS["sound_early"].apply(take(), frames))
    assert np.array_equal(early[: len(clean) - moved], clean[moved:])
    assert len(early) == len(clean)


def test_drift_puts_an_event_later_by_its_share_of_a_minute() -> None:
    samples = np.zeros(48_000, np.float32)
    samples[40_000] = 0.9  # at 2.5 s
    drifted = sound_of(FAULTS["clock_drift"].apply(take(samples=samples), 1200))
    assert np.argmax(drifted) == pytest.approx(40_000 * 1.02, abs=1)
    assert len(drifted) == pytest.approx(48_000 * 1.02, abs=1)


@pytest.mark.parametrize("snr_db", [20, 0, -10])
def test_noise_has_its_ratio_and_stays_in_range(snr_db: float) -> None:
    clean = take().samples.astype(float)
    noisy = sound_of(FAULTS["noise"].apply(take(), snr_db)).astype(float)
    assert np.abs(noisy).max() <= 1
    gain = noisy @ clean / (clean @ clean)
    noise = noisy / gain - clean
    found = 10 * np.log10(np.mean(clean**2) / np.mean(noise**2))
    assert found == pytest.approx(snr_db, abs=0.2)


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.2, 0.5])
def test_words_left_out_come_at_the_realised_rate(rate: float) -> None:
    words = SENTENCES.split()
    dropped = FAULTS["words_dropped"].apply(take(), rate)
    gone = round(len(words) * dropped.dose)
    assert gone == max(1, round(rate * len(words)))
    assert len(sound_of(dropped)) == (len(words) - gone) * 5 * FRAME_SAMPLES
    twice = FAULTS["words_repeated"].apply(take(), rate)
    assert len(sound_of(twice)) == (len(words) + gone) * 5 * FRAME_SAMPLES


def test_a_heavier_dose_leaves_out_the_same_words_and_more() -> None:
    said: list[set[str]] = []

    class Listening(ToyWorld):
        def say(self, transcript: str) -> tuple[Iterator[np.ndarray], np.ndarray]:
            said.append(set(transcript.split()))
            return super().say(transcript)

    for rate in (0.1, 0.3, 0.5):
        FAULTS["words_dropped"].apply(take(world=Listening()), rate)
    assert said[0] > said[1] > said[2]


def test_swapped_words_are_the_same_words_and_counted_in_pairs() -> None:
    swapped = FAULTS["words_swapped"].apply(take(), 0.4)
    assert swapped.dose == pytest.approx(4 / len(SENTENCES.split()))
    clean = ToyWorld().say(SENTENCES)[1]
    assert sorted(sound_of(swapped)) == sorted(clean)
    assert not np.array_equal(sound_of(swapped), clean)
    with pytest.raises(Unscored, match="neighbour"):
        FAULTS["words_swapped"].apply(take(transcript="Hello."), 0.4)


def test_the_first_sentence_is_looped() -> None:
    looped = sound_of(FAULTS["sentence_looped"].apply(take(), 2))
    words = len(SENTENCES.split()) + 2 * 4
    assert len(looped) == words * 5 * FRAME_SAMPLES


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_an_early_stop_ends_both_tracks_between_two_words(share: float) -> None:
    words = len(SENTENCES.split())
    cut = FAULTS["early_stop"].apply(take(), share)
    gone = round(share * words)
    assert cut.dose == pytest.approx(gone / words)
    end = round(25 * (0.2 + 0.2 * (words - gone)))
    assert len(frames_of(cut)) == end
    assert np.array_equal(sound_of(cut), take().samples[: end * FRAME_SAMPLES])


def test_in_finished_files_words_are_cut_out_of_both_tracks() -> None:
    own = take(world=None)
    words = len(SENTENCES.split())
    dropped = FAULTS["words_dropped"].apply(own, 0.25)
    frames, samples = frames_of(dropped), sound_of(dropped)
    gone = round(0.25 * words)
    assert len(samples) == len(frames) * FRAME_SAMPLES
    assert len(frames) == NUM_FRAMES - 5 * gone  # a word lasts 0.2 s
    shown = frames[:, 0, 0, 0].astype(int)
    assert np.array_equal(samples.reshape(-1, 640), own.samples.reshape(-1, 640)[shown])


def test_what_needs_the_world_says_so_in_finished_files() -> None:
    with pytest.raises(Unscored, match="needs the world"):
        FAULTS["identity_morph"].apply(take(world=None), 0.5)
    with pytest.raises(Unscored, match=r"groups\.identity"):
        FAULTS["other_identity"].apply(take(world=None, open_other=None), 0.5)
    with pytest.raises(Unscored, match="no words"):
        FAULTS["words_dropped"].apply(take(world=None, words=()), 0.5)


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_another_identity_is_shown_for_its_share(share: float) -> None:
    faulted = FAULTS["other_identity"].apply(take(), share)
    shown = frames_of(faulted)[:, 0, 0, 0] == 255
    assert shown.mean() == pytest.approx(faulted.dose) == pytest.approx(share, abs=0.01)
    assert np.array_equal(np.sort(shown), shown)
    spliced = frames_of(FAULTS["other_identity"].apply(take(world=None), 0.5))
    count = round(0.5 * NUM_FRAMES)
    assert np.array_equal(spliced[:-count], pictures()[:-count])
    assert np.array_equal(spliced[50:], np.repeat(pictures(level=9)[49:50], 25, axis=0))


def test_a_morph_ends_at_its_dose() -> None:
    levels = frames_of(FAULTS["identity_morph"].apply(take(), 0.5))[:, 0, 0, 0]
    assert (levels[0], levels[-1]) == (0, 128)
    assert (np.diff(levels.astype(int)) >= 0).all()


def test_a_hue_ramp_ends_at_its_angle_and_keeps_grey() -> None:
    frames = np.full((NUM_FRAMES, 32, 32, 3), 128, np.uint8)
    frames[:, :16] = (150, 110, 120)
    turned = frames_of(FAULTS["hue_ramp"].apply(take(open_frames=lambda: iter([frames])), 40))
    assert np.array_equal(turned[0], frames[0])
    assert np.abs(turned[:, 16:].astype(int) - 128).max() <= 1
    angles = [_hue(turned[i, 0, 0]) - _hue(frames[0, 0, 0]) for i in (NUM_FRAMES // 2, -1)]
    assert angles == pytest.approx([20, 40], abs=1.5)
    assert np.allclose(rotation(0.3) @ rotation(0.3).T, np.eye(3), atol=1e-6)


def _hue(rgb: np.ndarray) -> float:
    """Degrees about the grey axis."""
    r, g, b = (float(value) for value in rgb)
    return float(np.degrees(np.arctan2(np.sqrt(3) * (g - b), 2 * r - g - b)))


def test_an_exposure_ramp_doubles_linear_light_a_stop() -> None:
    frames = np.full((NUM_FRAMES, 8, 8, 3), 100, np.uint8)
    brighter = frames_of(FAULTS["exposure_ramp"].apply(take(open_frames=lambda: iter([frames])), 1))
    assert np.array_equal(brighter[0], frames[0])

    def linear(code: float) -> float:
        return float(((code / 255 + 0.055) / 1.055) ** 2.4)

    assert linear(brighter[-1, 0, 0, 0]) == pytest.approx(2 * linear(100), rel=0.02)


def test_a_blur_has_its_width_at_any_size() -> None:
    for height in (64, 256):
        frames = np.zeros((2, height, height, 3), np.uint8)
        frames[:, height // 2 :] = 200
        edge = take(open_frames=lambda frames=frames: iter([frames]), num_frames=2)
        blurred = frames_of(FAULTS["blur"].apply(edge, 4))[:, :, height // 2, 0].astype(float)
        slope = np.diff(blurred[0])
        at = np.arange(len(slope)) - (height / 2 - 1)
        assert np.sqrt((slope * at**2).sum() / slope.sum()) == pytest.approx(
            4 * height / 256, rel=0.1
        )
        ramped = frames_of(FAULTS["blur_ramp"].apply(edge, 4))
        assert np.array_equal(ramped[0], frames[0])
        assert np.array_equal(
            ramped[1, :, :, 0], frames_of(FAULTS["blur"].apply(edge, 4))[1, :, :, 0]
        )


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_a_freeze_holds_its_share_and_comes_back_in_time(share: float) -> None:
    faulted = FAULTS["freeze"].apply(take(), share)
    numbers = frames_of(faulted)[:, 0, 0, 0].astype(int)
    held = numbers != np.arange(NUM_FRAMES)
    assert held.mean() == pytest.approx(faulted.dose) == pytest.approx(share, abs=0.01)
    assert len(set(numbers[held])) == 1


@pytest.mark.parametrize("window", [2, 4, 8])
def test_a_shuffle_stays_in_its_windows(window: int) -> None:
    numbers = frames_of(FAULTS["frame_shuffle"].apply(take(), window))[:, 0, 0, 0].astype(int)
    assert sorted(numbers) == list(range(NUM_FRAMES))
    assert np.array_equal(numbers // window, np.arange(NUM_FRAMES) // window)
    whole = NUM_FRAMES // window * window
    assert (numbers[:whole] != np.arange(whole)).reshape(-1, window).any(axis=1).all()


def test_jitter_and_seams_move_by_whole_pixels_of_the_reference() -> None:
    frames = np.zeros((NUM_FRAMES, 256, 64, 3), np.uint8)
    frames[:, 100, 30] = 255
    dot = take(open_frames=lambda: iter([frames]))
    seamed = frames_of(FAULTS["chunk_seam"].apply(dot, 8))
    columns = seamed[:, 100, :, 0].argmax(axis=1)
    assert columns.tolist() == [30] * 32 + [38] * 32 + [30] * 11
    jittered = frames_of(FAULTS["jitter"].apply(dot, 4))[..., 0].reshape(NUM_FRAMES, -1)
    rows, columns = np.divmod(jittered.argmax(axis=1), 64)
    assert np.std([rows - 100, columns - 30]) == pytest.approx(4, rel=0.2)


def test_a_coarser_encode_is_farther_away() -> None:
    errors = []
    for crf in (23, 38, 48):
        coarse = frames_of(FAULTS["reencode"].apply(take(), crf)).astype(float)
        assert coarse.shape == pictures().shape
        errors.append(np.abs(coarse - pictures()).mean())
    assert errors == sorted(errors)


def test_clean_clips_can_be_taken_again() -> None:
    again = FLOORS["another_take"].apply(take(), 1)
    assert len(sound_of(again)) == len(SENTENCES.split()) * 5 * FRAME_SAMPLES
    encoded = FLOORS["plain_reencode"].apply(take(), 1)
    assert frames_of(encoded).shape == pictures().shape
    assert np.corrcoef(sound_of(encoded), take().samples)[0, 1] > 0.9


def test_any_order_of_frames_can_be_shown() -> None:
    order = np.array([3, 3, 0, 74, 1, 1, 40])
    shown = np.concatenate(list(reordered(take().open_frames(), order)))
    assert np.array_equal(shown, pictures()[order])


def test_expectations_are_found_by_pattern_and_unknown_metrics_have_none() -> None:
    late = FAULTS["sound_late"]
    assert late.direction_of("mesh_offset_ms") == -1
    assert late.direction_of("av_offset_world") == -1
    assert late.must_leave("sync_c_world")
    assert not late.must_leave("mesh_offset_ms")
    assert late.direction_of("a_metric_of_tomorrow") is None
    assert not late.must_leave("a_metric_of_tomorrow")
    assert dataclasses.is_dataclass(late)
