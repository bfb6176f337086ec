"""Make the synthetic world's speech and pictures: world build, world sheet, world clip."""

import json
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from streamchar_ref.commands.common import check_out, num_cores
from streamchar_ref.commands.verb import Verb
from streamchar_ref.world import MB_PER_HOUR

app = Verb(__doc__, no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print what was made as JSON.")]


@app.callback()
def main() -> None:
    """Make the synthetic world's speech and pictures."""


@app.command()
def build(
    hours: Annotated[float, typer.Option(help="Speech at least; five minutes are the grain.")],
    out: Annotated[Path, typer.Option(help="Folder; a build that was stopped there goes on.")],
    max_mb: Annotated[float, typer.Option(help=f"Room; an hour takes about {MB_PER_HOUR} MB.")],
    jobs: Annotated[int, typer.Option(min=0, help="Processes; 0 is one for each core.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Of texts, voices, rates and rooms.")] = 0,
    style: Annotated[str, typer.Option(help="painted (Piper) or flat (eSpeak NG).")] = "painted",
    texts: Annotated[Path | None, typer.Option(help="Your own text, one utterance a line.")] = None,
    rooms: Annotated[float, typer.Option(min=0, max=1, help="Share with echo and noise.")] = 0.5,
    as_json: AsJson = False,
) -> None:
    """Build a corpus of speech with exact phoneme and word times.

    Example: streamchar world build --hours 1 --max-mb 40 --out corpora/hour
    """
    from streamchar_ref.weights import WeightsMissing
    from streamchar_ref.world.corpus import CorpusError
    from streamchar_ref.world.corpus_build import CorpusPlan, build_corpus, utterance_texts
    from streamchar_ref.world.take import EngineMissing

    def report(what: str, done: int, total: int) -> None:
        typer.echo(f"{what}: {done}/{total} shards", err=True)

    try:
        own = utterance_texts(texts.read_text(encoding="utf-8")) if texts else ()
        if texts and not own:
            raise CorpusError(f"{texts} holds no text")
        corpus = build_corpus(
            out,
            CorpusPlan(seed=seed, style=style, texts=own, rooms=rooms),
            hours=hours,
            max_mb=max_mb,
            jobs=jobs or num_cores(),
            progress=report,
        )
    except (CorpusError, EngineMissing, WeightsMissing, OSError, UnicodeDecodeError) as error:
        _refuse(str(error), error)
    megabytes = sum(path.stat().st_size for path in out.glob("*")) / 1e6
    hours = corpus.duration_s / 3600
    told = {"out": str(out), "utterances": len(corpus), "hours": hours, "megabytes": megabytes}
    line = f"{out}: {len(corpus)} utterances, {hours:.2f} hours, {megabytes:.1f} MB"
    typer.echo(json.dumps(told) if as_json else line)


@app.command()
def sheet(
    out: Annotated[Path, typer.Option(help="Picture to write, .jpg or .png.")],
    identities: Annotated[int, typer.Option(min=1, help="How many, from the first.")] = 64,
    first: Annotated[int, typer.Option(min=0, help="Number of the first character.")] = 0,
    size: Annotated[int, typer.Option(min=16, help="Width of one picture in pixels.")] = 192,
    style: Annotated[str, typer.Option(help="painted or flat.")] = "painted",
    references: Annotated[bool, typer.Option(help="Reference pictures, not streams.")] = False,
    as_json: AsJson = False,
) -> None:
    """Draw a contact sheet of characters as they are seen in their streams.

    Example: streamchar world sheet --identities 64 --out sheet.jpg
    """
    from PIL import Image

    from streamchar_ref.world.sheet import contact_sheet

    _check_style(style)
    numbers = range(first, first + identities)
    check_out(out, ".jpg", ".jpeg", ".png")
    picture = contact_sheet(numbers, size=size, style=style, references=references)
    Image.fromarray(picture).save(out, quality=90)
    told = {"out": str(out), "identities": list(numbers)}
    typer.echo(json.dumps(told) if as_json else f"{out}: {identities} characters")


@app.command()
def clip(
    text: Annotated[str, typer.Option(help="English text to say.")],
    out: Annotated[Path, typer.Option(help="Video to write, .mp4.")],
    identity: Annotated[int, typer.Option(min=0, help="Number of the character.")] = 0,
    style: Annotated[str, typer.Option(help="painted or flat.")] = "painted",
    voice: Annotated[str, typer.Option(help="Name of a voice; empty for their own.")] = "",
    seed: Annotated[int, typer.Option(min=0, help="Of take and scene.")] = 0,
    size: Annotated[int, typer.Option(min=16, help="Width and height in pixels.")] = 512,
    as_json: AsJson = False,
) -> None:
    """Draw a character that says a text, with sound.

    Example: streamchar world clip --text "Good morning." --identity 7 --out hello.mp4
    """
    from streamchar_ref.media import MediaError
    from streamchar_ref.media.encode import write_mp4
    from streamchar_ref.weights import WeightsMissing
    from streamchar_ref.world.clips import make_clip
    from streamchar_ref.world.take import EngineMissing

    _check_style(style)
    try:
        check_out(out, ".mp4")
        made = make_clip(text, identity=identity, voice=voice, seed=seed, style=style)
        write_mp4(out, made.frames(size=size), made.samples, fps=made.fps, sample_rate=16_000)
    except (EngineMissing, WeightsMissing, MediaError, ValueError, OSError) as error:
        _refuse(str(error), error)
    length_s = made.num_frames / made.fps
    told = {"out": str(out), "caption": made.caption, "length_s": length_s, "voice": made.voice}
    line = f"{out}: {made.caption} {length_s:.1f} s, voice {made.voice}"
    typer.echo(json.dumps(told) if as_json else line)


def _check_style(style: str) -> None:
    from streamchar_ref.world.styles import STYLES

    if style not in STYLES:
        _refuse(f"unknown style {style!r}; known: {', '.join(STYLES)}")


def _refuse(why: str, cause: Exception | None = None) -> NoReturn:
    typer.echo(f"error: {why}", err=True)
    raise typer.Exit(code=2) from cause
