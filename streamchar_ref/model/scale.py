"""A family of configs from `micro` to `paper`, to plot speed against size."""

from dataclasses import replace

from streamchar_ref.core.errors import InputError
from streamchar_ref.model.config import Config, micro, paper
from streamchar_ref.networks.vae.video import SPATIAL_STRIDE


def scaled(scale: float) -> Config:
    """Returns a config between the presets `micro` and `paper`.

    Widths, depths and pictures grow by equal factors for equal steps of the scale. Between the two
    ends, chunks, motion, sink and kinds of pointer and timing are those of `paper`.

    Args:
        scale: 0 is `micro`, 1 is `paper`.

    Returns:
        The config; random weights are all that it can have.

    Raises:
        InputError: If the scale lies outside.
    """
    if not 0 <= scale <= 1:
        raise InputError(f"--scale lies between 0 (micro) and 1 (paper), it is {scale}")
    small, large = micro(), paper()
    if scale in (0, 1):
        return large if scale else small

    def between(low: float, high: float, multiple: int = 1) -> int:
        return max(1, round(low * (high / low) ** scale / multiple)) * multiple

    half, quarter, eighth = (
        between(low, high, 8)
        for low, high in zip(small.video_vae.widths, large.video_vae.widths, strict=True)
    )
    patch = between(small.dit.patch, large.dit.patch)
    tokens = between(4, 16)
    prompt_width = between(small.prompt.width, large.prompt.width, 64)
    condition_width = between(small.dit.condition_width, large.dit.condition_width, 64)
    speaker, larger = small.orchestrator, large.orchestrator
    lm_heads = between(speaker.num_heads, larger.num_heads, larger.num_key_value_heads)
    dit_heads = between(small.dit.num_heads, large.dit.num_heads)
    return replace(
        large,
        preset=f"scale_{scale:g}",
        stream=replace(large.stream, size=SPATIAL_STRIDE * patch * tokens),
        video_vae=replace(
            large.video_vae,
            widths=(half, quarter, eighth),
        ),
        audio_vae=replace(
            large.audio_vae,
            width=between(small.audio_vae.width, large.audio_vae.width, 8),
            num_blocks=between(small.audio_vae.num_blocks, large.audio_vae.num_blocks),
        ),
        prompt=replace(
            large.prompt,
            width=prompt_width,
            num_layers=between(small.prompt.num_layers, large.prompt.num_layers),
            num_heads=prompt_width // 64,
            feed_forward=between(small.prompt.feed_forward, large.prompt.feed_forward, 64),
        ),
        orchestrator=replace(
            larger,
            width=lm_heads * between(speaker.width // speaker.num_heads, 128, 8),
            num_layers=between(speaker.num_layers, larger.num_layers),
            num_heads=lm_heads,
            feed_forward=between(speaker.feed_forward, larger.feed_forward, 64),
            prompt_width=prompt_width,
            condition_width=condition_width,
        ),
        dit=replace(
            large.dit,
            width=dit_heads * between(small.dit.width // small.dit.num_heads, 128, 8),
            num_blocks=between(small.dit.num_blocks, large.dit.num_blocks),
            num_heads=dit_heads,
            patch=patch,
            condition_width=condition_width,
            prompt_width=prompt_width,
        ),
    )
