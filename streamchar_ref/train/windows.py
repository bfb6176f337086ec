"""Training windows: one chunk of a clip with all that a stream would know there, and the truth.

What a stream will not have perfectly is spoiled on purpose: motion and history carry noise or are
absent, the sink comes from another moment, the pointer is a little off, the text is cut.

Shape letters: B batch, F and A video and audio latents of a chunk, C and Ca channels, h and w.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from streamchar_ref.model.config import Config
from streamchar_ref.networks.dit import DitContext
from streamchar_ref.networks.durations import Times
from streamchar_ref.networks.orchestrator import OrchestratorInputs
from streamchar_ref.networks.text import PhonemeText
from streamchar_ref.sampling import flow
from streamchar_ref.train.latent_cache import LatentClip


@dataclass(frozen=True, kw_only=True)
class ContextAugmentation:
    """How often and how much a stream's memory is spoiled in training.

    Attributes:
        first_chunk: Share of windows at the start of a stream.
        motion_noise: Share of windows whose motion latents carry noise.
        motion_sigma: Its highest level.
        motion_drop: Share without motion.
        sink_drop: Share without sink.
        reference_drop: Share without reference.
        prompt_drop: Share without prompt.
        history_sigma: Highest noise level of the heard sound.
        history_drop: Share in which nothing was heard.
        pointer_off: Share whose pointer is wrong.
        pointer_phonemes: By how much at most.
        text_cut: Share whose text ends soon after what is said, as if still arriving.
    """

    first_chunk: float = 0.12
    motion_noise: float = 0.7
    motion_sigma: float = 0.4
    motion_drop: float = 0.1
    sink_drop: float = 0.35
    reference_drop: float = 0.05
    prompt_drop: float = 0.1
    history_sigma: float = 0.5
    history_drop: float = 0.1
    pointer_off: float = 0.3
    pointer_phonemes: int = 3
    text_cut: float = 0.1


@dataclass(frozen=True, kw_only=True)
class TrainingWindow:
    """A batch of training windows.

    Attributes:
        script: What the orchestrator reads.
        context: What the DiT sees.
        video: Clean latents of the chunk.
        audio: Clean latents of the chunk.
        times: When the phonemes of the transcript window are said.
        position: Phonemes said by the end of each audio latent, from the window's pointer.
        alignment: Row of the transcript window, see `pointer.alignment_loss`.
        phones: Class of the sound, 0 for silence.
        is_over: Whether all has been said.
        gap: True lip gap.
        mouth: Share of each cell that the mouth takes.
        identity: Numbers of the characters.
    """

    script: OrchestratorInputs
    context: DitContext
    video: Float[Tensor, "B F C h w"]
    audio: Float[Tensor, "B A Ca"]
    times: Times
    position: Float[Tensor, "B A"]
    alignment: Int64[Tensor, "B A"]
    phones: Int64[Tensor, "B A"]
    is_over: Float[Tensor, "B A"]
    gap: Float[Tensor, "B A"]
    mouth: Float[Tensor, "B F h w"]
    identity: Int64[Tensor, " B"]


def draw_window(
    clips: Sequence[LatentClip],
    prompts: dict[str, Tensor],
    config: Config,
    spoiling: ContextAugmentation,
    *,
    silence: Float[np.ndarray, "Am Ca"],
    batch: int,
    rng: np.random.Generator,
    device: str | torch.device = "cpu",
) -> TrainingWindow:
    """Draws a batch; the same generator state gives the same batch.

    Args:
        clips: Each at least a chunk long.
        prompts: Vectors of every clip's prompt, [P, E].
        config: Geometry.
        spoiling: How a stream's memory is spoiled.
        silence: Latents of what is heard before a stream, Am of them as the DiT sees.
        batch: B.
        rng: Of the draw.
        device: Where the batch is wanted.

    Returns:
        The batch.
    """
    rows = [
        _draw_row(clips[int(rng.integers(len(clips)))], config, spoiling, silence, rng)
        for _ in range(batch)
    ]

    def stacked(name: str) -> Tensor:
        return torch.from_numpy(np.stack([row[name] for row in rows])).to(device)

    vectors = torch.stack([prompts[str(row["prompt"])] for row in rows]).to(device)
    noise = torch.from_numpy(rng.standard_normal(stacked("motion_video").shape, np.float32))
    sound = torch.from_numpy(rng.standard_normal(stacked("motion_audio").shape, np.float32))
    heard = torch.from_numpy(rng.standard_normal(stacked("history").shape, np.float32))
    sigma = stacked("motion_sigma")
    return TrainingWindow(
        script=OrchestratorInputs(
            prompt=vectors,
            has_prompt=stacked("has_prompt"),
            window=stacked("window"),
            fraction=stacked("fraction"),
            history=flow.add_noise(stacked("history"), heard.to(device), stacked("history_sigma")),
            num_history=stacked("num_history"),
        ),
        context=DitContext(
            prompt=vectors,
            has_prompt=stacked("has_prompt"),
            reference=stacked("reference"),
            has_reference=stacked("has_reference"),
            sink=stacked("sink"),
            has_sink=stacked("has_sink"),
            motion_video=flow.add_noise(stacked("motion_video"), noise.to(device), sigma),
            motion_audio=flow.add_noise(stacked("motion_audio"), sound.to(device), sigma),
            has_motion=stacked("has_motion"),
            motion_sigma=sigma,
        ),
        times=Times(start=stacked("start"), end=stacked("end")),
        **{
            name: stacked(name)
            for name in ("video", "audio", "position", "alignment", "phones", "is_over", "gap",
                         "mouth", "identity")
        },
    )  # fmt: skip


def _draw_row(
    clip: LatentClip,
    config: Config,
    spoiling: ContextAugmentation,
    silence: np.ndarray,
    rng: np.random.Generator,
) -> dict[str, np.ndarray | str]:
    geometry = config.geometry
    last = len(clip.video) - geometry.chunk_latents
    is_first = rng.random() < spoiling.first_chunk or last <= geometry.motion_latents
    start = 0 if is_first else int(rng.integers(geometry.motion_latents, last + 1))
    ratio = geometry.chunk_audio_latents / geometry.chunk_latents
    begin = round(start * ratio)
    chunk = slice(begin, begin + geometry.chunk_audio_latents)
    return {
        "prompt": clip.prompt,
        "has_prompt": np.array(rng.random() >= spoiling.prompt_drop),
        "identity": np.array(clip.identity),
        "video": clip.video[start : start + geometry.chunk_latents].astype(np.float32),
        "audio": clip.audio[chunk].astype(np.float32),
        "phones": clip.phone[chunk].astype(np.int64),
        "is_over": (clip.position[chunk] >= len(clip.tokens)).astype(np.float32),
        "gap": clip.gap[chunk],
        "mouth": clip.mouth[start : start + geometry.chunk_latents].astype(np.float32),
        **_seen(clip, config, spoiling, silence, rng, start, begin),
        **_read(clip, config, spoiling, rng, begin, chunk),
    }


def _seen(
    clip: LatentClip,
    config: Config,
    spoiling: ContextAugmentation,
    silence: np.ndarray,
    rng: np.random.Generator,
    start: int,
    begin: int,
) -> dict[str, np.ndarray]:
    """Reference, sink and motion; a stream opens with its picture held still, in silence.

    There the first latent of the clip is that picture: what comes next goes on from it.
    """
    geometry = config.geometry
    latest = start - geometry.chunk_latents
    moment = int(rng.integers(latest + 1)) if latest >= 0 else 0
    has_sink = (latest >= 0 or not start) and rng.random() >= spoiling.sink_drop
    has_motion = rng.random() >= spoiling.motion_drop
    is_noisy = rng.random() < spoiling.motion_noise
    sigma = rng.uniform(0, spoiling.motion_sigma) if is_noisy else 0.0
    held, heard = geometry.motion_latents, geometry.motion_audio_latents
    past = clip.video if start else clip.video[:1].repeat(geometry.chunk_latents, axis=0)
    reference = clip.reference[int(rng.integers(len(clip.reference)))] if start else past[0]
    return {
        "reference": reference[None].astype(np.float32),
        "has_reference": np.array(rng.random() >= spoiling.reference_drop),
        "sink": past[moment : moment + geometry.sink_latents].astype(np.float32),
        "has_sink": np.array(has_sink),
        "motion_video": _before(past, start or held, held),
        "motion_audio": _before(clip.audio, begin, heard) if start else silence,
        "has_motion": np.array(has_motion),
        "motion_sigma": np.array(sigma if has_motion else 0.0, np.float32),
    }


def _read(
    clip: LatentClip,
    config: Config,
    spoiling: ContextAugmentation,
    rng: np.random.Generator,
    begin: int,
    chunk: slice,
) -> dict[str, np.ndarray]:
    """Transcript window, pointer and heard sound, with the truth about them."""
    sizes = config.orchestrator
    said = float(clip.position[begin - 1]) if begin else 0.0
    off = 0
    if rng.random() < spoiling.pointer_off:
        off = int(rng.integers(-spoiling.pointer_phonemes, spoiling.pointer_phonemes + 1))
    place = max(0, min(int(said) + off, len(clip.tokens)))
    fraction = said - int(said)
    is_cut = rng.random() < spoiling.text_cut
    known = len(clip.tokens)
    if is_cut:
        needed = int(np.ceil(clip.position[chunk][-1]))
        known = min(known, needed + int(rng.integers(1, sizes.text_ahead)))
    text = PhonemeText(
        tokens=clip.tokens[:known].astype(np.int64), words=(), word_starts=np.zeros(0, np.int64)
    )
    window = text.window(
        place,
        behind=sizes.text_behind,
        ahead=sizes.text_ahead,
        is_final=known == len(clip.tokens),
    )
    first = place - sizes.text_behind
    row = clip.row[chunk].astype(np.int64) - first
    inside = (row >= 0) & (row < sizes.window)
    alignment = np.where(inside, row + 1, -1)
    has_history = rng.random() >= spoiling.history_drop
    return {
        "window": window,
        "fraction": np.array(fraction, np.float32),
        "start": _rows(clip.start[:known] - begin, first, sizes.window),
        "end": _rows(clip.end[:known] - begin, first, sizes.window),
        "position": np.maximum(clip.position[chunk] - (place + fraction), 0).astype(np.float32),
        "alignment": np.where(clip.row[chunk] < 0, 0, alignment),
        "history": _before(clip.audio, begin, sizes.history_latents),
        "num_history": np.array(min(begin, sizes.history_latents) * has_history),
        "history_sigma": np.array(rng.uniform(0, spoiling.history_sigma), np.float32),
    }


def _rows(times: np.ndarray, first: int, count: int) -> np.ndarray:
    """Cuts the rows of a window out, infinite where there is no text."""
    found = np.full(count, np.inf, np.float32)
    inside = slice(max(first, 0), first + count)
    some = times[inside]
    found[inside.start - first : inside.start - first + len(some)] = some
    return found


def _before(track: np.ndarray, end: int, count: int) -> np.ndarray:
    """Returns the ``count`` rows before ``end``, zeros where there are none."""
    found = track[max(0, end - count) : end].astype(np.float32)
    missing = np.zeros((count - len(found), *track.shape[1:]), np.float32)
    return np.concatenate([missing, found])
