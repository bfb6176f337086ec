"""The reference model as a system under test, and its ablations that need no training."""

import re
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np

from baselines.ground_truth import GroundTruth, world_clip
from baselines.served import ServedStreams, request_of
from evals.extractors import SAMPLE_RATE
from evals.extractors.align_world import AlignWorldExtractor
from evals.recording.system import Prompt
from evals.text.progress import FRAMES_PER_S, spoken_progress
from streamchar_ref.core.errors import InputError
from streamchar_ref.media import AVChunk
from streamchar_ref.model.checkpoint import Checkpoint, load_checkpoint
from streamchar_ref.model.shipped import shipped_checkpoint
from streamchar_ref.networks.text import FIRST_PHONE, PHONES
from streamchar_ref.sampling.config import SamplerConfig
from streamchar_ref.sampling.orders import SOUND_GIVEN
from streamchar_ref.streaming.context import ContextOptions
from streamchar_ref.streaming.cost import ChunkCost, count_chunk
from streamchar_ref.streaming.engine_config import EngineConfig, EnginePrecision
from streamchar_ref.streaming.pointers import ChunkObservation, PointerFn, fixed_rate, own_pointer
from streamchar_ref.streaming.stream import Precision, stream

WORLD_RATE = 11.2
"""Phonemes a second of the world's voices, pauses included: the mean of the suites' dev twins."""
POINTERS = ("own", "fixed_rate", "none", "oracle")


