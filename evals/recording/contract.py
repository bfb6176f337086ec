"""The contract of a system and its chunks: each violation is one sentence with its remedy.

Shape letters: T frames, H and W pixels, S audio samples.
"""

import inspect
import math
from collections.abc import Iterator, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np

from evals.recording.jsonl import check_folder_name
from evals.recording.role import ROLES
from streamchar_ref.core.errors import InputError
from streamchar_ref.media import AVChunk

STREAM = "def stream(self, prompt, *, seed), which yields AVChunks"
NAME = 'name = "my_system", the label of its rows'
LONGEST_SOUND = 1.5
"""Largest ratio of sound to picture in a chunk; interleaved stereo has a ratio of two."""


def problems_with_system(system: object) -> list[str]:
    """Checks the attributes of a system without running it.

    Args:
        system: Any object.

    Returns:
        One sentence for each violation.
    """
    if inspect.isclass(system):
        return [f"it is the class {system.__name__}, not a system made by it: call it"]
    try:
        return _problems_with_attributes(system)
    except (Exception, SystemExit) as error:  # its properties may raise anything
        return [f"asking it for name, rates and stream raises {type(error).__name__}: {error}"]


def _problems_with_attributes(system: object) -> list[str]:
    problems = (
        _problem_with_name(system),
        _problem_with_rate(system, "fps", Real, "25, its video frames per second"),
        _problem_with_rate(system, "sample_rate", Integral, "16000, its sound's samples"),
        _problem_with_role(system),
        _problem_with_stream(system),
    )
    return [sentence for sentence in problems if sentence]


def _problem_with_name(system: object) -> str:
    if not hasattr(system, "name"):
        return f"it has no name: set {NAME}"
    if not isinstance(system.name, str) or not system.name:
        return f"name is {system.name!r}: set {NAME}"
    try:
        check_folder_name("the system", "name", system.name)
    except InputError as error:
        return f"{error}: set {NAME}"
    return ""


def _problem_with_rate(system: object, name: str, kind: type, example: str) -> str:
    advice = f"set {name} = {example}"
    if not hasattr(system, name):
        return f"it has no {name}: {advice}"
    value = getattr(system, name)
    if isinstance(value, bool) or not isinstance(value, kind):
        kind_name = "a whole number" if kind is Integral else "a number"
        return f"{name} is {value!r}, not {kind_name}: {advice}"
    if not (0 < float(value) < math.inf):  # type: ignore[arg-type]
        return f"{name} is {value} and must be above 0: {advice}"
    return ""


def _problem_with_role(system: object) -> str:
    role = getattr(system, "role", "model")
    if isinstance(role, str) and role in ROLES:
        return ""
    return f"role is {role!r}: set it to one of {', '.join(ROLES)}, or leave it out for a model"


def _problem_with_stream(system: object) -> str:
    stream = getattr(system, "stream", None)
    if not callable(stream):
        return f"it has no method stream: write {STREAM}"
    if inspect.isasyncgenfunction(stream) or inspect.iscoroutinefunction(stream):
        return f"stream is asynchronous: write {STREAM}, without async"
    parameters = inspect.signature(stream).parameters
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    if "seed" not in parameters and not takes_any:
        return f"stream does not take a seed: write {STREAM}"
    try:
        inspect.signature(stream).bind(object(), seed=0)
    except TypeError as error:
        return f"stream cannot be called with a prompt and a seed ({error}): write {STREAM}"
    return ""


def chunk_iterator(chunks: object) -> Iterator[Any]:
    """Checks that `stream` returned an iterator.

    Args:
        chunks: Return value of `stream`.

    Returns:
        The same object.

    Raises:
        ContractBroken: If it is anything else, e.g. a list; says what to do.
    """
    if isinstance(chunks, Iterator):
        return chunks
    if isinstance(chunks, AVChunk):
        raise ContractBroken("stream returns one chunk: yield it")
    if isinstance(chunks, Sequence) and not isinstance(chunks, str):
        raise ContractBroken(
            f"stream returns a {type(chunks).__name__}: yield each chunk as soon as it can be "
            "played, since its arrival is what is timed"
        )
    raise ContractBroken(f"stream returns {_kind(chunks)} and no generator: yield AVChunks")


class ContractBroken(ValueError):
    """A system or its stream violates the contract; the message gives the remedy."""


def problem_with_chunk(chunk: object, index: int, shape: tuple[int, ...] = ()) -> str:
    """Checks one chunk.

    Args:
        chunk: Object that was yielded.
        index: Expected index, from 0.
        shape: ``(H, W, 3)`` of earlier frames; empty for the first chunk.

    Returns:
        A sentence; empty for a valid chunk.
    """
    if not isinstance(chunk, AVChunk):
        return (
            f"chunk {index} is {_kind(chunk)}: yield streamchar_ref.media.AVChunk(index=..., "
            "frames=..., samples=...)"
        )
    if isinstance(chunk.index, bool) or not isinstance(chunk.index, Integral):
        return f"chunk {index}: its index is {_kind(chunk.index)}: count 0, 1, 2 ..."
    if chunk.index != index:
        return f"chunk {index} came with index {chunk.index}: chunk indices count up from 0"
    problem = _problem_with_frames(chunk.frames) or _problem_with_samples(chunk.samples)
    if not problem and shape and chunk.frames.shape[1:] != shape:
        problem = (
            f"the frame size changes from {shape} to {chunk.frames.shape[1:]}: "
            "keep one size in a stream"
        )
    return f"chunk {index}: {problem}" if problem else ""


