"""The harness itself: the same name gives the same input, and what is wrong is seen."""

from pathlib import Path
from random import Random

import pytest

from tests.faults import base, judge, runner
from tests.faults.generators import KINDS
from tests.faults.generators.command_lines import commands
from tests.faults.scenes.trees import tree
from tests.faults.trial import Ended, Outcome, Trial


def ended(code: int | None, err: str = "", out: str = "", command: str = "table") -> Ended:
    return Ended(command=(command,), code=code, out=out, err=err)


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("kind", ["manifest", "suite", "media", "program", "system"])
def test_an_input_is_a_function_of_its_name(kind: str, number: int, tmp_path: Path) -> None:
    made = []
    for name in ("one", "two"):
        base.write_files(tmp_path / name)
        trial = KINDS[kind](Random(f"{kind}-{number}"), tmp_path / name)
        made.append((trial.note, tree(tmp_path / name)))
    assert made[0] == made[1]


def test_names_differ_by_seed_and_take_kinds_in_turn() -> None:
    assert runner.names(3, 7, ["media", "suite"]) == [
        "media-700000",
        "suite-700000",
        "media-700001",
    ]


def test_every_verb_has_command_lines() -> None:
    words = {found[0][0] for found in commands()}
    assert {"record", "score", "merge", "train", "report", "weights"} <= words


@pytest.mark.parametrize(
    ("how", "column"),
    [
        (ended(None, "Traceback (most recent call last):\nKeyError: 1"), "tracebacks"),
        (ended(3), "wrong exits"),
        (ended(2), "wrong exits"),
        (ended(2, "error: a\nerror: b\n"), "wrong exits"),
        (ended(0, "error: a\n"), "wrong exits"),
        (ended(0, out="\x1b[31m"), "other"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_seen(how: Ended, column: str) -> None:
    assert [found for found, _ in judge.of_one(how)] == [column]


def test_what_is_right_is_no_finding() -> None:
    assert judge.of_one(ended(2, "error: a.json: damaged\n")) == []
    assert judge.of_one(ended(0, out="fine\n")) == []


def test_a_sample_without_a_row_is_lost(tmp_path: Path) -> None:
    trial = Trial(note="", commands=(), samples=("a", "b"), metrics=("rtf",), scores="scores.jsonl")
    row = {"sample_id": "a", "system": "s", "metric": "rtf", "status": "computed", "reason": ""}
    base.write_lines(tmp_path / "scores.jsonl", [row])
    found = judge.findings(trial, [ended(0, command="score")], tmp_path)
    assert found == [("lost samples", "no row for ('b', 'rtf') and 0 more")]


def test_the_table_counts_inputs_and_names_them() -> None:
    fine, lost = Outcome(name="media-1"), Outcome(name="media-2")
    lost.findings = [("lost samples", "a"), ("lost samples", "b")]
    lines = runner.table([fine, lost]).splitlines()
    assert lines[1].split(" | ")[:4] == ["media", "2     ", "0         ", "1           "]
    assert lines[3:] == ["lost samples: a", "    media-2", "lost samples: b", "    media-2"]
