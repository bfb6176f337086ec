from itertools import pairwise

import pytest
import torch

from streamchar_ref.core.errors import InputError
from streamchar_ref.model.config import micro, paper, preset
from streamchar_ref.model.config_json import to_json
from streamchar_ref.model.random_weights import random_model
from streamchar_ref.model.scale import scaled
from streamchar_ref.model.streamchar import StreamChar


def test_the_family_goes_from_micro_to_paper_and_only_grows() -> None:
    family = [scaled(at / 8) for at in range(9)]
    assert (family[0], family[-1]) == (micro(), paper())
    for smaller, larger in pairwise(family):
        assert smaller.stream.size <= larger.stream.size
        assert smaller.dit.width < larger.dit.width
        assert smaller.dit.num_blocks <= larger.dit.num_blocks
        assert smaller.orchestrator.width < larger.orchestrator.width
    assert {each.stream.chunk_s for each in family[1:]} == {1.375}


@pytest.mark.parametrize("scale", [-0.1, 1.01, float("nan")])
def test_a_scale_outside_is_refused(scale: float) -> None:
    with pytest.raises(InputError, match="between 0"):
        scaled(scale)


def test_random_weights_are_made_in_their_precision_and_the_rest_is_as_ever() -> None:
    config = preset("tiny")
    made, usual = random_model(config, dtype=torch.bfloat16), StreamChar(config)
    weights = dict(made.named_parameters())
    assert {name: w.shape for name, w in weights.items()} == {
        name: w.shape for name, w in usual.named_parameters()
    }
    assert {w.dtype for w in weights.values()} == {torch.bfloat16}
    assert all(w.any() for w in weights.values() if w.ndim > 1)
    buffers = dict(made.named_buffers())
    assert len(buffers) > 5
    for name, buffer in usual.named_buffers():
        assert torch.equal(buffers[name], buffer)


def test_a_config_without_shared_keys_is_written_as_ever() -> None:
    assert "num_key_value_heads" not in to_json(micro())["orchestrator"]
    assert to_json(paper())["orchestrator"]["num_key_value_heads"] == 2