class StreamCharRef:
    """Streams a checkpoint of `streamchar_ref`.

    One that draws to given speech is given that of the world's own rendering of the prompt.

    Args:
        checkpoint: Folder; by default the one that comes with the package.
        preset: Refuse a checkpoint of any other.
        network: Which of the checkpoint's networks streams: ``student``, ``raw`` or whatever it
            holds; ``plain`` is the teacher. By default the student if there is one, else the
            teacher.
        context: What a chunk may look back at: ``full``, ``no_sink`` or ``motion_only``, see
            `streamchar_ref.streaming.context.ContextOptions`.
        pointer: What moves the transcript window. ``own`` is the model's; ``fixed_rate`` moves
            on evenly, as the paper's model without progress-aware pointer does; ``none`` leaves
            the window at the beginning, so that of a long text the end is never read; ``oracle``
            hears by the judge `align_world` how far the speech has got.
        phonemes_per_s: Of the fixed rate.
        num_steps: Of the sampler; this and the next are by default the checkpoint's, see
            `streamchar_ref.sampling.config.SamplerConfig`.
        shift: Of the noise levels.
        kind: ``euler``, ``ab2`` or ``renoise``.
        guidance: Classifier-free guidance of the audio by the audio condition; 1 is off.
        picture_guidance: The same for the video.
        temperature: Standard deviation of the starting noise of the audio.
        picture_temperature: The same for the video.
        motion_sigma: Noise level put on the motion latents.
        precision: ``float32`` or ``bfloat16``; with ``path=engine`` also ``fp8``, see
            `streamchar_ref.streaming.engine_config.EngineConfig`.
        path: ``engine`` decodes a chunk while the next is denoised, and sends the first pictures
            early, see `streamchar_ref.streaming.engine`; ``plain`` makes one chunk after the other,
            the same numbers with one thread. A pointer that is not the model's own or a model
            without an orchestrator needs ``plain``, and has it by default; so has half precision.
        picture_precision: Of the picture decoder in the engine, ``float32`` or ``bfloat16``.
        exact: Compute in the engine on a CPU what ``plain`` computes, bit for bit, see
            `streamchar_ref.streaming.engine_config.EngineConfig`.
        compiled: Compile the blocks of the DiT in the engine.
        graphs: Launch a chunk as one CUDA graph in the engine.
        device: As torch names it.
        label: Row label in tables; by default made from what differs from the defaults.

    Raises:
        InputError: If the checkpoint cannot be used or a setting lies outside its range.
    """

    def __init__(
        self,
        *,
        checkpoint: str = "",
        preset: str = "",
        network: str = "",
        context: str = "full",
        pointer: str = "own",
        phonemes_per_s: float = WORLD_RATE,
        num_steps: int | None = None,
        shift: float | None = None,
        kind: str | None = None,
        guidance: float | None = None,
        picture_guidance: float | None = None,
        temperature: float | None = None,
        picture_temperature: float | None = None,
        motion_sigma: float = 0.0,
        precision: str = "float32",
        path: str = "",
        picture_precision: str = "float32",
        exact: bool = True,
        compiled: bool = False,
        graphs: bool = False,
        device: str = "cpu",
        label: str = "",
    ) -> None:
        sampler: dict[str, Any] = {
            "num_steps": num_steps,
            "shift": shift,
            "kind": kind,
            "guidance": guidance,
            "picture_guidance": picture_guidance,
            "temperature": temperature,
            "picture_temperature": picture_temperature,
        }
        try:
            self._sampler = SamplerConfig(**sampler)
            self._options = ContextOptions(visible=context, motion_sigma=float(motion_sigma))
            self._precision = _precision(precision)
            self._pointer = _pointer_maker(pointer, float(phonemes_per_s))
            if pointer != "fixed_rate" and phonemes_per_s != WORLD_RATE:
                raise ValueError("phonemes_per_s is of pointer=fixed_rate, not used here")
            found = load_checkpoint(
                Path(checkpoint) if checkpoint else shipped_checkpoint(), preset=preset
            )
            self._needs_speech = found.config.order == SOUND_GIVEN
            rate = found.config.audio_vae.sample_rate
            if self._needs_speech and rate != GroundTruth.sample_rate:
                raise ValueError(f"the world speaks at 16 kHz, and this model hears {rate} Hz")
            if not found.config.has_orchestrator and pointer not in ("own", "none"):
                raise ValueError(
                    f"this model has no transcript window that pointer={pointer} could move; take "
                    "pointer=own"
                )
            is_plain = _is_plain(
                path,
                pointer,
                self._precision,
                needs_plain=self._needs_speech or not found.config.has_orchestrator,
            )
            pictures = _picture_precision(picture_precision)
            if is_plain and (pictures != "float32" or compiled or graphs or not exact):
                raise ValueError(
                    "picture_precision, exact, compiled and graphs are of path=engine, not used "
                    "here"
                )
            self._model = found.model(network).to(device)
            self._served = (
                None
                if is_plain
                else ServedStreams(
                    self._model,
                    EngineConfig(
                        precision=self._precision,
                        picture_precision=pictures,
                        compiled=compiled,
                        graphs=graphs,
                        exact=exact,
                    ),
                    sampler=self._sampler,
                    options=self._options,
                )
            )
        except (ValueError, RuntimeError, AssertionError) as error:  # torch without CUDA asserts
            raise InputError(str(error)) from error
        chosen = {name: value for name, value in sampler.items() if value is not None} | {
            name: value
            for name, value, default in (
                ("motion_sigma", float(motion_sigma), 0.0),
                ("network", network, ""),
                ("context", context, "full"),
                ("precision", precision, "float32"),
                ("path", f"{path}_path", "_path"),
                ("exact", "" if exact else "not_exact", ""),
                ("compiled", "compiled" if compiled else "", ""),
                ("graphs", "graphs" if graphs else "", ""),
                ("pictures", f"{picture_precision}_pictures", "float32_pictures"),
            )
            if value != default
        }
        self.name = label or _label(chosen, pointer, float(phonemes_per_s))
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.name):
            raise InputError(f"label {label!r} is not lower case with underscores")
        self.fps = found.config.stream.fps
        self.sample_rate = found.config.audio_vae.sample_rate
        self.checkpoint = _name_of(found, network)
        self.device, self.precision = device, precision
        self.num_parameters = sum(each.numel() for each in self._model.parameters())
        if self._served is not None:
            self.stream_many = self._served.stream_many
            self.take_parts = self._served.take_parts
            self.max_streams, self.setup_s = self._served.max_streams, self._served.setup_s

    @cached_property
    def flops_per_chunk(self) -> int | None:
        """Multiplications and additions of a chunk, see `streamchar_ref.streaming.cost`."""
        return None if self._needs_speech else self._cost.total.flops

    @cached_property
    def bytes_per_chunk(self) -> int | None:
        """Bytes that a chunk must read and write; not counted where speech is given."""
        return None if self._needs_speech else self._cost.total.bytes

    @cached_property
    def _cost(self) -> ChunkCost:
        is_exact = self._served is None or self._served.is_exact
        is_half = self._served is not None and self.precision != "float32"
        return count_chunk(
            self._model.config, self._sampler, number_bytes=2 if is_half else 4, is_exact=is_exact
        )

    def stream(self, prompt: Prompt, *, seed: int) -> Iterator[AVChunk]:
        """Yields chunks, with the phonemes said by the pointer's own account."""
        if self._served is not None:
            yield from self._served.stream(prompt, seed=seed)
            return
        transcript, request = request_of(prompt)
        yield from stream(
            self._model,
            transcript,
            **request,
            seed=seed,
            speech=world_clip(prompt, seed=seed).samples if self._needs_speech else None,
            sampler=self._sampler,
            options=self._options,
            precision=_picture_precision(self.precision),
            pointer=self._pointer(),
        )


