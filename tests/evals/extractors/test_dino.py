"""DINO by path: keys, input, grid; subject consistency of VBench on vectors with a known answer."""

import numpy as np
import pytest
import torch

from evals.extractors.networks.dino import DinoVit, dino_input, embed_picture
from evals.extractors.networks.door import WrongConvention
from evals.metrics.subject import SubjectConsistency, consistency
from evals.protocols.base import MetricContext
from tests.evals.real_clips import recording


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture(scope="module")
def network() -> DinoVit:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = DinoVit(depth=1)
        torch.nn.init.normal_(made.pos_embed, std=0.5)
    return made.eval()


def test_the_state_dict_has_the_official_keys_and_sizes() -> None:
    with torch.device("meta"):
        state = DinoVit().state_dict()
    assert len(state) == 150
    assert sum(tensor.numel() for tensor in state.values()) == 85_798_656
    assert state["blocks.11.attn.qkv.weight"].shape == (2304, 768)
    assert state["blocks.0.mlp.fc2.weight"].shape == (768, 3072)
    assert state["patch_embed.proj.weight"].shape == (768, 3, 16, 16)


@torch.inference_mode()
def test_a_block_is_that_of_a_plain_transformer(network: DinoVit) -> None:
    block = network.blocks[0]
    plain = torch.nn.TransformerEncoderLayer(
        768, 12, 3072, dropout=0.0, activation="gelu", layer_norm_eps=1e-6, batch_first=True,
        norm_first=True,
    ).eval()  # fmt: skip
    names = {
        "self_attn.in_proj_": "attn.qkv.", "self_attn.out_proj.": "attn.proj.",
        "linear1.": "mlp.fc1.", "linear2.": "mlp.fc2.", "norm1.": "norm1.", "norm2.": "norm2.",
    }  # fmt: skip
    state = block.state_dict()
    plain.load_state_dict(
        {f"{a}{end}": state[f"{b}{end}"] for a, b in names.items() for end in ("weight", "bias")}
    )
    tokens = torch.randn(1, 9, 768, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(block(tokens), plain(tokens), atol=1e-4, rtol=1e-4)


@torch.inference_mode()
def test_pictures_of_any_shape_have_places_of_their_own_grid(network: DinoVit) -> None:
    assert dino_input(noise(100, 180, 3)).shape == (1, 3, 224, 403)
    assert network._places(14, 14) is network.pos_embed
    assert network._places(14, 25).shape == (1, 14 * 25 + 1, 768)
    assert np.linalg.norm(embed_picture(network, noise(60, 90, 3))) == pytest.approx(1)


@torch.inference_mode()
def test_other_ranges_are_refused(network: DinoVit) -> None:
    with pytest.raises(WrongConvention, match="DINO takes 8-bit pixels"):
        embed_picture(network, noise(40, 40, 3) / np.float32(255))
    with pytest.raises(WrongConvention, match="standardised"):
        network(torch.rand(1, 3, 224, 224))


def test_consistency_is_the_mean_of_both_cosines_without_negative_ones() -> None:
    a, b = np.eye(2, dtype=np.float32)
    values = consistency(np.stack([a, a, b, -a]))
    assert np.isnan(values[0])
    assert values[1:].tolist() == [1.0, 0.0, 0.0]
    half = (a + b) / np.sqrt(2)
    metric = SubjectConsistency()
    features = {"dino": {"embedding": np.stack([a, half, b])}}
    score = metric.score(recording(), features, MetricContext())
    assert score.value == pytest.approx((np.sqrt(0.5) + np.sqrt(0.5) / 2) / 2)
    alone = metric.score(recording(), {"dino": {"embedding": a[None]}}, MetricContext())
    assert alone.reason == "fewer than two frames"
