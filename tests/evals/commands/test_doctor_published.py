"""`streamchar doctor --published FOLDER`: which weights lie there, and whether they work."""

import json
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from typer.testing import CliRunner

from evals.commands.doctor import app
from evals.extractors import published_check
from evals.extractors.by_path import FOLDER, OWN_FILES, listing
from evals.extractors.networks.lpips import LpipsAlex
from evals.extractors.published_check import TESTS, ask_i3d, check_folder
from streamchar_ref.commands import weights
from tests.evals.metrics.test_video_sets import ToyI3d


def save_lpips(folder: Path, *, is_signed: bool = False) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = LpipsAlex()
    for row in range(5):
        weight = getattr(network, f"lin{row}").model[1].weight.data
        weight.copy_(-weight.abs() if is_signed else weight.abs())
    state = network.state_dict()
    for file, part in (("alexnet-owt-7be5be79.pth", "features."), ("alex.pth", "lin")):
        torch.save({k: v for k, v in state.items() if k.startswith(part)}, folder / file)


def test_a_file_of_other_content_is_altered_and_the_command_fails(tmp_path: Path) -> None:
    (tmp_path / "i3d_torchscript.pt").write_bytes(b"not it")
    shown = CliRunner().invoke(app, ["--published", str(tmp_path), "--json"])
    assert shown.exit_code == 1
    rows = {row["file"]: row for row in json.loads(shown.stdout)}
    assert rows["i3d_torchscript.pt"]["state"] == "altered"
    assert rows["syncnet_v2.model"]["state"] == "missing"
    assert rows["sfd_face.pth"]["origin"]
    assert set(TESTS) <= set(rows)
    for file in ("wavlm_large_finetune.pth", "utmos22_strong_step7459_v1.pt", "resnet18_110.pth"):
        assert rows[file]["state"] == "missing"
        assert "github.com" in rows[file]["origin"]


def test_a_network_that_answers_wrongly_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published_check, "_state", lambda path, start: "here")
    monkeypatch.setattr(
        published_check, "TESTS", {name: TESTS[name] for name in ("alexnet-owt-7be5be79.pth",)}
    )

    def answer() -> str:
        rows = {row.file: row.answer for row in check_folder(tmp_path)}
        return rows["alexnet-owt-7be5be79.pth"]

    assert answer().startswith("fails: FileNotFoundError")
    save_lpips(tmp_path)
    assert answer().startswith("passes: equal pictures 0, a negative ")
    save_lpips(tmp_path, is_signed=True)
    assert answer().startswith("fails: equal pictures 0, a negative -")
    (tmp_path / "alex.pth").write_bytes(b"not it")
    assert answer().startswith("fails: ")


def test_i3d_must_map_pixels_as_it_is_given_them_mapped(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # TorchScript is what the file is
        torch.jit.script(ToyI3d()).save(str(tmp_path / "i3d.pt"))
    assert ask_i3d({"i3d": tmp_path / "i3d.pt"}).startswith("passes: 8-bit against [-1, 1]: ")


def test_weights_pull_says_where_files_are_had_that_nobody_may_pass_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER, str(tmp_path))
    (tmp_path / "wavlm_large_finetune.pth").write_bytes(b"here")
    group = SimpleNamespace(load=lambda: listing)
    monkeypatch.setattr(weights, "entry_points", lambda group_of=group, **asked: [group_of])
    monkeypatch.setattr(weights, "registry", dict)
    said = CliRunner().invoke(weights.app, ["pull", "--profile", "published"]).output
    for own in OWN_FILES.values():
        assert f"{own.file}: " in said
        assert own.origin in said
    assert "wavlm_large_finetune.pth: here" in said
    assert "utmos22_strong_step7459_v1.pt: by hand" in said
    assert "for sim_o" in said
    assert "by hand" not in CliRunner().invoke(weights.app, ["pull"]).output
