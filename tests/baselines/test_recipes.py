"""Each recipe's launcher answers requests through the persistent protocol, with a fake program."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import baselines.recipes
from baselines.command import Command, CommandFailed
from baselines.recipes.launcher import TIMING_NOTE, UNPINNED, Refused, check_commit, read_recipe
from evals.recording.system import Prompt
from streamchar_ref.media.encode import write_mp4
from streamchar_ref.media.wav import write_wav

ROOT = Path(baselines.recipes.__file__).parent
RECIPES = sorted(path.parent.name for path in ROOT.glob("*/recipe.json"))
# Copies a film into the launcher's own folder, which every command names somewhere.
FAKE = """#!/bin/sh
echo "$0 $@" >> {log}
for word in "$@"; do case "$word" in
  */recipe-*) folder=$(echo "$word" | sed 's|\\(/recipe-[^/]*\\).*|\\1|');
    cp {film} "$folder/$(basename "$0").mp4";;
esac; done
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recipes")
    samples = np.full(10 * 640, 0.25, np.float32)
    pixels = np.full((10, 64, 64, 3), 90, np.uint8)
    write_mp4(folder / "film.mp4", [pixels], samples, fps=25, sample_rate=16_000)
    write_wav(folder / "p.wav", samples, sample_rate=16_000)
    for name in ("python", "ffmpeg"):
        path = folder / name
        path.write_text(FAKE.format(log=folder / "log.txt", film=folder / "film.mp4"))
        path.chmod(0o755)
    return folder


def system(name: str, place: Path, *more: str) -> Command:
    words = [
        sys.executable, "-m", f"baselines.recipes.{name}.launch", "--repo", str(place),
        "--python", str(place / "python"), *more,
    ]  # fmt: skip
    return Command(" ".join(words), persistent=True, name=name, timing_note=TIMING_NOTE)


def prompt(text: str = "Good evening to you all.") -> Prompt:
    picture = np.zeros((32, 32, 3), np.uint8)
    return Prompt(prompt_id="p", transcript=text, reference=picture)


def test_the_eight_systems_have_recipes() -> None:
    assert RECIPES == [
        "flashtalk", "latentsync", "liveavatar", "ltx2", "magihuman", "ovi", "sadtalker", "wav2lip",
    ]  # fmt: skip


@pytest.mark.parametrize("name", RECIPES)
def test_a_launcher_hands_over_what_its_program_made(
    name: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{place}:/usr/bin:/bin")
    log = place / "log.txt"
    log.write_text("")
    made = system(name, place, "--any-commit", "--speech-folder", str(place))
    for _ in range(2):
        chunks = list(made.stream(prompt(), seed=7))
        assert sum(len(chunk.frames) for chunk in chunks) == 10
        assert sum(len(chunk.samples) for chunk in chunks) == pytest.approx(6400, abs=1100)
    made.close()
    asked = log.read_text()
    is_spoken = read_recipe(ROOT / name)["needs_speech"]
    wanted = str(place / "p.wav") if is_spoken else "text_prompt" if name == "ovi" else "evening"
    assert wanted in asked
    assert "reference.png" in asked or name in {"ovi", "latentsync"}
    assert made.timing_note == TIMING_NOTE


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_pinned_and_says_that_it_is_untested(name: str) -> None:
    recipe = json.loads((ROOT / name / "recipe.json").read_text())
    assert recipe["name"] == name
    assert recipe["status"] == "untested here"
    assert re.fullmatch("[0-9a-f]{40}", recipe["commit"])
    environment = (ROOT / name / "environment.sh").read_text()
    assert f"git checkout {recipe['commit']}\n" in environment
    assert recipe["repository"] in environment


def test_another_commit_and_missing_speech_are_refused_before_the_first_request(
    place: Path,
) -> None:
    with pytest.raises(CommandFailed, match="the recipe is for 5c90fa9"):
        list(system("wav2lip", place).stream(prompt(), seed=0))
    with pytest.raises(CommandFailed, match="give --speech-folder DIR"):
        list(system("wav2lip", place, "--any-commit").stream(prompt(), seed=0))
    with pytest.raises(Refused, match="has no verified commit"):
        check_commit(place, UNPINNED, is_free=False)
    with pytest.raises(Refused, match="there is no folder"):
        check_commit(place / "none", "0" * 40, is_free=False)


def test_a_program_that_fails_is_a_failure_of_its_prompt(place: Path) -> None:
    made = system("flashtalk", place, "--any-commit", "--speech", "false")
    with pytest.raises(CommandFailed, match="CalledProcessError"):
        list(made.stream(prompt(), seed=0))
