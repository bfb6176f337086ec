import pytest

from streamchar_ref.model.checkpoint import CheckpointError, load_checkpoint
from streamchar_ref.model.config import preset
from streamchar_ref.model.shipped import shipped_checkpoint


def test_the_shipped_checkpoint_is_a_whole_model_of_its_preset() -> None:
    found = load_checkpoint(shipped_checkpoint())
    assert found.config == preset("micro")
    assert not found.model("plain").training


def test_the_shipped_student_makes_a_chunk_in_one_step_without_guidance() -> None:
    found = load_checkpoint(shipped_checkpoint())
    assert set(found.samplers) == {"student"}
    sampler = found.model().config.sampler
    assert (sampler.kind, sampler.num_steps) == ("renoise", 1)
    assert (sampler.guidance, sampler.picture_guidance) == (1.0, 1.0)
    assert sampler.picture_temperature == found.config.sampler.picture_temperature


def test_what_is_not_shipped_is_named_with_what_is() -> None:
    with pytest.raises(CheckpointError, match=r"no checkpoint 'base' comes .*: micro"):
        shipped_checkpoint("base")
