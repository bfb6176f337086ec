"""Two hundred hostile inputs, of fixed seeds: none may surprise a user."""

import pytest

from tests.faults import runner
from tests.faults.generators import KINDS

SEED = 15
SHARES = {
    "manifest": 40, "suite": 25, "media": 16, "program": 8, "system": 25, "run_folder": 44,
    "command_line": 24, "cache": 8, "checkpoint": 6, "training": 4,
}  # fmt: skip


def test_every_kind_is_in_it() -> None:
    assert set(SHARES) == set(KINDS)
    assert sum(SHARES.values()) == 200


@pytest.mark.slow
def test_hostile_inputs_cost_no_sample_and_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    wanted = [name for kind, count in SHARES.items() for name in runner.names(count, SEED, [kind])]
    outcomes = runner.run(wanted)
    table = runner.table(outcomes)
    with capsys.disabled():
        print(f"\n{table}")  # noqa: T201
    assert not any(outcome.findings for outcome in outcomes), table
