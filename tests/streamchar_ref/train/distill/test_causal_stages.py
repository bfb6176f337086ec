"""Teacher and student of a DiT that keeps keys and values: windows, all stages, and rollouts."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from streamchar_ref.loop.config import OptimConfig
from streamchar_ref.loop.fit import fit
from streamchar_ref.loop.stage import Draw
from streamchar_ref.model.checkpoint import Checkpoint, CheckpointError
from streamchar_ref.model.streamchar import Conditioning, StreamChar
from streamchar_ref.networks.causal import packed
from streamchar_ref.streaming.state import encoded_past, initial_state
from streamchar_ref.train.augmentation import ContextAugmentation
from streamchar_ref.train.distill.config import DistillConfig
from streamchar_ref.train.distill.regression import TrajectoryRegression
from streamchar_ref.train.distill.stream_pool import StreamPool
from streamchar_ref.train.distill.trajectories import trajectory_pool
from streamchar_ref.train.stages.distill_regress import REAL_SCORE, STUDENT, RegressStage
from streamchar_ref.train.stages.distillation import distill_augmentation
from streamchar_ref.train.stages.dmd_chunk import dmd_groups
from streamchar_ref.train.stages.dmd_rollout import DmdRolloutStage
from streamchar_ref.train.stages.teacher import TeacherStage
from streamchar_ref.train.windows import WindowPool
from tests.streamchar_ref.tiny import tiny_config, tiny_model
from tests.streamchar_ref.train.latent_clips import clip, store_of
from tests.streamchar_ref.train.test_latent_store import DRAWS, choice_of, half

CACHED = "dit.cached_chunks=2"
CONFIG = DistillConfig(
    num_windows=4, window_batch=4, num_streams=2, max_chunks=3, ramp_updates=1, num_steps=2,
    max_spread=9.0, max_ratio=9.0,
)  # fmt: skip
SETTINGS = OptimConfig(batch=2, log_every=1, bfloat16=False, num_steps=2)


@pytest.fixture(scope="module")
def teacher() -> StreamChar:
    return tiny_model(CACHED).requires_grad_(False)


def windows_of(model: StreamChar, augmentation: ContextAugmentation) -> WindowPool:
    clips = [clip(model.config, seed=seed, num_latents=18) for seed in range(3)]
    return WindowPool(store_of(model.config, clips), model.config, augmentation)


@pytest.fixture(scope="module")
def regression(
    teacher: StreamChar, tmp_path_factory: pytest.TempPathFactory
) -> TrajectoryRegression:
    windows = windows_of(teacher, distill_augmentation(CONFIG))
    folder = tmp_path_factory.mktemp("trajectories")
    return TrajectoryRegression(
        trajectory_pool(teacher, windows, CONFIG, folder, origin={}), torch.eye(4)
    )


def test_a_window_looks_back_on_whole_chunks_and_on_a_held_picture_before_the_clip() -> None:
    config = tiny_config(CACHED)
    known = clip(config, seed=0, num_latents=18)
    pool = WindowPool(store_of(config, [known]), config, ContextAugmentation())
    choice = choice_of([0] * 5, [0, 4, 6, 8, 11], [0] * 5, [0] * 5)
    clean = replace(DRAWS, motion_sigma=torch.zeros(5))
    context = pool.assemble(choice, clean, normal=lambda shape: torch.ones(shape)).context
    for row, start in enumerate(choice.start):
        rows = np.clip(np.arange(start - 8, start), 0, None) if start else np.zeros(8, int)
        assert torch.equal(context.motion_video[row], half(known.video[rows])), start
        heard = context.motion_audio[row, max(0, 32 - 4 * int(start)) :]
        assert torch.equal(heard, half(known.audio[4 * int(start) - len(heard) : 4 * int(start)]))


def test_a_window_at_the_start_is_a_stream_that_has_not_begun(teacher: StreamChar) -> None:
    windows = windows_of(teacher, replace(distill_augmentation(CONFIG), first_chunk=1.0))
    context = windows(Draw(step=0, batch=2, seed=0)).context
    state = initial_state(
        teacher, replace(_conditioning(teacher), reference=context.reference), [0, 1]
    )
    context = replace(
        context, motion_sigma=torch.zeros(2), motion_video=state.motion_video,
        prompt=state.conditioning.prompt, sink=state.sink,
        motion_audio=state.history[:, -context.motion_audio.shape[1] :],
    )  # fmt: skip
    assert state.motion_video.shape == context.motion_video.shape
    found = packed(teacher.dit.encode_context(context))
    torch.testing.assert_close(state.cache, found, atol=1e-5, rtol=1e-4)


def _conditioning(model: StreamChar) -> Conditioning:
    picture = np.full((32, 32, 3), 90, np.uint8)
    return model.conditioning(["a", "b"], [picture, picture])


def moved(before: dict[str, Tensor], after: dict[str, Tensor], prefix: str) -> bool:
    return any(not torch.equal(before[n], after[n]) for n in before if n.startswith(prefix))


def test_the_teacher_learns_with_true_past_chunks(tmp_path: Path) -> None:
    model = tiny_model(CACHED)
    stage = TeacherStage(
        model.orchestrator, model.dit, model.config,
        windows_of(model, ContextAugmentation()), sensitivity=torch.eye(4),
    )  # fmt: skip
    before = {name: weight.clone() for name, weight in stage.state_dict().items()}
    state = fit(stage, SETTINGS, folder=tmp_path, max_minutes=9)
    assert state.is_done
    assert moved(before, stage.state_dict(), "dit.")


def test_a_student_regresses_and_rolls_out_on_what_it_keeps(
    teacher: StreamChar, regression: TrajectoryRegression, tmp_path: Path
) -> None:
    regress = RegressStage(teacher, regression, CONFIG)
    settings = replace(SETTINGS, groups=(STUDENT, REAL_SCORE))
    assert fit(regress, settings, folder=tmp_path / "regress", max_minutes=9).is_done
    pool = StreamPool(teacher, regression.pool._windows.store, CONFIG, seed=0)
    stage = DmdRolloutStage(teacher, CONFIG, pool=pool, regression=regression)
    stage.load_state_dict(stage.state_dict() | _of(regress, "student."))
    kept = pool.get_buffer("cache").clone()
    before = {name: weight.clone() for name, weight in stage.state_dict().items()}
    pool.advance(stage.student_model, 0)
    begun = pool.rollouts().state
    with torch.no_grad():
        assert torch.equal(begun.cache, encoded_past(stage.student_model, begun))
    assert not torch.equal(begun.cache, kept), "those of the student, not of the teacher"
    settings = replace(SETTINGS, groups=dmd_groups(CONFIG), num_steps=3)
    assert fit(stage, settings, folder=tmp_path / "rollout", max_minutes=9).is_done
    assert moved(before, stage.state_dict(), "student.")
    assert moved(before, stage.state_dict(), "fake_score.")


@pytest.mark.parametrize("group", ["student", "fake_score"])
def test_the_loss_of_a_rollout_reaches_what_encodes_the_past_of_the_student(
    teacher: StreamChar, regression: TrajectoryRegression, group: str
) -> None:
    config = replace(CONFIG, anchor=0.0)
    pool = StreamPool(teacher, regression.pool._windows.store, config, seed=0)
    stage = DmdRolloutStage(teacher, config, pool=pool, regression=regression)
    with torch.no_grad():
        for weight in stage.fake_score.dit.video_out.parameters():
            weight.add_(0.1)  # else the scores agree, and nothing is to be learnt
    loss, _ = stage(Draw(step=1, batch=2, seed=0, group=group))
    loss.backward()
    for name in ("prompt_in", "audio_in"):
        gradient = getattr(stage.student.dit, name).weight.grad
        assert (gradient is not None and bool(gradient.abs().sum() > 0)) == (group == "student")


def _of(stage: torch.nn.Module, prefix: str) -> dict[str, Tensor]:
    return {name: each for name, each in stage.state_dict().items() if name.startswith(prefix)}


@torch.no_grad()
def test_scores_compute_keys_and_values_of_their_own(
    teacher: StreamChar, regression: TrajectoryRegression
) -> None:
    pool = StreamPool(teacher, regression.pool._windows.store, CONFIG, seed=0)
    stage = DmdRolloutStage(teacher, CONFIG, pool=pool, regression=regression)
    task = stage.chunk_task(Draw(step=1, batch=2, seed=0, group="fake_score"))
    condition, _ = stage.sample(task, Draw(step=1, batch=2, seed=0))
    for weight in stage.fake_score.dit.audio_in.parameters():
        weight.mul_(2)
    other = condition.seen_by(stage._scores[1], task.context)
    assert condition.context[0][0].shape == other.context[0][0].shape
    assert not torch.allclose(condition.context[0][0], other.context[0][0])


def test_weights_of_another_kind_of_context_are_refused() -> None:
    plain, cached = tiny_model(), tiny_config(CACHED)
    weights = {n: each for n, each in plain.state_dict().items() if n.startswith("dit.")}
    own = Checkpoint(config=cached, tensors={}, origin={}, digest="")
    other = replace(own, config=plain.config, tensors=weights)
    with pytest.raises(CheckpointError, match=r"look back on dit.cached_chunks=0, not 2: give"):
        own.joined(other)
    vae = {"audio_vae.bias": torch.zeros(1)}
    assert own.joined(replace(other, tensors=vae)).tensors == vae
