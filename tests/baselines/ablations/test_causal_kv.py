"""The rows that keep keys and values: one field, trained as teacher and student, and streamed."""

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from baselines.ablations.plan import piece_of, pieces_of, teacher_of
from baselines.ablations.rows import ROWS, change_in_words, contrasts
from baselines.ablations.trainer import WEIGHTS
from baselines.ablations.training import StageTrainer
from baselines.streamchar_ref import StreamCharRef
from evals.recording.system import Prompt
from streamchar_ref.core.errors import InputError
from streamchar_ref.model.checkpoint import load_checkpoint, save_checkpoint
from streamchar_ref.train.data import TrainingData
from streamchar_ref.train.latent_cache import LatentClip
from tests.streamchar_ref.tiny import tiny_model
from tests.streamchar_ref.train.latent_clips import clip

BY_NAME = {row.name: row for row in ROWS}
STUDENT = BY_NAME["causal_kv"]
PICTURE = np.full((32, 32, 3), 90, np.uint8)
CHAIN = ("teacher", "distill_regress", "dmd_chunk", "dmd_rollout")


def test_the_rows_differ_from_their_controls_in_the_cache_alone() -> None:
    assert change_in_words(STUDENT) == "student_tuned with cached_chunks=2"
    tuned = BY_NAME["causal_kv_teacher"]
    assert change_in_words(tuned) == "teacher_tuned with cached_chunks=2"
    assert contrasts(ROWS)["causal_kv"][:2] == ("student_tuned", "causal_kv_teacher")
    pieces, control = (pieces_of([BY_NAME[n]], [0]) for n in ("causal_kv", "student_tuned"))
    assert [p.stage for p in pieces] == [p.stage for p in control] == list(CHAIN)
    assert pieces[0] == piece_of(tuned.setup, 0), "teacher and student share their teacher"
    assert teacher_of(STUDENT.setup).config == ("dit.cached_chunks=2",)
    assert STUDENT.setup.streaming == BY_NAME["full"].setup.streaming


def test_its_stages_have_more_time_for_as_many_steps() -> None:
    trainer = StageTrainer(preset="micro", minutes=10)
    for mine, control in zip(
        pieces_of([STUDENT], [0]), pieces_of([BY_NAME["student_tuned"]], [0]), strict=True
    ):
        assert trainer.minutes_of(control) == 10
        assert trainer.minutes_of(mine) == pytest.approx(21)


def random_clips(data: TrainingData, weights: Any, *, held_out: bool = False) -> list[LatentClip]:
    return [clip(data.config, seed=seed, num_latents=18) for seed in range(3)]


def test_a_causal_teacher_and_its_student_are_trained_and_streamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TrainingData, "latents", random_clips)
    monkeypatch.setattr(TrainingData, "speech_hours", 0.0)
    monkeypatch.setattr(TrainingData, "corpus", type("Corpus", (), {"digest": "0"}))
    start, model = tmp_path / "start", tiny_model()
    origin = {n: {"steps": 1} for n in ("prompt", "video_vae", "audio_vae", "speech", "teacher")}
    save_checkpoint(start, model.state_dict(), model.config, origin=origin, storage="float32")
    trainer = StageTrainer(preset="tiny", start=start, minutes=1)
    placed, data = tmp_path / "placed", tmp_path / "data"
    assert trainer.place_teacher(teacher_of(STUDENT.setup), placed).problem == ""
    before = placed / WEIGHTS
    for piece in pieces_of([STUDENT], [0])[:2]:
        outcome = trainer.train(piece, tmp_path / piece.name, start=before, data=data, steps=1)
        assert outcome.is_done, outcome.reason
        before = tmp_path / piece.name / WEIGHTS
    found = load_checkpoint(before)
    assert found.config.dit.cached_chunks == 2
    system = StreamCharRef(checkpoint=str(before), **STUDENT.setup.streaming | {"num_steps": 2})
    assert hasattr(system, "stream_many"), "the engine serves it"
    prompt = Prompt(prompt_id="a", transcript="Hello there, all of you.", reference=PICTURE)
    chunks = list(islice(system.stream(prompt, seed=0), 3))
    assert len(chunks) >= 2
    assert all(np.isfinite(chunk.samples).all() for chunk in chunks)
    hidden = StreamCharRef(checkpoint=str(before), network="student", context="no_sink")
    with pytest.raises(InputError, match="keeps the keys and values"):
        next(iter(hidden.stream(prompt, seed=0)))
