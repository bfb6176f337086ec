"""What was asked for and is not there counts against the system, in every metric that needs it."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evals.extractors import EXTRACTORS
from evals.metrics.absence import seconds_of_speech
from evals.metrics.voice import WINDOW_S
from evals.recording.recording import Arrival, Recording, Trace
from evals.scoring.choice import choose_metrics
from evals.scoring.notes import notes_on
from evals.scoring.persist import summaries_of
from evals.scoring.results import ScoreRow
from evals.scoring.score import Options, score
from streamchar_ref.media.encode import write_m4a, write_mp4
from streamchar_ref.media.wav import write_wav
from streamchar_ref.weights import weights_folder
from streamchar_ref.world.speech import speak
from streamchar_ref.world.take import EngineMissing
from tests.evals import real_clips
from tests.evals.speech import SAMPLE_RATE

TEXT = "The kettle sings before the rain."
NEEDS_SPEECH = (
    "mesh_sync", "mesh_sync_at_zero", "mesh_offset_ms", "envelope_sync", "voice_similarity",
    "voice_drift", "dnsmos_ovrl", "dnsmos_p808", "sync_c_world", "loops", "longest_skip_words",
)  # fmt: skip
ALL_WORDS_LEFT_OUT = {"wer": 1.0, "cer": 1.0, "completion": 0.0, "phoneme_error_rate": 1.0}
FOREIGN = {
    "asr_whisper", "asr_whisper_multilingual", "asr_openai_whisper", "dnsmos-published",
    "syncnet_python",
}  # fmt: skip
"""Extractors that would only make the tests longer."""
SECONDS = 2


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("STREAMCHAR_WEIGHTS", str(weights_folder()))
    monkeypatch.setenv("STREAMCHAR_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.setattr("evals.features.canonical.SHORT_SIDE", 64)


def picture(path: Path, samples: np.ndarray | None = None) -> Path:
    pixels = np.full((SECONDS * 25, 64, 64, 3), 120, np.uint8)
    write_mp4(path, [pixels], samples, fps=25, sample_rate=SAMPLE_RATE)
    return path


def empty_wav(folder: Path) -> Path:
    write_wav(folder / "empty.wav", np.zeros(0, np.float32), sample_rate=SAMPLE_RATE)
    return folder / "empty.wav"


def noises(seconds: float = 8.0) -> dict[str, np.ndarray]:
    """Loud sound in which nobody speaks."""
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    rng = np.random.default_rng(0)
    hiss = 0.1 * rng.normal(size=len(t))
    glide = 2 * np.pi * np.cumsum(500 + 250 * np.sin(2 * np.pi * 0.8 * t)) / SAMPLE_RATE
    cries = sum(0.15 / k * np.sin(k * glide) for k in range(1, 8))
    made = {
        "hiss": hiss,
        "hiss that comes and goes": hiss * (0.5 + 0.5 * np.sin(2 * np.pi * 4 * t)),
        "hum": sum(0.1 / k * np.sin(2 * np.pi * 50 * k * t) for k in range(1, 8)),
        "tone": 0.3 * np.sin(2 * np.pi * 440 * t),
        "chord": sum(0.1 * np.sin(2 * np.pi * f * t) for f in (262, 330, 392)),
        "cries of an animal": cries * np.clip(np.sin(2 * np.pi * 0.8 * t), 0, None),
        "clicks": np.where(np.arange(len(t)) % 4000 == 0, 0.8, 0.0),
    }
    return {name: np.asarray(samples, np.float32) for name, samples in made.items()}


def recording(path: Path, **changes: Any) -> Recording:
    made = Recording(
        sample_id="a", system="s", suite="u", transcript=TEXT, video_path=path,
        groups={"domain": "world"},
    )  # fmt: skip
    return replace(made, **changes)


def scored(recordings: list[Recording], names: tuple[str, ...]) -> list[ScoreRow]:
    chosen, _ = choose_metrics(names, "all")
    chosen = [metric for metric in chosen if not FOREIGN & set(metric.needs)]
    found = score(recordings, metrics=chosen, options=Options())
    assert found.logs == []
    return found.rows


def without_sound(folder: Path) -> dict[str, Recording]:
    mute = picture(folder / "mute.mp4")
    silence = np.zeros(SECONDS * SAMPLE_RATE, np.float32)
    return {
        "no track": recording(mute, sample_id="1"),
        "a file without samples": recording(mute, sample_id="2", audio_path=empty_wav(folder)),
        "a silent track": recording(picture(folder / "zero.mp4", silence), sample_id="3"),
    }


@pytest.mark.slow
def test_without_sound_every_word_is_left_out_and_what_needs_speech_fails(tmp_path: Path) -> None:
    rows = scored(
        list(without_sound(tmp_path).values()),
        ("wer", "cer", "completion", "phoneme_error_rate", *NEEDS_SPEECH),
    )
    for row in rows:
        if row.metric in ALL_WORDS_LEFT_OUT:
            assert row.value == ALL_WORDS_LEFT_OUT[row.metric], row.where
        else:
            assert row.status == "generation_failure", (row.where, row.reason)
            assert "although words were asked for" in row.reason
    assert {row.metric for row in rows} == {*ALL_WORDS_LEFT_OUT, *NEEDS_SPEECH}


def test_losing_the_sound_of_two_files_of_three_shows_in_the_mean(tmp_path: Path) -> None:
    said = speak_or_skip(TEXT)
    good = recording(picture(tmp_path / "good.mp4", said), sample_id="0")
    mute = picture(tmp_path / "mute.mp4")
    recordings = [good, *(recording(mute, sample_id=name) for name in "12")]
    rows = [r for r in scored(recordings, ("wer",)) if r.protocol == "wer/moonshine-tiny@2"]
    (row,) = summaries_of(rows, {})
    assert (row.n, row.coverage) == (3, 1.0)
    assert row.value == pytest.approx(2 / 3, abs=0.12)
    (voice,) = summaries_of(scored(recordings, ("dnsmos_ovrl",)), {})
    assert voice.counts["generation_failure"] == 2
    assert voice.coverage == pytest.approx(1 / 3)


def test_where_nothing_was_to_be_said_nothing_is_missing(tmp_path: Path) -> None:
    mute = picture(tmp_path / "mute.mp4")
    for transcript in ("", "...", "[laughs]"):
        (row,) = scored([recording(mute, transcript=transcript)], ("voice_similarity",))
        assert row.status == "not_applicable"
    told = [recording(mute), recording(mute, sample_id="b", transcript="")]  # one file, one cache
    rows = scored(told, ("voice_similarity",))
    assert [row.status for row in rows] == ["generation_failure", "not_applicable"]


def test_a_system_that_declares_silence_says_nothing_and_fails_nothing(tmp_path: Path) -> None:
    still = recording(picture(tmp_path / "mute.mp4"), is_silent=True)
    rows = {row.metric: row for row in scored([still], ("wer", "mesh_sync", "loops"))}
    assert rows["wer"].value == 1.0
    assert rows["mesh_sync"].status == rows["loops"].status == "not_applicable"
    assert "declares that it is silent" in rows["mesh_sync"].reason


def test_a_file_without_a_picture_is_the_systems_failure(tmp_path: Path) -> None:
    path = tmp_path / "sound.m4a"
    write_m4a(path, np.full(SECONDS * SAMPLE_RATE, 0.1, np.float32), sample_rate=SAMPLE_RATE)
    rows = scored([recording(path)], ("dynamic_degree", "id_coverage"))
    assert {row.status for row in rows} == {"generation_failure"}
    assert all("no picture" in row.reason for row in rows)


def test_an_account_of_words_in_silence_fails(tmp_path: Path) -> None:
    silence = np.zeros(SECONDS * SAMPLE_RATE, np.float32)
    path = picture(tmp_path / "zero.mp4", silence)
    arrival = Arrival(t_s=1.0, num_frames=SECONDS * 25, num_samples=len(silence), spoken=9.0)
    trace = Trace(arrivals=(arrival,), fps=25, sample_rate=SAMPLE_RATE)
    (row,) = scored([recording(path, trace=trace)], ("pointer_error",))
    assert row.status == "generation_failure"
    quiet = replace(trace, arrivals=(replace(arrival, spoken=None),))
    (row,) = scored([recording(path, trace=quiet)], ("pointer_error",))
    assert row.status == "not_applicable"


@pytest.mark.parametrize("kind", noises(0.1))
def test_noise_is_no_speech(kind: str) -> None:
    samples = noises()[kind]
    found = EXTRACTORS["speech"].make().extract(samples)
    assert len(found["start_s"]) == 0
    assert float(found["duration_s"]) == 8.0


def test_noise_has_no_voice_and_no_quality_of_speech(tmp_path: Path) -> None:
    names = ("voice_similarity", "voice_drift", "dnsmos_ovrl", "mesh_sync", "envelope_sync")
    recordings = []
    for name in ("hiss", "hum", "cries of an animal"):
        path = tmp_path / f"{name}.wav"
        write_wav(path, noises()[name], sample_rate=SAMPLE_RATE)
        asked = recording(picture(tmp_path / "mute.mp4"), sample_id=name, audio_path=path)
        recordings += [asked, replace(asked, sample_id=f"{name} unasked", transcript="")]
    for row in scored(recordings, names):
        unasked = row.sample_id.endswith("unasked")
        assert row.status == ("not_applicable" if unasked else "generation_failure"), row.where
        assert "no speech in the sound" in row.reason


def speak_or_skip(text: str, voice: str = "joe") -> np.ndarray:
    try:
        return np.asarray(speak(text, voice=voice).samples)
    except EngineMissing:
        pytest.skip("the world's voices are not on this machine")


@pytest.mark.parametrize("voice", ["joe", "ada", "kira"])
def test_the_voices_of_the_world_are_speech(voice: str) -> None:
    samples = speak_or_skip(f"{TEXT} {TEXT}", voice)
    found = EXTRACTORS["speech"].make().extract(samples)
    assert seconds_of_speech(found, np.zeros(1), found["duration_s"][None])[0] > 0.75 * (
        len(samples) / SAMPLE_RATE
    )


@pytest.mark.parametrize("name", [real_clips.TALKING_HEAD, real_clips.HALF_BODY])
def test_real_speech_keeps_nearly_all_of_its_windows(name: str) -> None:
    samples = real_clips.clip_samples(name)
    start_s = EXTRACTORS["voice"].make().extract(samples)["start_s"]
    spoken_s = seconds_of_speech(
        EXTRACTORS["speech"].make().extract(samples), start_s, start_s + WINDOW_S
    )
    assert np.mean(spoken_s >= 0.5 * WINDOW_S) > 0.9


def test_seconds_of_speech_are_the_overlap() -> None:
    found = {"start_s": np.array([1.0, 3.0]), "end_s": np.array([2.0, 5.0])}
    spans = np.array([0.0, 1.5, 2.0, 0.0]), np.array([1.0, 3.5, 3.0, 9.0])
    assert seconds_of_speech(found, *spans).tolist() == [0.0, 1.0, 0.0, 3.0]


def test_a_wav_that_was_cut_says_how_much_is_there(tmp_path: Path) -> None:
    whole = tmp_path / "whole.wav"
    write_wav(whole, np.zeros(8 * SAMPLE_RATE, np.float32), sample_rate=SAMPLE_RATE)
    content = whole.read_bytes()
    header = len(content) - 2 * 8 * SAMPLE_RATE
    cut = tmp_path / "cut.wav"
    cut.write_bytes(content[: header + 2 * 2 * SAMPLE_RATE])
    mute = picture(tmp_path / "mute.mp4")
    assert any(
        "cut short: it holds 2.00 s of the 8.00 s" in note
        for note in notes_on(recording(mute, audio_path=cut))
    )
    piped = tmp_path / "piped.wav"  # the length is not known when the header is written
    piped.write_bytes(content[: header - 4] + b"\xff\xff\xff\xff" + content[header:])
    for path in (whole, piped):
        assert not any("cut short" in note for note in notes_on(recording(mute, audio_path=path)))


def test_a_file_without_sound_is_noted(tmp_path: Path) -> None:
    notes = notes_on(recording(picture(tmp_path / "mute.mp4")))
    assert "the file has no sound" in notes


def test_speech_that_ends_early_is_no_excuse(tmp_path: Path) -> None:
    said = speak_or_skip(TEXT)[: round(1.2 * SAMPLE_RATE)]
    path = picture(tmp_path / "short.mp4", said)
    words = " ".join([TEXT] * 3)
    asked = [recording(path, sample_id="cut", transcript=words), recording(path, sample_id="whole")]
    cut, whole = sorted(scored(asked, ("voice_similarity",)), key=lambda row: row.sample_id)
    assert cut.status == "generation_failure"
    assert re.search(r"no speech as long as a window.*: 1\.\d s of speech for 18 words", cut.reason)
    assert whole.status == "not_applicable"  # six words can be said in that time
