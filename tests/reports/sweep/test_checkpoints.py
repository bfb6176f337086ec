"""Which checkpoints a pattern finds."""

import json
from pathlib import Path

import pytest

from reports.sweep.checkpoints import baseline_entry, check_unchanged, find_entries, why_none
from streamchar_ref.core.errors import InputError
from streamchar_ref.model.checkpoint import INDEX, CheckpointError, load_checkpoint
from tests.reports.sweep.fades import save, save_steps


def test_steps_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    found = find_entries([save_steps(tmp_path, {1000: 1, 90: 2, 200: 3})])
    assert [entry.step for entry in found] == [90, 200, 1000]
    assert [entry.system for entry in found][:2] == ["student_000090", "student_000200"]


def test_folders_that_are_not_whole_are_left_out(tmp_path: Path) -> None:
    pattern = save_steps(tmp_path, {1: 1.0})
    (tmp_path / "step-2").mkdir()
    (tmp_path / "step-2" / "weights-00.safetensors").write_bytes(b"half")
    save(tmp_path / "step-3", 1.0).rename(tmp_path / ".step-3.ready")
    assert [entry.step for entry in find_entries([pattern, str(tmp_path / ".step*")])] == [1]


def test_without_a_student_the_plain_weights_are_taken(tmp_path: Path) -> None:
    save(tmp_path / "step-1", 1.0)
    save(tmp_path / "step-2", 1.0, student=2.0)
    found = find_entries([str(tmp_path / "*")])
    assert [entry.network for entry in found] == ["plain", "student"]


def test_each_network_is_taken_where_it_is(tmp_path: Path) -> None:
    save(tmp_path / "step-1", 1.0, raw=2.0)
    save(tmp_path / "step-2", 1.0, raw=2.0, student=3.0)
    found = find_entries([str(tmp_path / "*")], ["student", "raw"])
    assert [entry.system for entry in found] == ["raw_000001", "student_000002", "raw_000002"]


def test_a_network_that_none_has_is_refused(tmp_path: Path) -> None:
    pattern = save_steps(tmp_path, {1: 1.0})
    with pytest.raises(
        InputError, match="no checkpoint has a network 'ema'; there are: plain, raw"
    ):
        find_entries([pattern], ["ema"])


def test_two_folders_of_one_step_are_refused(tmp_path: Path) -> None:
    patterns = [save_steps(tmp_path / name, {1: 1.0}) for name in ("a", "b")]
    with pytest.raises(InputError, match="both step 1; sweep each training"):
        find_entries(patterns)


def test_a_folder_without_a_number_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "last", 1.0)
    with pytest.raises(InputError, match="no number of a step"):
        find_entries([str(tmp_path / "*")])


def test_an_altered_index_is_refused(tmp_path: Path) -> None:
    pattern = save_steps(tmp_path, {1: 1.0})
    index = tmp_path / "step-1" / INDEX
    index.write_text(json.dumps(json.loads(index.read_text()) | {"storage": "int8"}))
    with pytest.raises(CheckpointError, match="damaged"):
        find_entries([pattern])


def test_why_nothing_is_found_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "step-1").mkdir()
    assert "1 folders match and none is a checkpoint" in why_none([str(tmp_path / "*")])
    assert "no folder matches" in why_none([str(tmp_path / "epoch-*")])


def test_a_baseline_names_its_network_and_digest(tmp_path: Path) -> None:
    save(tmp_path / "a", 1.0, student=2.0)
    digest = load_checkpoint(tmp_path / "a").digest
    student, plain = (baseline_entry(f"{tmp_path / 'a'}{end}") for end in ("", ":plain"))
    assert (student.network, plain.network) == ("student", "plain")
    assert (plain.system, plain.step) == (f"against_plain_{digest[:8]}", None)
    with pytest.raises(InputError, match="no network 'raw'; it has plain, student"):
        baseline_entry(f"{tmp_path / 'a'}:raw")


def test_a_checkpoint_that_is_replaced_while_it_is_read_is_noticed(tmp_path: Path) -> None:
    (entry,) = find_entries([save_steps(tmp_path, {1: 1.0})])
    check_unchanged(entry)
    save_steps(tmp_path, {1: 2.0})
    with pytest.raises(InputError, match="was replaced while it was read"):
        check_unchanged(entry)
