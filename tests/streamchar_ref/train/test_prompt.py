import csv
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from streamchar_ref.loop.config import OptimConfig
from streamchar_ref.loop.fit import fit
from streamchar_ref.loop.stage import Draw
from streamchar_ref.model.checkpoint import part_of
from streamchar_ref.networks.prompt import PromptConfig, PromptEncoder
from streamchar_ref.train.clips import HELD_OUT_IDENTITIES, TRAINING_IDENTITIES
from streamchar_ref.train.phrases import ATTRIBUTES
from streamchar_ref.train.stages.prompt import SPEC, PromptStage, held_out_accuracy
from tests.streamchar_ref.tiny import tiny_config, tiny_model

SIZE = PromptConfig(width=48, num_layers=1, num_heads=4, feed_forward=96, num_tokens=4)
SETTINGS = OptimConfig(
    learning_rate=6e-3, batch=32, num_steps=120, warmup_steps=10, ema_decay=0.9, bfloat16=False
)
SAME = (
    "A man with short black hair, olive skin, a moustache and a striped green shirt, before a "
    "mint background. Voice joe: middle, normal, plain.",
    "voice joe: middle, normal, plain. before a mint background; olive skin, a striped green "
    "shirt, a man, a moustache, short black hair",
)
OTHER = (
    "An older woman with long wavy white hair, rosy skin, gold studs and a coral cardigan, before "
    "a dusk background. Voice elsa: high, small, bright.",
    "A woman with a red bun, fair skin and a plum jumper, before a sand background.",
)


def fresh(config: PromptConfig = SIZE) -> PromptStage:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return PromptStage(PromptEncoder(config))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("prompt")


@pytest.fixture(scope="module")
def trained(folder: Path) -> PromptStage:
    stage = fresh()
    assert fit(stage, SETTINGS, folder=folder, max_minutes=math.inf).is_done
    return stage.eval()


@pytest.fixture(scope="module")
def accuracy(trained: PromptStage) -> dict[str, float]:
    return held_out_accuracy(trained)


@pytest.mark.slow
def test_what_prompts_of_unseen_characters_say_is_learned(accuracy: dict[str, float]) -> None:
    found = accuracy
    assert set(found) == {*ATTRIBUTES, "all", "rewritten"}
    assert found["all"] > 0.8
    assert found["rewritten"] > 0.8
    for name in ("who", "style", "skin", "background", "voice", "garment"):
        assert found[name] > 0.55  # the commonest answer is right in 0.08 (voice) to 0.40 (who)
    assert not set(TRAINING_IDENTITIES) & set(HELD_OUT_IDENTITIES)


def test_accuracies_are_written(accuracy: dict[str, float], folder: Path) -> None:
    rows = list(csv.DictReader((folder / "prompt.csv").read_text().splitlines()))
    assert {row["attribute"]: float(row["accuracy"]) for row in rows} == pytest.approx(
        accuracy, abs=1e-4
    )


@torch.no_grad()
def test_order_hardly_moves_a_prompt_but_other_people_do(trained: PromptStage) -> None:
    first, again, *others = trained.prompt([*SAME, *OTHER]).flatten(1)
    near = float(F.cosine_similarity(first, again, dim=0))
    far = max(float(F.cosine_similarity(first, other, dim=0)) for other in others)
    assert 1 - near < 0.5 * (1 - far)


def test_case_and_stops_change_nothing(trained: PromptStage) -> None:
    plain = SAME[0].lower().replace(".", "")
    assert torch.equal(trained.prompt([SAME[0]]), trained.prompt([plain]))


def test_what_is_not_said_is_not_read(trained: PromptStage) -> None:
    empty, full = trained.read(["", SAME[0]])
    assert sum(value == "" for value in empty.values()) > 0.8 * len(ATTRIBUTES)
    assert (full["who"], full["voice"], full["glasses"]) == ("man", "joe", "")


def test_only_the_encoder_is_kept_and_it_fits_the_model() -> None:
    stage = PromptStage(PromptEncoder(tiny_config().prompt))
    kept = part_of(stage.state_dict(), *SPEC.hands_over)
    model = tiny_model()
    assert set(kept) == {name for name in model.state_dict() if name.startswith("prompt.")}
    assert not model.load_state_dict(kept, strict=False).unexpected_keys


def test_the_same_draw_has_the_same_loss() -> None:
    stage = fresh()
    losses = [stage(Draw(step=step, batch=4, seed=1))[0].item() for step in (3, 3, 4)]
    assert losses[0] == losses[1] != losses[2]
