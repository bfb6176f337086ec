"""The persistent protocol of `baselines.command` around a program that makes one mp4 a call.

A launcher says which command makes the video of a request. The rest is here: the pinned commit is
checked, speech is made or looked up for systems that need it, and the mp4 is handed over. It runs
in this project's environment; ``--python`` is the interpreter of the system's own.
"""

import argparse
import json
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WORDS_PER_S = 2.5
"""Rate by which systems that want a length are told one."""
TIMING_NOTE = "the program is started and its weights are loaded for each prompt"
UNPINNED = "pin before use"


@dataclass(frozen=True, kw_only=True)
class Request:
    """What one video is made from.

    Attributes:
        prompt_id: Of the suite.
        text: What is to be said.
        voice: Name of the voice; empty if unspecified.
        caption: Description of the character; empty if unspecified.
        seed: Of the generation.
        reference: Picture of the character.
        speech: Sound file of the text, for systems that are driven by sound.
        work: A fresh folder; the newest mp4 in it is the result.
        python: Interpreter of the system's environment.
    """

    prompt_id: str
    text: str
    voice: str
    caption: str
    seed: int
    reference: Path
    speech: Path | None
    work: Path
    python: str

    @property
    def seconds(self) -> int:
        """Time that the text takes to say, rounded up."""
        return max(1, -(-len(self.text.split()) * 10 // int(WORDS_PER_S * 10)))

    @property
    def video(self) -> Path:
        """A name for the result."""
        return self.work / "result.mp4"

    def still(self) -> Path:
        """The reference picture as a video as long as the speech, for systems that edit videos."""
        path = self.work / "still.mp4"
        words = [
            "ffmpeg", "-v", "error", "-y", "-loop", "1", "-i", str(self.reference),
            "-i", str(self.speech), "-shortest", "-r", "25", "-pix_fmt", "yuv420p",
            "-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", str(path),
        ]  # fmt: skip
        subprocess.run(words, check=True)
        return path


def speech_of(request: Request) -> Path:
    """Returns the sound of a request of a system that is driven by sound."""
    assert request.speech is not None, "the recipe says needs_speech"
    return request.speech


CommandOf = Callable[[Request], Sequence[str | Path]]


class Refused(Exception):
    """Why a recipe cannot be used; printed as one line."""


def serve(folder: Path, command_of: CommandOf) -> None:
    """Answers requests until the input ends.

    Args:
        folder: Of the recipe, with its ``recipe.json``.
        command_of: Returns the command that makes the video of a request, for the repository as
            working folder.
    """
    recipe = read_recipe(folder)
    options = _parser(recipe).parse_args()
    try:
        check_commit(options.repo, recipe["commit"], is_free=options.any_commit)
        if recipe["needs_speech"] and not (options.speech or options.speech_folder):
            raise Refused(
                f"{recipe['name']} is driven by sound: give --speech-folder DIR with "
                "PROMPT_ID.wav for each prompt, or --speech 'tts {text_file} {voice} {out}'"
            )
    except Refused as reason:
        sys.exit(str(reason))
    _say("ready")
    for line in sys.stdin:
        _answer(json.loads(line), recipe, options, command_of)


def read_recipe(folder: Path) -> dict[str, Any]:
    """Returns the content of a folder's ``recipe.json``."""
    content: dict[str, Any] = json.loads((folder / "recipe.json").read_text(encoding="utf-8"))
    return content


def check_commit(repo: Path, commit: str, *, is_free: bool) -> None:
    """Raises `Refused` unless a repository is at the pinned commit.

    Args:
        repo: Its folder.
        commit: 40 hex digits, or `UNPINNED`.
        is_free: Whether any commit will do.
    """
    if not repo.is_dir():
        raise Refused(f"there is no folder {repo}: run environment.sh first")
    if is_free:
        return
    if commit == UNPINNED:
        raise Refused("this recipe has no verified commit: put one into recipe.json before use")
    found = subprocess.run(
        ["git", "-C", str(repo), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    if found != commit:
        raise Refused(
            f"{repo} is at {found or 'no commit'}, the recipe is for {commit}: check it out, or "
            "say --any-commit"
        )


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _parser(recipe: Mapping[str, Any]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=f"{recipe['name']}: {recipe['repository']}")
    parser.add_argument("--repo", type=Path, required=True, help="the checked-out repository")
    parser.add_argument("--python", default="python3", help="interpreter of its environment")
    parser.add_argument("--speech-folder", type=Path, help="with PROMPT_ID.wav for each prompt")
    parser.add_argument("--speech", default="", help="command with {text_file}, {voice}, {out}")
    parser.add_argument("--any-commit", action="store_true", help="do not check the commit")
    return parser


def _answer(
    line: Mapping[str, Any],
    recipe: Mapping[str, Any],
    options: argparse.Namespace,
    command_of: CommandOf,
) -> None:
    out = Path(line["out"])
    with tempfile.TemporaryDirectory(prefix="recipe-") as folder:
        work = Path(folder)
        speech = _speech(line, options, work) if recipe["needs_speech"] else None
        request = Request(
            prompt_id=line["prompt_id"],
            text=line["transcript"],
            voice=line["voice"],
            caption=line["caption"],
            seed=line["seed"],
            reference=Path(line["reference"]),
            speech=speech,
            work=work,
            python=options.python,
        )
        words = [str(word) for word in command_of(request)]
        _say(f"runs: {shlex.join(words)}")
        before = set(work.rglob("*.mp4"))
        subprocess.run(words, cwd=options.repo, check=True, stdin=subprocess.DEVNULL)
        made = sorted(set(work.rglob("*.mp4")) - before, key=lambda path: path.stat().st_mtime_ns)
        if not made:
            sys.exit(f"{recipe['name']} left no mp4")
        shutil.copyfile(made[-1], out / ".part.mp4")
        (out / ".part.mp4").rename(out / "out.mp4")
    (out / "end").touch()


def _speech(line: Mapping[str, Any], options: argparse.Namespace, work: Path) -> Path:
    if options.speech_folder:
        path: Path = options.speech_folder / f"{line['prompt_id']}.wav"
        if not path.is_file():
            sys.exit(f"there is no {path}")
        return path.absolute()
    text, out = work / "text.txt", work / "speech.wav"
    text.write_text(line["transcript"], encoding="utf-8")
    places = {"{text_file}": str(text), "{voice}": line["voice"], "{out}": str(out)}
    words = shlex.split(options.speech)
    for name, place in places.items():
        words = [word.replace(name, place) for word in words]
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL)
    return out
