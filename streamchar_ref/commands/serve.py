"""Serve a page on localhost on which a character says what is typed."""

import contextlib
import secrets
import time
import webbrowser
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamchar_ref.commands.verb import Verb
from streamchar_ref.core.errors import InputError

if TYPE_CHECKING:
    from streamchar_ref.model.streamchar import StreamChar

app = Verb(__doc__)
_NEEDED = ("starlette", "uvicorn", "websockets")
_WARM_UP_CHUNKS = 2
_MOST_STREAMS = 64


@app.command()
def serve(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any that is free.")] = 8765,
    checkpoint: Annotated[Path | None, typer.Option(help="Folder; default: the shipped.")] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="sampler.num_steps=2 ...; repeatable."),
    ] = None,
    max_streams: Annotated[
        int, typer.Option(min=1, max=_MOST_STREAMS, help="Visitors who are served at once.")
    ] = 4,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the URL.")] = False,
) -> None:
    """Serve a page on localhost on which a character says what is typed, at once.

    Example: streamchar serve
    """
    check_installed()
    from streamchar_ref.serve.app import make_app
    from streamchar_ref.serve.plain import PlainEngine
    from streamchar_ref.serve.server import HOST, listen, make_server
    from streamchar_ref.serve.session import Hello
    from streamchar_ref.serve.worker import Worker

    with contextlib.closing(listen(port)) as listener:
        model = _model(checkpoint, setting or [])
        typer.echo(f"each second takes {_cost(model):.2f} s to make on this machine now")
        hello = Hello(
            fps=model.config.stream.fps,
            sample_rate=model.config.audio_vae.sample_rate,
            max_streams=max_streams,
        )
        engine = PlainEngine(model, max_streams=max_streams)
        worker = Worker(engine, fps=hello.fps, sample_rate=hello.sample_rate)
        token = secrets.token_urlsafe(16)
        worker.start()
        try:
            url = f"http://{HOST}:{listener.getsockname()[1]}/{token}/"
            typer.echo(f"open {url}\nstop with Ctrl-C")
            if not no_browser:
                webbrowser.open(url)
            with contextlib.suppress(KeyboardInterrupt):  # the usual end
                make_server(make_app(worker, hello, token)).run(sockets=[listener])
        finally:
            worker.stop()


def check_installed() -> None:
    """Says what is missing for the server.

    Raises:
        InputError: If a package is not installed.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise InputError(
            f"{', '.join(missing)} not installed: pip install 'streamchar[serve]', "
            f"or pip install {' '.join(missing)}"
        )


def _model(folder: Path | None, settings: list[str]) -> "StreamChar":
    from streamchar_ref.model.checkpoint import load_checkpoint
    from streamchar_ref.model.config import override
    from streamchar_ref.model.shipped import shipped_checkpoint

    found = load_checkpoint(folder or shipped_checkpoint()).select()
    return replace(found, config=override(found.config, settings)).model()


def _cost(model: "StreamChar") -> float:
    """Makes two chunks for nobody, so that no visitor waits for the first; times the second."""
    from itertools import islice

    from streamchar_ref.streaming.stream import stream
    from streamchar_ref.streaming.transcript import Transcript
    from streamchar_ref.world.reference import drawn_person

    person = drawn_person("0")
    chunks = stream(
        model,
        Transcript("Good morning, and welcome to all of you."),
        prompt=person.prompt,
        reference=person.picture,
    )
    times_s = [time.perf_counter()]
    for _ in islice(chunks, _WARM_UP_CHUNKS):
        times_s.append(time.perf_counter())  # noqa: PERF401
    return (times_s[-1] - times_s[-2]) / model.config.stream.chunk_s
