"""Pieces of a grid are runs of one stage, each from the weights of the one before."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from baselines.ablations.plan import Piece, Teacher, piece_of, pieces_of, teacher_of
from baselines.ablations.rows import choose_rows
from baselines.ablations.trainer import WEIGHTS, Status
from streamchar_ref.core.errors import InputError
from streamchar_ref.loop.fit import TrainingDiverged
from streamchar_ref.loop.state import STATE, TrainState, save_state
from streamchar_ref.model.checkpoint import load_checkpoint, save_checkpoint
from streamchar_ref.model.config import preset
from streamchar_ref.sampling.config import SamplerConfig
from streamchar_ref.train.stages.prompt import PromptStage
from tests.streamchar_ref.tiny import tiny_model

pytest.importorskip("streamchar_ref.train.distill.config", reason="there is no distillation here")
from baselines.ablations import training
from baselines.ablations.training import StageTrainer
from streamchar_ref.train.run import TrainRun

FULL = choose_rows(["full"])[1]
PIECES = pieces_of([FULL], [3])
TEACHER = PIECES[0].teacher


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A teacher with a student that must not be begun with."""
    folder = tmp_path_factory.mktemp("start") / "c"
    model = tiny_model()
    tensors = model.state_dict()
    student = {f"student.{n}": each for n, each in tensors.items() if n.startswith("dit.")}
    origin = {"teacher": {"steps": 1}, "distill_regress": {"steps": 9}}
    save_checkpoint(
        folder, tensors | student, model.config, origin=origin,
        samplers={"student": SamplerConfig(num_steps=1)},
    )  # fmt: skip
    return folder


@pytest.fixture
def trainer(start: Path) -> StageTrainer:
    return StageTrainer(preset="tiny", start=start, minutes=1)


def test_a_teacher_is_placed_without_its_student(trainer: StageTrainer, tmp_path: Path) -> None:
    placed = trainer.place_teacher(TEACHER, tmp_path)
    found = load_checkpoint(tmp_path / WEIGHTS)
    assert set(found.origin) == {"teacher"}
    assert found.samplers == {}
    assert not any(name.startswith("student.") for name in found.tensors)
    assert (placed.problem, placed.is_guided) == ("", False)


def test_another_teacher_is_refused_and_its_own_copy_is_not(
    trainer: StageTrainer, tmp_path: Path
) -> None:
    trainer.place_teacher(TEACHER, tmp_path / "t")
    trainer.place_teacher(TEACHER, tmp_path / "t")
    replace(trainer, start=tmp_path / "t" / WEIGHTS).place_teacher(TEACHER, tmp_path / "t")
    model = tiny_model()
    with torch.no_grad():
        next(model.parameters()).add_(1)
    save_checkpoint(tmp_path / "other", model.state_dict(), model.config, origin={})
    with pytest.raises(InputError, match=r"from another checkpoint .* give the same --from"):
        replace(trainer, start=tmp_path / "other").place_teacher(TEACHER, tmp_path / "t")


def test_the_mode_once_is_written_into_the_config(trainer: StageTrainer, tmp_path: Path) -> None:
    once = Teacher(config=("orchestrator.mode=once",))
    assert trainer.place_teacher(once, tmp_path / "t").problem == ""
    assert load_checkpoint(tmp_path / "t" / WEIGHTS).config.orchestrator.mode == "once"
    late = Teacher(config=("orchestrator.mode=once", "orchestrator.timing=emergent"))
    assert "needs timing=predicted" in trainer.place_teacher(late, tmp_path / "u").problem


def test_the_order_of_a_rival_is_written_into_the_config(
    trainer: StageTrainer, fake: type["FakeRun"], tmp_path: Path
) -> None:
    piece = piece_of(choose_rows(["cascade"])[1].setup, 0)
    assert piece is not None
    assert train(trainer, piece, tmp_path).is_done
    assert fake.seen.config.order == "sound_first"
    assert load_checkpoint(tmp_path / "p" / WEIGHTS).config.order == "sound_first"


