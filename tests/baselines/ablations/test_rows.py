"""The rows of the ablation table and the stages that they share."""

import inspect
import re
from dataclasses import replace

import pytest

from baselines.ablations.plan import piece_of, pieces_of, teacher_of
from baselines.ablations.row import Row, changed_fields
from baselines.ablations.rows import ROWS, at_equal_passes, change_in_words, choose_rows, contrasts
from baselines.streamchar_ref import StreamCharRef
from streamchar_ref.core.errors import InputError

BY_NAME = {row.name: row for row in ROWS}
STUDENTS = [row for row in ROWS if row.setup.is_student]


def stages_of(name: str, seed: int = 0) -> list[str]:
    return [piece.name for piece in pieces_of([BY_NAME[name]], [seed])]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_changes_one_field_of_its_parent(row: Row) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", row.name)
    assert row.tests
    if row.name not in ("ground_truth", "teacher_50"):
        assert len(changed_fields(BY_NAME[row.parent].setup, row.setup)) == 1


def test_the_paper_s_rows_are_there() -> None:
    assert {row.mirrors for row in ROWS if row.mirrors} == {
        "Table 1: StreamChar base (50 steps)",
        "Table 1: StreamChar distilled (4 steps)",
        "Table 1: distil with Stage II only",
        "Table 1: Stage II with one-chunk rollouts",
        "Table 2: StreamChar w/o sink chunk",
    }


def test_two_changes_at_once_are_no_row() -> None:
    with pytest.raises(ValueError, match="one field"):
        BY_NAME["full"].child("both", "two things", num_steps=2, visible="no_sink")
    with pytest.raises(ValueError, match="one field"):
        BY_NAME["full"].child("same", "nothing", num_steps=4)


@pytest.mark.parametrize("row", STUDENTS, ids=lambda row: row.name)
def test_each_student_stands_beside_a_teacher_at_equal_passes(row: Row) -> None:
    equal = at_equal_passes(row)
    assert equal
    assert {one.setup.passes for one in equal} == {row.setup.passes}
    assert not any(one.setup.is_student for one in equal)
    assert {one.name for one in equal} <= set(contrasts(ROWS)[row.name])


def test_guidance_doubles_the_passes_of_a_teacher_alone() -> None:
    passes = {name: BY_NAME[name].setup.passes for name in ("teacher_50", "teacher_4", "full")}
    assert passes == {"teacher_50": 100, "teacher_4": 8, "full": 4}
    assert BY_NAME["teacher_8_unguided"].setup.passes == 8
    assert BY_NAME["full_at_1"].setup.passes == BY_NAME["student_1"].setup.passes == 1


def test_the_system_knows_the_settings_of_all_rows() -> None:
    known = {*inspect.signature(StreamCharRef).parameters, "network"}
    for row in ROWS:
        assert set(row.setup.streaming) <= known, row.name


def test_rows_share_the_stages_before_their_change() -> None:
    full = stages_of("full")
    assert [name.split("-")[0] for name in full] == ["distill_regress", "dmd_chunk", "dmd_rollout"]
    assert stages_of("regress_only") == full[:1]
    assert stages_of("stage1_only") == full[:2]
    assert stages_of("oracle_pointer") == stages_of("full_at_1") == full
    for name in ("one_chunk_rollout", "no_pointer"):
        own = stages_of(name)
        assert own[:2] == full[:2]
        assert own[2] != full[2]
    assert stages_of("stage2_only")[0] == full[0]
    assert len(stages_of("stage2_only")) == 2
    for name in ("student_1", "no_sink", "no_motion_noise", "once_a_chunk"):
        assert not set(stages_of(name)) & set(full), name
    assert not set(stages_of("full", seed=1)) & set(full)


def test_every_piece_comes_once_and_after_what_it_begins_with() -> None:
    pieces = pieces_of(ROWS, [0, 1])
    assert len({piece.name for piece in pieces}) == len(pieces)
    for place, piece in enumerate(pieces):
        assert piece.before is None or piece.before in pieces[:place]
    assert [piece.seed for piece in pieces] == sorted(piece.seed for piece in pieces)


