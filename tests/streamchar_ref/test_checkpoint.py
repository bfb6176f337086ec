import json
from pathlib import Path

import pytest
import torch

from streamchar_ref import checkpoint as module
from streamchar_ref.checkpoint import (
    CheckpointError,
    Storage,
    load_checkpoint,
    part_of,
    save_checkpoint,
)
from tests.streamchar_ref.tiny import tiny_model

ORIGIN = {"stages": ["teacher"], "minutes": 3}


def saved(folder: Path, storage: Storage = "float32") -> Path:
    model = tiny_model()
    save_checkpoint(folder, model.state_dict(), model.config, origin=ORIGIN, storage=storage)
    return folder


@pytest.mark.parametrize(
    ("storage", "tolerance"), [("float32", 0.0), ("bfloat16", 2**-8), ("int8", 1 / 200)]
)
def test_weights_come_back_as_near_as_their_storage_allows(
    tmp_path: Path, storage: Storage, tolerance: float
) -> None:
    model = tiny_model()
    found = load_checkpoint(saved(tmp_path / "c", storage)).model()
    for (name, one), other in zip(model.named_parameters(), found.parameters(), strict=True):
        scale = one.abs().max().item()
        assert (one - other).abs().max().item() <= tolerance * scale + 1e-12, name


def test_config_and_origin_travel_with_the_weights(tmp_path: Path) -> None:
    found = load_checkpoint(saved(tmp_path / "c"))
    assert found.config == tiny_model().config
    assert found.origin == ORIGIN


def test_the_same_weights_have_the_same_digest(tmp_path: Path) -> None:
    one, other = (load_checkpoint(saved(tmp_path / name)) for name in ("a", "b"))
    assert one.digest == other.digest


def test_shards_stay_below_their_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SHARD_BYTES", 300_000)
    shards = list(saved(tmp_path / "c").glob("*.safetensors"))
    assert len(shards) > 3
    assert max(shard.stat().st_size for shard in shards) <= 300_000
    load_checkpoint(tmp_path / "c").model()


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    (saved(tmp_path / "c") / "weights-00.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"weights-00\.safetensors is missing"):
        load_checkpoint(tmp_path / "c")


def test_an_altered_shard_is_refused(tmp_path: Path) -> None:
    shard = saved(tmp_path / "c") / "weights-00.safetensors"
    content = bytearray(shard.read_bytes())
    content[-5] ^= 1
    shard.write_bytes(content)
    with pytest.raises(CheckpointError, match="is damaged"):
        load_checkpoint(tmp_path / "c")


def test_another_preset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="preset 'tiny', not 'micro'"):
        load_checkpoint(saved(tmp_path / "c"), preset="micro")


def test_a_folder_that_is_no_checkpoint_says_so(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is no checkpoint"):
        load_checkpoint(tmp_path)


def test_another_version_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "c") / module.INDEX
    path.write_text(json.dumps(json.loads(path.read_text()) | {"version": 99}))
    with pytest.raises(CheckpointError, match="version 99"):
        load_checkpoint(tmp_path / "c")


def test_a_full_disk_leaves_the_old_checkpoint_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = load_checkpoint(saved(tmp_path / "c")).digest

    def full(self: Path, content: bytes) -> int:
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        saved(tmp_path / "c")
    assert load_checkpoint(tmp_path / "c").digest == before


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    model = tiny_model()
    tensors = {name: torch.zeros(3) for name in model.state_dict()}
    save_checkpoint(tmp_path / "c", tensors, model.config, origin={})
    with pytest.raises(CheckpointError, match="do not fit"):
        load_checkpoint(tmp_path / "c").model()


def test_the_checkpoint_of_a_stage_is_told_apart_in_one_line(tmp_path: Path) -> None:
    model = tiny_model()
    tensors = part_of(model.state_dict(), "dit", "orchestrator")
    save_checkpoint(tmp_path / "c", tensors, model.config, origin={"teacher": {"steps": 3}})
    with pytest.raises(CheckpointError) as refused:
        load_checkpoint(tmp_path / "c").model()
    text = str(refused.value)
    assert "stage teacher" in text
    assert "lacks weights of video_vae, audio_vae, prompt" in text
    assert "streamchar train export" in text
    assert "\n" not in text
    assert len(text) < 300


def test_a_misfit_is_one_line_however_many_weights_differ(tmp_path: Path) -> None:
    model = tiny_model()
    tensors = {f"old.{name}": tensor for name, tensor in model.state_dict().items()}
    save_checkpoint(tmp_path / "c", tensors, model.config, origin={})
    with pytest.raises(CheckpointError, match="are missing") as refused:
        load_checkpoint(tmp_path / "c").model()
    assert len(str(refused.value)) < 300
