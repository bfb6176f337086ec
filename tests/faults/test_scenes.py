"""A handful of kills, races and full disks; `make test-faults` has many more."""

import pytest

from tests.faults import runner

KILLED = ["killed_record-1500000", "killed_record-1500009", "killed_score-1500003"] + [
    f"killed_score-{1500000 + 2 * write}" for write in range(9, 14)
]
RACES = ["race_record-1500000", "race_score_shards-1500000", "race_score_record-1500000"]
DISKS = ["full_record-1500000", "full_record-1500002", "full_score-1500003", "full_score-1500020"]


@pytest.mark.slow
@pytest.mark.parametrize("names", [KILLED, RACES, DISKS], ids=["killed", "races", "disks"])
def test_nothing_is_lost(
    worker: runner.Worker, names: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes = [worker.run(name) for name in names]
    table = runner.table(outcomes)
    with capsys.disabled():
        print(f"\n{table}")  # noqa: T201
    assert not any(outcome.findings for outcome in outcomes), table
