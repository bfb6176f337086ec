import math
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from streamchar_ref.commands.world import app
from streamchar_ref.world import corpus_build
from streamchar_ref.world.corpus import (
    PHONE_CODES,
    Corpus,
    CorpusError,
    bytes_per_hour,
    open_corpus,
)
from streamchar_ref.world.corpus_build import CorpusPlan, build_corpus, utterance_texts
from streamchar_ref.world.speech import SILENCE, speak

PLAN = CorpusPlan(seed=5, style="flat", shard_s=8.0)
HOURS, MAX_MB = 24 / 3600, 10.0


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return build_corpus(tmp_path_factory.mktemp("corpus") / "one", PLAN, hours=HOURS, max_mb=MAX_MB)


def test_utterances_are_what_their_recipe_says(built: Corpus) -> None:
    assert len(built) == len(list(built)) > 2
    utterance = built[len(built) - 1]
    spoken = speak(
        utterance.transcript,
        voice=utterance.voice,
        seed=utterance.seed,
        rate_wpm=utterance.rate_wpm,
        room=utterance.room,
    )
    assert [word.text for word in utterance.words] == [word.text for word in spoken.words]
    for ours, theirs in zip(utterance.phonemes, spoken.phonemes, strict=True):
        assert (ours.phone, ours.word_index) == (theirs.phone, theirs.word_index)
        assert ours.t1_s == pytest.approx(theirs.t1_s, abs=1e-6)
    noise = utterance.samples - spoken.samples
    assert (noise**2).mean() < 0.02 * (spoken.samples**2).mean()
    assert built[-1].transcript == utterance.transcript


def test_packed_phonemes_tile_the_sound(built: Corpus) -> None:
    for utterance in built:
        assert utterance.phonemes[0].t0_s == 0
        for before, after in zip(utterance.phonemes[:-1], utterance.phonemes[1:], strict=True):
            assert before.t1_s == after.t0_s
        assert utterance.phonemes[-1].t1_s == pytest.approx(
            len(utterance.samples) / 16_000, abs=7e-5
        )


def test_two_workers_give_the_same_bytes_as_one(built: Corpus, tmp_path: Path) -> None:
    build_corpus(tmp_path / "two", PLAN, hours=HOURS, max_mb=MAX_MB, jobs=2)
    assert content(tmp_path / "two") == content(built.folder)