class OraclePointer:
    """Aligns the sound made so far with the transcript; one for each stream.

    It counts phonemes that have begun, so it is half a phoneme ahead of the model's account in
    the mean.

    Args:
        extractor: The recogniser.
    """

    LONGEST_S = 30
    """Of sound that is aligned together; then its first half is believed and forgotten."""
    REACH = 40
    """Phonemes beyond the last position that are looked for: no chunk says more."""

    def __init__(self, extractor: AlignWorldExtractor) -> None:
        self._extractor = extractor
        self._samples = np.zeros(0, np.float32)
        self._start = 0

    def __call__(self, heard: ChunkObservation) -> float:
        """Returns the phonemes that the chunk has begun."""
        self._samples = np.concatenate([self._samples, heard.samples])
        tokens = heard.text.tokens[self._start : int(heard.position) + self.REACH, 0]
        names = [PHONES[token - FIRST_PHONE] for token in tokens]
        progress = spoken_progress(self._extractor.log_probs(self._samples), names)
        position = self._start + (float(progress[-1]) if len(progress) else 0.0)
        if len(self._samples) > self.LONGEST_S * SAMPLE_RATE:
            cut = len(progress) // 2
            self._start += int(progress[cut - 1])
            self._samples = self._samples[cut * SAMPLE_RATE // FRAMES_PER_S :]
        return position - heard.position


def _pointer_maker(name: str, phonemes_per_s: float) -> Callable[[], PointerFn | None]:
    """Returns what makes the pointer of a stream."""
    if name == "oracle":
        return partial(OraclePointer, AlignWorldExtractor())
    if name not in POINTERS:
        raise ValueError(f"pointer is one of {', '.join(POINTERS)}, not {name!r}")
    known = {"own": own_pointer, "fixed_rate": fixed_rate(phonemes_per_s), "none": None}
    return lambda: known[name]


def _is_plain(path: str, pointer: str, precision: EnginePrecision, *, needs_plain: bool) -> bool:
    """Says whether a system streams without the engine, for a reason of the model's or another."""
    needs_plain |= pointer != "own"
    if path not in ("", "engine", "plain"):
        raise ValueError(f"path is engine or plain, not {path!r}")
    if path == "engine" and needs_plain:
        raise ValueError(
            "path=engine is for pointer=own and models that speak themselves and have an "
            "orchestrator; take path=plain"
        )
    is_plain = needs_plain or path == "plain" or (not path and precision == "bfloat16")
    if is_plain and precision == "fp8":
        raise ValueError("precision=fp8 is of path=engine, not used here; take bfloat16")
    return is_plain


def _precision(name: str) -> EnginePrecision:
    if name not in get_args(EnginePrecision):
        raise ValueError(
            f"precision is one of {', '.join(get_args(EnginePrecision))}, not {name!r}"
        )
    return cast(EnginePrecision, name)


def _picture_precision(name: str) -> Precision:
    if name not in get_args(Precision):
        raise ValueError(f"picture_precision is {' or '.join(get_args(Precision))}, not {name!r}")
    return cast(Precision, name)


def _label(chosen: dict[str, Any], pointer: str, phonemes_per_s: float) -> str:
    parts = ["streamchar_ref"]
    for name, value in chosen.items():
        parts.append(value if isinstance(value, str) else f"{name}_{value:g}")
    if pointer != "own":
        parts.append("no_pointer" if pointer == "none" else f"{pointer}_pointer")
    if pointer == "fixed_rate" and phonemes_per_s != WORLD_RATE:
        parts.append(f"{phonemes_per_s:g}")
    return re.sub(r"[^a-z0-9]+", "_", "_".join(parts))


def _name_of(checkpoint: Checkpoint, network: str) -> str:
    name = f"{checkpoint.config.preset} sha256:{checkpoint.digest[:12]}"
    return f"{name} {network}" if network else name
