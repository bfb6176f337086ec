"""The rows of the ablation table.

A rival trains the teacher further on a task of its own, for as many steps as `teacher_tuned` is
trained further on the teacher's; with that it is compared. Those called untrained do not. One whose
networks are others begins anew, from prompt encoder and VAEs, and is compared with `teacher_anew`.
One that needs another teacher is a row whose `Setup` names a ``preset`` or a ``start`` checkpoint;
its stages follow that teacher. With ``speech`` first, a preset needs no checkpoint of its own.
"""

from collections.abc import Sequence
from difflib import get_close_matches

from baselines.ablations.row import SPEECH, Group, Row, Setup, changed_fields
from streamchar_ref.core.errors import InputError

TEACHER = "teacher"
REGRESS, CHUNK, ROLLOUT = "distill_regress", "dmd_chunk", "dmd_rollout"

GROUND_TRUTH = Row(
    name="ground_truth",
    group=Group.REFERENCE,
    setup=Setup(system="ground_truth"),
    tests="what a perfect model would score; reference set of the Frechet distances",
)
_TEACHER_50 = Row(
    name="teacher_50",
    group=Group.TEACHER,
    setup=Setup(),
    tests="the teacher, with as many steps as the paper's base model",
    mirrors="Table 1: StreamChar base (50 steps)",
)


def _teachers() -> list[Row]:
    guided = [
        _TEACHER_50,
        *(
            _TEACHER_50.child(
                f"teacher_{steps}", "fewer steps of the same teacher", num_steps=steps
            )
            for steps in (8, 4, 2, 1)
        ),
    ]
    return [
        row
        for parent in guided
        for row in (
            parent,
            parent.child(
                f"{parent.name}_unguided", "what guidance is worth to the teacher", is_guided=False
            ),
        )
    ]


_TEACHERS = _teachers()
_WARM_TEACHERS = [
    next(row for row in _TEACHERS if row.name == name).child(
        warm, "the same from noise as warm as in training", temperature=1.0
    )
    for name, warm in (
        ("teacher_8", "teacher_t1"),
        ("teacher_2_unguided", "teacher_t1_2_unguided"),
        ("teacher_1_unguided", "teacher_t1_1_unguided"),
    )
]
_REGRESS_ONLY = next(row for row in _TEACHERS if row.name == "teacher_4_unguided").child(
    "regress_only",
    "regression on the guided teacher alone (Stage 0)",
    group=Group.ABLATION,
    stages=(REGRESS,),
)
_STAGE_1_ONLY = _REGRESS_ONLY.child(
    "stage1_only",
    "distribution matching on single chunks, without rollouts",
    stages=(REGRESS, CHUNK),
)
_FULL = _STAGE_1_ONLY.child(
    "full",
    "all stages: rollouts over several chunks on top of Stage I",
    group=Group.STUDENT,
    mirrors="Table 1: StreamChar distilled (4 steps)",
    also_against=("teacher_50",),
    stages=(REGRESS, CHUNK, ROLLOUT),
)
_STUDENTS = [
    _FULL,
    *(
        _FULL.child(f"student_{steps}", f"a student trained for {words}", num_steps=steps)
        for steps, words in ((1, "one step"), (2, "two steps"), (8, "eight steps"))
    ),
    *(
        _FULL.child(f"full_at_{steps}", f"the same weights with {words}", streamed_steps=steps)
        for steps, words in ((1, "one step"), (2, "two steps"))
    ),
]
_WARM_STUDENTS = [
    next(row for row in _STUDENTS if row.name == f"student_{steps}").child(
        f"student_t1_{steps}",
        f"a student trained for {words} from noise as warm as the teacher's in training",
        also_against=("teacher_t1",),
        temperature=1.0,
    )
    for steps, words in ((1, "one step"), (2, "two steps"))
]
_ABLATIONS = [
    _REGRESS_ONLY,
    _STAGE_1_ONLY,
    _FULL.child(
        "stage2_only",
        "rollouts without Stage I; they start from the regression student, as Stage 0 makes the "
        "real score that distribution matching needs",
        group=Group.ABLATION,
        mirrors="Table 1: distil with Stage II only",
        stages=(REGRESS, ROLLOUT),
    ),
    _FULL.child(
        "one_chunk_rollout",
        "Stage II with rollouts of one chunk: no errors of its own are seen in training",
        group=Group.ABLATION,
        mirrors="Table 1: Stage II with one-chunk rollouts",
        max_chunks=1,
    ),
    _FULL.child(
        "no_sink",
        "the first chunk is hidden from later ones, in training and in streaming",
        group=Group.ABLATION,
        mirrors="Table 2: StreamChar w/o sink chunk",
        visible="no_sink",
    ),
    _FULL.child(
        "no_pointer",
        "the transcript window moves at a fixed rate, in rollouts and in streaming",
        group=Group.ABLATION,
        pointer="fixed_rate",
    ),
    _FULL.child(
        "oracle_pointer",
        "a recogniser moves the transcript window in streaming: the ceiling of any pointer",
        group=Group.ABLATION,
        pointer="oracle",
    ),
    _FULL.child(
        "no_motion_noise",
        "motion latents are clean in training",
        group=Group.ABLATION,
        motion_sigma=0.0,
    ),
    _FULL.child(
        "once_a_chunk",
        "the orchestrator runs once a chunk and does not see the noisy sound",
        group=Group.ABLATION,
        orchestrator="once",
    ),
]
_TEACHER_8 = next(row for row in _TEACHERS if row.name == "teacher_8")
_TUNED = _TEACHER_8.child(
    "teacher_tuned",
    "the teacher trained further for as many steps as its rivals: what they are compared with",
    group=Group.RIVAL,
    stages=(TEACHER,),
)
_ANEW = _TEACHER_8.child(
    "teacher_anew",
    "orchestrator and DiT trained once more from random weights, for as many steps as rivals whose "
    "networks are others: what those are compared with",
    group=Group.RIVAL,
    stages=(SPEECH, TEACHER),
)
_STUDENT_TUNED = _FULL.child(
    "student_tuned",
    "the student of that teacher: what a student whose teacher must be trained further is compared "
    "with",
    group=Group.RIVAL,
    stages=(TEACHER, REGRESS, CHUNK, ROLLOUT),
)
_RIVALS = [
    _TEACHER_8.child(
        "cascade_untrained",
        "the teacher as it is, sampled sound first; it has seen noise levels that differ in a "
        "fifth of its training, never a finished sound",
        group=Group.RIVAL,
        order="sound_first",
    ),
    _TEACHER_8.child(
        "audio_driven_untrained",
        "the teacher as it is, given the true speech",
        group=Group.RIVAL,
        order="sound_given",
    ),
    _TUNED,
    _TUNED.child(
        "cascade",
        "speaks first, without a picture, and then draws the picture to its own speech",
        group=Group.RIVAL,
        order="sound_first",
    ),
    _TUNED.child(
        "audio_driven",
        "is given the true speech and draws the picture alone: its words and voice are the truth's "
        "through the audio VAE",
        group=Group.RIVAL,
        order="sound_given",
    ),
    _TUNED.child(
        "causal_kv_teacher",
        "looks back on the keys and values of the last two chunks, each computed once, in place of "
        "encoding the end of the previous chunk for each; equal steps, twice the training compute",
        group=Group.RIVAL,
        cached_chunks=2,
    ),
    _STUDENT_TUNED,
    _STUDENT_TUNED.child(
        "causal_kv",
        "a causal student, as by Self Forcing: a cache of the last two chunks, in teacher, scores, "
        "rollouts and streaming; equal steps, twice the training compute",
        group=Group.RIVAL,
        also_against=("causal_kv_teacher",),
        cached_chunks=2,
    ),
    _ANEW,
    _ANEW.child(
        "monolithic",
        "no orchestrator: the DiT reads the whole transcript and finds its place in it by itself; "
        "equal size and cost",
        group=Group.RIVAL,
        orchestrator="none",
    ),
    _ANEW.child(
        "paper_faithful",
        "a whole chunk as motion and as sink, soft pointer, emergent timing: the preset of that "
        "name behind the same prompt encoder and VAEs",
        group=Group.RIVAL,
        preset="paper_faithful",
    ),
]
ROWS: tuple[Row, ...] = (
    GROUND_TRUTH,
    *_TEACHERS,
    *_WARM_TEACHERS,
    *_STUDENTS,
    *_WARM_STUDENTS,
    *_ABLATIONS,
    *_RIVALS,
)
"""In the order of the table."""


