"""One whole checkpoint out of what the stages of a run have learned."""

from dataclasses import replace
from pathlib import Path

from streamchar_ref.core.errors import InputError
from streamchar_ref.core.files import real
from streamchar_ref.core.lock import only_writer
from streamchar_ref.loop.parallel import DistContext
from streamchar_ref.model.checkpoint import STUDENT, Storage, save_checkpoint
from streamchar_ref.train.run import StageMissing, TrainRun


def export(run: TrainRun, folder: Path, *, storage: Storage, student_steps: int = 0) -> None:
    """Writes one whole checkpoint out of what the stages have learned: the model, and its student.

    The scores of distillation, which no stream needs, stay in the run.

    Args:
        run: With all stages trained.
        folder: Where to.
        storage: Of the weights, see `save_checkpoint`.
        student_steps: Steps in which the student samples by default; 0 takes as many as it was
            trained for.

    Raises:
        StageMissing: If a stage has not been trained; says which.
        InputError: If there is no student to sample in so many steps.
        CheckpointError: If a stage was trained with another config.
    """
    processes = DistContext.of_this_process(run.device)
    joined = run.weights_so_far()
    required = [spec.name for spec in run.stages if spec.is_required]
    missing = [name for name in required if name not in joined.origin]
    back = tuple(f"{name}." for spec in run.stages for name in spec.kept_back)
    if missing:
        raise StageMissing(f"no weights in {run.folder} of: {', '.join(missing)}")
    samplers = {n: each for n, each in joined.samplers.items() if f"{n}." not in back}
    if student_steps:
        if STUDENT not in samplers:
            raise InputError(f"no student in {run.folder}, so --student-steps means nothing")
        trained = samplers[STUDENT].required("num_steps")
        if trained % student_steps:
            raise InputError(
                f"the student was trained for {trained} steps: --student-steps is a divisor of "
                f"that, not {student_steps}"
            )
        samplers[STUDENT] = replace(samplers[STUDENT], num_steps=student_steps)
    if processes.is_first:
        with only_writer(real(folder).parent, verb="export"):
            save_checkpoint(
                folder,
                {name: each for name, each in joined.tensors.items() if not name.startswith(back)},
                run.config,
                origin=joined.origin,
                samplers=samplers,
                storage=storage,
            )
    processes.all_true(True)
