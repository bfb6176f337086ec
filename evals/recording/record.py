"""Records the streams of a system, timed by the harness's own clock.

Rules of a valid run: a warm-up request precedes the first timed one; a chunk has arrived when its
frames and samples are in host memory, so its device has finished; only copying to disk happens
between two chunks; a failed stream is kept as a failure.
"""

import errno
import hashlib
import json
import math
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from evals.recording.contract import (
    ContractBroken,
    chunk_iterator,
    problem_with_chunk,
    problems_with_system,
)
from evals.recording.damage import digests_of
from evals.recording.jsonl import check_folder_length, check_folder_name
from evals.recording.meta import read_meta, with_digest
from evals.recording.provenance import device
from evals.recording.role import declared_role
from evals.recording.run_folder import error_of, recording_folder
from evals.recording.system import Prompt, System, first_chunks, stream_budget
from evals.recording.transaction import finish_results
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.files import has_file, remove_abandoned
from streamchar_ref.core.lock import only_writer
from streamchar_ref.core.progress import ProgressFn
from streamchar_ref.core.swap import replacing_folder, settle
from streamchar_ref.media import AVChunk, MediaError
from streamchar_ref.media.encode import write_lossless
from streamchar_ref.media.wav import write_wav

WARM_UP_CHUNKS = 2
_OF_MACHINE = (
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE,
    errno.EFBIG, errno.ENOMEM,
)  # fmt: skip
SPOOL_BATCH = 32

ClockFn = Callable[[], float]


@dataclass(frozen=True, kw_only=True)
class RecordPlan:
    """Settings of a recording session.

    Attributes:
        out: Run folder.
        suite: Name of the suite.
        seed: Of the generation, the same for every prompt.
        settings: Of the system, for provenance.
        warm_up: Whether a short untimed request precedes; without it there are no speed scores,
            and only one chunk is checked beforehand.
        retry_failed: Whether to record failed samples again.
        timing_note: On the times of all its streams, e.g. that others ran beside them.
    """

    out: Path
    suite: str
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    warm_up: bool = True
    retry_failed: bool = False
    timing_note: str = ""


@dataclass(kw_only=True)
class _Spool:
    """Buffers a stream's chunks; frames go to a raw file, so that memory stays bounded."""

    path: Path
    lines: list[dict[str, Any]] = field(default_factory=list)
    samples: list[np.ndarray] = field(default_factory=list)
    shape: tuple[int, ...] = ()

    def add(self, chunk: AVChunk, t_arrival_s: float) -> None:
        """Copies one chunk; raises `MediaError` if it violates the contract."""
        problem = problem_with_chunk(chunk, len(self.lines), self.shape)
        if problem:
            raise MediaError(problem)
        self.shape = chunk.frames.shape[1:]
        if chunk.spoken is not None and not math.isfinite(chunk.spoken):
            raise MediaError(f"chunk {chunk.index}: phonemes spoken are NaN or infinite")
        with self.path.open("ab") as file:
            file.write(np.ascontiguousarray(chunk.frames).data)  # unlike tofile, reports errno
        self.samples.append(chunk.samples.copy())  # a system may use its buffer again
        line = {
            "index": chunk.index,
            "num_frames": len(chunk.frames),
            "num_samples": len(chunk.samples),
            "t_arrival_s": round(t_arrival_s, 6),
        }
        if chunk.spoken is not None:
            line["spoken"] = round(float(chunk.spoken), 3)
        self.lines.append(line)

    def frames(self) -> Iterator[np.ndarray]:
        """Reads the frames back in batches."""
        size = int(np.prod(self.shape))
        with self.path.open("rb") as file:
            while (flat := np.fromfile(file, np.uint8, size * SPOOL_BATCH)).size:
                yield flat.reshape(-1, *self.shape)


