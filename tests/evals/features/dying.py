"""A worker's function that ends its process once, in the middle of a scoring."""

import os
import signal
from pathlib import Path

from evals.features import jobs

NOTES = "STREAMCHAR_TEST_NOTES"


def dies_once(job: jobs.Job) -> object:
    notes = Path(os.environ[NOTES])
    with (notes / "ran.txt").open("a") as file:
        file.write(f"{job.recording.sample_id} {' '.join(job.names)}\n")
    if (job.recording.sample_id, job.names) == ("b", ("pitch",)) and not (notes / "died").exists():
        (notes / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return jobs._extract_and_send(job)


def number_or_death(notes: Path, number: int) -> int:
    if number == 2 and not (notes / "died").exists():
        (notes / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number
