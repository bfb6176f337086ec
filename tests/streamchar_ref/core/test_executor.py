"""Worker processes leave the script that starts them alone."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from streamchar_ref.core.errors import InputError
from streamchar_ref.core.executor import WorkerEnded, WorkerProcesses, local_executor

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


def reciprocal(number: int) -> float:
    return 1 / number


def end_worker(_: int) -> None:
    os._exit(1)


def threads_and_pid(_: int) -> tuple[str, int]:
    time.sleep(0.3)
    return os.environ["OMP_NUM_THREADS"], os.getpid()


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_come_in_order_and_an_exception_is_that_of_its_item(jobs: int) -> None:
    with local_executor(jobs) as executor:
        assert list(executor.map(reciprocal, [1, 2, 4])) == [1.0, 0.5, 0.25]
        futures = [executor.submit(reciprocal, number) for number in (0, 4)]
        assert isinstance(futures[0].exception(), ZeroDivisionError)
        assert futures[1].result() == 0.25


def test_a_worker_that_is_ended_is_one_line_with_advice() -> None:
    with WorkerProcesses(2) as executor:
        with pytest.raises(InputError, match="fewer --jobs"):
            list(executor.map(end_worker, [1, 2]))
        assert isinstance(executor.submit(reciprocal, 1).exception(), WorkerEnded)


def test_each_worker_has_one_thread_and_a_process_of_its_own() -> None:
    with WorkerProcesses(2) as executor:
        threads, pids = zip(*executor.map(threads_and_pid, [0, 1]), strict=True)
    assert set(threads) == {"1"}
    assert len({os.getpid(), *pids}) == 3


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
