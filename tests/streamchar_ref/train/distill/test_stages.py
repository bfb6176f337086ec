"""The three stages of distillation on a tiny model: what moves, what resumes, what is refused."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from streamchar_ref.core.errors import InputError
from streamchar_ref.loop.config import OptimConfig
from streamchar_ref.loop.fit import TrainingDiverged, fit
from streamchar_ref.loop.stage import Draw, Stage
from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.sampling import flow
from streamchar_ref.sampling.condition import prefill
from streamchar_ref.sampling.sampler import sample_chunk, scaled_noise
from streamchar_ref.streaming.stream import stream
from streamchar_ref.streaming.transcript import Transcript
from streamchar_ref.train.distill import trajectories
from streamchar_ref.train.distill.config import DistillConfig
from streamchar_ref.train.distill.regression import TrajectoryRegression
from streamchar_ref.train.distill.stream_pool import StreamPool
from streamchar_ref.train.distill.trajectories import TrajectoryPool, trajectory_pool
from streamchar_ref.train.stages.distill_regress import REAL_SCORE, STUDENT, RegressStage
from streamchar_ref.train.stages.distillation import distill_augmentation
from streamchar_ref.train.stages.dmd_chunk import DmdChunkStage, dmd_groups
from streamchar_ref.train.stages.dmd_rollout import DmdRolloutStage
from streamchar_ref.train.windows import WindowPool
from tests.streamchar_ref.streaming.test_stream import SECOND, talkative
from tests.streamchar_ref.tiny import tiny_model
from tests.streamchar_ref.train.latent_clips import clip, store_of

CONFIG = DistillConfig(
    num_windows=8,
    window_batch=4,
    num_streams=3,
    max_chunks=3,
    ramp_updates=1,
    num_steps=2,
    max_spread=9.0,
)
SETTINGS = OptimConfig(batch=3, log_every=1, bfloat16=False)


@pytest.fixture(scope="module")
def teacher() -> StreamChar:
    model = tiny_model("sampler.guidance=2", "sampler.picture_temperature=0.5")
    return model.requires_grad_(False)


def windows_of(teacher: StreamChar, config: DistillConfig = CONFIG) -> WindowPool:
    clips = [clip(teacher.config, seed=seed, num_latents=14) for seed in range(3)]
    return WindowPool(store_of(teacher.config, clips), teacher.config, distill_augmentation(config))


def pool_in(
    folder: Path, teacher: StreamChar, config: DistillConfig = CONFIG, **more: Any
) -> TrajectoryPool:
    return trajectory_pool(
        teacher, windows_of(teacher, config), config, folder, origin={"clips": 3}, **more
    )


@pytest.fixture(scope="module")
def regression(
    teacher: StreamChar, tmp_path_factory: pytest.TempPathFactory
) -> TrajectoryRegression:
    channels = teacher.config.geometry.video_channels
    pool = pool_in(tmp_path_factory.mktemp("trajectories"), teacher)
    return TrajectoryRegression(pool, torch.eye(channels))


def test_trajectories_start_from_cooled_noise_and_end_at_the_guided_sample(
    teacher: StreamChar, regression: TrajectoryRegression
) -> None:
    window, trajectories = regression.pool(Draw(step=0, batch=4, seed=0))
    start = trajectories.at(torch.zeros(4, dtype=torch.long))
    assert float(start[0].std()) == pytest.approx(0.5, rel=0.1)
    assert float(start[1].std()) == pytest.approx(1.0, rel=0.1)
    sampler = replace(teacher.config.sampler, kind="ab2", num_steps=8, picture_temperature=1.0)
    ends = sample_chunk(prefill(teacher, window.inputs, window.context), sampler, lambda: start)
    for mine, kept in zip(ends, trajectories.clean, strict=True):
        assert float((mine - kept).abs().mean()) < 0.05 * float(kept.abs().mean())


def test_the_noise_levels_of_a_student_of_few_steps_are_among_those_of_one_of_more() -> None:
    for shift in (1.0, 1.8):
        eight = flow.shifted_sigmas(8, shift)
        for count in (1, 2, 4):
            assert set(flow.shifted_sigmas(count, shift)) <= set(eight)


@pytest.mark.slow
def test_trajectories_are_made_once_and_mended_where_they_are_cut(
    teacher: StreamChar, tmp_path: Path
) -> None:
    made: list[int] = []

    def progress(what: str, done: int, total: int) -> None:
        made.append(done)

    first = pool_in(tmp_path, teacher, progress=progress)
    files = sorted(tmp_path.rglob("*.safetensors"))
    content = files[0].read_bytes()
    files[0].write_bytes(content[:-100])
    again = pool_in(tmp_path, teacher, progress=progress)
    assert made == [1, 2, 1]
    assert files[0].read_bytes() == content
    draw = Draw(step=1, batch=4, seed=0)
    assert torch.equal(first(draw)[1].video, again(draw)[1].video)
    more = pool_in(tmp_path, teacher, replace(CONFIG, num_windows=12), progress=progress)
    assert made == [1, 2, 1, 3], "more windows are added to those that are there"
    assert more.spread != first.spread
    pool_in(tmp_path, teacher, replace(CONFIG, motion_sigma=0.0), progress=progress)
    pool_in(tmp_path, teacher, replace(CONFIG, visible="no_sink"), progress=progress)
    assert made == [1, 2, 1, 3, 1, 2, 1, 2], "other settings have trajectories of their own"


def test_a_batch_of_more_than_is_drawn_together_is_refused(
    regression: TrajectoryRegression,
) -> None:
    with pytest.raises(InputError, match=r"distill\.window_batch"):
        regression.pool(Draw(step=0, batch=5, seed=0))


def regress(teacher: StreamChar, regression: TrajectoryRegression) -> Stage:
    return RegressStage(teacher, regression, CONFIG)


def chunks(teacher: StreamChar, regression: TrajectoryRegression) -> Stage:
    return DmdChunkStage(teacher, CONFIG, windows=windows_of(teacher), regression=regression)


def rollouts(teacher: StreamChar, regression: TrajectoryRegression) -> Stage:
    store = windows_of(teacher).store
    pool = StreamPool(teacher, store, CONFIG, seed=0)
    return DmdRolloutStage(teacher, CONFIG, pool=pool, regression=regression)


STAGES = {
    "regress": (regress, (STUDENT, REAL_SCORE)),
    "chunk": (chunks, dmd_groups(CONFIG)),
    "rollout": (rollouts, dmd_groups(CONFIG)),
}


@pytest.mark.parametrize("name", STAGES)
def test_a_run_that_is_cut_and_resumed_is_one_that_was_not(
    name: str, teacher: StreamChar, regression: TrajectoryRegression, tmp_path: Path
) -> None:
    make, groups = STAGES[name]
    settings = replace(SETTINGS, groups=groups, num_steps=4)
    whole = make(teacher, regression)
    fit(whole, settings, folder=tmp_path / "whole", max_minutes=9)
    ticks = iter([*map(float, range(8)), *[1e9] * 99])
    fit(
        make(teacher, regression), settings, folder=tmp_path / "cut", max_minutes=9,
        clock=lambda: next(ticks),
    )  # fmt: skip
    resumed = make(teacher, regression)
    state = fit(resumed, settings, folder=tmp_path / "cut", max_minutes=9, resume=True)
    assert state.is_done
    for key, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key]), key


def gradients(stage: Stage, group: str) -> dict[str, Tensor]:
    stage.zero_grad(set_to_none=True)
    loss, parts = stage(Draw(step=2, batch=3, seed=0, group=group))
    loss.backward()
    assert all(part.isfinite() or part.isnan() for part in parts.values())
    return {name: p.grad for name, p in stage.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("make", [chunks, rollouts])
def test_student_and_fake_score_have_losses_of_their_own(
    make: Callable[..., Stage], teacher: StreamChar, regression: TrajectoryRegression
) -> None:
    stage = make(teacher, regression)
    for group in ("student", "fake_score"):
        found = gradients(stage, group)
        assert {name.partition(".")[0] for name in found} == {group}
        assert sum(float(grad.abs().sum()) for grad in found.values()) > 0
    before = [p.clone() for p in teacher.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(before, teacher.parameters(), strict=True))


@pytest.mark.parametrize("make", [chunks, rollouts])
def test_in_half_precision_the_gradient_reaches_the_matrices_at_every_exit(
    make: Callable[..., Stage], teacher: StreamChar, regression: TrajectoryRegression
) -> None:
    stage = make(teacher, regression)
    stage.config = replace(CONFIG, anchor=0.0)  # type: ignore[assignment]
    with torch.no_grad():
        stage.fake_score.dit.video_out.bias += 0.1  # type: ignore[union-attr, operator]
    for step in range(6):  # exits at both steps; the first ones run without gradient
        stage.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16):
            loss, _ = stage(Draw(step=step, batch=3, seed=0, group="student"))
        loss.backward()
        weight = stage.student.dit.blocks[0].qkv.weight  # type: ignore[union-attr, index]
        assert float(weight.grad.abs().sum()) > 0, step  # type: ignore[union-attr]


def test_the_student_is_moved_along_the_difference_of_the_scores(
    teacher: StreamChar, regression: TrajectoryRegression
) -> None:
    stage = chunks(teacher, regression)
    stage.config = replace(CONFIG, anchor=0.0)  # type: ignore[assignment]
    alike = gradients(stage, "student")
    assert all(float(grad.abs().max()) == 0 for grad in alike.values()), "both scores agree"
    with torch.no_grad():
        stage.fake_score.dit.video_out.bias += 0.1  # type: ignore[union-attr, operator]
    apart = gradients(stage, "student")
    assert float(apart["student.dit.video_out.bias"].abs().sum()) > 0


def test_a_student_that_leaves_the_distribution_is_stopped_with_the_sign(
    teacher: StreamChar, regression: TrajectoryRegression, tmp_path: Path
) -> None:
    stage = chunks(teacher, regression)
    with torch.no_grad():
        for weight in stage.student.dit.video_out.parameters():  # type: ignore[union-attr]
            weight *= 40
    settings = replace(SETTINGS, groups=dmd_groups(CONFIG), num_steps=4)
    with pytest.raises(TrainingDiverged, match=r"stopped at step 1, since the .*last good state"):
        fit(stage, settings, folder=tmp_path, max_minutes=9)


@torch.no_grad()
def test_the_rollouts_of_training_are_the_streams_of_the_student(
    regression: TrajectoryRegression, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = talkative()
    student = model.with_dit(model.dit, CONFIG.sampler)
    config = replace(CONFIG, num_streams=1, max_chunks=9, ramp_updates=1)
    pool = StreamPool(model, windows_of(model, config).store, config, seed=0)
    text = Transcript(SECOND)
    picture = np.full((32, 32, 3), 90, np.uint8)
    conditioning = student.conditioning(["a man"], [picture])
    pool.get_buffer("prompt").copy_(conditioning.prompt)
    pool.get_buffer("reference").copy_(conditioning.reference)
    pool.get_buffer("sink").copy_(conditioning.reference.expand_as(pool.get_buffer("sink")))
    pool.get_buffer("motion_video").copy_(
        conditioning.reference.expand_as(pool.get_buffer("motion_video"))
    )
    pool.get_buffer("noise_states")[0] = torch.Generator().manual_seed(5).get_state()
    tokens = torch.from_numpy(text.text.tokens)
    pool.get_buffer("tokens")[0, : len(tokens)] = tokens
    pool.get_buffer("lengths").fill_(len(tokens))
    pool.get_buffer("limit").fill_(9)
    latents: list[Tensor] = []
    decode = student.video_vae.decode
    monkeypatch.setattr(
        student.video_vae, "decode", lambda x, past=None: (latents.append(x), decode(x, past))[1]
    )
    streamed = [
        chunk.spoken
        for chunk, _ in zip(
            stream(student, text, prompt="a man", reference=picture, seed=5), range(3), strict=False
        )
    ]
    last = student.config.geometry.motion_latents
    for step in (1, 2, 3):
        pool.advance(student, step)
        motion = pool.get_buffer("motion_video")
        assert torch.equal(motion, latents[step - 1][:, -last:]), step
        assert float(pool.get_buffer("position")) == streamed[step - 1]


@torch.no_grad()
def test_streams_of_a_pool_begin_anew_when_they_are_as_long_as_they_may_be(
    teacher: StreamChar,
) -> None:
    pool = StreamPool(teacher, windows_of(teacher).store, CONFIG, seed=0)
    student = teacher.with_dit(teacher.dit, CONFIG.sampler)
    ages = []
    for step in range(8):
        pool.advance(student, step)
        pool.advance(student, step)  # nothing happens twice in a step
        ages.append(pool.get_buffer("num_chunks").clone())
    seen = torch.stack(ages)
    assert int(seen.max()) == 2, "the newest chunk of a rollout of three has two before it"
    assert seen[0].tolist() == [0, 0, 0]
    alone = StreamPool(teacher, windows_of(teacher).store, replace(CONFIG, max_chunks=1), seed=0)
    for step in range(4):
        alone.advance(student, step)
        assert alone.get_buffer("num_chunks").tolist() == [0, 0, 0]


@torch.no_grad()
def test_the_pointer_of_rollouts_can_be_a_fixed_rate(teacher: StreamChar) -> None:
    config = replace(CONFIG, pointer="fixed_rate", phonemes_per_s=10.0, max_chunks=9)
    pool = StreamPool(teacher, windows_of(teacher).store, config, seed=0)
    pool.get_buffer("limit").fill_(9)
    pool.get_buffer("lengths").fill_(50)
    pool.advance(teacher.with_dit(teacher.dit, CONFIG.sampler), 1)
    expected = 10 * teacher.config.stream.chunk_s
    assert pool.get_buffer("position").tolist() == pytest.approx([expected] * 3)


def test_the_noise_of_a_student_is_as_cool_at_every_step(teacher: StreamChar) -> None:
    student = teacher.with_dit(teacher.dit, CONFIG.sampler)
    drawn = scaled_noise(student.config.sampler, lambda: (torch.ones(2), torch.ones(2)))()
    assert [float(x[0]) for x in drawn] == [0.5, 1.0]


def test_settings_that_cannot_be_are_refused_in_words() -> None:
    for change, text in (
        ({"num_steps": 3}, "multiple of num_steps"),
        ({"max_chunks": 0}, "distill.max_chunks is at least 1"),
        ({"visible": "nothing"}, "distill.visible is one of"),
        ({"pointer": "oracle"}, "distill.pointer is one of"),
        ({"motion_sigma": 2.0}, "distill.motion_sigma"),
        ({"anchor": -1.0}, "distill.anchor"),
        ({"student_rate": 0.0}, "distill.student_rate"),
    ):
        with pytest.raises(InputError, match=text):
            replace(CONFIG, **change)  # type: ignore[arg-type]


def test_trajectories_of_another_precision_are_not_mixed_into_a_pool(
    teacher: StreamChar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for is_half in (False, True):
        monkeypatch.setattr(trajectories, "has_bfloat16", lambda device, is_half=is_half: is_half)
        pool_in(tmp_path, teacher, replace(CONFIG, num_windows=4))
    assert len(list(tmp_path.iterdir())) == 2
