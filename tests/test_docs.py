"""What the documents say is what the code has."""

import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from typer.testing import CliRunner

from evals.commands.check import app as check_app
from evals.commands.record import app as record_app
from evals.metrics import METRICS, SET_METRICS
from evals.recording.run_folder import recordings_of
from evals.recording.system import Prompt, installed_systems

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PROTOCOL = (ROOT / "evals" / "README.md").read_text()
TOP_LEVEL = {
    "pyproject.toml", "streamchar_ref", "evals", "baselines", "reports", "tests", "README.md",
    "Makefile", "LICENSE", "CITATION.cff", "requirements.lock", "torch-cpu.lock",
}  # fmt: skip


def tracked() -> list[str]:
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_every_metric_and_default_protocol_is_documented() -> None:
    for metric in (*METRICS, *SET_METRICS):
        assert f"`{metric.name}`" in PROTOCOL, metric.name
    documented = set(re.findall(r"\*\*`([^`]+)`\*\*", PROTOCOL))
    protocols = {metric.protocol for metric in (*METRICS, *SET_METRICS) if metric.is_default}
    assert documented <= protocols, documented - protocols


def test_every_command_is_in_the_readme() -> None:
    for entry in entry_points(group="streamchar.commands"):
        assert f"`{entry.name}" in README or f"{entry.name} " in README, entry.name


def test_every_system_is_described() -> None:
    described = (ROOT / "baselines" / "README.md").read_text()
    for name in installed_systems():
        assert f"`{name}`" in described, name


def test_the_top_level_holds_only_what_it_should() -> None:
    top = {path.split("/")[0] for path in tracked()}
    assert {name for name in top if not name.startswith(".")} <= TOP_LEVEL


def test_no_file_is_longer_than_400_lines() -> None:
    for path in tracked():
        if path.endswith(".py"):
            length = len((ROOT / path).read_text().splitlines())
            assert length <= 400, f"{path}: {length} lines"


def test_the_tracked_tree_is_light() -> None:
    assert sum((ROOT / path).stat().st_size for path in tracked()) < 35e6


def test_make_targets_of_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)$", README, re.M):
        assert re.search(rf"^{target}:", makefile, re.M), target


def test_the_system_of_the_readme_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (block,) = re.findall(r"^```python\n# my_system\.py\n(.*?)^```$", README, re.M | re.S)
    assert len(block.splitlines()) <= 20
    (tmp_path / "my_system.py").write_text(block)
    name = f"{tmp_path / 'my_system.py'}:MySystem"
    checked = CliRunner().invoke(check_app, [name])
    assert checked.exit_code == 0, checked.output
    run = tmp_path / "run"
    arguments = [name, "--suite", "smoke", "--limit", "1", "--out", str(run)]
    recorded = CliRunner().invoke(record_app, arguments)
    assert recorded.exit_code == 0, recorded.output
    (found,) = recordings_of(run)
    assert (found.system, found.error) == ("my_system", "")


def test_the_readme_says_what_a_prompt_holds() -> None:
    (text,) = re.findall(r"^A `prompt` holds .*?\n\n", README, re.M | re.S)
    assert set(re.findall(r"`(\w+)`", text)) >= set(Prompt.__dataclass_fields__)
