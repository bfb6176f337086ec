"""Let a character say a text, and write it as a video with sound."""

import json
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from streamchar_ref.commands.common import check_out
from streamchar_ref.commands.verb import Verb
from streamchar_ref.core.errors import InputError
from streamchar_ref.media import MediaError

if TYPE_CHECKING:
    from streamchar_ref.media import AVChunk
    from streamchar_ref.model.checkpoint import Checkpoint
    from streamchar_ref.model.config import Config
    from streamchar_ref.streaming.context import ContextOptions
    from streamchar_ref.streaming.transcript import Transcript

app = Verb(__doc__)
USUAL_PER_S = 11.0
"""Phonemes a second, to say how long a text will take."""
_MOST_CHARACTERS_PER_S = 40
_CONTEXT = "context."


@dataclass(frozen=True, kw_only=True)
class Film:
    """What was made.

    Attributes:
        out: The file.
        length_s: Its length.
        chunks: In how many pieces it came.
        phonemes_said: By the model's own account.
        phonemes: Of the text.
        first_chunk_s: Seconds until it could begin to play.
        took_s: Seconds until its last chunk.
        checkpoint: Preset and digest of the weights.
    """

    out: str
    length_s: float
    chunks: int
    phonemes_said: float
    phonemes: int
    first_chunk_s: float
    took_s: float
    checkpoint: str

    def __str__(self) -> str:
        return (
            f"{self.out}: {self.length_s:.1f} s, {self.phonemes_said:.0f} of {self.phonemes} "
            f"phonemes said, {self.chunks} chunks; the first after {self.first_chunk_s:.2f} s, all "
            f"after {self.took_s:.1f} s, {self.took_s / self.length_s:.2f} s for each second "
            f"({self.checkpoint})"
        )


@app.command()
def generate(
    out: Annotated[Path, typer.Option(help="Video to write, .mp4.")],
    text: Annotated[str, typer.Option(help="English text to say.")] = "",
    text_file: Annotated[
        str, typer.Option(help="File with the text, UTF-8; - reads it from the standard input.")
    ] = "",
    character: Annotated[
        str, typer.Option(help="Number of a character of the world, or a picture.")
    ] = "0",
    any_picture: Annotated[
        bool, typer.Option("--any-picture", help="Take a picture in which no face is found.")
    ] = False,
    voice: Annotated[str, typer.Option(help="Name of a voice; a character has its own.")] = "",
    caption: Annotated[str, typer.Option(help="What they look like, in words.")] = "",
    checkpoint: Annotated[Path | None, typer.Option(help="Folder; default: the shipped.")] = None,
    network: Annotated[
        str, typer.Option(help="plain is the teacher; default: the student, if there is one.")
    ] = "",
    preset: Annotated[str, typer.Option(help="Refuse a checkpoint of any other.")] = "",
    steps: Annotated[int, typer.Option(min=0, help="Of the sampler; 0: the checkpoint's.")] = 0,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="sampler.shift=2, sampler.guidance=1.5 ...; repeatable."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the noise.")] = 0,
    max_minutes: Annotated[float, typer.Option(min=0, help="Refuse longer texts.")] = 10,
    device: Annotated[str, typer.Option(help="As torch names it.")] = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="Print what was made as JSON.")] = False,
) -> None:
    """Let a character say a text, and write it as a video with sound, chunk by chunk.

    Example: streamchar generate --text "Good morning." --character 7 --out hello.mp4
    """
    from streamchar_ref.streaming.engine import Engine
    from streamchar_ref.streaming.engine_config import EngineConfig

    check_out(out, ".mp4")
    transcript = _transcript(_text(text, text_file, max_minutes), max_minutes)
    reference, prompt = _who(character, voice, caption, any_picture=any_picture)
    found, options = _configured(checkpoint, network, preset, steps, setting or [])
    engine = Engine(_on(found, device), EngineConfig(max_streams=1), options=options)
    chunks = engine.stream(transcript, prompt=prompt, reference=reference, seed=seed)
    made = _film(out, chunks, found, len(transcript.text))
    typer.echo(json.dumps(asdict(made)) if as_json else str(made))


