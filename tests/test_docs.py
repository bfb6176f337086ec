"""What the documents say is what the code has."""

import re
import shlex
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from evals.commands.check import app as check_app
from evals.commands.record import app as record_app
from evals.metrics import EVERY_METRIC
from evals.recording.run_folder import recordings_of
from evals.recording.system import Prompt, installed_systems
from streamchar_ref.model.config import preset

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
DOCUMENTS = (
    "README.md",
    "baselines/README.md",
    "evals/README.md",
    "evals/suites/README.md",
    "reports/README.md",
    "reports/published/README.md",
    "streamchar_ref/README.md",
    "streamchar_ref/checkpoints/README.md",
)
MADE_BY_READERS = ("runs/", "corpora/", "checkpoints/", "path/to/", "tables/", "figures/")
"""Folders that commands write, and stand-ins for a reader's own files."""
PROTOCOL = (ROOT / "evals" / "README.md").read_text()
TOP_LEVEL = {
    "pyproject.toml", "streamchar_ref", "evals", "baselines", "reports", "tests", "README.md",
    "Makefile", "LICENSE", "CITATION.cff", "requirements.lock", "torch-cpu.lock",
}  # fmt: skip


def tracked() -> list[str]:
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_every_metric_and_default_protocol_is_documented() -> None:
    for metric in EVERY_METRIC:
        assert f"`{metric.name}`" in PROTOCOL, metric.name
    documented = set(re.findall(r"\*\*`([^`]+)`\*\*", PROTOCOL))
    protocols = {metric.protocol for metric in EVERY_METRIC if metric.is_default}
    assert documented <= protocols, documented - protocols


def test_every_command_is_in_the_readme() -> None:
    for entry in entry_points(group="streamchar.commands"):
        assert f"`{entry.name}`" in README, entry.name


def test_the_readme_is_skimmed_in_a_minute() -> None:
    assert 900 <= len(README.split()) <= 1300


def command_lines(document: str) -> list[list[str]]:
    """The ``streamchar`` commands in code blocks of a document, without the program."""
    blocks = re.findall(r"^```(?:sh)?\n(.*?)^```$", (ROOT / document).read_text(), re.M | re.S)
    program = ".venv/bin/streamchar "
    whole = [block.replace("\\\n", "") for block in blocks]
    lines = [line for block in whole for line in block.splitlines() if line.startswith(program)]
    return [shlex.split(line.removeprefix(program)) for line in lines]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_commands_of_the_documents_can_be_given(document: str) -> None:
    verbs = {entry.name: entry for entry in entry_points(group="streamchar.commands")}
    for verb, *rest in command_lines(document):
        command = typer.main.get_command(verbs[verb].load())
        while True:  # wrong options, missing ones and unknown subcommands raise
            context = command.make_context(verb, list(rest))
            if not hasattr(command, "resolve_command"):
                break
            verb, command, rest = command.resolve_command(context, rest)


def test_there_are_commands_to_try() -> None:
    assert {verb for document in DOCUMENTS for verb, *_ in command_lines(document)} >= {
        "calibrate", "check", "compare", "generate", "plot", "record", "report", "run", "score",
        "table", "train", "weights", "world",
    }  # fmt: skip


@pytest.mark.parametrize("document", DOCUMENTS)
def test_paths_in_the_documents_exist(document: str) -> None:
    text = re.sub(r"^```.*?^```$", "", (ROOT / document).read_text(), flags=re.M | re.S)
    named = re.findall(r"`([\w.-]+/[\w./-]*)`", text) + re.findall(r"\]\((?!http)([^)]+)\)", text)
    protocols = {metric.protocol.partition("@")[0] for metric in EVERY_METRIC}
    for path in named:
        if path.partition("@")[0] in protocols or path.startswith(MADE_BY_READERS):
            continue
        places = [folder / f"{path}{end}" for folder in folders_of(document) for end in ("", ".py")]
        assert any(place.exists() for place in places), path


def folders_of(document: str) -> tuple[Path, Path]:
    """Where the paths in a document may start: at the root or beside the document."""
    return ROOT, (ROOT / document).parent


def test_folders_of_the_tree_exist() -> None:
    (tree,) = re.findall(r"^```\n(streamchar_ref/ .*?)^```$", README, re.M | re.S)
    parent = ROOT
    for line in tree.splitlines():
        names = re.match(r"\s*((?:\w+/ ?)+)", line)
        assert names, line
        if not line.startswith(" "):
            parent = ROOT / names[1].strip()
        for name in names[1].split():
            assert (ROOT / name).is_dir() or (parent / name).is_dir(), line


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
    (recording,) = recordings_of(run)
    assert (recording.system, recording.error) == ("my_system", "")


def test_the_pictures_of_the_readme_are_small() -> None:
    pictures = re.findall(r"^!\[.*\]\((.+)\)$", README, re.M)
    assert pictures
    for picture in pictures:
        assert (ROOT / picture).stat().st_size < 150_000, picture
        with Image.open(ROOT / picture) as image:
            assert image.width >= 900, picture


class Reached(Exception):
    """Raised by the player of an example: one chunk is enough for a test."""


def test_the_examples_of_the_reference_model_play() -> None:
    text = (ROOT / "streamchar_ref" / "README.md").read_text()
    plain, engine = re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)

    def play(frames: np.ndarray, samples: np.ndarray) -> None:
        raise Reached(len(frames), len(samples))

    names = {"picture": np.zeros((64, 64, 3), np.uint8), "play": play}
    with pytest.raises(Reached) as reached:
        exec(plain, names)
    assert reached.value.args == (32, 20_480)
    with pytest.raises(Reached) as reached:
        exec(engine, names)
    assert reached.value.args == (8, 5_120)


def test_sampling_settings_of_the_documents_are_those_of_the_preset() -> None:
    text = (ROOT / "streamchar_ref" / "README.md").read_text()
    documented = dict(re.findall(r"^\| `sampler\.(\w+)` \| `?([\w.]+)`? \|", text, re.M))
    sampler = preset("micro").sampler
    assert documented.keys() == {"num_steps", "shift", "kind"}
    assert documented == {name: str(getattr(sampler, name)) for name in documented}


def test_the_example_of_the_library_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (line,) = re.findall(r'^\{"sample_id".*\}$', README, re.M)
    (block,) = re.findall(r"^```python\n(import evals.*?)^```$", README, re.M | re.S)
    (tmp_path / "videos.jsonl").write_text(line + "\n")  # its video is missing, which is quick
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(block, names)
    results = names["results"]
    assert set(results.long["metric"]) == {"wer", "mesh_sync", "mesh_offset_ms"}
    assert callable(results.compare)
    assert callable(results.to_latex)


def test_the_protocol_says_what_a_prompt_holds() -> None:
    (text,) = re.findall(r"^A `prompt` holds .*?\n\n", PROTOCOL, re.M | re.S)
    assert set(re.findall(r"`(\w+)`", text)) >= set(Prompt.__dataclass_fields__)
