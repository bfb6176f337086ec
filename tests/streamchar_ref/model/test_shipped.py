import pytest

from streamchar_ref.model.checkpoint import CheckpointError, load_checkpoint
from streamchar_ref.model.config import preset
from streamchar_ref.model.shipped import shipped_checkpoint


def test_the_shipped_checkpoint_is_a_whole_model_of_its_preset() -> None:
    found = load_checkpoint(shipped_checkpoint())
    assert found.config == preset("micro")
    assert not found.model().training


def test_what_is_not_shipped_is_named_with_what_is() -> None:
    with pytest.raises(CheckpointError, match=r"no checkpoint 'base' comes .*: micro"):
        shipped_checkpoint("base")
