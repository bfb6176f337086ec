"""A grid trains what it lacks and says what became of each row."""

from dataclasses import replace
from pathlib import Path

import pytest

from baselines.ablations.grid import GridFolder, Training
from baselines.ablations.plan import piece_of, pieces_of
from baselines.ablations.row import Row
from baselines.ablations.rows import choose_rows
from baselines.ablations.trainer import WEIGHTS, Outcome, Placed, Status
from streamchar_ref.core.errors import InputError
from tests.baselines.ablations.fakes import FakeTrainer

ROWS = choose_rows(["teacher_4", "regress_only", "stage1_only", "full", "one_chunk_rollout"])
ANEW = choose_rows(["teacher_tuned", "teacher_anew", "monolithic", "paper_faithful"])
DIVERGED = Outcome(status=Status.DIVERGED, reason="dmd_chunk: picture ratio .9 at step 40")


def run(
    out: Path, trainer: FakeTrainer, rows: tuple[Row, ...] = ROWS, *, total: float = 0
) -> dict[str, Outcome]:
    training = Training(
        folder=GridFolder(out=out), trainer=trainer, total_minutes=total, clock=trainer.clock
    )
    return {name: outcome for (name, _), outcome in training.run(rows, [0]).items()}


def stages(trainer: FakeTrainer) -> list[str]:
    return [piece.stage for piece in trainer.trained]


def test_shared_stages_are_trained_once_and_never_again(tmp_path: Path) -> None:
    trainer = FakeTrainer()
    outcomes = run(tmp_path, trainer)
    assert stages(trainer) == ["distill_regress", "dmd_chunk", "dmd_rollout", "dmd_rollout"]
    assert all(outcome.is_done for outcome in outcomes.values())
    again = FakeTrainer()
    assert run(tmp_path, again) == outcomes
    assert again.trained == []


def test_a_piece_begins_with_the_weights_of_the_one_before(tmp_path: Path) -> None:
    trainer = FakeTrainer()
    run(tmp_path, trainer)
    first, second, *_ = pieces_of(ROWS, [0])
    assert trainer.starts[first.name] == tmp_path / "train" / "teacher" / WEIGHTS
    assert trainer.starts[second.name] == tmp_path / "train" / first.name / WEIGHTS


def test_all_rows_train_a_stage_for_as_many_steps(tmp_path: Path) -> None:
    done = Outcome(status=Status.DONE, steps=40)
    first = FakeTrainer(outcomes={"distill_regress": done, "dmd_rollout": replace(done, steps=9)})
    run(tmp_path, first)
    assert first.steps == [0, 0, 0, 9], "the second rollout as many as the first"
    later = FakeTrainer()
    run(tmp_path, later, choose_rows(["student_2"]))
    assert later.steps == [40, 0, 9]


@pytest.mark.parametrize("first", ["teacher_anew", "paper_faithful"])
def test_networks_that_begin_anew_are_trained_as_long_whatever_their_preset(
    tmp_path: Path, first: str
) -> None:
    (other,) = {"teacher_anew", "paper_faithful"} - {first}
    folder, rows = GridFolder(out=tmp_path), {row.name: row for row in ANEW}
    for name, steps in ((first, 40), ("teacher_tuned", 7)):
        made = piece_of(rows[name].setup, 0)
        assert made is not None
        folder.keep(made, Outcome(status=Status.DONE, steps=steps))
    for name in (other, "monolithic"):
        piece = piece_of(rows[name].setup, 1)
        assert piece is not None
        assert folder.steps(piece) == 40
        assert folder.steps(replace(piece, stages=("speech",))) == 0


def test_a_cut_stage_keeps_its_steps(tmp_path: Path) -> None:
    cut = Outcome(status=Status.UNFINISHED, reason="dmd_chunk is at step 5 of 12", steps=12)
    run(tmp_path, FakeTrainer(outcomes={"dmd_chunk": cut}))
    again = FakeTrainer()
    run(tmp_path, again)
    assert again.steps == [12, 0, 0]


def test_rows_that_are_added_later_train_their_own_stages(tmp_path: Path) -> None:
    run(tmp_path, FakeTrainer(), choose_rows(["full"]))
    later = FakeTrainer()
    run(tmp_path, later, choose_rows(["one_chunk_rollout"]))
    assert stages(later) == ["dmd_rollout"]


def test_a_diverged_stage_fails_its_rows_and_no_others(tmp_path: Path) -> None:
    trainer = FakeTrainer(outcomes={"dmd_chunk": DIVERGED})
    rows = (*ROWS, *choose_rows(["stage2_only"])[1:])
    outcomes = run(tmp_path, trainer, rows)
    failed = {name: one.reason for name, one in outcomes.items() if not one.is_done}
    assert failed == dict.fromkeys(("full", "stage1_only", "one_chunk_rollout"), DIVERGED.reason)
    assert stages(trainer) == ["distill_regress", "dmd_chunk", "dmd_rollout"]
    again = FakeTrainer()
    assert run(tmp_path, again, rows) == outcomes
    assert again.trained == [], "what diverged would diverge again"