def test_settings_of_training_and_streaming_go_together() -> None:
    sink, pointer = BY_NAME["no_sink"].setup, BY_NAME["no_pointer"].setup
    assert (sink.distillation["visible"], sink.streaming["context"]) == ("no_sink", "no_sink")
    assert pointer.distillation["pointer"] == pointer.streaming["pointer"] == "fixed_rate"
    oracle = BY_NAME["oracle_pointer"].setup
    assert "pointer" not in oracle.distillation
    assert oracle.streaming["pointer"] == "oracle"
    assert BY_NAME["no_motion_noise"].setup.distillation["motion_sigma"] == 0
    assert BY_NAME["teacher_4_unguided"].setup.streaming["picture_guidance"] == 1


def test_a_rival_brings_a_teacher_of_its_own() -> None:
    setup = replace(BY_NAME["full"].setup, preset="paper_faithful", start="mine")
    piece, usual = piece_of(setup, 0), piece_of(BY_NAME["full"].setup, 0)
    assert piece is not None
    assert usual is not None
    assert piece.name != usual.name
    assert piece.teacher == teacher_of(setup) != usual.teacher


@pytest.mark.parametrize(
    ("name", "order"), [("cascade", "sound_first"), ("audio_driven", "sound_given")]
)
def test_a_rival_is_compared_with_a_teacher_that_is_trained_as_long(name: str, order: str) -> None:
    rival, tuned = BY_NAME[name].setup, BY_NAME["teacher_tuned"].setup
    piece, other = piece_of(rival, 0), piece_of(tuned, 0)
    assert piece is not None
    assert other is not None
    assert piece.stages == other.stages == ("teacher",)
    assert piece.teacher.config == (f"order={order}",)
    assert other.teacher == teacher_of(BY_NAME["teacher_8"].setup)
    assert piece.before is None
    assert rival.is_trained
    assert not rival.is_student
    assert rival.streaming == tuned.streaming == BY_NAME["teacher_8"].setup.streaming
    assert rival.passes == tuned.passes == 16
    assert contrasts(ROWS)[name] == ("teacher_tuned",)
    untrained = BY_NAME[f"{name}_untrained"].setup
    assert piece_of(untrained, 0) is None
    assert teacher_of(untrained) == piece.teacher
    assert untrained.streaming == rival.streaming


def test_students_from_warm_noise_stand_beside_warm_teachers() -> None:
    warm = ("sampler.temperature=1.0", "sampler.picture_temperature=1.0")
    for name, teacher in (
        ("student_t1_1", "teacher_t1_1_unguided"),
        ("student_t1_2", "teacher_t1_2_unguided"),
    ):
        row = BY_NAME[name]
        assert teacher_of(row.setup).config == teacher_of(BY_NAME[teacher].setup).config == warm
        assert [one.name for one in at_equal_passes(row)] == [teacher]
        assert set(contrasts(ROWS)[name]) == {row.parent, "teacher_t1", teacher}
        assert not set(stages_of(name)) & set(stages_of(row.parent))
    assert BY_NAME["teacher_t1"].setup.passes == 16
    assert not any("t1" in one.name for one in at_equal_passes(BY_NAME["student_1"]))


def test_rows_are_chosen_by_name_with_the_reference_beside() -> None:
    assert [row.name for row in choose_rows(["no_sink", "full"])] == [
        "ground_truth", "full", "no_sink",
    ]  # fmt: skip
    assert choose_rows() == ROWS
    with pytest.raises(InputError, match="did you mean 'no_sink'"):
        choose_rows(["no_sinks"])
    assert contrasts(choose_rows(["no_sink"]))["no_sink"] == ()
    assert change_in_words(BY_NAME["no_sink"]) == "full with visible=no_sink"
