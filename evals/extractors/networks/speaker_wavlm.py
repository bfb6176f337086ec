"""The speaker network of SIM-o: WavLM large under an ECAPA-TDNN, by weights that a user has.

Modules are named so that ``wavlm_large_finetune.pth`` loads by key, its encoder by
`fairseq_names`. Shape letters: N sounds, S samples, C channels, T frames.
"""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32
from torch import Tensor, nn

from evals.extractors.networks.door import require_sound
from evals.extractors.networks.fairseq_names import renamed_state
from streamchar_ref.core.one_thread import one_thread

EMBEDDING_SIZE = 256
ENCODER = "feature_extract.model."
LARGE: dict[str, Any] = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
}
CHANNELS, WIDE, SCALE, BOTTLENECK = 512, 1536, 8, 128
UNUSED = ("final_proj", "label_embs_concat", "project_q", "quantizer", "loss_calculator")
"""Parts of the file for training alone."""


class ConvNorm(nn.Module):
    """Convolution, rectifier, batch norm, in this order."""

    def __init__(self, given: int, made: int, kernel_size: int, padding: int = 0) -> None:
        super().__init__()
        self.conv = nn.Conv1d(given, made, kernel_size, padding=padding)
        self.bn = nn.BatchNorm1d(made)

    def forward(self, x: Float[Tensor, "N C T"]) -> Float[Tensor, "N _ T"]:
        """Applies all three."""
        made: Tensor = self.bn(F.relu(self.conv(x)))
        return made


class Steps(nn.Module):
    """Groups of channels, each convolved after the convolved one before is added."""

    def __init__(self, dilation: int) -> None:
        super().__init__()
        width = CHANNELS // SCALE
        self.convs = nn.ModuleList(
            nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)
            for _ in range(SCALE - 1)
        )
        self.bns = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(SCALE - 1))

    def forward(self, x: Float[Tensor, "N C T"]) -> Float[Tensor, "N C T"]:
        """Convolves all groups but the last, which stays as it is."""
        *groups, last = x.chunk(SCALE, dim=1)
        made: list[Tensor] = []
        for group, conv, norm in zip(groups, self.convs, self.bns, strict=True):
            given = group + made[-1] if made else group
            made.append(norm(F.relu(conv(given))))
        return torch.cat([*made, last], dim=1)


class Excitation(nn.Module):
    """Weighs channels by what the mean over time says."""

    def __init__(self) -> None:
        super().__init__()
        self.linear1 = nn.Linear(CHANNELS, BOTTLENECK)
        self.linear2 = nn.Linear(BOTTLENECK, CHANNELS)

    def forward(self, x: Float[Tensor, "N C T"]) -> Float[Tensor, "N C T"]:
        """Weighs."""
        weights = torch.sigmoid(self.linear2(F.relu(self.linear1(x.mean(dim=2)))))
        return x * weights[..., None]


class Block(nn.Module):
    """A block of ECAPA-TDNN, added to its input; names as in the published file."""

    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.add_module("Conv1dReluBn1", ConvNorm(CHANNELS, CHANNELS, 1))
        self.add_module("Res2Conv1dReluBn", Steps(dilation))
        self.add_module("Conv1dReluBn2", ConvNorm(CHANNELS, CHANNELS, 1))
        self.add_module("SE_Connect", Excitation())

    def forward(self, x: Float[Tensor, "N C T"]) -> Float[Tensor, "N C T"]:
        """Applies the four parts in order."""
        made = x
        for part in self.children():
            made = part(made)
        return x + made


class Pooling(nn.Module):
    """Attentive mean and standard deviation over time."""

    def __init__(self) -> None:
        super().__init__()
        self.linear1 = nn.Conv1d(WIDE, BOTTLENECK, 1)
        self.linear2 = nn.Conv1d(BOTTLENECK, WIDE, 1)

    def forward(self, x: Float[Tensor, "N C T"]) -> Float[Tensor, "N _"]:
        """Pools."""
        shares = torch.softmax(self.linear2(torch.tanh(self.linear1(x))), dim=2)
        mean = (shares * x).sum(dim=2)
        variance = (shares * x**2).sum(dim=2) - mean**2
        return torch.cat([mean, variance.clamp(min=1e-9).sqrt()], dim=1)