def test_a_preset_without_shipped_weights_says_so(trainer: StageTrainer, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no checkpoint 'base' comes with the package"):
        trainer.place_teacher(Teacher(preset="base"), tmp_path)


def test_a_row_of_the_grids_own_preset_begins_with_the_grids_checkpoint(
    trainer: StageTrainer, tmp_path: Path
) -> None:
    own = Teacher(preset="tiny", is_bare=True)
    assert trainer.place_teacher(own, tmp_path).problem == ""
    assert trainer.start is not None
    placed, start = (load_checkpoint(each).tensors for each in (tmp_path / WEIGHTS, trainer.start))
    assert placed
    assert all(torch.equal(each, start[name]) for name, each in placed.items())


def test_a_preset_that_begins_anew_takes_prompt_encoder_and_vaes_that_fit(
    trainer: StageTrainer, tmp_path: Path
) -> None:
    setup = choose_rows(["paper_faithful"])[1].setup
    assert teacher_of(setup) == Teacher(preset="paper_faithful", is_bare=True)
    misfit = trainer.place_teacher(teacher_of(setup), tmp_path / "tiny")
    assert "paper_faithful has another prompt than the grid's teacher, tiny" in misfit.problem
    micro = StageTrainer(preset="micro", minutes=1)
    assert micro.place_teacher(teacher_of(setup), tmp_path / "micro").problem == ""
    found = load_checkpoint(tmp_path / "micro" / WEIGHTS)
    assert found.config == preset("paper_faithful")
    assert {name.partition(".")[0] for name in found.tensors} == {
        "prompt", "video_vae", "audio_vae",
    }  # fmt: skip


def test_warm_noise_is_written_into_the_config(trainer: StageTrainer, tmp_path: Path) -> None:
    trainer.place_teacher(teacher_of(choose_rows(["teacher_t1"])[1].setup), tmp_path)
    sampler = load_checkpoint(tmp_path / WEIGHTS).config.sampler
    assert (sampler.temperature, sampler.picture_temperature) == (1.0, 1.0)


def test_stages_have_the_settings_of_their_piece(trainer: StageTrainer) -> None:
    setup = replace(FULL.setup, visible="no_sink", max_chunks=1)
    piece = piece_of(setup, 0)
    assert piece is not None
    assert trainer.minutes_of(piece) == 1
    assert replace(trainer, minutes=0).minutes_of(piece) == pytest.approx(0.2)
    unknown = replace(piece, stages=("nonsense",), settings=())
    with pytest.raises(InputError, match="no stage 'nonsense'"):
        trainer.minutes_of(unknown)


class FakeRun:
    """What a stage does, without doing it."""

    seen: TrainRun
    given: dict[str, Any]
    state = TrainState(step=20, num_steps=20)
    error: Exception | None = None
    clock: "Seconds | None" = None

    @classmethod
    def train(cls, run: TrainRun, stage: str, **given: Any) -> Any:
        cls.seen, cls.given = run, given
        if cls.clock:
            cls.clock.pass_on()
        if cls.error:
            raise cls.error
        return cls.state


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakeRun]:
    own: type[FakeRun] = type("Own", (FakeRun,), {})
    monkeypatch.setattr(
        TrainRun, "train", lambda self, stage, **kept: own.train(self, stage, **kept)
    )
    return own


def train(trainer: StageTrainer, piece: Piece, folder: Path, steps: int = 0) -> Any:
    placed = folder / "teacher"
    trainer.place_teacher(piece.teacher, placed)
    start, data = placed / WEIGHTS, folder / "data"
    return trainer.train(piece, folder / "p", start=start, data=data, steps=steps)


def test_a_piece_is_one_stage_of_a_run(
    trainer: StageTrainer, fake: type[FakeRun], tmp_path: Path
) -> None:
    outcome = train(trainer, PIECES[0], tmp_path)
    assert outcome.is_done
    run = fake.seen
    assert fake.given == {"minutes": 1, "resume": True, "changes": None}
    assert outcome.steps == 20
    assert (run.seed, run.device, run.config.preset) == (3, "cpu", "tiny")
    assert (run.folder, run.data_folder) == (tmp_path / "p", tmp_path / "data")
    names = [spec.name for spec in run.stages]
    assert names[-3:] == ["distill_regress", "dmd_chunk", "dmd_rollout"]
    assert len(set(names)) == len(names)
    options = run.spec("distill_regress").options
    assert options is not None
    assert options.num_steps == 4
    assert load_checkpoint(tmp_path / "p" / WEIGHTS).config == run.config


