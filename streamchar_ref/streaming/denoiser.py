"""The networks of an engine, made for the machine that they run on."""

import copy
from typing import Any

import numpy as np
import torch

from streamchar_ref.core.errors import InputError
from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.networks.fp8 import in_fp8
from streamchar_ref.sampling.config import SamplerConfig
from streamchar_ref.streaming.context import ContextOptions
from streamchar_ref.streaming.engine_config import EngineConfig, EnginePrecision, EngineStopped
from streamchar_ref.streaming.graphs import ChunkGraphs, chunk_graphs, sizes_up_to
from streamchar_ref.streaming.rollout import RolloutChunk, rollout_chunk
from streamchar_ref.streaming.state import StreamState, initial_state
from streamchar_ref.streaming.transcript import Transcript, TranscriptBatch

FP8_CAPABILITY = (8, 9)
COMPILED_ERROR = 1e-3
"""Largest error of compiled networks, in standard deviations of the latents."""
HALF_ERROR = 0.2
"""The same in half precision, where the plain ones are off by half as much."""
GREY = np.full((8, 8, 3), 128, np.uint8)
WARM_UP = "One day a traveller came to a town where nobody was in a hurry, and stayed."


class Denoiser:
    """Samples the next chunk of each stream of a batch, as an engine is configured.

    Args:
        model: Networks with their config.
        config: Of the engine.
        sampler: How chunks are sampled; what it leaves open is the checkpoint's.
        options: What a chunk may look back at.

    Attributes:
        model: The networks that it samples with.
        is_exact: Whether streams are computed each as if alone; in float32 then bit for bit as by
            `stream`.

    Raises:
        InputError: If the device lacks what the config asks for.
    """

    def __init__(
        self,
        model: StreamChar,
        config: EngineConfig,
        sampler: SamplerConfig,
        options: ContextOptions,
    ) -> None:
        self._plain = in_precision(model, config.precision)
        self.model = _compiled(self._plain) if config.compiled else self._plain
        self.is_exact = config.exact and model.device.type == "cpu"
        self._is_half = config.precision != "float32"
        self._graphs = chunk_graphs(model) if config.graphs else None
        self._sampler, self._options = sampler, options

    def __call__(self, state: StreamState, text: TranscriptBatch) -> RolloutChunk:
        """Samples a chunk, see `rollout_chunk`; on a GPU, it is there when this returns."""
        chunk = self._chunk(self.model, state, text, self._graphs)
        if self.model.device.type == "cuda":
            torch.cuda.current_stream(self.model.device).synchronize()
        return chunk

    def prepare(self, batch: int) -> None:
        """Does what the first chunks would wait for: compiles networks, and records graphs.

        Args:
            batch: Most streams of a batch.

        Raises:
            EngineStopped: If the chunks of compiled networks differ from the others' by more than
                rounding.
        """
        if self.model is self._plain and self._graphs is None:
            return
        first, device = Transcript(WARM_UP).prefix(0), self.model.device
        text = TranscriptBatch.of([first], device)
        with torch.inference_mode():
            conditioning = self._plain.conditioning([""], [GREY])
            state = initial_state(self._plain, conditioning, [0])
        if self.model is not self._plain:
            self._compare(state, text)
        for size in sizes_up_to(batch) if self._graphs else ():
            self(StreamState.stack([state] * size), TranscriptBatch.of([first] * size, device))

    def _compare(self, state: StreamState, text: TranscriptBatch) -> None:
        """Compares the first chunk of a stream by compiled networks with that of the others."""
        ours, theirs = (
            self._chunk(model, state, text, None).latents for model in (self.model, self._plain)
        )
        most = HALF_ERROR if self._is_half else COMPILED_ERROR
        for name, one, other in zip(("video", "audio"), ours, theirs, strict=True):
            error = float((one - other).abs().max() / other.std())
            if not error < most:
                raise EngineStopped(
                    f"the compiled DiT gives {name} latents that differ by {error:.1e} standard "
                    f"deviations from those of the plain one: use it without compiled"
                )

    def _chunk(
        self,
        model: StreamChar,
        state: StreamState,
        text: TranscriptBatch,
        graphs: ChunkGraphs | None,
    ) -> RolloutChunk:
        # Weights are in half precision already: nothing is to be kept, least of all by a graph.
        half = torch.autocast(
            model.device.type, torch.bfloat16, enabled=self._is_half, cache_enabled=False
        )
        with torch.inference_mode(), half:
            return rollout_chunk(
                model,
                state,
                text,
                self._sampler,
                options=self._options,
                is_exact=self.is_exact,
                graphs=graphs,
            )


def in_precision(model: StreamChar, precision: EnginePrecision) -> StreamChar:
    """Returns the model with DiT and orchestrator in another precision.

    Args:
        model: As it was trained.
        precision: See `EngineConfig`.

    Returns:
        The model itself for ``float32``; else one whose other networks are those of this one.

    Raises:
        InputError: If the device cannot compute in float8.
    """
    if precision == "float32":
        return model
    made = copy.copy(model)
    halves = {name: _halved(model._modules[name]) for name in ("dit", "orchestrator")}
    if precision == "fp8":
        check_fp8(model.device)
        halves["dit"].blocks = in_fp8(halves["dit"].blocks)
    made._modules = {**model._modules, **halves}
    return made


def _halved(network: Any) -> Any:
    """Copies a network with weights in bfloat16; what is derived from its config stays exact."""
    half = copy.deepcopy(network)
    for weight in half.parameters():
        weight.data = weight.data.bfloat16()
    return half


def check_fp8(device: torch.device) -> None:
    """Refuses a device that cannot compute in float8.

    Args:
        device: Of the model.

    Raises:
        InputError: If it cannot.
    """
    if device.type != "cuda" or torch.cuda.get_device_capability(device) < FP8_CAPABILITY:
        raise InputError(
            "engine: precision=fp8 needs a GPU of compute capability "
            f"{'.'.join(map(str, FP8_CAPABILITY))} or later, not {device}"
        )


def _compiled(model: StreamChar) -> StreamChar:
    """Returns the model with a DiT whose blocks are compiled when they first run."""
    dit = copy.deepcopy(model.dit)
    for block in dit.blocks:
        block.compile(dynamic=False)
    return model.with_dit(dit, model.config.sampler)