class SpeakerWavLM(nn.Module):
    """Speaker embeddings of sounds.

    Args:
        **changes: Of the configuration of WavLM large, for small tests.

    Source:
        Chen et al., WavLM, 2022; Desplanques et al., ECAPA-TDNN, Interspeech 2020; as in
        microsoft/UniSpeech, downstreams/speaker_verification, which seed-tts-eval runs, rewritten
        on the encoder of transformers.
    """

    def __init__(self, **changes: Any) -> None:
        from transformers import WavLMConfig, WavLMModel

        super().__init__()
        config = WavLMConfig(**(LARGE | changes))
        self.encoder = WavLMModel(config)
        self.feature_weight = nn.Parameter(torch.zeros(config.num_hidden_layers + 1))
        self.instance_norm = nn.InstanceNorm1d(config.hidden_size)
        self.layer1 = ConvNorm(config.hidden_size, CHANNELS, 5, padding=2)
        self.layer2, self.layer3, self.layer4 = (Block(dilation) for dilation in (2, 3, 4))
        self.conv = nn.Conv1d(3 * CHANNELS, WIDE, 1)
        self.pooling = Pooling()
        self.bn = nn.BatchNorm1d(2 * WIDE)
        self.linear = nn.Linear(2 * WIDE, EMBEDDING_SIZE)

    def forward(self, sounds: Float[Tensor, "N S"]) -> Float[Tensor, "N 256"]:
        """Embeds sounds of 16 kHz.

        Args:
            sounds: In [-1, 1]; each is standardised here, as WavLM large needs it.

        Returns:
            Embeddings, not of unit length.
        """
        standard = F.layer_norm(sounds, sounds.shape[1:])
        heard = self.encoder(standard, output_hidden_states=True)
        # The last layer counts after the encoder's final norm, which transformers leaves out.
        layers = torch.stack([*heard.hidden_states[:-1], heard.last_hidden_state])
        shares = torch.softmax(self.feature_weight, dim=0)
        x = torch.einsum("l,lntc->nct", shares, layers) + 1e-6
        first = self.layer1(self.instance_norm(x))
        second = self.layer2(first)
        third = self.layer3(second)
        fourth = self.layer4(third)
        joined = F.relu(self.conv(torch.cat([second, third, fourth], dim=1)))
        made: Tensor = self.linear(self.bn(self.pooling(joined)))
        return made


def load_speaker_wavlm(path: str) -> SpeakerWavLM:
    """Reads a checkpoint without running pickled code; parts for training are left out."""
    state = torch.load(path, map_location="cpu", weights_only=True)["model"]
    has_bias = f"{ENCODER}feature_extractor.conv_layers.0.0.bias" in state
    network = SpeakerWavLM(conv_bias=has_bias)
    put_state(network, state)
    return network.eval()


def put_state(network: SpeakerWavLM, state: dict[str, Tensor]) -> None:
    """Puts the tensors of the published file into a network.

    Args:
        network: Of the same sizes.
        state: By the file's names.
    """
    used = {
        name: tensor for name, tensor in state.items() if not any(part in name for part in UNUSED)
    }
    rest = {name: tensor for name, tensor in used.items() if not name.startswith(ENCODER)}
    encoder = renamed_state(used, ENCODER)
    network.load_state_dict({f"encoder.{name}": tensor for name, tensor in encoder.items()} | rest)


@one_thread()
@torch.inference_mode()
def embed_sound(
    network: SpeakerWavLM, samples: np.ndarray, sample_rate: int
) -> Float32[np.ndarray, " 256"]:
    """Embeds one sound, which `require_sound` lets pass; the result has unit length."""
    sound = torch.from_numpy(require_sound(samples, sample_rate, "WavLM"))
    unit: np.ndarray = F.normalize(network(sound[None])[0], dim=0).numpy()
    return unit