def test_given_steps_have_twice_the_time(
    trainer: StageTrainer, fake: type[FakeRun], tmp_path: Path
) -> None:
    train(trainer, PIECES[0], tmp_path, steps=20)
    assert fake.given == {"minutes": 2, "resume": True, "changes": {"num_steps": 20}}


def test_what_diverged_says_by_which_sign(
    trainer: StageTrainer, fake: type[FakeRun], tmp_path: Path
) -> None:
    fake.error = TrainingDiverged("distill_regress: stopped at step 8, since the loss is nan")
    outcome = train(trainer, PIECES[0], tmp_path)
    assert outcome.status is Status.DIVERGED
    assert outcome.reason == str(fake.error)
    assert not (tmp_path / "p" / WEIGHTS).exists()


class Seconds:
    """A clock that each training moves on by the next of some times."""

    def __init__(self, *takes: float) -> None:
        self.now, self.takes = 0.0, list(takes)

    def __call__(self) -> float:
        return self.now

    def pass_on(self) -> None:
        self.now += self.takes.pop(0)


def cut(trainer: StageTrainer, fake: type[FakeRun], folder: Path, *takes: float) -> Any:
    """What comes of a stage that never ends by itself."""
    clock = Seconds(*takes)
    fake.state, fake.clock = TrainState(step=7, num_steps=20), clock
    return train(replace(trainer, clock=clock), PIECES[0], folder)


def test_a_slow_stage_has_as_long_again_for_the_steps_it_planned(
    trainer: StageTrainer, fake: type[FakeRun], tmp_path: Path
) -> None:
    outcome = cut(trainer, fake, tmp_path, 61.0, 61.0)
    assert fake.given == {"minutes": 1, "resume": True, "changes": {"num_steps": 20}}
    assert (outcome.status, outcome.steps) == (Status.UNFINISHED, 20)
    assert "step 7 of 20; the same command goes on" in outcome.reason
    assert not outcome.is_stopped


@pytest.mark.parametrize("takes", [(5.0,), (61.0, 5.0)])
def test_a_stage_that_ends_before_its_time_was_stopped(
    trainer: StageTrainer, fake: type[FakeRun], tmp_path: Path, takes: tuple[float, ...]
) -> None:
    outcome = cut(trainer, fake, tmp_path, *takes)
    assert (outcome.status, outcome.is_stopped) == (Status.UNFINISHED, True)


def test_a_stage_that_drew_data_for_long_and_was_stopped_then_is_not_out_of_time(
    trainer: StageTrainer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clock, specs = Seconds(300.0, 5.0), training._specs
    asked: list[dict[str, Any]] = []

    def drawn() -> PromptStage:
        clock.pass_on()
        return PromptStage(tiny_model().prompt)

    def slow(piece: Piece, name: str) -> Any:
        return tuple(replace(spec, make=lambda model, data: drawn()) for spec in specs(piece, name))

    def stopped(run: TrainRun, stage: str, **given: Any) -> TrainState:
        asked.append(given)
        run.spec(stage).make(tiny_model(), run._data())
        clock.pass_on()
        return TrainState(step=7, num_steps=20)

    monkeypatch.setattr(training, "_specs", slow)
    monkeypatch.setattr(TrainRun, "train", stopped)
    outcome = train(replace(trainer, clock=clock), PIECES[0], tmp_path)
    assert (outcome.status, outcome.is_stopped, len(asked)) == (Status.UNFINISHED, True, 1)


def test_the_steps_of_a_stage_that_was_begun_are_those_of_its_state(
    trainer: StageTrainer, tmp_path: Path
) -> None:
    assert trainer.planned_steps(PIECES[0], tmp_path) == 0
    folder, stage = tmp_path / PIECES[0].stage, torch.nn.Linear(1, 1)
    folder.mkdir()
    save_state(folder, TrainState(step=3, num_steps=12), stage, (), origin={})
    assert trainer.planned_steps(PIECES[0], tmp_path) == 12
    (folder / STATE).write_bytes(b"cut")
    assert trainer.planned_steps(PIECES[0], tmp_path) == 0
