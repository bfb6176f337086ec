import csv
import json
import shutil
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

from streamchar_ref.commands.train import app
from streamchar_ref.core.errors import InputError
from streamchar_ref.loop.fit import fit
from streamchar_ref.loop.stage import Draw
from streamchar_ref.loop.state import load_state
from streamchar_ref.model.checkpoint import CheckpointError, load_checkpoint, part_of
from streamchar_ref.model.config import override, preset
from streamchar_ref.streaming.stream import stream
from streamchar_ref.streaming.transcript import Transcript
from streamchar_ref.train.data import TrainingData
from streamchar_ref.train.data_size import DataSize, data_size
from streamchar_ref.train.distill.config import distill_config
from streamchar_ref.train.export import export
from streamchar_ref.train.run import StageMissing, TrainRun
from streamchar_ref.train.stages import all_stages
from streamchar_ref.world.corpus_build import CorpusPlan, build_corpus
from tests.streamchar_ref.train.two_networks import DISTILLING

TEXTS = ("My umbrella waits in the hall.", "Seven geese cross the road.", "Put the lamp here.")
SMALL = replace(data_size("tiny"), pool_clips=2)
STAGES = all_stages(replace(distill_config("tiny"), num_windows=4))
NAMES = [spec.name for spec in STAGES]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("speech") / "corpus"
    plan = CorpusPlan(style="flat", rooms=0, shard_s=6, texts=TEXTS)
    build_corpus(folder, plan, hours=12 / 3600, max_mb=5)
    return folder


def run_in(folder: Path, corpus: Path, *, size: DataSize = SMALL) -> TrainRun:
    folder.mkdir(exist_ok=True)
    (folder / "corpus").symlink_to(corpus)
    return TrainRun(folder=folder, config=preset("tiny"), data_size=size, stages=STAGES)


def train(run: TrainRun, stage: str, *, steps: int, resume: bool = False) -> None:
    run.train(stage, minutes=2, resume=resume, changes={"num_steps": steps, "log_every": 1})