def problem_with_lengths(frames: Sequence[int], samples: Sequence[int], rate: float) -> str:
    """Checks whether the sound is much longer than the picture in every chunk.

    Args:
        frames: Number of frames of each chunk.
        samples: Number of samples of each chunk.
        rate: Expected samples per video frame.

    Returns:
        A sentence; empty if it is not.
    """
    ratios = [s / (f * rate) for f, s in zip(frames, samples, strict=True) if f]
    if not ratios or min(ratios) < LONGEST_SOUND:
        return ""
    return (
        f"the sound is {min(ratios):.2g} times as long as the picture in every chunk: if it is "
        "interleaved stereo, mix it: samples.reshape(-1, 2).mean(axis=1); else mend fps or "
        "sample_rate"
    )


def _problem_with_frames(frames: object) -> str:
    wanted = "uint8 [T, H, W, 3] in NumPy"
    if not isinstance(frames, np.ndarray):
        return f"frames are {_kind(frames)}, not {wanted}{_to_numpy(frames, 'uint8')}"
    if frames.dtype != np.uint8:
        return f"frames are {frames.dtype}{_range_of(frames)}, not {wanted}: {_to_bytes(frames)}"
    if frames.ndim != 4 or frames.shape[-1] != 3:
        return f"frames have shape {frames.shape}, not [T, H, W, 3]: {_to_rgb(frames.shape)}"
    if 0 in frames.shape[1:]:
        return f"frames have shape {frames.shape}: a picture has at least one pixel"
    return ""


def _to_numpy(array: object, dtype: str) -> str:
    if _is_tensor(array):
        axes = "; move colour last with permute" if dtype == "uint8" else ""
        return f": convert them with .detach().cpu().numpy() to {dtype}{axes}"
    return ""


def _range_of(frames: np.ndarray) -> str:
    if not frames.size or not np.issubdtype(frames.dtype, np.floating):
        return ""
    if not np.isfinite(frames).all():
        return " with NaN"
    for low, high in ((0, 1), (-1, 1), (0, 255)):
        if low <= frames.min() and frames.max() <= high:
            return f" in [{low}, {high}]"
    return f" from {frames.min():.3g} to {frames.max():.3g}"


def _to_bytes(frames: np.ndarray) -> str:
    scale = {" in [0, 1]": "frames * 255", " in [-1, 1]": "(frames + 1) * 127.5"}
    scaled = scale.get(_range_of(frames), "frames")
    if np.issubdtype(frames.dtype, np.floating):
        return f"np.clip(np.round({scaled}), 0, 255).astype(np.uint8)"
    return "scale them to 0 to 255, then .astype(np.uint8)"


def _to_rgb(shape: tuple[int, ...]) -> str:
    """Suggests how to convert frames of a wrong shape."""
    if len(shape) == 5:
        return "a batch; yield frames[0]" if shape[0] == 1 else "yield the frames of one video"
    if len(shape) == 3:
        one = "one frame has no time; yield frames[None]"
        grey = "grey; yield np.repeat(frames[..., None], 3, axis=-1)"
        return one if shape[-1] == 3 else grey
    if len(shape) == 4 and shape[-1] == 1:
        return "grey; yield np.repeat(frames, 3, axis=-1)"
    if len(shape) == 4 and shape[1] == 3:
        return "colour comes last; yield frames.transpose(0, 2, 3, 1)"
    if len(shape) == 4 and shape[0] == 3:
        return "colour comes last; yield frames.transpose(1, 2, 3, 0)"
    if len(shape) == 4 and shape[-1] == 4:
        return "leave alpha out; yield frames[..., :3]"
    return "yield RGB frames in order of time"


def _problem_with_samples(samples: object) -> str:
    wanted = "float32 [S], mono in NumPy"
    if not isinstance(samples, np.ndarray):
        return f"samples are {_kind(samples)}, not {wanted}{_to_numpy(samples, 'float32')}"
    if samples.ndim != 1:
        return f"samples have shape {samples.shape}, not [S]: {_to_mono(samples.shape)}"
    if np.issubdtype(samples.dtype, np.integer):
        scale = np.iinfo(samples.dtype).max + 1
        return f"samples are {samples.dtype}, not {wanted}: (samples / {scale}).astype(np.float32)"
    if samples.dtype != np.float32:
        return f"samples are {samples.dtype}, not {wanted}: samples.astype(np.float32)"
    if not np.isfinite(samples).all():
        return "some audio samples are NaN or infinite: find out where they come from"
    peak = float(np.abs(samples).max(initial=0))
    if peak > 1:
        return f"samples must be finite and in [-1, 1]; they reach {peak:.4g}: scale or clip them"
    return ""


def _to_mono(shape: tuple[int, ...]) -> str:
    if len(shape) == 2 and 1 in shape:
        return f"yield samples{'[0]' if shape[0] == 1 else '[:, 0]'}"
    if len(shape) == 2:
        axis = int(np.argmin(shape))
        return f"mix stereo to mono; yield samples.mean(axis={axis})"
    return "yield one waveform"


def _is_tensor(value: object) -> bool:
    return type(value).__module__.split(".")[0] in {"torch", "jax", "jaxlib", "tensorflow"}


def _kind(value: object) -> str:
    if value is None:
        return "None"
    name = type(value).__name__
    package = type(value).__module__.split(".")[0]
    full = f"{package}.{name}" if _is_tensor(value) else name
    return f"{'an' if full[0].lower() in 'aeiou' else 'a'} {full}"
