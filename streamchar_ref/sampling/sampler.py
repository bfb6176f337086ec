"""The chunk sampler: prefill once, then velocities at each noise level.

Streams, rollouts and training previews all sample a chunk here.

Shape letters: B batch, A audio latents of a chunk, K width of the condition.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from streamchar_ref.networks.layers import KeyValue
from streamchar_ref.sampling import flow
from streamchar_ref.sampling.condition import BOTH, UNGUIDED, Condition, Guidance
from streamchar_ref.sampling.config import SamplerConfig
from streamchar_ref.sampling.flow import Latents


def velocity(
    condition: Condition, x: Latents, sigma: Float[Tensor, " B"], guidance: Guidance = UNGUIDED
) -> Latents:
    """Predicts the velocities of a chunk.

    Args:
        condition: From `prefill`.
        x: Noisy video and audio latents; audio alone with ``sound_only``, video alone where the
            sound is given.
        sigma: Their noise level.
        guidance: Scales of classifier-free guidance by the audio condition, or by the transcript.

    Returns:
        Velocities shaped like ``x``.
    """
    audio = x[-1] if condition.sound is None else condition.sound.clean
    audio_condition = condition.audio_condition(audio, sigma)
    both: tuple[float, ...] = guidance
    scales = both[condition.modalities]
    if all(scale == 1 for scale in scales):
        return _pass(condition, x, sigma, audio_condition)
    nothing = None
    if audio_condition is not None:
        nothing = condition.model.dit.no_condition.expand_as(audio_condition)
    if condition.twice is not None:
        guided, free = _both_passes(condition, x, sigma, audio_condition, nothing)
    else:
        guided = _pass(condition, x, sigma, audio_condition)
        free = _pass(condition, x, sigma, nothing, is_free=True)
    return tuple(
        b + (scale - 1) * (b - a) for scale, a, b in zip(scales, free, guided, strict=True)
    )


def sample_chunk(
    condition: Condition,
    config: SamplerConfig,
    noise: Callable[[], Latents],
    *,
    gradient_step: int | None = None,
    visit: Callable[[Latents], object] | None = None,
    in_one_batch: bool = False,
) -> Latents:
    """Samples the clean latents of a chunk.

    Args:
        condition: From `prefill`.
        config: With every value set.
        noise: Draws standard normal latents: once for the start, and once a step for ``renoise``.
        gradient_step: For ``renoise``: the one step that carries gradient, see `flow.renoise`.
        visit: Gets the noisy latents before each step.
        in_one_batch: Run both passes of a guided step as one batch: fewer and larger products,
            which differ in the last bits.

    Returns:
        Video and audio latents; audio alone with ``sound_only``, video alone where the sound is
        given.

    Raises:
        ValueError: If a value of the config is not set, or a gradient step is asked of a sampler
            that has none.
    """
    kind = config.required("kind")
    if gradient_step is not None and kind != "renoise":
        raise ValueError(f"gradient_step is for the sampler renoise, not {kind}")
    guidance = (config.required("picture_guidance"), config.required("guidance"))
    if in_one_batch and guidance != UNGUIDED:
        condition = condition.in_one_batch()
    scaled = scaled_noise(config, noise, condition.modalities)
    start = scaled()

    def velocity_fn(x: Latents, sigma: Tensor) -> Latents:
        if visit:
            visit(x)
        return velocity(condition, x, sigma, guidance)

    sigmas = flow.shifted_sigmas(config.required("num_steps"), config.required("shift"))
    if kind == "renoise":
        return flow.renoise(
            velocity_fn, start, sigmas, fresh_noise=scaled, gradient_step=gradient_step
        )
    integrate = flow.adams_bashforth if kind == "ab2" else flow.euler
    return integrate(velocity_fn, start, sigmas)


def num_draws(config: SamplerConfig) -> int:
    """Returns how often a chunk draws noise whose modalities are sampled together."""
    return config.required("num_steps") if config.required("kind") == "renoise" else 1


def scaled_noise(
    config: SamplerConfig, noise: Callable[[], Latents], modalities: slice = BOTH
) -> Callable[[], Latents]:
    """Scales noise to the temperatures of a sampler.

    Args:
        config: With its temperatures set.
        noise: Draws standard normal latents.
        modalities: Which ones it draws.

    Returns:
        Draws of that standard deviation; for the start of a chunk, the fresh noise of ``renoise``
        and the noise levels that scores of such a sampler are trained at.
    """
    temperatures = (config.required("picture_temperature"), config.required("temperature"))

    def scaled() -> Latents:
        scales = temperatures[modalities]
        return tuple(scale * x for scale, x in zip(scales, noise(), strict=True))

    return scaled


def _pass(
    condition: Condition,
    x: Latents,
    sigma: Float[Tensor, " B"],
    audio_condition: Float[Tensor, "B A K"] | None,
    *,
    is_free: bool = False,
) -> Latents:
    """Runs the DiT once; the free pass of guidance hears nothing of a given sound."""
    sound = condition.sound
    heard = None if sound is None else sound.heard(sigma, is_free=is_free)
    context = condition.free_context if is_free else condition.context
    return _velocities(condition, x, sigma, audio_condition, heard, context)


def _both_passes(
    condition: Condition,
    x: Latents,
    sigma: Float[Tensor, " B"],
    audio_condition: Float[Tensor, "B A K"] | None,
    nothing: Float[Tensor, "B A K"] | None,
) -> tuple[Latents, Latents]:
    """Runs the DiT with and without the condition, as one batch."""
    assert condition.twice is not None, "asked for where it is there"
    assert audio_condition is not None, "there is always one where passes share a batch"
    assert nothing is not None
    heard: tuple[Tensor, Tensor] | None = None
    if condition.sound is not None:
        one, other = (condition.sound.heard(sigma, is_free=is_free) for is_free in (False, True))
        heard = torch.cat([one[0], other[0]]), torch.cat([one[1], other[1]])
    both = _velocities(
        condition,
        tuple(torch.cat([each, each]) for each in x),
        torch.cat([sigma, sigma]),
        torch.cat([audio_condition, nothing]),
        heard,
        condition.twice,
    )
    halves = [each.chunk(2) for each in both]
    return tuple(half[0] for half in halves), tuple(half[1] for half in halves)


def _velocities(
    condition: Condition,
    x: Latents,
    sigma: Float[Tensor, " B"],
    audio_condition: Float[Tensor, "B A K"] | None,
    heard: tuple[Tensor, Tensor] | None,
    context: list[KeyValue],
) -> Latents:
    dit = condition.model.dit
    if condition.sound_only:
        return (dit.forward_audio(x[0], sigma, audio_condition, context)[0].float(),)
    if heard is not None:
        predicted = dit(x[0], heard[0], sigma, heard[1], audio_condition, context)
        return (predicted.video.float(),)
    predicted = dit(*x, sigma, sigma, audio_condition, context)
    return predicted.video.float(), predicted.audio.float()
