"""Worker processes leave the script that starts them alone."""

import subprocess
import sys
from pathlib import Path

import pytest

from streamchar_ref.core.executor import WorkerProcesses

SCRIPT = """
from streamchar_ref.core.executor import WorkerProcesses

print("script runs")
with WorkerProcesses(2) as pool:
    print(sorted(pool.map(abs, [-1, -2, 3])))
"""


def test_what_has_not_begun_is_not_begun_after_an_interrupt(tmp_path: Path) -> None:
    done = [tmp_path / str(number) for number in range(200)]

    def interrupted() -> None:
        with WorkerProcesses(2) as pool:
            futures = [pool.submit(Path.touch, path) for path in done]
            futures[0].result()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert sum(path.exists() for path in done) < len(done)


def test_a_script_without_a_main_guard_runs_once(tmp_path: Path) -> None:
    script = tmp_path / "measure.py"
    script.write_text(SCRIPT, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=Path(__file__).parents[3],
        env={"PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout.splitlines() == ["script runs", "[1, 2, 3]"]
    assert (done.returncode, done.stderr) == (0, "")
