"""Models with random weights in the precision and on the device that they run in."""

from dataclasses import replace

import torch
from torch import nn

from streamchar_ref.model.config import Config
from streamchar_ref.model.streamchar import StreamChar

_DEVIATION = 0.02
_ONES = ("norm", "scale")


def random_model(
    config: Config, *, device: str = "cpu", dtype: torch.dtype = torch.float32, seed: int = 0
) -> StreamChar:
    """Builds a model for its speed: no weight is ever held in another precision.

    Args:
        config: Of the model.
        device: Where its weights are made.
        dtype: Of its weights; what it derives from its config stays in single precision.
        seed: Of the weights.

    Returns:
        The model. Nothing in it is switched off, as some layers of a model in training are.
    """
    with torch.device("meta"):
        model = StreamChar(config)
    with torch.random.fork_rng(devices=[]):
        buffers = dict(StreamChar(_twin(config)).named_buffers())
    generator = torch.Generator(device).manual_seed(seed)
    made: dict[nn.Parameter, nn.Parameter] = {}  # several modules may share one
    for name, module in model.named_modules():
        prefix = f"{name}." if name else ""
        for own, weight in list(module.named_parameters(recurse=False)):
            if weight not in made:
                new = torch.empty(weight.shape, dtype=dtype, device=device)
                _fill(new, f"{prefix}{own}", generator)
                made[weight] = nn.Parameter(new, requires_grad=False)
            setattr(module, own, made[weight])
        for own in [own for own, _ in module.named_buffers(recurse=False)]:
            module._buffers[own] = buffers[prefix + own].to(device)
    return model.eval()


def _fill(weight: torch.Tensor, name: str, generator: torch.Generator) -> None:
    if weight.ndim > 1:
        weight.normal_(0, _DEVIATION, generator=generator)
    else:
        weight.fill_(float(any(word in name.lower() for word in _ONES)))


def _twin(config: Config) -> Config:
    """The least model with the same buffers: they depend on the width of heads and on rates."""
    language, dit, prompt = config.orchestrator, config.dit, config.prompt
    return replace(
        config,
        video_vae=replace(config.video_vae, widths=(4, 4, 4)),
        audio_vae=replace(config.audio_vae, width=8, encoder_width=8),
        prompt=replace(prompt, width=8, num_layers=1, num_heads=1, feed_forward=8),
        orchestrator=replace(
            language,
            width=language.width // language.num_heads,
            num_layers=1,
            num_heads=1,
            num_key_value_heads=0,
            feed_forward=8,
            prompt_width=8,
        ),
        dit=replace(
            dit, width=dit.width // dit.num_heads, num_blocks=1, num_heads=1, prompt_width=8
        ),
    )