def choose_rows(only: Sequence[str] = ()) -> tuple[Row, ...]:
    """Returns rows by name, in the order of the table.

    Args:
        only: Names; all by default. Ground truth, the reference set of distances, always comes.

    Returns:
        The rows.

    Raises:
        InputError: If there is no row of a name; says the nearest one.
    """
    names = [row.name for row in ROWS]
    for name in only:
        if name not in names:
            near = get_close_matches(name, names, 1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise InputError(f"no row {name!r:.60}; {hint}see: streamchar ablate --list")
    return tuple(row for row in ROWS if not only or row.name in only or row is GROUND_TRUTH)


def change_in_words(row: Row) -> str:
    """Says in which field a row differs from its parent; empty for a row without one."""
    parent = next((one for one in ROWS if one.name == row.parent), None)
    if parent is None:
        return ""
    changed = changed_fields(parent.setup, row.setup)
    words = [
        f"{name}={'+'.join(value) if isinstance(value, tuple) else value}"
        for name, value in changed.items()
    ]
    return f"{parent.name} with {', '.join(words)}"


def at_equal_passes(row: Row) -> tuple[Row, ...]:
    """Returns the teachers that spend as many passes a chunk as a student; none for others.

    They start from noise as warm as its own.
    """
    if not row.setup.is_student:
        return ()
    wanted = (row.setup.passes, row.setup.temperature)
    teachers = (*_TEACHERS, *_WARM_TEACHERS)
    return tuple(one for one in teachers if (one.setup.passes, one.setup.temperature) == wanted)


def contrasts(rows: Sequence[Row]) -> dict[str, tuple[str, ...]]:
    """Returns what each row is compared with, as far as that is among the rows.

    Args:
        rows: Of a grid.

    Returns:
        Row -> its parent, what it declares beside, and the teacher at equal passes.
    """
    here = {row.name for row in rows}
    named = {
        row.name: (row.parent, *row.also_against, *(one.name for one in at_equal_passes(row)))
        for row in rows
    }
    return {
        name: tuple(one for one in dict.fromkeys(others) if one in here)
        for name, others in named.items()
    }
