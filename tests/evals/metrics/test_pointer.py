"""Pointer error: a system's account of what it has spoken against the judge's."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baselines.ground_truth import CHUNK_FRAMES, GroundTruth, ShiftedSound, spoken_by, world_clip
from evals.extractors.align_world import AlignWorldExtractor
from evals.metrics.per_world import reference_phones
from evals.metrics.pointer import MAX_STATES, PointerError
from evals.protocols.base import MetricContext, Score
from evals.recording.manifest import read_arrivals
from evals.recording.record import RecordPlan, record_one
from evals.recording.recording import Arrival, Recording, Trace
from evals.recording.run_folder import read_recording, recording_folder
from evals.recording.system import Prompt, problems_with
from evals.suites import load_suite
from evals.text.progress import PHONES
from streamchar_ref.core.errors import InputError
from streamchar_ref.media import AVChunk
from streamchar_ref.networks.text import read_phonemes
from streamchar_ref.world.clips import Clip

SENTENCE = "The quick brown fox jumps over the lazy dog, and both of them go home to bed."
PHONES_SAID = reference_phones(SENTENCE)
FRAMES_A_PHONE, CHUNK_S = 5, 0.5
"""A phoneme every 100 ms, a chunk every five phonemes."""


def heard(phones: Sequence[str] = PHONES_SAID) -> dict[str, np.ndarray]:
    """Features of a recogniser that is sure of a phoneme in the middle of each 100 ms."""
    log_probs = np.full((len(phones) * FRAMES_A_PHONE, len(PHONES) + 1), np.log(1e-4), np.float16)
    log_probs[:, 0] = np.log(0.99)
    for place, phone in enumerate(phones):
        frame = place * FRAMES_A_PHONE + FRAMES_A_PHONE // 2
        log_probs[frame] = np.log(1e-4)
        log_probs[frame, PHONES.index(phone) + 1] = np.log(0.99)
    return {"log_probs": log_probs, "duration_s": np.array([len(log_probs) / 50])}


def account(phones: Sequence[str] = PHONES_SAID) -> np.ndarray:
    """The judge's count at the ends of chunks, in closed form."""
    num_chunks = -(-len(phones) // 5)
    return np.minimum(np.arange(1, num_chunks + 1) * 5, len(phones)).astype(float)


def subject(
    spoken: Sequence[float | None], *, num_phones: int = len(PHONES_SAID), rate: int = 16_000
) -> Recording:
    """A recording of chunks of half a second, the last one cut where the sound ends."""
    whole = round(num_phones * 0.1 * rate)
    starts = np.arange(len(spoken)) * round(CHUNK_S * rate)
    arrivals = tuple(
        Arrival(t_s=float(k), num_frames=12, num_samples=int(num), spoken=count)
        for k, (count, num) in enumerate(
            zip(spoken, np.minimum(whole - starts, round(CHUNK_S * rate)), strict=True)
        )
    )
    return Recording(
        sample_id="a",
        system="s",
        suite="u",
        transcript=SENTENCE,
        video_path=Path("none.mkv"),
        trace=Trace(arrivals=arrivals, fps=24, sample_rate=rate),
        groups={"domain": "world"},
    )


def score(recording: Recording, found: dict[str, np.ndarray] | None = None) -> Score:
    speech = {"start_s": np.zeros(1), "end_s": np.ones(1), "duration_s": np.ones(1)}
    return PointerError().score(
        recording, {"align_world": found or heard(), "speech": speech}, MetricContext()
    )


def test_an_account_that_fits_has_no_error_but_that_of_the_ruler() -> None:
    found = score(subject(account().tolist()))
    assert found.value <= 0.1
    assert found.components["max"] <= 1
    assert found.weight == found.components["n"] == len(account())
    assert found.components["transcript_phonemes"] == len(read_phonemes(SENTENCE))


@pytest.mark.parametrize("ahead", [-7.5, -2.0, 3.25])
def test_an_account_that_is_off_is_off_by_so_much(ahead: float) -> None:
    exact = score(subject(account().tolist()))
    found = score(subject((account() + ahead).tolist()))
    assert found.value == pytest.approx(abs(ahead), abs=0.15)
    moved = found.components["mean_signed"] - exact.components["mean_signed"]
    assert moved == pytest.approx(ahead, abs=1e-3)


def test_mean_tail_and_windows_are_those_of_the_chunks() -> None:
    spoken = account()
    spoken[3] += 6
    found = score(subject(spoken.tolist()))
    size = np.abs(found.components["signed"])
    assert found.value == pytest.approx(size.mean())
    assert found.components["p99"] == pytest.approx(np.percentile(size, 99))
    assert found.components["max"] == size[3] >= 5
    assert [window.value for window in found.windows] == size.tolist()
    ends_s = [window.t1_s for window in found.windows]
    assert ends_s == pytest.approx([*np.arange(1, len(size)) * CHUNK_S, len(PHONES_SAID) * 0.1])
    assert [window.t0_s for window in found.windows] == [0.0, *ends_s[:-1]]


@pytest.mark.parametrize("rate", [16_000, 24_000, 44_100])
def test_chunks_end_where_their_samples_end(rate: int) -> None:
    found = score(subject(account().tolist(), rate=rate))
    assert found.value <= 0.1


def test_what_is_skipped_counts_as_passed() -> None:
    said = (*PHONES_SAID[:15], *PHONES_SAID[25:])
    passes = account(said) + np.where(account(said) > 15, 10, 0)
    place = score(subject(passes.tolist(), num_phones=len(said)), heard(said))
    counted = score(subject(account(said).tolist(), num_phones=len(said)), heard(said))
    assert place.value < 0.5
    assert counted.components["signed"][-1] == pytest.approx(-10, abs=1)


def test_what_is_repeated_is_not_counted_again() -> None:
    said = (*PHONES_SAID[:15], *PHONES_SAID[5:15], *PHONES_SAID[15:])
    counts = account(said)
    stands = np.where(counts > 15, np.maximum(counts - 10, 15), counts)
    assert score(subject(stands.tolist(), num_phones=len(said)), heard(said)).value < 0.5


def test_systems_that_keep_no_account_have_no_pointer_error() -> None:
    found = score(subject([None] * len(account())))
    assert (found.status, np.isnan(found.value)) == ("not_applicable", True)
    assert found.reason == "the system does not say what it has spoken"
    bare = score(replace(subject([]), trace=None))
    assert (bare.status, bare.reason) == (
        "not_applicable",
        "no chunks: the file was not recorded by the harness",
    )


def test_an_account_of_some_chunks_only_is_broken() -> None:
    found = score(subject([None, *account()[1:].tolist()]))
    assert found.status == "generation_failure"
    assert "chunks only" in found.reason
    assert score(subject([])).status == "generation_failure"


def test_there_is_no_number_where_times_or_domain_do_not_fit() -> None:
    fitting = subject(account().tolist())
    longer = heard() | {"duration_s": np.array([9.0])}
    assert "s of sound, the file 9.00 s" in score(fitting, longer).reason
    real = replace(fitting, groups={"domain": "real"})
    assert "domain 'world'" in score(real).reason
    unsaid = replace(fitting, transcript="...")
    assert score(unsaid).status == "not_applicable"


def test_what_would_take_too_long_to_align_is_not_tried() -> None:
    num_frames = MAX_STATES // (2 * len(PHONES_SAID))
    row = np.zeros((1, len(PHONES) + 1), np.float16)
    found = heard() | {"log_probs": np.broadcast_to(row, (num_frames, len(PHONES) + 1))}
    assert score(subject(account().tolist()), found).status == "unavailable"


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 99), min_size=1, max_size=9), st.integers(0, 99))
def test_pointer_error_lies_between_bias_and_maximum(spoken: list[float], seed: int) -> None:
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 3, (25 * len(spoken), len(PHONES) + 1))
    found = {
        "log_probs": noise - noise.max(axis=1, keepdims=True),
        "duration_s": np.array([CHUNK_S * len(spoken)]),
    }
    result = score(subject(spoken, num_phones=5 * len(spoken)), found)
    parts = result.components
    assert abs(parts["mean_signed"]) <= result.value + 1e-3
    assert result.value <= parts["max"] + 1e-3
    assert parts["p99"] <= parts["max"] + 1e-3


