"""A DiT that is compiled for the machine it runs on, and the check that it computes the same."""

import copy

import numpy as np
import torch

from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.sampling.config import SamplerConfig
from streamchar_ref.streaming.engine_config import EngineStopped
from streamchar_ref.streaming.rollout import rollout_chunk
from streamchar_ref.streaming.state import initial_state
from streamchar_ref.streaming.transcript import Transcript, TranscriptBatch

COMPILED_ERROR = 1e-3
"""Largest error of compiled networks, in standard deviations of the latents."""
GREY = np.full((8, 8, 3), 128, np.uint8)
WARM_UP = "One day a traveller came to a town where nobody was in a hurry, and stayed."


def compiled_model(model: StreamChar) -> StreamChar:
    """Returns the model with a DiT whose blocks are compiled when they first run."""
    dit = copy.deepcopy(model.dit)
    for block in dit.blocks:
        block.compile(dynamic=False)
    return model.with_dit(dit, model.config.sampler)


def check_compiled(compiled: StreamChar, plain: StreamChar) -> None:
    """Compares the first chunk of a stream.

    Args:
        compiled: From `compiled_model`.
        plain: What it was made of.

    Raises:
        EngineStopped: If they differ by more than rounding.
    """
    text = TranscriptBatch.of([Transcript(WARM_UP).prefix(0)], plain.device)
    with torch.inference_mode():
        conditioning = plain.conditioning([""], [GREY])
        ours, theirs = (
            rollout_chunk(
                model, initial_state(plain, conditioning, [0]), text, SamplerConfig()
            ).latents
            for model in (compiled, plain)
        )
    for name, one, other in zip(("video", "audio"), ours, theirs, strict=True):
        error = float((one - other).abs().max() / other.std())
        if not error < COMPILED_ERROR:
            raise EngineStopped(
                f"the compiled DiT gives {name} latents that differ by {error:.1e} standard "
                f"deviations from those of the plain one: use it without compiled"
            )