@pytest.fixture(scope="module")
def trained(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainRun:
    run = run_in(tmp_path_factory.mktemp("run"), corpus)
    for stage in NAMES:
        train(run, stage, steps=3)
    return run


@pytest.mark.slow
def test_all_stages_make_a_checkpoint_that_streams(trained: TrainRun, tmp_path: Path) -> None:
    export(trained, tmp_path / "whole", storage="int8")
    found = load_checkpoint(tmp_path / "whole", preset="tiny")
    assert set(found.origin) == set(NAMES)
    assert found.origin["teacher"]["steps"] == 3
    picture = np.full((40, 60, 3), 128, np.uint8)
    chunks = stream(found.model(), Transcript("Hello."), prompt="a man", reference=picture)
    chunk = next(iter(chunks))
    assert np.isfinite(chunk.samples).all()
    assert chunk.frames.shape == (16, 32, 32, 3)


def test_a_stage_of_several_networks_is_one_spec_and_ends_in_a_checkpoint_of_all(
    trained: TrainRun, tmp_path: Path
) -> None:
    whole = trained.weights_so_far()
    run = replace(trained, stages=(*STAGES, DISTILLING))
    try:
        train(run, "student", steps=3)
        export(run, tmp_path / "whole", storage="float32")
        model, begun = run.model_before("student")
        again = replace(run, folder=tmp_path / "again", start=tmp_path / "whole")
        train(again, "student", steps=1)
    finally:
        shutil.rmtree(run.folder / "student")
    found = load_checkpoint(tmp_path / "whole")
    plain, student, critic = (found.model(name) for name in ("plain", "student", "critic"))
    assert set(found.samplers) == {"student", "critic"}, "the scores stay in the run"
    for name, tensor in plain.state_dict().items():
        assert torch.equal(tensor, whole.tensors[name])
        is_own = name.startswith("dit.") and tensor.is_floating_point() and tensor.any()
        if not is_own:
            assert torch.equal(tensor, student.state_dict()[name])
    moved = [
        not torch.equal(plain.dit.state_dict()[name], other.dit.state_dict()[name])
        for other in (student, critic)
        for name in ("video_in.weight",)
    ]
    assert moved == [True, True]
    assert student.config.sampler == DISTILLING.samplers["student"].over(run.config.sampler)
    assert found.model().config == student.config
    assert set(begun.samplers) == {"student", "real_score", "fake_score"}
    assert torch.equal(model.dit.video_in.weight, plain.dit.video_in.weight)
    one, other = (
        load_checkpoint(folder).tensors["student.dit.video_in.weight"]
        for folder in (tmp_path / "whole", tmp_path / "again" / "student" / "checkpoint")
    )
    start = plain.dit.video_in.weight
    assert (one - other).norm() < (one - start).norm(), "it goes on from the student, not the model"


def test_a_stage_without_a_budget_for_the_preset_says_for_which_it_has_one() -> None:
    with pytest.raises(InputError, match="stage student has a budget for tiny, not for 'micro'"):
        DISTILLING.budget("micro")


def test_a_stage_changes_only_what_it_trains(trained: TrainRun) -> None:
    number = NAMES.index("teacher")
    before = trained.weights_so_far(NAMES[:number]).tensors
    taught = trained.weights_so_far(NAMES[: number + 1]).tensors
    after = trained.weights_so_far().tensors
    assert _changed(before, taught) == {"orchestrator", "dit"}
    assert _changed(taught, after) == {"video_vae", "audio_vae"}
    assert _changed(*(part_of(tensors, *LATENTS) for tensors in (taught, after))) == set()


def test_a_student_is_resumed_with_the_settings_it_was_begun_with(trained: TrainRun) -> None:
    other = replace(trained, stages=all_stages(replace(distill_config("tiny"), max_chunks=1)))
    with pytest.raises(InputError, match=r"another options: give the same --set distill\.\*"):
        train(other, "dmd_chunk", steps=4, resume=True)


def test_a_student_of_noise_of_another_temperature_is_refused(
    trained: TrainRun, tmp_path: Path
) -> None:
    config = override(trained.config, ["sampler.picture_temperature=0.25"])
    warmer = replace(trained, config=config)
    with pytest.raises(InputError, match="another options"):
        train(warmer, "distill_regress", steps=4, resume=True)
    for stage in [name for name in NAMES if not name.startswith("dmd")]:
        shutil.copytree(trained.folder / stage, tmp_path / stage)
    fresh = replace(warmer, folder=tmp_path, data_folder=trained.folder)
    with pytest.raises(CheckpointError, match=r"trained with sampler\.picture_temperature=1\.0"):
        train(fresh, "dmd_chunk", steps=1)


def test_distribution_matching_asks_for_the_scores_that_an_export_leaves_out(
    trained: TrainRun, tmp_path: Path
) -> None:
    export(trained, tmp_path / "whole", storage="float32")
    run = replace(trained, folder=tmp_path / "run", start=tmp_path / "whole")
    with pytest.raises(StageMissing, match="dmd_chunk needs the weights of real_score"):
        train(run, "dmd_chunk", steps=1)


def test_an_exported_student_samples_in_as_many_steps_as_it_is_told(
    trained: TrainRun, tmp_path: Path
) -> None:
    export(trained, tmp_path / "whole", storage="float32", student_steps=1)
    found = load_checkpoint(tmp_path / "whole")
    assert found.model().config.sampler.num_steps == 1
    assert found.model("plain").config.sampler == trained.config.sampler
    teacher = replace(trained, folder=tmp_path, start=None, stages=trained.stages[:5])
    for stage in NAMES[:5]:
        shutil.copytree(trained.folder / stage, tmp_path / stage)
    with pytest.raises(InputError, match="no student in"):
        export(teacher, tmp_path / "teacher", storage="float32", student_steps=1)


def test_snapshots_of_a_student_are_whole_checkpoints_averaged_and_not(
    trained: TrainRun, tmp_path: Path
) -> None:
    run = replace(trained, folder=tmp_path, data_folder=trained.folder, start=tmp_path / "start")
    export(trained, tmp_path / "start", storage="float32")
    changes = {"num_steps": 4, "snapshot_every": 2}
    run.train("distill_regress", minutes=2, resume=False, changes=changes)
    folders = sorted((tmp_path / "distill_regress").glob("step-*"))
    assert [folder.name for folder in folders] == ["step-000002", "step-000004"]
    last = load_checkpoint(folders[-1])
    written = load_checkpoint(tmp_path / "distill_regress" / "checkpoint")
    name = "dit.audio_in.weight"
    mean, raw = (last.tensors[f"{network}.{name}"] for network in ("student", "raw"))
    torch.testing.assert_close(mean, written.tensors[f"student.{name}"], rtol=0.01, atol=1e-3)
    assert not torch.equal(mean, raw)
    assert last.model().config.sampler.kind == "renoise"
    assert last.model("plain").config.sampler.kind == run.config.sampler.kind


LATENTS = tuple(
    f"{kind}_vae.{part}." for kind in ("video", "audio") for part in ("encoder", "whitening")
)


def _changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    return {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}


def test_the_log_has_losses_of_both_modalities_speed_and_cost(trained: TrainRun) -> None:
    with (trained.folder / "teacher" / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [1, 2, 3]
    assert {"video", "audio", "gradient_norm", "samples_per_s"} <= set(rows[0])
    assert all(float(row["flop_per_s"]) > 0 for row in rows)


def test_a_stage_names_those_that_are_missing(corpus: Path, tmp_path: Path) -> None:
    run = run_in(tmp_path / "run", corpus)
    with pytest.raises(StageMissing, match="prompt, audio_vae"):
        train(run, "speech", steps=1)
    with pytest.raises(StageMissing, match="teacher"):
        export(run, tmp_path / "whole", storage="bfloat16")


def test_a_stage_that_has_begun_is_not_overwritten(trained: TrainRun) -> None:
    with pytest.raises(FileExistsError, match="--resume"):
        train(trained, "prompt", steps=3)


def test_weights_of_another_preset_are_refused(trained: TrainRun, tmp_path: Path) -> None:
    other = TrainRun(
        folder=tmp_path,
        config=preset("micro"),
        data_size=SMALL,
        start=trained.folder / "prompt" / "checkpoint",
    )
    with pytest.raises(CheckpointError, match="tiny"):
        other.model_before("video_vae")


def test_stages_of_another_config_are_refused(trained: TrainRun, tmp_path: Path) -> None:
    once = override(trained.config, ["orchestrator.mode=once"])
    with pytest.raises(CheckpointError, match="another config"):
        export(replace(trained, config=once), tmp_path / "whole", storage="int8")
    steps = override(trained.config, ["sampler.num_steps=7"])
    export(replace(trained, config=steps), tmp_path / "whole", storage="int8")
    assert load_checkpoint(tmp_path / "whole").config.sampler.num_steps == 7


@pytest.mark.parametrize("order", ["sound_first", "sound_given"])
def test_a_teacher_is_trained_further_in_another_order(
    order: str, trained: TrainRun, corpus: Path, tmp_path: Path
) -> None:
    export(trained, tmp_path / "whole", storage="float32")
    joint = replace(run_in(tmp_path / "rival", corpus), start=tmp_path / "whole")
    run = replace(joint, config=override(joint.config, [f"order={order}"]))
    train(run, "teacher", steps=2)
    found = load_checkpoint(run.folder / "teacher" / "checkpoint")
    assert found.config.order == order
    assert found.origin["teacher"]["earlier"]["steps"] == 3
    before = load_checkpoint(trained.folder / "teacher" / "checkpoint")
    name = "dit.video_out.weight"
    assert not torch.equal(found.tensors[name], before.tensors[name])
    with pytest.raises(CheckpointError, match="trained with another config"):
        joint.weights_so_far()


def test_a_finished_stage_is_not_made_again(
    trained: TrainRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TrainRun, "model_before", None)
    state = trained.train("teacher", minutes=1, resume=True)
    assert (state.step, state.is_done) == (3, True)


def test_states_name_a_config_as_the_first_runs_did(trained: TrainRun) -> None:
    state = load_state(trained.folder / "prompt", None, (), origin={"config": TINY_DIGEST})
    assert state is not None
    for sampled in ("num_steps=7", "guidance=2", "temperature=0.5", "kind=ab2"):
        config = override(trained.config, [f"sampler.{sampled}"])
        again = replace(trained, config=config).train("prompt", minutes=1, resume=True)
        assert again.is_done
    shifted = replace(trained, config=override(trained.config, ["sampler.shift=2"]))
    with pytest.raises(InputError, match="trained with another config"):
        shifted.train("prompt", minutes=1, resume=True)


TINY_DIGEST = "be44444a500cca3e5a44abd19dd0bdd4a6f2faaa4c90cbb98a135756b4d7a113"
"""Of the config of a run of 2026-11, when the sampler was a part of the stream."""


def test_stages_trained_on_side_by_side_each_tell_their_own_steps(
    trained: TrainRun, tmp_path: Path
) -> None:
    export(trained, tmp_path / "begun", storage="float32")
    run = replace(trained, folder=tmp_path, start=tmp_path / "begun")
    (tmp_path / "corpus").symlink_to(trained.folder / "corpus")
    for stage in ("video_decoder", "audio_decoder"):
        train(run, stage, steps=1)
    origin = run.weights_so_far().origin
    assert {name: told["steps"] for name, told in origin.items()} == dict.fromkeys(NAMES, 3) | {
        "video_decoder": 1, "audio_decoder": 1,
    }  # fmt: skip


def test_a_stage_that_goes_on_from_weights_sees_other_data_and_adds_up_its_steps(
    trained: TrainRun, tmp_path: Path
) -> None:
    run = replace(trained, folder=tmp_path, start=trained.folder / "prompt" / "checkpoint")
    for steps, earlier in ((2, 3), (1, 5)):
        train(run, "prompt", steps=steps)
        origin = run.weights_so_far().origin["prompt"]
        assert origin["steps"] == steps
        assert origin["earlier"]["steps"] == origin["settings"]["seed"] == earlier
        run = replace(run, folder=tmp_path / "again", start=tmp_path / "prompt" / "checkpoint")


def test_a_cut_teacher_goes_on_bit_for_bit(trained: TrainRun, tmp_path: Path) -> None:
    spec = trained.spec("teacher")
    settings = replace(spec.budget("tiny").optim, num_steps=4)
    data = TrainingData(folder=trained.folder, config=trained.config, data_size=SMALL)
    found = []
    for is_cut in (False, True):
        torch.manual_seed(0)
        clock = map(float, count())  # every look at it takes a second
        folder = tmp_path / str(is_cut)
        for resume in (False, True) if is_cut else (False,):
            stage = spec.make(trained.model_before("teacher")[0], data)
            state = fit(
                stage,
                settings,
                folder=folder,
                max_minutes=(4 * 2) / 60 if is_cut and not resume else 60,
                resume=resume,
                clock=clock.__next__,
            )
            if is_cut and not resume:
                assert 0 < state.step < 4
        assert state.is_done
        found.append(part_of(stage.state_dict(), *spec.hands_over))
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_pools_draw_the_same_for_the_same_step(trained: TrainRun) -> None:
    data = TrainingData(folder=trained.folder, config=preset("tiny"), data_size=SMALL)
    sound, video = data.sound_pool(), data.video_pool()
    draw = Draw(step=3, batch=4, seed=1)
    other = replace(draw, step=4)
    for pool in (lambda each: sound(each, 3_200), lambda each: video(each, 8).frames):
        assert torch.equal(pool(draw), pool(draw))
        assert not torch.equal(pool(draw), pool(other))
        assert pool(draw).abs().max() <= 1
    interest = torch.cat([video(each, 8).interest for each in (draw, other)])
    assert set(interest.unique().tolist()) == {0.0, 1.0, 4.0}
    assert 0 < (interest == 4).float().mean() < (interest > 0).float().mean() < 0.8
    assert set(data.training).isdisjoint(data.held_out)


def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    runner = CliRunner()
    wrong = [
        (["dance", "--out", str(tmp_path)], "unknown stage"),
        (["prompt", "--out", str(tmp_path), "--preset", "huge"], "no preset 'huge'"),
        (["prompt", "--out", str(tmp_path), "--preset", "paper"], "not one to be trained"),
        (["prompt", "--out", str(tmp_path), "--set", "dit.depth=3"], "no field 'depth'"),
        (["teacher", "--out", str(tmp_path), "--preset", "tiny"], "needs prompt"),
    ]
    for arguments, message in wrong:
        result = runner.invoke(app, arguments)
        assert result.exit_code == 2, arguments
        assert message in result.output


def test_the_command_trains_a_stage(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "corpus").symlink_to(corpus)
    arguments = ["prompt", "--preset", "tiny", "--out", str(tmp_path), "--steps", "2", "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {"prompt": {"step": 2, "of": 2, "done": True}}
    assert load_checkpoint(tmp_path / "prompt" / "checkpoint").origin["prompt"]["steps"] == 2


def test_a_run_that_is_cut_says_what_is_missing_and_how_to_go_on(
    corpus: Path, tmp_path: Path
) -> None:
    (tmp_path / "corpus").symlink_to(corpus)
    arguments = ["all", "--preset", "tiny", "--out", str(tmp_path), "--max-minutes", "0.0001"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    (line,) = [line for line in result.stderr.splitlines() if "--resume" in line]
    assert "prompt is at step" in line
    assert f"not begun: {', '.join(NAMES[1:])}" in line
    assert "no whole checkpoint was written" in line
    done = CliRunner().invoke(app, ["audio_vae", *arguments[1:5], "--steps", "1"])
    assert done.exit_code == 0, done.output
    assert "--resume" not in done.stderr
