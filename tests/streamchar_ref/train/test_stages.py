"""What the stages declare of themselves."""

import pytest
import torch

from streamchar_ref.model.config import preset
from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.train.data_size import data_size
from streamchar_ref.train.stages import STAGES, StageSpec

TRAINED = ("tiny", "micro", "paper_faithful", "monolithic", "base")


def test_a_stage_needs_only_stages_before_it() -> None:
    before: set[str] = set()
    for spec in STAGES:
        assert spec.name not in before
        assert before >= set(spec.needs), spec.name
        before.add(spec.name)


@pytest.mark.parametrize("spec", STAGES, ids=lambda spec: spec.name)
def test_every_trained_preset_has_data_and_a_budget_for_each_stage(spec: StageSpec) -> None:
    assert set(spec.budgets) == set(TRAINED)
    for name in TRAINED:
        assert spec.budget(name).minutes > 0
        assert data_size(name).hours > 0


def test_the_stages_hand_over_a_whole_model() -> None:
    with torch.device("meta"):
        names = StreamChar(preset("tiny")).state_dict()
    required = tuple(each for spec in STAGES if spec.is_required for each in spec.hands_over)
    assert [name for name in names if not name.startswith(required)] == []


def test_budgets_are_those_that_the_shipped_model_was_trained_with() -> None:
    minutes = {spec.name: spec.budget("micro").minutes for spec in STAGES}
    assert minutes == {
        "prompt": 1.5, "video_vae": 34, "audio_vae": 12, "speech": 38, "teacher": 40,
        "video_decoder": 8, "audio_decoder": 8, "distill_regress": 28, "dmd_chunk": 12,
        "dmd_rollout": 15,
    }  # fmt: skip
    batches = {spec.name: spec.budget("base").optim.batch for spec in STAGES}
    assert batches == {
        "prompt": 256, "video_vae": 64, "audio_vae": 64, "speech": 512, "teacher": 256,
        "video_decoder": 64, "audio_decoder": 64, "distill_regress": 256, "dmd_chunk": 256,
        "dmd_rollout": 16,
    }  # fmt: skip
