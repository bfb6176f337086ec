import hashlib
import json
import random
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from streamchar_ref.core.sealed import index_bytes, read_index
from streamchar_ref.model import checkpoint as module
from streamchar_ref.model import shards
from streamchar_ref.model.checkpoint import (
    CheckpointError,
    Storage,
    identify_checkpoint,
    load_checkpoint,
    part_of,
    save_checkpoint,
)
from streamchar_ref.model.config import preset
from streamchar_ref.sampling.config import SamplerConfig
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


def test_a_checkpoint_is_identified_without_its_weights(tmp_path: Path) -> None:
    tensors = {"dit.x": torch.ones(2), "student.dit.x": torch.zeros(2)}
    config = preset("tiny")
    samplers = {"student": SamplerConfig()}
    save_checkpoint(tmp_path / "c", tensors, config, origin=ORIGIN, samplers=samplers)
    digest = load_checkpoint(tmp_path / "c").digest
    for shard in (tmp_path / "c").glob("*.safetensors"):
        shard.unlink()
    found = identify_checkpoint(tmp_path / "c")
    assert (found.preset, found.digest, found.networks) == ("tiny", digest, ("plain", "student"))


def test_the_same_weights_have_the_same_digest(tmp_path: Path) -> None:
    one, other = (load_checkpoint(saved(tmp_path / name)) for name in ("a", "b"))
    assert one.digest == other.digest


def test_shards_stay_below_their_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "MAX_SHARD_BYTES", 300_000)
    written = list(saved(tmp_path / "c").glob("*.safetensors"))
    assert len(written) > 3
    assert max(shard.stat().st_size for shard in written) <= 300_000
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


def _reindexed(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    index = read_index(folder / module.INDEX, version=module.VERSION, remedy="")
    del index["digest"]
    change(index)
    (folder / module.INDEX).write_bytes(index_bytes(index))


def test_an_altered_byte_anywhere_in_a_checkpoint_is_refused(tmp_path: Path) -> None:
    rng = random.Random(2)
    for path in sorted(saved(tmp_path / "c").iterdir()):
        before = path.read_bytes()
        for _ in range(40):
            content = bytearray(before)
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
            path.write_bytes(content if rng.random() < 0.8 else content[: rng.randrange(99)])
            with pytest.raises(CheckpointError, match=path.name) as refused:
                load_checkpoint(tmp_path / "c")
            assert len(str(refused.value).splitlines()) == 1
        path.write_bytes(before)


@pytest.mark.parametrize(
    "change",
    [
        lambda index: index.update(config=3),
        lambda index: index["config"]["dit"].update(width="64"),
        lambda index: index["config"].update(stream=[]),
        lambda index: index.update(origin=[]),
        lambda index: index.update(storage="int4"),
        lambda index: index.update(shards=[]),
        lambda index: index.update(shards={"weights-00.safetensors": "x"}),
        lambda index: index["shards"]["weights-00.safetensors"].update(sha256=3),
        lambda index: index["shards"]["weights-00.safetensors"].update(tensors=["a"]),
        lambda index: index.update(version=True),
        lambda index: index.update(more=1),
        lambda index: index.update(samplers=[]),
        lambda index: index.update(samplers={"student": {"num_steps": "4"}}),
        lambda index: index.update(samplers={"student": {"num_steps": 0}}),
        lambda index: index.update(samplers={"student": {"steps": 4}}),
        lambda index: index.update(samplers={"dit": {}}),
        lambda index: index.update(samplers={"a.b": {}}),
        lambda index: index.pop("origin"),
    ],
)
def test_an_index_of_another_shape_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], Any]
) -> None:
    _reindexed(saved(tmp_path / "c"), change)
    with pytest.raises(CheckpointError, match=str(tmp_path)) as refused:
        load_checkpoint(tmp_path / "c")
    assert len(str(refused.value).splitlines()) == 1


FEW_STEPS = SamplerConfig(num_steps=4, kind="renoise", guidance=1.0)


def with_networks(folder: Path) -> tuple[Path, dict[str, Tensor]]:
    """Saves a model with two more networks, whose weights are shifted by 1 and by 2."""
    model = tiny_model()
    tensors = model.state_dict()
    tensors |= {f"student.{n}": t + 1 for n, t in part_of(tensors, "dit.", "orchestrator.").items()}
    tensors |= {f"critic.{n}": t + 2 for n, t in part_of(tensors, "dit.").items()}
    samplers = {"student": FEW_STEPS, "critic": SamplerConfig(num_steps=2)}
    save_checkpoint(
        folder, tensors, model.config, origin=ORIGIN, samplers=samplers, storage="float32"
    )
    return folder, model.state_dict()