@pytest.fixture(scope="module")
def prompt() -> Prompt:
    return load_suite("smoke")[0]


@pytest.fixture(scope="module")
def clip(prompt: Prompt) -> Clip:
    return world_clip(prompt, seed=0)


def test_the_truth_counts_as_the_front_end_does(prompt: Prompt, clip: Clip) -> None:
    spoken = [chunk.spoken for chunk in GroundTruth(size=16).stream(prompt, seed=0)]
    assert (
        spoken[:-1]
        == clip.phonemes_spoken[CHUNK_FRAMES - 1 :: CHUNK_FRAMES][: len(spoken) - 1].tolist()
    )
    assert spoken[-1] == len(read_phonemes(prompt.transcript))
    assert spoken_by(clip, -3) == spoken_by(clip, 0) == 0


def recorded(system: GroundTruth | ShiftedSound, prompt: Prompt, out: Path) -> Recording:
    assert record_one(system, prompt, RecordPlan(out=out, suite="s"))
    return read_recording(recording_folder(out, system.name, "s", prompt.prompt_id, 0))


@pytest.mark.parametrize("make", [GroundTruth, ShiftedSound], ids=lambda make: make.name)
def test_the_true_account_shows_the_error_of_the_ruler(
    make: type[GroundTruth] | type[ShiftedSound], prompt: Prompt, tmp_path: Path
) -> None:
    system = make(size=16)
    samples = np.concatenate([chunk.samples for chunk in system.stream(prompt, seed=0)])
    found = AlignWorldExtractor().extract(samples)
    result = score(recorded(system, prompt, tmp_path), dict(found))
    assert result.status == "computed"
    assert result.value <= 0.6
    assert result.components["max"] <= 2


