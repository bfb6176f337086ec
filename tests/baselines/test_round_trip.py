from pathlib import Path

import numpy as np
import pytest

from baselines.ground_truth import GroundTruth
from baselines.round_trip import VaeRoundTrip
from evals.recording.system import Prompt, System, installed_systems, problems_with
from evals.suites import load_suite
from streamchar_ref.core.errors import InputError
from streamchar_ref.media import AVChunk
from streamchar_ref.model.checkpoint import save_checkpoint
from tests.streamchar_ref.tiny import tiny_model


@pytest.fixture(scope="module")
def prompt() -> Prompt:
    return load_suite("smoke")[0]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Checkpoints as the stages of both VAEs write them, and one with both."""
    model = tiny_model()
    prefixes = {"video": "video_vae.", "audio": "audio_vae.", "both": ("video_vae.", "audio_vae.")}
    found = {}
    for name, prefix in prefixes.items():
        own = {key: value for key, value in model.state_dict().items() if key.startswith(prefix)}
        folder = tmp_path_factory.mktemp("weights") / name
        save_checkpoint(folder, own, model.config, origin={}, storage="float32")
        found[name] = str(folder)
    return found


@pytest.fixture(scope="module")
def streams(folders: dict[str, str], prompt: Prompt) -> dict[str, list[AVChunk]]:
    systems: dict[str, System] = {
        name: VaeRoundTrip(checkpoint=folder, part=name) for name, folder in folders.items()
    }
    systems["truth"] = GroundTruth(size=32)
    return {name: list(system.stream(prompt, seed=0)) for name, system in systems.items()}


def frames(chunks: list[AVChunk]) -> np.ndarray:
    return np.concatenate([chunk.frames for chunk in chunks])


def samples(chunks: list[AVChunk]) -> np.ndarray:
    return np.concatenate([chunk.samples for chunk in chunks])


def test_it_keeps_the_contract_and_is_installed(folders: dict[str, str], prompt: Prompt) -> None:
    assert problems_with(VaeRoundTrip(checkpoint=folders["both"]), prompt) == []
    assert installed_systems()["vae_round_trip"].load() is VaeRoundTrip


@pytest.mark.parametrize("part", ["audio", "video"])
def test_only_the_part_asked_for_changes_and_only_its_weights_are_needed(
    streams: dict[str, list[AVChunk]], part: str
) -> None:
    made, true = streams[part], streams["truth"]
    assert frames(made).shape == frames(true).shape
    assert samples(made).shape == samples(true).shape
    assert np.array_equal(frames(made), frames(true)) == (part == "audio")
    assert np.array_equal(samples(made), samples(true)) == (part == "video")


def test_both_parts_are_those_of_each_alone(streams: dict[str, list[AVChunk]]) -> None:
    assert np.array_equal(frames(streams["both"]), frames(streams["video"]))
    assert np.array_equal(samples(streams["both"]), samples(streams["audio"]))


def test_it_keeps_the_account_of_the_truth(streams: dict[str, list[AVChunk]]) -> None:
    told = {name: [chunk.spoken for chunk in chunks] for name, chunks in streams.items()}
    assert told["both"] == told["truth"]


def test_a_missing_vae_is_named_with_what_to_do(folders: dict[str, str]) -> None:
    with pytest.raises(
        InputError, match=r"no weights of audio_vae \(it has: video_vae\).*part=vid"
    ):
        VaeRoundTrip(checkpoint=folders["video"])
    with pytest.raises(InputError, match=r"no weights of video_vae .*part=audio"):
        VaeRoundTrip(checkpoint=folders["audio"], part="both")


def test_what_cannot_be_used_is_refused(tmp_path: Path, folders: dict[str, str]) -> None:
    with pytest.raises(InputError, match="is no checkpoint"):
        VaeRoundTrip(checkpoint=str(tmp_path))
    with pytest.raises(InputError, match="part is one of both, audio, video"):
        VaeRoundTrip(checkpoint=folders["both"], part="sound")