@pytest.mark.parametrize(
    ("network", "added", "num_steps"),
    [
        ("plain", (0, 0), tiny_model().config.sampler.num_steps),
        ("student", (1, 1), 4),
        ("", (1, 1), 4),
        ("critic", (2, 0), 2),
    ],
)
def test_each_network_has_its_own_weights_and_sampler_and_shares_the_rest(
    tmp_path: Path, network: str, added: tuple[int, int], num_steps: int
) -> None:
    folder, plain = with_networks(tmp_path / "c")
    model = load_checkpoint(folder).model(network)
    for name, tensor in model.state_dict().items():
        part = name.split(".")[0]
        expected = plain[name] + {"dit": added[0], "orchestrator": added[1]}.get(part, 0)
        assert torch.equal(tensor, expected), name
    assert model.config.sampler.num_steps == num_steps
    assert model.config.sampler.shift == tiny_model().config.sampler.shift
    assert None not in asdict(model.config.sampler).values()


def test_a_network_that_is_not_there_is_refused_and_the_others_are_named(tmp_path: Path) -> None:
    folder, _ = with_networks(tmp_path / "c")
    with pytest.raises(
        CheckpointError, match="no network 'teacher'; it has plain, critic, student"
    ):
        load_checkpoint(folder).model("teacher")
    with pytest.raises(CheckpointError, match=r"no network 'student'; it has plain$"):
        load_checkpoint(saved(tmp_path / "d")).model("student")


def test_the_digest_covers_the_sampler_of_a_network(tmp_path: Path) -> None:
    folder, _ = with_networks(tmp_path / "c")
    before = load_checkpoint(folder).digest
    _reindexed(folder, lambda index: index["samplers"]["student"].update(num_steps=3))
    assert load_checkpoint(folder).digest != before
    path = folder / module.INDEX
    path.write_text(path.read_text().replace('"renoise"', '"euler"'))
    with pytest.raises(CheckpointError, match="is damaged"):
        load_checkpoint(folder)


@pytest.mark.parametrize("name", ["dit", "plain", "Student", "a.b", ""])
def test_a_network_cannot_have_the_name_of_something_else(tmp_path: Path, name: str) -> None:
    with pytest.raises(CheckpointError, match="cannot be its name"):
        save_checkpoint(tmp_path / "c", {}, preset("tiny"), origin={}, samplers={name: FEW_STEPS})
    assert not (tmp_path / "c").exists()


def test_a_checkpoint_without_networks_is_written_as_before_there_were_any(tmp_path: Path) -> None:
    index = json.loads((saved(tmp_path / "c") / module.INDEX).read_text())
    assert index.keys() == {"version", "config", "origin", "storage", "shards", "digest"}


@pytest.mark.parametrize("content", [b"", b"\xff" * 64, b"\x08" + b"\0" * 7 + b'{"a": 3}'])
def test_a_shard_whose_digest_is_right_may_still_be_no_weights(
    tmp_path: Path, content: bytes
) -> None:
    shard = saved(tmp_path / "c") / "weights-00.safetensors"
    shard.write_bytes(content)
    known = {"sha256": hashlib.sha256(content).hexdigest(), "tensors": []}
    _reindexed(tmp_path / "c", lambda index: index.update(shards={shard.name: known}))
    with pytest.raises(CheckpointError, match="is no safetensors file"):
        load_checkpoint(tmp_path / "c")


def test_an_index_from_before_there_were_digests_is_read_and_its_digest_stays(
    tmp_path: Path,
) -> None:
    new = load_checkpoint(saved(tmp_path / "c"))
    path = tmp_path / "c" / module.INDEX
    index = json.loads(path.read_text())
    del index["digest"]
    path.write_text(json.dumps(index, indent=1, sort_keys=True))
    assert load_checkpoint(tmp_path / "c").digest == new.digest


def test_a_folder_of_other_files_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("mine")
    with pytest.raises(CheckpointError, match=r"holds something else, such as 'thesis\.tex'"):
        saved(tmp_path / "home")
    assert (tmp_path / "home" / "thesis.tex").read_text() == "mine"


def test_a_checkpoint_is_found_where_a_killed_writer_left_it(tmp_path: Path) -> None:
    before = load_checkpoint(saved(tmp_path / "c"))
    (tmp_path / "c").rename(tmp_path / ".c.ready")
    assert load_checkpoint(tmp_path / "c").digest == before.digest
    saved(tmp_path / "c")
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


@pytest.mark.parametrize("size", [1.0, 1e-3, 1e-5, 1e-6])
def test_rounding_to_bytes_is_half_a_step_at_most_also_of_tiny_weights(size: float) -> None:
    matrix = size * torch.randn(64, 64, generator=torch.Generator().manual_seed(0))
    kept = shards.unpacked(Path(), shards.packed({"weight": matrix}, "int8"))["weight"]
    step = matrix.abs().amax(dim=1, keepdim=True) / 127 + 2**-24  # the last is half precision's
    assert ((kept - matrix).abs() <= 1.01 * step / 2).all()
