"""Pretrained language models and text encoders from folders, in the place of the small networks."""

from pathlib import Path

from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.networks.orchestrator import Orchestrator
from streamchar_ref.networks.prompt import PretrainedPrompt


def use_pretrained(
    model: StreamChar, *, prompt: Path | None = None, language_model: Path | None = None
) -> StreamChar:
    """Replaces parts of a model; what is built around them keeps its weights or starts anew.

    Args:
        model: Its config must have the widths of what is loaded, as the preset ``paper`` has those
            of UMT5-XXL and Qwen2.5-3B.
        prompt: Folder of a T5 or UMT5 encoder with its tokenizer.
        language_model: Folder of a causal language model, such as Qwen2.5 or Llama. The heads and
            inputs of the orchestrator start anew.

    Returns:
        The same model; what was loaded has its dtype, whatever the folder holds.

    Raises:
        ValueError: If a folder is missing or holds weights of another width, or the model has no
            orchestrator.
    """
    config, dtype = model.config, model.dit.video_in.weight.dtype
    if prompt is not None:
        encoder = PretrainedPrompt(_folder(prompt), config.prompt.num_tokens, dtype)
        _check_width(prompt, int(encoder.encoder.config.d_model), config.prompt.width)
        model.prompt = encoder.to(model.device)  # type: ignore[assignment]
    if language_model is not None and not config.has_orchestrator:
        raise ValueError("a language model is for a config with an orchestrator")
    if language_model is not None:
        from transformers import AutoModel

        backbone = AutoModel.from_pretrained(
            str(_folder(language_model)), local_files_only=True, dtype=dtype
        )
        _check_width(language_model, int(backbone.config.hidden_size), config.orchestrator.width)
        model.orchestrator = Orchestrator(
            config.orchestrator,
            audio_channels=config.geometry.audio_channels,
            chunk_audio_latents=config.geometry.chunk_audio_latents,
            backbone=backbone,
        ).to(model.device)
    return model


def _folder(path: Path) -> Path:
    if not (path / "config.json").is_file():
        raise ValueError(f"{path} is no folder of a pretrained model: it has no config.json")
    return path


def _check_width(path: Path, found: int, wanted: int) -> None:
    if found != wanted:
        raise ValueError(f"{path} is {found} wide, the config says {wanted}")