class Says:
    """Speaks in noise and says what it is told to say."""

    name = "says"
    fps = 25
    sample_rate = 16_000

    def __init__(self, spoken: Sequence[float | None]) -> None:
        self.spoken = spoken

    def stream(self, prompt: Prompt, *, seed: int) -> Iterator[AVChunk]:
        for index, spoken in enumerate(self.spoken):
            yield AVChunk(
                index=index,
                frames=np.zeros((1, 16, 16, 3), np.uint8),
                samples=np.zeros(640, np.float32),
                spoken=spoken,
            )


@pytest.mark.parametrize(
    ("spoken", "problems"),
    [
        ([None, None], []),
        ([0, 1.5, 1.5], []),
        ([2.0, 1.0], ["its count of phonemes spoken falls"]),
        ([-1.0], ["its count of phonemes spoken falls"]),
        ([1.0, None], ["it says for some chunks only what it has spoken"]),
        ([float("inf")], ["some counts of phonemes spoken are NaN or infinite"]),
    ],
)
def test_the_contract_covers_the_account(
    spoken: list[float | None], problems: list[str], prompt: Prompt
) -> None:
    assert problems_with(Says(spoken), prompt) == problems


def test_an_account_is_read_back_and_none_leaves_the_file_as_it_was(
    prompt: Prompt, tmp_path: Path
) -> None:
    plan = RecordPlan(out=tmp_path, suite="s")
    folder = recording_folder(tmp_path, "says", "s", prompt.prompt_id, 0)
    assert record_one(Says([0, 1.25, 1.0]), prompt, plan)  # one that falls is kept and measured
    assert [arrival.spoken for arrival in read_arrivals(folder / "chunks.jsonl")] == [0, 1.25, 1]
    assert record_one(Says([None]), prompt, plan)
    line = json.loads((folder / "chunks.jsonl").read_text())
    assert set(line) == {"index", "num_frames", "num_samples", "t_arrival_s"}
    assert read_arrivals(folder / "chunks.jsonl")[0].spoken is None


def test_an_account_that_is_no_number_fails_the_recording(prompt: Prompt, tmp_path: Path) -> None:
    assert not record_one(Says([float("nan")]), prompt, RecordPlan(out=tmp_path, suite="s"))
    failed = read_recording(recording_folder(tmp_path, "says", "s", prompt.prompt_id, 0))
    assert "phonemes spoken are NaN" in failed.error
    path = tmp_path / "chunks.jsonl"
    line = {"index": 0, "num_frames": 1, "num_samples": 640, "t_arrival_s": 1, "spoken": 7}
    path.write_text(json.dumps(line).replace("7", "1e999"))
    with pytest.raises(InputError, match=r"chunks\.jsonl:1: not JSON \(1e999 is too large"):
        read_arrivals(path)
