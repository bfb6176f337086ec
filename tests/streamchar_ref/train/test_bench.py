import json
import math

import pytest
from typer.testing import CliRunner

from streamchar_ref.commands.bench import app
from streamchar_ref.core.errors import InputError
from streamchar_ref.loop.stage import Draw
from streamchar_ref.model.config import preset
from streamchar_ref.train.augmentation import ContextAugmentation
from streamchar_ref.train.bench import bench_training
from streamchar_ref.train.bench_stages import (
    random_clip,
    random_pictures,
    random_sounds,
)
from streamchar_ref.train.windows import WindowPool
from tests.streamchar_ref.tiny import tiny_model
from tests.streamchar_ref.train.latent_clips import store_of

STAGES = "prompt,video_vae,audio_decoder,speech,dmd_rollout"
WITHOUT_SOURCE = "prompt"


def test_the_command_prints_speed_and_shares_of_stages_of_every_kind() -> None:
    options = ["--preset", "tiny", "--batch", "2", "--steps", "1", "--device", "cpu", "--json"]
    found = CliRunner().invoke(app, ["training", *options, "--stages", STAGES, "--tflops", "0.1"])
    rows = {row["stage"]: row for row in json.loads(found.stdout)["rows"]}
    assert list(rows) == STAGES.split(",")
    for name, row in rows.items():
        assert row["steps"] == 1
        assert row["samples_per_s"] == pytest.approx(2000 / row["step_ms"])
        assert row["rate_share"] == pytest.approx(row["flop_per_s"] / 1e11)
        assert row["flop_per_s"] > 0
        assert math.isfinite(row["loss"])
        if name == WITHOUT_SOURCE:
            assert row["data_share"] is None
        else:
            assert 0 < row["data_share"] == pytest.approx(row["data_ms"] / row["step_ms"])
            assert row["data_share"] < 1


def test_a_stage_that_is_not_there_is_named() -> None:
    with pytest.raises(InputError, match=r"unknown stage 'talk'; known: prompt, video_vae"):
        bench_training(preset("tiny"), "talk", device="cpu")


def test_a_random_clip_can_be_trained_on() -> None:
    config = preset("tiny")
    pool = WindowPool(store_of(config, [random_clip(config, 0)]), config, ContextAugmentation())
    assert pool.store.table.num_audio.tolist() == [160]


def test_a_stretch_of_a_pool_is_a_piece_of_one_clip_or_a_still() -> None:
    pool = random_pictures(tiny_model())
    batch = pool(Draw(step=0, batch=64, seed=0), 4)
    corner = pool.pixels[:, :4, :4, :3].permute(0, 3, 1, 2).float()
    seen = {"moving": 0, "still": 0}
    for frames in ((batch.frames[..., :4, :4] + 1) * 127.5).round():
        rows = [int((corner == frame).flatten(1).all(dim=1).nonzero()[0]) for frame in frames]
        assert rows in ([rows[0]] * 4, list(range(rows[0], rows[0] + 4)))
        is_moving = rows[0] != rows[1]
        seen["moving" if is_moving else "still"] += 1
        if is_moving:
            assert rows[0] // 64 == rows[3] // 64  # of one clip of 64 frames
        else:
            assert rows[0] % 64 < 2  # whose first two are its stills
    assert min(seen.values()) > 0


def test_a_short_utterance_is_padded_with_silence() -> None:
    pool = random_sounds(tiny_model())
    drawn = pool(Draw(step=0, batch=3, seed=0), 5 * 16_000 + 100)
    assert drawn.shape == (3, 80_100)
    assert not drawn[:, 80_000:].any()
    assert drawn[:, :80_000].abs().mean() > 0.05
