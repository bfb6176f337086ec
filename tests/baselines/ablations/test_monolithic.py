"""The row without an orchestrator: its networks begin anew, are trained, resumed and streamed."""

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from baselines.ablations.plan import Teacher, piece_of, teacher_of
from baselines.ablations.rows import ROWS, contrasts
from baselines.ablations.trainer import WEIGHTS, Status
from baselines.ablations.training import NO_ORCHESTRATOR, StageTrainer
from baselines.streamchar_ref import StreamCharRef
from streamchar_ref.core.errors import InputError
from streamchar_ref.loop.stage import Draw
from streamchar_ref.model.checkpoint import load_checkpoint, save_checkpoint
from streamchar_ref.streaming.stream import stream
from streamchar_ref.streaming.transcript import Transcript
from streamchar_ref.train.data import TrainingData
from streamchar_ref.train.data_size import data_size
from streamchar_ref.train.export import export
from streamchar_ref.train.latent_cache import LatentClip
from streamchar_ref.train.run import TrainRun
from streamchar_ref.train.stages.speech import ReadingSpeechStage
from tests.streamchar_ref.tiny import tiny_model
from tests.streamchar_ref.train.latent_clips import clip

ROW = next(row for row in ROWS if row.name == "monolithic")
ANEW = next(row for row in ROWS if row.name == "teacher_anew")


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> StageTrainer:
    folder, model = tmp_path_factory.mktemp("start") / "c", tiny_model()
    origin = {
        name: {"steps": 1} for name in ("prompt", "video_vae", "audio_vae", "speech", "teacher")
    }
    save_checkpoint(folder, model.state_dict(), model.config, origin=origin, storage="float32")
    return StageTrainer(preset="tiny", start=folder, minutes=1)


def test_the_row_differs_from_its_control_in_the_orchestrator_alone() -> None:
    assert (ROW.parent, ANEW.parent) == ("teacher_anew", "teacher_8")
    assert contrasts(ROWS)["monolithic"] == ("teacher_anew",)
    piece, control = piece_of(ROW.setup, 0), piece_of(ANEW.setup, 0)
    assert piece is not None
    assert control is not None
    assert piece.stages == control.stages == ("speech", "teacher")
    assert (piece.teacher.is_bare, piece.teacher.config) == (True, (NO_ORCHESTRATOR,))
    assert ROW.setup.streaming == ANEW.setup.streaming
    assert ROW.setup.passes == ANEW.setup.passes == 16
    assert teacher_of(ANEW.setup) != teacher_of(ROW.setup)


def test_earlier_grids_find_their_folders_again() -> None:
    assert Teacher().name == "teacher"
    assert Teacher(config=("order=sound_first",)).name == "teacher-52503ec9"
    tuned = piece_of(next(row for row in ROWS if row.name == "teacher_tuned").setup, 0)
    assert tuned is not None
    assert tuned.name == "teacher-s0-45c341fb"


def test_a_bare_teacher_is_prompt_encoder_and_vaes(trainer: StageTrainer, tmp_path: Path) -> None:
    assert trainer.place_teacher(teacher_of(ANEW.setup), tmp_path).problem == ""
    found = load_checkpoint(tmp_path / WEIGHTS)
    assert set(found.origin) == {"prompt", "video_vae", "audio_vae"}
    assert {name.partition(".")[0] for name in found.tensors} == set(found.origin)
    assert found.config.has_orchestrator
    whole = Teacher(config=(NO_ORCHESTRATOR,))
    assert "begins anew" in trainer.place_teacher(whole, tmp_path / "whole").problem


def random_clips(data: TrainingData, weights: Any, *, held_out: bool = False) -> list[LatentClip]:
    return [clip(data.config, seed=seed) for seed in range(3)]


def test_it_is_trained_anew_resumed_exported_and_streamed(
    trainer: StageTrainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, placed = tmp_path / "data", tmp_path / "teacher"
    monkeypatch.setattr(TrainingData, "latents", random_clips)
    monkeypatch.setattr(TrainingData, "speech_hours", 0.0)
    trainer.place_teacher(teacher_of(ROW.setup), placed)
    last = piece_of(ROW.setup, 0)
    assert last is not None
    assert last.before is not None
    begun, made = tmp_path / "speech", tmp_path / "made"
    forward = ReadingSpeechStage.forward

    def stopped(stage: ReadingSpeechStage, draw: Draw) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        return forward(stage, draw)

    with monkeypatch.context() as stopping:
        stopping.setattr(ReadingSpeechStage, "forward", stopped)
        cut = trainer.train(last.before, begun, start=placed / WEIGHTS, data=data, steps=2)
    assert (cut.status, cut.steps) == (Status.UNFINISHED, 2)
    assert "step 1 of 2" in cut.reason
    done = trainer.train(last.before, begun, start=placed / WEIGHTS, data=data, steps=2)
    assert done.is_done
    assert trainer.train(last, made, start=begun / WEIGHTS, data=data, steps=1).is_done
    found = load_checkpoint(made / WEIGHTS)
    assert found.origin["speech"]["steps"] == 2
    run = TrainRun(
        folder=made, config=found.config, data_size=data_size("tiny"), start=begun / WEIGHTS
    )
    export(run, tmp_path / "whole", storage="int8")
    model = load_checkpoint(tmp_path / "whole").model()
    assert not model.config.has_orchestrator
    picture = np.full((40, 60, 3), 128, np.uint8)
    chunk = next(iter(stream(model, Transcript("Hello."), prompt="a man", reference=picture)))
    assert np.isfinite(chunk.samples).all()
    system = StreamCharRef(checkpoint=str(tmp_path / "whole"), label="monolithic")
    assert not hasattr(system, "stream_many"), "it has no use for the engine"
    with pytest.raises(InputError, match="no transcript window"):
        StreamCharRef(checkpoint=str(tmp_path / "whole"), pointer="fixed_rate")
