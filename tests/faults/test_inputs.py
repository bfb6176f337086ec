"""A hundred hostile inputs, of fixed seeds: none may surprise a user."""

import pytest

from tests.faults import runner
from tests.faults.generators import KINDS

SEED = 15
SHARES = {
    "manifest": 18, "suite": 12, "media": 8, "program": 6, "system": 12, "run_folder": 20,
    "command_line": 10, "cache": 4, "checkpoint": 6, "training": 4,
}  # fmt: skip


def test_every_kind_is_in_it() -> None:
    assert set(SHARES) == set(KINDS)
    assert sum(SHARES.values()) == 100


@pytest.mark.slow
def test_hostile_inputs_cost_no_sample_and_no_traceback(
    worker: runner.Worker, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = [name for kind, count in SHARES.items() for name in runner.names(count, SEED, [kind])]
    outcomes = [worker.run(name) for name in wanted]
    table = runner.table(outcomes)
    with capsys.disabled():
        print(f"\n{table}")  # noqa: T201
    assert not any(outcome.findings for outcome in outcomes), table
