"""State dicts of wav2vec 2.0 and WavLM by fairseq's names, for the models of transformers."""

import re
from collections.abc import Mapping

from torch import Tensor

_RULES: tuple[tuple[str, str], ...] = (
    (r"^mask_emb$", "masked_spec_embed"),
    (r"^layer_norm\.", "feature_projection.layer_norm."),
    (r"^post_extract_proj\.", "feature_projection.projection."),
    (r"^(feature_extractor\.conv_layers\.\d+)\.0\.", r"\1.conv."),
    (r"^(feature_extractor\.conv_layers\.\d+)\.2(?:\.1)?\.", r"\1.layer_norm."),
    (r"^encoder\.pos_conv\.0\.weight_g$",
     "encoder.pos_conv_embed.conv.parametrizations.weight.original0"),
    (r"^encoder\.pos_conv\.0\.weight_v$",
     "encoder.pos_conv_embed.conv.parametrizations.weight.original1"),
    (r"^encoder\.pos_conv\.0\.", "encoder.pos_conv_embed.conv."),
    (r"\.self_attn\.relative_attention_bias\.", ".attention.rel_attn_embed."),
    (r"\.self_attn\.grep_linear\.", ".attention.gru_rel_pos_linear."),
    (r"\.self_attn\.grep_a$", ".attention.gru_rel_pos_const"),
    (r"\.self_attn\.", ".attention."),
    (r"\.self_attn_layer_norm\.", ".layer_norm."),
    (r"\.fc1\.", ".feed_forward.intermediate_dense."),
    (r"\.fc2\.", ".feed_forward.output_dense."),
)  # fmt: skip


def renamed(name: str) -> str:
    """Returns what transformers calls a tensor; the first rule that fits counts."""
    for pattern, replacement in _RULES:
        found = re.sub(pattern, replacement, name)
        if found != name:
            return found
    return name


def renamed_state(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Takes the tensors of an encoder out of a state dict.

    Args:
        state: By fairseq's names.
        prefix: Of the encoder's names, with the dot.

    Returns:
        The tensors by the names of transformers.
    """
    return {
        renamed(name.removeprefix(prefix)): tensor
        for name, tensor in state.items()
        if name.startswith(prefix)
    }
