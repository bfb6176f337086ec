"""Two processes that begin at the same moment in one folder."""

import os
import time
from dataclasses import replace

from tests.faults.scenes.stage import JOBS, SCORE, TRAIN, Job, Obstacle, Stage

SLOW = ("record", "toy.py:Slow", "--suite", "suite.jsonl", "--out", "fresh")
RECORD_HERE = ("record", "toy.py:Slow", "--suite", "suite.jsonl", "--out", "run", "--seed", "1")
PAIRS: dict[str, tuple[Job, tuple[str, ...]]] = {
    "record": (Job(command=SLOW, out="fresh"), SLOW),
    "record_shards": (
        Job(command=(*SLOW, "--shard", "1/2"), out="fresh"),
        (*SLOW, "--shard", "2/2"),
    ),
    "score": (JOBS["score"], SCORE),
    "score_shards": (
        replace(JOBS["score"], command=(*SCORE, "--shard", "1/2")),
        (*SCORE, "--shard", "2/2"),
    ),
    "score_metrics": (
        Job(command=("score", "run", "--metrics", "colour_drift", "--jobs", "1"), out="run"),
        ("score", "run", "--metrics", "first_chunk_s", "--jobs", "1"),
    ),
    "score_record": (Job(command=RECORD_HERE, out="run"), SCORE),
    "train": (JOBS["train"], TRAIN),
    "report": (JOBS["report"], JOBS["report"].command),
    "merge_record": (
        Job(command=RECORD_HERE, out="run"),
        ("merge", "run", "--out", "fresh"),
    ),
    "merge": (JOBS["merge"], JOBS["merge"].command),
}
"""What is raced: the first command, and the second; the first one's folder is looked at."""
LAST: dict[str, tuple[str, ...]] = {"score_record": SCORE}
"""What must still be run for the folder to be that of the two commands in turn."""


def race(name: str, stage: Stage) -> None:
    """Both must succeed or one be refused in one line; given again, nothing is lost.

    Args:
        name: Of a pair.
        stage: Its scene.
    """
    job, second = PAIRS[name]
    commands = (job.command, second)
    wanted, codes = _in_turn(name, stage, commands, job)
    stage.begin(job)
    gates = [os.pipe(), os.pipe()]
    runs = [
        stage.start(command, Obstacle(wait_for=gate[0]))
        for command, gate in zip(commands, gates, strict=True)
    ]
    lag = stage.rng.choice((0, 0, 0, 0.002, 0.01, 0.03, 0.1))
    stage.outcome.note = f"the second one {lag:g} s later"
    os.write(gates[0][1], b"x")
    time.sleep(lag)
    os.write(gates[1][1], b"x")
    ends = [stage.finish(run) for run in runs]
    for handle in (handle for gate in gates for handle in gate):
        os.close(handle)
    for end in ends:
        stage.judge(end)
    refused = [n for n, end in enumerate(ends) if end is not None and end.code == 2]
    said = [
        end.err.strip().splitlines()[-1]
        for end in ends
        if end is not None and end.code == 2 and end.err.strip()
    ]
    if len(refused) == 2:
        stage.find("lost samples", f"both were refused: {said[0]:.200}")
    if any("already" not in words and "there" not in words for words in said):
        stage.find("other", f"refused without saying by whom: {said[0]:.200}")
    for n in refused:
        again = (*commands[n], "--resume") if name == "train" else commands[n]
        stage.finish_well(stage.start(again), codes[n], is_once=commands[n][0] == "merge")
    if name in LAST:
        stage.finish(stage.start(LAST[name]))
    stage.compare(wanted, job)


def _in_turn(
    name: str, stage: Stage, commands: tuple[tuple[str, ...], ...], job: Job
) -> "tuple[dict[str, str], list[int | None]]":
    """Returns the tree, and the exit codes, of the commands one after the other."""
    if name in ("train", "merge"):  # the second one in turn is refused
        wanted, _, _, codes = stage.undisturbed(name, job)
        return wanted, [codes[-1], codes[-1]]
    first = Job(before=commands, command=LAST.get(name, ("table", "run")), out=job.out)
    wanted, _, _, codes = stage.undisturbed(f"race-{name}", first)
    return wanted, codes