def _text(text: str, text_file: str, max_minutes: float) -> str:
    """Reads the text, of an endless file no more than could be said."""
    if bool(text) == bool(text_file):
        raise InputError("give either --text or --text-file, and some text in it")
    most = int(max_minutes * 60 * _MOST_CHARACTERS_PER_S)
    content = _read(text_file, 4 * most + 1) if text_file else text.encode(errors="surrogateescape")
    if len(content) > 4 * most or len(text) > most:
        raise InputError(
            f"the text has more than {most} characters, more than can be said in {max_minutes:g} "
            "minutes; shorten it or raise --max-minutes"
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{text_file or '--text'} is not UTF-8 text ({error.reason})") from error


def _read(text_file: str, num_bytes: int) -> bytes:
    if text_file == "-":
        return sys.stdin.buffer.read(num_bytes)
    with Path(text_file).open("rb") as file:
        return file.read(num_bytes)


def _transcript(text: str, max_minutes: float) -> "Transcript":
    from streamchar_ref.streaming.transcript import Transcript

    transcript = Transcript(text)
    minutes = len(transcript.text) / USUAL_PER_S / 60
    if minutes > max_minutes:
        raise InputError(
            f"the text takes about {minutes:.1f} minutes to say, and --max-minutes is "
            f"{max_minutes:g}; shorten it or raise the limit"
        )
    return transcript


def _who(character: str, voice: str, caption: str, *, any_picture: bool) -> tuple[np.ndarray, str]:
    """Returns reference picture and prompt."""
    from streamchar_ref.world import reference
    from streamchar_ref.world.voices import prompt_of

    reference.check_voice(voice)
    if character.isdecimal():
        drawn = reference.drawn_person(character, voice=voice, caption=caption)
        return drawn.picture, drawn.prompt
    picture = _picture(character)
    if not any_picture:
        _look_for_face(picture, character)
    typer.echo("note: the model knows drawn people of the world only", err=True)
    return picture, prompt_of(caption, voice)


def _picture(path: str) -> np.ndarray:
    from streamchar_ref.media.picture import read_picture

    if not Path(path).is_file():
        raise InputError(f"--character is a number or a picture; there is no {path}")
    try:
        return read_picture(Path(path))
    except MediaError as error:
        raise InputError(f"{path} cannot be read as a picture: {error}") from error


def _look_for_face(picture: np.ndarray, name: str) -> None:
    """Asks what is installed to find faces; without it, says that nobody has looked."""
    from streamchar_ref.world.reference import NobodyLooked, count_faces

    try:
        count = count_faces(picture)
    except NobodyLooked as error:
        typer.echo(f"note: nobody has looked for a face in {name}: {error}", err=True)
        return
    if not count:
        raise InputError(
            f"no face was found in {name}; give a picture of one person from the front, or "
            "--any-picture to take it all the same"
        )


def _configured(
    folder: Path | None, network: str, preset: str, steps: int, settings: list[str]
) -> "tuple[Checkpoint, ContextOptions]":
    from streamchar_ref.model.checkpoint import load_checkpoint
    from streamchar_ref.model.config import override
    from streamchar_ref.model.shipped import shipped_checkpoint
    from streamchar_ref.streaming.context import FULL

    found = load_checkpoint(folder or shipped_checkpoint(), preset=preset).select(network)
    if wrong := [each for each in settings if each.startswith("context=")]:
        raise InputError(f"{wrong[0]!r:.60}: give context.visible= or context.motion_sigma=")
    own = [each.removeprefix(_CONTEXT) for each in settings if each.startswith(_CONTEXT)]
    others = [each for each in settings if not each.startswith(_CONTEXT)]
    if steps:
        others.append(f"sampler.num_steps={steps}")
    config: Config = override(found.config, others)
    return replace(found, config=config), override(FULL, own)


def _on(found: "Checkpoint", device: str) -> Any:
    try:
        return found.model().to(device)
    except (RuntimeError, AssertionError) as error:  # torch built without CUDA asserts
        raise InputError(f"the model cannot run on {device!r}: {error}") from error


def _film(out: Path, chunks: Iterable["AVChunk"], found: "Checkpoint", phonemes: int) -> Film:
    """Writes chunks as they come."""
    from streamchar_ref.media.encode import write_mp4

    start = time.perf_counter()
    heard: list[np.ndarray] = []
    times_s: list[float] = []
    said = 0.0

    def frames() -> Iterator[np.ndarray]:
        nonlocal said
        for chunk in chunks:
            times_s.append(time.perf_counter() - start)
            heard.append(chunk.samples)
            said = chunk.spoken or 0.0
            _report(len(heard), said, phonemes)
            yield chunk.frames

    fps, sample_rate = found.config.stream.fps, found.config.audio_vae.sample_rate
    count = write_mp4(
        out,
        frames(),
        lambda: np.concatenate(heard),
        fps=fps,
        sample_rate=sample_rate,
    )
    return Film(
        out=str(out),
        length_s=count / fps,
        chunks=len(heard),
        phonemes_said=round(said, 1),
        phonemes=phonemes,
        first_chunk_s=round(times_s[0], 3),
        took_s=round(times_s[-1], 3),
        checkpoint=f"{found.config.preset} sha256:{found.digest[:12]}",
    )


def _report(chunks: int, said: float, phonemes: int) -> None:
    if sys.stderr.isatty():
        typer.echo(f"\rchunk {chunks}: {said:.0f} of {phonemes} phonemes", err=True, nl=False)
