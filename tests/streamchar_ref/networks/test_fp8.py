import pytest
import torch
from torch import nn

from streamchar_ref.networks.fp8 import Fp8Linear, in_fp8


@pytest.fixture
def layer() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(64, 32)


@torch.no_grad()
def test_a_layer_in_float8_is_off_by_the_rounding_of_three_bits(layer: nn.Linear) -> None:
    x = torch.randn(2, 40, 64)
    wrong = Fp8Linear(layer)(x) - layer(x)
    assert 0.005 < float(wrong.std() / layer(x).std()) < 0.05  # half of 2^-3 at most, each factor


@torch.no_grad()
def test_a_loud_token_does_not_round_the_others_away(layer: nn.Linear) -> None:
    x = torch.randn(40, 64)
    x[0] *= 1e4
    made = Fp8Linear(layer)(x)[1:]
    assert float((made - layer(x)[1:]).std() / layer(x)[1:].std()) < 0.05


@torch.no_grad()
def test_silence_is_the_bias(layer: nn.Linear) -> None:
    torch.testing.assert_close(Fp8Linear(layer)(torch.zeros(3, 64)), layer.bias.expand(3, -1))


def test_weights_take_a_byte_and_outputs_keep_the_type(layer: nn.Linear) -> None:
    made = Fp8Linear(layer)
    assert made.weight.element_size() == 1
    assert made(torch.randn(3, 64).bfloat16()).dtype == torch.bfloat16


def test_layers_that_do_not_fit_stay_as_they_are(layer: nn.Linear) -> None:
    network = nn.Sequential(layer, nn.Linear(32, 3))
    made = in_fp8(network)
    assert [type(each) for each in made.children()] == [Fp8Linear, nn.Linear]
    assert network[0] is layer
    with pytest.raises(ValueError, match="multiples of 16"):
        Fp8Linear(nn.Linear(32, 3))
