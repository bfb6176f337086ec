"""Processes that are killed at a write or at any moment; the same command follows."""

from tests.faults.scenes.stage import JOBS, Obstacle, Stage


def killed(name: str, stage: Stage) -> None:
    """Even numbers are killed at the write that the number says, odd ones at a random moment.

    Args:
        name: Of a job.
        stage: Its scene.
    """
    job = JOBS[name]
    wanted, num_writes, seconds, codes = stage.undisturbed(name, job)
    code = codes[-1]
    if stage.number % 2 == 0:
        obstacle = Obstacle(kill_at=stage.number // 2 % num_writes + 1)
        stage.outcome.note = f"killed at write {obstacle.kill_at} of {num_writes}"
    else:
        obstacle = Obstacle(kill_after_s=0.001 + stage.rng.random() * seconds)
        stage.outcome.note = f"killed after {obstacle.kill_after_s:.3f} s of {seconds:.2f} s"
    stage.begin(job)
    if stage.finish(stage.start(job.command, obstacle)) is not None:
        stage.outcome.note += "; it had ended"
    stage.finish_well(stage.start(job.resumed), code, is_once=job.is_once)
    stage.compare(wanted, job)
