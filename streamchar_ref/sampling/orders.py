"""In which order the modalities of a chunk are sampled.

A `StreamChar` denoises both together. Two rivals do not: one speaks first and then draws what it
has said, the other is given the speech and draws only.

Shape letters: B batch, A audio latents of a chunk, Ca their channels.
"""

from collections.abc import Callable
from functools import partial

from jaxtyping import Float
from torch import Tensor

from streamchar_ref.networks.dit import DitContext
from streamchar_ref.networks.orchestrator import OrchestratorInputs
from streamchar_ref.sampling.condition import Condition, GivenSound, Networks, prefill
from streamchar_ref.sampling.config import SamplerConfig
from streamchar_ref.sampling.flow import Latents
from streamchar_ref.sampling.sampler import sample_chunk

JOINT, SOUND_FIRST, SOUND_GIVEN = "joint", "sound_first", "sound_given"
ORDERS = (JOINT, SOUND_FIRST, SOUND_GIVEN)


def sample_in_order(
    model: Networks,
    inputs: OrchestratorInputs,
    context: DitContext,
    config: SamplerConfig,
    noise: Callable[[], Latents],
    *,
    order: str = JOINT,
    sound: Float[Tensor, "B A Ca"] | None = None,
    gradient_step: int | None = None,
    in_one_batch: bool = False,
) -> tuple[Condition, Latents]:
    """Samples the clean latents of a chunk in one of `ORDERS`.

    Where the sound comes first, it is sampled as if there were no picture; then it is given to the
    picture, at noise level 0, as speech from elsewhere would be. All orders start from the same
    noise.

    Args:
        model: The networks.
        inputs: What the orchestrator reads.
        context: What the DiT sees beside the chunk.
        config: With every value set; its steps are those of each modality.
        noise: Draws standard normal latents, video and audio, see `sample_chunk`.
        order: One of `ORDERS`.
        sound: Clean latents of the given speech; for ``sound_given`` only.
        gradient_step: See `sample_chunk`; for ``joint`` only.
        in_one_batch: See `sample_chunk`.

    Returns:
        What the last modality was sampled under, and video and audio latents.

    Raises:
        ValueError: If there is no such order, or it does not go with what is given.
    """
    _check(order, sound, gradient_step)
    sample = partial(sample_chunk, config=config, in_one_batch=in_one_batch)
    if order == JOINT:
        condition = prefill(model, inputs, context)
        return condition, sample(condition, noise=noise, gradient_step=gradient_step)
    start = noise()
    if sound is not None:
        condition = prefill(model, inputs, context, sound=GivenSound(sound, start[1]))
    else:
        speaking = prefill(model, inputs, context, sound_only=True)
        (sound,) = sample(speaking, noise=_one_of(1, start, noise))
        condition = speaking.hearing(GivenSound(sound, start[1]), context)
    (video,) = sample(condition, noise=_one_of(0, start, noise))
    return condition, (video, sound)


def _one_of(modality: int, start: Latents, noise: Callable[[], Latents]) -> Callable[[], Latents]:
    """Draws noise of one modality: first the start of the chunk, then fresh noise."""
    starts = [start]
    return lambda: ((starts.pop() if starts else noise())[modality],)


def _check(order: str, sound: Tensor | None, gradient_step: int | None) -> None:
    if order not in ORDERS:
        raise ValueError(f"order is one of {', '.join(ORDERS)}, not {order!r}")
    if order == SOUND_GIVEN and sound is None:
        raise ValueError("order=sound_given draws to speech that is given, and there is none")
    if order != SOUND_GIVEN and sound is not None:
        raise ValueError(f"speech is given to order=sound_given, not to order={order}")
    if gradient_step is not None and order != JOINT:
        raise ValueError(f"gradient_step is for order=joint, not {order}")
