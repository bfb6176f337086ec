import pytest
import torch

from streamchar_ref.model.config import preset
from streamchar_ref.networks.geometry import WindowGeometry
from tests.streamchar_ref.tiny import tiny_config

PRESETS = ("tiny", "micro", "base", "paper")


def segments(geometry: WindowGeometry, patch: int) -> dict[str, torch.Tensor]:
    """Positions of the context by role."""
    cells = (geometry.video_cells[0] // patch) * (geometry.video_cells[1] // patch)
    counts = {
        "prompt": geometry.prompt_tokens,
        "reference": cells,
        "sink": geometry.sink_latents * cells,
        "motion_video": geometry.motion_latents * cells,
        "motion_audio": geometry.motion_audio_latents,
    }
    parts = geometry.context_positions(patch).split(list(counts.values()))
    return dict(zip(counts, parts, strict=True))


@pytest.mark.parametrize(("name", "tokens"), [("tiny", 52), ("micro", 256), ("base", 516)])
def test_tokens_in_the_window(name: str, tokens: int) -> None:
    config = preset(name)
    assert config.geometry.num_tokens(config.dit.patch) == tokens


def test_audio_latents_are_the_clock() -> None:
    geometry = preset("micro").geometry
    audio = geometry.chunk_positions(2)[-geometry.chunk_audio_latents :]
    assert audio[:, 0].tolist() == list(range(32))
    assert not audio[:, 1:].any()


@pytest.mark.parametrize("name", PRESETS)
def test_a_video_latent_lies_in_the_middle_of_its_sound(name: str) -> None:
    config = preset(name)
    geometry = config.geometry
    times = geometry.chunk_positions(config.dit.patch)[: -geometry.chunk_audio_latents, 0].unique()
    own = torch.arange(geometry.chunk_audio_latents).float()
    assert len(times) == geometry.chunk_latents
    assert float(times.mean()) == pytest.approx(float(own.mean()), abs=1e-4)
    steps = times.diff()
    torch.testing.assert_close(steps, torch.full_like(steps, geometry.audio_per_video))


@pytest.mark.parametrize("name", PRESETS)
def test_motion_ends_where_the_chunk_begins(name: str) -> None:
    config = preset(name)
    geometry = config.geometry
    motion = segments(geometry, config.dit.patch)
    first_video = float(geometry.chunk_positions(config.dit.patch)[0, 0])
    assert float(motion["motion_audio"][-1, 0]) == -1
    step = first_video - float(motion["motion_video"][-1, 0])
    assert step == pytest.approx(geometry.audio_per_video, abs=1e-4)


@pytest.mark.parametrize("name", PRESETS)
def test_roles_of_the_context_lie_one_after_the_other_in_the_past(name: str) -> None:
    config = preset(name)
    parts = segments(config.geometry, config.dit.patch)
    for earlier, later in (
        ("prompt", "reference"),
        ("reference", "sink"),
        ("sink", "motion_video"),
        ("sink", "motion_audio"),
    ):
        assert float(parts[earlier][:, 0].max()) < float(parts[later][:, 0].min())
    assert float(config.geometry.context_positions(config.dit.patch)[:, 0].max()) < 0


def test_no_two_video_tokens_share_a_place() -> None:
    geometry = preset("micro").geometry
    parts = segments(geometry, 2)
    video = torch.cat(
        [
            parts["reference"],
            parts["sink"],
            parts["motion_video"],
            geometry.chunk_positions(2)[: -geometry.chunk_audio_latents],
        ]
    )
    assert len(video.unique(dim=0)) == len(video)


def test_context_that_is_configured_away_takes_no_token() -> None:
    config = tiny_config(
        "stream.sink_latents=0", "stream.motion_latents=0", "stream.motion_audio_latents=0"
    )
    assert config.geometry.num_tokens(2) == 52 - 4 - 4 - 4
