"""Rows on all takes of a prompt: one each, in shards none, gone with their recordings."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evals.protocols.base import Score, Unscored
from evals.protocols.takes_metric import SeedTake, TakesMetric
from evals.recording.recording import Recording
from evals.recording.role import Role
from evals.scoring.merge import merge
from evals.scoring.persist import score_run
from evals.scoring.results import EVERY_SEED, read_scores
from evals.scoring.score import Options, Scored, score
from evals.scoring.takes import reference_of_takes


class NumSeeds(TakesMetric):
    """Number of takes, over that of the reference if it is relative."""

    unit = "1"
    higher_is_better = None
    params: Mapping[str, Any] = {}

    def __init__(self, *, is_relative: bool = False) -> None:
        self.is_relative = is_relative
        self.name = self.protocol = "ratio" if is_relative else "seeds"

    def measure_takes(self, takes: Sequence[SeedTake], reference: Sequence[SeedTake]) -> Score:
        if self.is_relative and not reference:
            raise Unscored("no reference")
        return Score(value=len(takes) / (len(reference) if self.is_relative else 1))


def recording(seed: int, sample_id: str = "a", system: str = "s", **changes: Any) -> Recording:
    made = Recording(
        sample_id=sample_id, system=system, suite="u", transcript="", video_path=Path(__file__),
        seed=seed, groups={"domain": "world"},
    )  # fmt: skip
    return replace(made, **changes)


TRUTH = [recording(seed, system="truth", role=Role.CEILING) for seed in (0, 1)]


def scored(recordings: list[Recording], reference: str = "", **options: Any) -> Scored:
    metrics = [NumSeeds(), NumSeeds(is_relative=True)]
    return score(
        recordings, metrics=[], set_metrics=metrics,
        options=Options(reference_system=reference), **options,
    )  # fmt: skip


def values(found: Scored) -> dict[tuple[str, str, str], float | None]:
    return {(row.metric, row.system, row.sample_id): row.value for row in found.rows}


def test_a_prompt_has_one_row_for_all_its_seeds() -> None:
    found = scored([recording(4), recording(0, "b"), recording(2), recording(3)])
    assert values(found)["seeds", "s", "a"] == 3
    (lonely,) = [row for row in found.rows if row.sample_id == "b" and row.metric == "seeds"]
    assert (lonely.status, lonely.value, lonely.seed) == ("not_applicable", None, 0)
    assert {row.seed for row in found.rows if row.sample_id == "a"} == {EVERY_SEED}


def test_takes_are_compared_with_the_only_ceiling_that_has_several() -> None:
    found = scored([*(recording(seed) for seed in range(3)), *TRUTH])
    assert values(found)["ratio", "s", "a"] == 1.5
    assert values(found)["ratio", "truth", "a"] is None
    two = [*TRUTH, *(replace(r, system="round_trip") for r in TRUTH)]
    assert reference_of_takes(two, "") == ""
    assert reference_of_takes(two, "round_trip") == "round_trip"


def test_ratios_to_other_takes_have_another_protocol_hash(tmp_path: Path) -> None:
    other = tmp_path / "other.mp4"
    other.write_bytes(b"another file")
    own = [recording(0), recording(1)]

    def digests(reference: list[Recording]) -> dict[str, str]:
        rows = scored([*own, *reference], reference="truth" if reference else "").rows
        return {row.metric: row.protocol_hash for row in rows if row.system == "s"}

    first, second = digests(TRUTH), digests([replace(r, video_path=other) for r in TRUTH])
    assert first["seeds"] == second["seeds"] == digests([])["seeds"]
    assert len({first["ratio"], second["ratio"], digests([])["ratio"]}) == 3


def test_a_shard_has_no_number_and_says_how_to_get_it() -> None:
    every = [recording(seed) for seed in range(4)]
    row = scored(every[::2], whole=every).rows[0]
    assert (row.status, row.value) == ("unavailable", None)
    assert "streamchar score RUN --metrics seeds" in row.reason


def score_into(run: Path, recordings: list[Recording]) -> None:
    score_run(
        run, recordings, metrics=[], set_metrics=[NumSeeds()], options=Options(),
        progress=lambda *_: None,
    )  # fmt: skip


def test_rows_stay_as_long_as_the_prompt_has_recordings(tmp_path: Path) -> None:
    score_into(tmp_path, [recording(0), recording(1), recording(0, "b"), recording(1, "b")])
    score_into(tmp_path, [recording(1), recording(2), recording(3)])
    rows = {row.sample_id: row.value for row in read_scores(tmp_path / "scores.jsonl")}
    assert rows == {"a": 3}


def test_the_row_of_a_prompt_follows_the_number_of_its_seeds(tmp_path: Path) -> None:
    for seeds, expected in (([0], {0: None}), ([0, 1], {EVERY_SEED: 2}), ([1], {1: None})):
        score_into(tmp_path, [recording(seed) for seed in seeds])
        rows = read_scores(tmp_path / "scores.jsonl")
        assert {row.seed: row.value for row in rows} == expected


def test_joined_runs_have_to_be_scored_again(tmp_path: Path) -> None:
    score_into(tmp_path / "one", [recording(0), recording(1)])
    score_into(tmp_path / "two", [recording(2), recording(3), recording(4)])
    merge([tmp_path / "one", tmp_path / "two"], tmp_path / "both")
    (row,) = read_scores(tmp_path / "both" / "scores.jsonl")
    assert (row.status, row.value) == ("unavailable", None)


@pytest.mark.parametrize("seeds", [[0], [0, 1]])
def test_a_metric_of_takes_that_fails_costs_its_own_row_only(
    seeds: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Score:
        raise ArithmeticError("singular")

    monkeypatch.setattr(NumSeeds, "measure_takes", broken)
    found = scored([recording(seed) for seed in seeds])
    expected = "evaluator_failure" if len(seeds) > 1 else "not_applicable"
    assert [row.status for row in found.rows] == [expected] * 2
    assert ("singular" in "".join(found.logs)) == (len(seeds) > 1)