def record(
    system: object,
    prompts: Sequence[Prompt],
    plan: RecordPlan,
    *,
    clock: ClockFn = time.perf_counter,
    progress: ProgressFn = lambda what, done, total: None,
) -> dict[str, int]:
    """Records every prompt that the run folder lacks.

    Args:
        system: Any object that follows `evals.recording.system.System`.
        prompts: Of one suite.
        plan: Run folder, seed and settings.
        clock: Monotonic seconds; replaced in tests.
        progress: Called with ``(prompt_id, done, total)``.

    Returns:
        Counts: ``recorded`` and ``failed`` now, ``kept`` (recorded earlier, failed or not).

    Raises:
        InputError: If the system violates the contract, the folder has a recording with other
            settings or is in use by another process, or system or suite is not a valid folder
            name. Nothing is written then.
        OSError: If the machine fails, e.g. the disk is full; earlier recordings are kept.
    """
    checked = check_system(system, plan)
    with only_writer(plan.out, verb="record"):
        clean_up(checked.name, prompts, plan)
        todo = [prompt for prompt in prompts if not is_recorded(checked.name, prompt, plan)]
        counts = {"recorded": 0, "failed": 0, "kept": len(prompts) - len(todo)}
        if todo:
            warm_up(checked, todo[0], plan)
        for done, prompt in enumerate(todo):
            progress(f"{checked.name}: {prompt.prompt_id}", done, len(todo))
            counts["recorded" if record_one(checked, prompt, plan, clock=clock) else "failed"] += 1
        progress(checked.name, len(todo), len(todo))
    return counts


def clean_up(name: str, prompts: Sequence[Prompt], plan: RecordPlan) -> None:
    """Completes or removes the leftovers of an interrupted process."""
    finish_results(plan.out, verb="record")
    remove_abandoned(plan.out / "recordings")
    for prompt in prompts:
        settle(_folder(name, prompt, plan))


def _folder(name: str, prompt: Prompt, plan: RecordPlan) -> Path:
    return recording_folder(plan.out, name, plan.suite, prompt.prompt_id, plan.seed)


def check_system(system: object, plan: RecordPlan) -> System:
    """Returns the system; raises `InputError` if it cannot be recorded."""
    check_folder_name("suite", "name", plan.suite)
    problems = problems_with_system(system)
    if problems:
        raise InputError(f"the system cannot be recorded: {'; '.join(problems)}")
    assert isinstance(system, System), "checked above"
    check_folder_length("system", "name", system.name)
    return system


def failures(name: str, prompts: Sequence[Prompt], plan: RecordPlan) -> dict[str, list[Path]]:
    """Groups the failed recordings by error.

    Args:
        name: Of the system.
        prompts: Of the suite.
        plan: As they were recorded.

    Returns:
        Last line of the error -> folders with the full traceback.
    """
    folders: dict[str, list[Path]] = {}
    for prompt in prompts:
        folder = _folder(name, prompt, plan)
        error = error_of(folder)
        if error:
            folders.setdefault(error, []).append(folder)
    return folders


def record_one(
    system: System, prompt: Prompt, plan: RecordPlan, *, clock: ClockFn = time.perf_counter
) -> bool:
    """Records one prompt; returns whether the stream succeeded.

    The folder is written atomically. A failed stream leaves ``meta.json`` and ``error.txt`` with
    the traceback.
    """
    with replacing_folder(_folder(system.name, prompt, plan)) as partial:
        spool = _Spool(path=partial / "frames.raw")
        error = ""
        try:
            _stream(system, prompt, plan.seed, spool, clock)
            _write_media(partial, spool, system)
        except (Exception, SystemExit) as failure:  # the one place that keeps a system's errors
            if _is_of_machine(failure):
                raise
            error = traceback.format_exc()
            (partial / "error.txt").write_text(error, encoding="utf-8", errors="backslashreplace")
        spool.path.unlink(missing_ok=True)
        Image.fromarray(prompt.reference).save(partial / "reference.png")
        meta = _meta(system, prompt, plan, spool) | {"files": digests_of(partial)}
        (partial / "meta.json").write_bytes(_json(with_digest(meta)))
    return not error


def _is_of_machine(failure: BaseException | None) -> bool:
    """Whether disk or operating system failed, which is not the system's failure."""
    while failure is not None:
        if isinstance(failure, OSError) and failure.errno in _OF_MACHINE:
            return True
        failure = failure.__cause__ or failure.__context__
    return False