def test_what_could_not_be_trained_is_tried_again(tmp_path: Path) -> None:
    first = run(tmp_path, FakeTrainer(refusals={"dmd_chunk": "no memory; a smaller --batch"}))
    assert first["stage1_only"].reason == "dmd_chunk: no memory; a smaller --batch"
    assert first["regress_only"].is_done
    again = FakeTrainer()
    assert all(one.is_done for one in run(tmp_path, again).values())
    assert stages(again) == ["dmd_chunk", "dmd_rollout", "dmd_rollout"]


def test_a_bug_in_one_stage_leaves_its_traceback_and_the_others_go_on(tmp_path: Path) -> None:
    outcomes = run(tmp_path, FakeTrainer(bugs={"dmd_chunk": ZeroDivisionError("in a loss")}))
    reason = outcomes["stage1_only"].reason
    assert "dmd_chunk: it raises ZeroDivisionError: in a loss" in reason
    assert "ZeroDivisionError" in Path(reason.rpartition(" ")[2]).read_text()
    assert outcomes["regress_only"].is_done


def test_a_full_disk_ends_the_grid(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="disk"):
        run(tmp_path, FakeTrainer(bugs={"dmd_chunk": OSError("the disk is full")}))


def test_a_stopped_grid_begins_nothing_more_and_goes_on_there(tmp_path: Path) -> None:
    cut = Outcome(status=Status.UNFINISHED, reason="dmd_rollout is at step 5", is_stopped=True)
    pieces = pieces_of(ROWS, [0])
    trainer = FakeTrainer(outcomes={pieces[2].name: cut})
    outcomes = run(tmp_path, trainer)
    assert stages(trainer) == ["distill_regress", "dmd_chunk", "dmd_rollout"]
    assert outcomes["full"].reason == "dmd_rollout is at step 5"
    assert outcomes["one_chunk_rollout"].reason == "stopped before this stage"
    again = FakeTrainer()
    assert all(one.is_done for one in run(tmp_path, again).values())
    assert again.trained == pieces[2:]


def test_no_stage_begins_that_the_time_is_too_short_for(tmp_path: Path) -> None:
    trainer = FakeTrainer(seconds=50)
    outcomes = run(tmp_path, trainer, total=2)
    assert stages(trainer) == ["distill_regress", "dmd_chunk"]
    assert outcomes["stage1_only"].is_done
    assert "--total-minutes; the same command goes on" in outcomes["full"].reason


def test_guided_rows_need_a_teacher_with_guidance(tmp_path: Path) -> None:
    outcomes = run(tmp_path, FakeTrainer(placed=Placed(is_guided=False)))
    assert outcomes["teacher_4"].reason == "the teacher has no guidance"
    assert outcomes["full"].is_done


def test_a_teacher_that_cannot_be_used_fails_its_rows(tmp_path: Path) -> None:
    trainer = FakeTrainer(placed=Placed(problem="needs timing=predicted"))
    outcomes = run(tmp_path, trainer)
    assert trainer.trained == []
    assert outcomes.pop("ground_truth").is_done
    assert {one.reason for one in outcomes.values()} == {"needs timing=predicted"}


def test_other_settings_are_refused_and_more_prompts_are_not(tmp_path: Path) -> None:
    folder = GridFolder(out=tmp_path)
    settings = {"preset": "micro", "device": "cpu"}
    folder.settle(settings, suite="short", num_prompts=4)
    folder.settle(settings, suite="long", num_prompts=1)
    folder.settle(settings, suite="short", num_prompts=8)
    with pytest.raises(InputError, match=r"begun with --device cpu, not cuda: give --device cpu"):
        folder.settle(settings | {"device": "cuda"}, suite="short", num_prompts=8)
    with pytest.raises(InputError, match="recordings of 8 prompts of short, not 4: give --limit 8"):
        folder.settle(settings, suite="short", num_prompts=4)
    with pytest.raises(InputError, match="was begun with anchor=None, and this version trains"):
        folder.settle(settings, suite="short", num_prompts=8, defaults={"anchor": 0.5})


def test_a_damaged_note_says_what_to_do(tmp_path: Path) -> None:
    run(tmp_path, FakeTrainer())
    path = tmp_path / "train" / pieces_of(ROWS, [0])[0].name / "piece.json"
    path.write_text('{"status": "gone", "reason": ""}')
    with pytest.raises(InputError, match="delete it to try this stage again"):
        run(tmp_path, FakeTrainer())


def test_a_stage_that_fails_midway_keeps_the_steps_it_was_begun_with(tmp_path: Path) -> None:
    first = FakeTrainer(refusals={"dmd_rollout": "no memory"}, planned={"dmd_rollout": 12})
    run(tmp_path, first)
    assert first.steps == [0, 0, 0, 12], "the second rollout as many as the first"
    again = FakeTrainer()
    assert all(one.is_done for one in run(tmp_path, again).values())
    assert again.steps == [12, 12]


def test_a_grid_is_refused_where_training_has_another_precision(tmp_path: Path) -> None:
    folder = GridFolder(out=tmp_path)
    half, single = ({"dmd_chunk.optim": {"batch": 2, "bfloat16": is_half}} for is_half in (1, 0))
    folder.settle({}, suite="short", num_prompts=1, defaults=half)
    folder.settle({}, suite="short", num_prompts=1, defaults=half)
    with pytest.raises(InputError, match=r"begun with dmd_chunk\.optim\.bfloat16=1, .* with 0 on"):
        folder.settle({}, suite="short", num_prompts=1, defaults=single)
