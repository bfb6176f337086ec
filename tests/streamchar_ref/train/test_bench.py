import json

from typer.testing import CliRunner

from streamchar_ref.commands.bench import training
from streamchar_ref.commands.verb import Verb
from streamchar_ref.model.config import preset
from streamchar_ref.train.augmentation import ContextAugmentation
from streamchar_ref.train.bench import random_clip
from streamchar_ref.train.windows import WindowPool
from tests.streamchar_ref.train.latent_clips import store_of


def test_the_command_prints_speed_and_the_share_of_a_step_spent_on_data() -> None:
    app = Verb("Benchmarks.")
    app.command("training")(training)
    options = ["--preset", "tiny", "--batch", "2", "--steps", "1", "--device", "cpu", "--json"]
    printed = json.loads(CliRunner().invoke(app, options).stdout)
    assert [row["stage"] for row in printed["rows"]] == ["speech", "teacher"]
    for row in printed["rows"]:
        assert 0 < row["data_ms"] < row["step_ms"]
        assert abs(row["data_share"] - row["data_ms"] / row["step_ms"]) < 1e-3


def test_a_random_clip_can_be_trained_on() -> None:
    config = preset("tiny")
    pool = WindowPool(store_of(config, [random_clip(config, 0)]), config, ContextAugmentation())
    assert pool.store.table.num_audio.tolist() == [160]