def _stream(system: System, prompt: Prompt, seed: int, spool: _Spool, clock: ClockFn) -> None:
    budget, handed = stream_budget(prompt, system), prompt.copied()
    start = clock()
    for chunk in chunk_iterator(system.stream(handed, seed=seed)):
        spool.add(chunk, clock() - start)
        budget.add(len(chunk.frames), len(chunk.samples))
    if not spool.lines:
        raise MediaError("the system yielded no chunks")
    if not sum(line["num_frames"] for line in spool.lines):
        raise MediaError("the system yielded chunks without frames")


def _write_media(folder: Path, spool: _Spool, system: System) -> None:
    problems = problems_with_system(system)  # a stream may have changed its rates
    if problems:
        raise MediaError(problems[0])
    write_lossless(folder / "video.mkv", spool.frames(), fps=system.fps)
    samples = np.concatenate(spool.samples)
    write_wav(folder / "audio.wav", samples, sample_rate=system.sample_rate)
    lines = "".join(json.dumps(line) + "\n" for line in spool.lines)
    (folder / "chunks.jsonl").write_text(lines)


def warm_up(system: System, prompt: Prompt, plan: RecordPlan) -> None:
    """Runs a short request; refuses invalid chunks before anything is written."""
    count = WARM_UP_CHUNKS if plan.warm_up else 1
    try:
        first_chunks(system, prompt, seed=plan.seed, count=count)
    except ContractBroken as broken:
        raise InputError(f"{system.name}: {broken}; nothing was recorded") from broken
    except (Exception, SystemExit):  # the timed request meets the same error and keeps it
        return


def is_recorded(name: str, prompt: Prompt, plan: RecordPlan) -> bool:
    """Whether a prompt needs no recording; raises `InputError` if it has one of another kind."""
    folder = _folder(name, prompt, plan)
    if not has_file(folder / "meta.json"):
        return False
    meta = read_meta(folder)
    for field_name, then, now in (
        ("prompt_hash", meta["prompt_hash"], prompt_hash(prompt)),
        ("settings", meta["settings"], dict(plan.settings)),
    ):
        if then != now:
            raise InputError(
                f"{folder} was recorded with another {field_name.replace('_', ' ')}: "
                f"{then} then, {now} now; choose another --out"
            )
    return not (plan.retry_failed and (folder / "error.txt").is_file())


def prompt_hash(prompt: Prompt) -> str:
    """Hash (twelve hex digits) of everything a system receives."""
    pieces = [[piece.t_s, piece.text] for piece in prompt.pieces]
    words = [prompt.transcript, pieces, prompt.voice, prompt.caption, prompt.seed, prompt.groups]
    digest = hashlib.sha256(json.dumps(words, sort_keys=True).encode())
    digest.update(np.ascontiguousarray(prompt.reference).tobytes())
    return digest.hexdigest()[:12]


def _meta(system: System, prompt: Prompt, plan: RecordPlan, spool: _Spool) -> dict[str, Any]:
    return {
        "system": system.name,
        "settings": dict(plan.settings),
        "checkpoint": str(getattr(system, "checkpoint", "")),
        "suite": plan.suite,
        "sample_id": prompt.prompt_id,
        "seed": plan.seed,
        "prompt_hash": prompt_hash(prompt),
        "transcript": prompt.transcript,
        "voice": prompt.voice,
        "caption": prompt.caption,
        "language": prompt.groups.get("language", ""),
        "groups": prompt.groups,
        "fps": _rate(system.fps),
        "sample_rate": _rate(system.sample_rate),
        "num_frames": sum(line["num_frames"] for line in spool.lines),
        "num_samples": sum(line["num_samples"] for line in spool.lines),
        "role": str(declared_role(system)),
        "is_silent": bool(getattr(system, "is_silent", False)),
        "is_still": bool(getattr(system, "is_still", False)),
        "is_warm": plan.warm_up,
        "device": device(),
    } | _timing_note(system, plan)


def _timing_note(system: System, plan: RecordPlan) -> dict[str, str]:
    """What is to be known of the times; nothing where there is nothing."""
    note = "; ".join(filter(None, [str(getattr(system, "timing_note", "")), plan.timing_note]))
    return {"timing_note": note} if note else {}


def _rate(value: object) -> float | None:
    """Returns a rate as a JSON number; ``None`` if it is invalid."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < math.inf:
        return None
    number = float(value)
    return int(number) if number.is_integer() else number


def _json(value: Any) -> bytes:
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode(errors="replace")