def test_an_interrupted_build_ends_with_the_same_bytes(
    built: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "stopped"

    def stop(what: str, done: int, total: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_corpus(folder, PLAN, hours=HOURS, max_mb=MAX_MB, progress=stop)
    (folder / "shard-00001.npz.part").write_bytes(b"half")
    with pytest.raises(CorpusError, match="not finished"):
        open_corpus(folder)
    build_corpus(folder, PLAN, hours=HOURS, max_mb=MAX_MB)
    assert content(folder) == content(built.folder)


def test_a_longer_corpus_begins_with_the_shorter_one(built: Corpus, tmp_path: Path) -> None:
    folder = tmp_path / "longer"
    build_corpus(folder, PLAN, hours=8 / 3600, max_mb=10)
    build_corpus(folder, PLAN, hours=HOURS, max_mb=MAX_MB)
    assert content(folder) == content(built.folder)


def test_bad_texts_are_skipped_with_a_reason_and_the_build_goes_on(tmp_path: Path) -> None:
    texts = ("", "\U0001f600", "\u4f60\u597d", "Room 101 is 3% full.", "Hello there, old friend.")
    plan = CorpusPlan(style="flat", shard_s=8.0, texts=texts)
    corpus = build_corpus(tmp_path / "odd", plan, hours=0.005, max_mb=10)
    assert {utterance.transcript for utterance in corpus} == set(texts[3:])
    index = (tmp_path / "odd" / "index.json").read_text()
    assert "there are no words to say" in index
    assert "only English is spoken here" in index


def test_an_engine_fault_costs_one_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fragile(transcript: str, **how: object) -> object:
        if transcript.startswith("Bad"):
            raise IndexError("a bug")
        return speak(transcript, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(corpus_build, "speak", fragile)
    plan = CorpusPlan(style="flat", shard_s=8.0, texts=("Bad luck to all.", "Good luck to all."))
    build_corpus(tmp_path / "fragile", plan, hours=0.002, max_mb=10)
    assert "IndexError: a bug" in (tmp_path / "fragile" / "index.json").read_text()


def test_nothing_but_bad_texts_is_an_error(tmp_path: Path) -> None:
    plan = CorpusPlan(style="flat", texts=("\U0001f600",))
    with pytest.raises(CorpusError, match="50 texts in a row cannot be said"):
        build_corpus(tmp_path / "bad", plan, hours=0.01, max_mb=10)


def test_too_little_room_is_refused_before_the_build(tmp_path: Path) -> None:
    with pytest.raises(
        CorpusError, match=r"10 hours take up to .* MB, more than 100; 3\.\d+ hours fit"
    ):
        build_corpus(tmp_path / "big", CorpusPlan(), hours=10, max_mb=100)
    assert not (tmp_path / "big").exists()


@pytest.mark.parametrize("hours", [math.inf, math.nan, 0.0, -1.0])
def test_hours_and_room_are_numbers_above_nothing(tmp_path: Path, hours: float) -> None:
    with pytest.raises(CorpusError, match="hours must be a number above 0, got"):
        build_corpus(tmp_path / "none", PLAN, hours=hours, max_mb=MAX_MB)
    with pytest.raises(CorpusError, match="max_mb must be a number above 0, got"):
        build_corpus(tmp_path / "none", PLAN, hours=HOURS, max_mb=hours)
    assert not (tmp_path / "none").exists()


def test_a_corpus_takes_no_more_than_foretold(built: Corpus) -> None:
    size = sum(map(len, content(built.folder).values()))
    assert size < bytes_per_hour(PLAN.shard_s) * 24 / 3600
    assert size / built.duration_s < 9_500


def test_another_corpus_is_never_mixed_in(built: Corpus, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="holds another corpus"):
        build_corpus(built.folder, CorpusPlan(seed=6, style="flat"), hours=HOURS, max_mb=MAX_MB)
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(CorpusError, match="is not empty"):
        build_corpus(tmp_path, PLAN, hours=HOURS, max_mb=MAX_MB)


def test_long_texts_are_cut_at_sentences() -> None:
    text = "One two three. " * 1000 + "word " * 500
    pieces = utterance_texts(text)
    assert max(len(piece.split()) for piece in pieces) <= corpus_build.MAX_WORDS
    assert " ".join(pieces).split() == text.split()
    assert all(piece.endswith(".") for piece in pieces[:70])


def test_the_inventory_of_phones_is_a_byte(built: Corpus) -> None:
    assert len(PHONE_CODES) < 256
    assert PHONE_CODES[0] == SILENCE
    assert {p.phone for utterance in built for p in utterance.phonemes} <= set(PHONE_CODES)


def test_the_command_builds_and_complains_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("We are having a lovely time here. " * 40)
    common = ["build", "--out", str(tmp_path / "out"), "--style", "flat", "--jobs", "1"]
    texts = ["--texts", str(tmp_path / "own.txt")]
    done = CliRunner().invoke(app, [*common, *texts, "--hours", "0.01", "--max-mb", "10"])
    assert done.exit_code == 0, done.output
    assert "hours" in done.output
    refused = CliRunner().invoke(app, [*common, "--hours", "9", "--max-mb", "1"])
    assert refused.exit_code == 2
    assert "hours fit" in refused.output


def test_samples_are_those_of_numpy_alone(built: Corpus) -> None:
    assert built[0].samples.dtype == np.float32
    assert 0.5 < np.abs(built[0].samples).max() <= 1.001


def test_the_files_of_another_folder_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "download.part").write_text("mine, too")
    with pytest.raises(CorpusError, match="is not empty"):
        build_corpus(tmp_path, CorpusPlan(), hours=0.01, max_mb=40)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["download.part", "notes.txt"]
