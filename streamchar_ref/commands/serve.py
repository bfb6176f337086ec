"""Serve a page on localhost on which a character says what is typed."""

import contextlib
import secrets
import webbrowser
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamchar_ref.commands.verb import Verb
from streamchar_ref.core.device import has_bfloat16
from streamchar_ref.core.errors import InputError

if TYPE_CHECKING:
    from streamchar_ref.model.streamchar import StreamChar
    from streamchar_ref.streaming.stream import Precision

app = Verb(__doc__)
_NEEDED = ("starlette", "uvicorn", "websockets")
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
    from streamchar_ref.serve.server import HOST, listen, make_server
    from streamchar_ref.serve.session import Hello
    from streamchar_ref.serve.worker import Worker
    from streamchar_ref.streaming.engine import Engine
    from streamchar_ref.streaming.engine_config import EngineConfig

    with contextlib.closing(listen(port)) as listener:
        model = _model(checkpoint, setting or [])
        engine = Engine(
            model,
            EngineConfig(
                max_streams=max_streams,
                ahead_s=model.config.stream.chunk_s,
                picture_precision=_picture_precision(),
            ),
        )
        engine.warm_up()
        typer.echo(f"{engine.capacity} streams can be served at once on this machine now")
        hello = Hello(
            fps=model.config.stream.fps,
            sample_rate=model.config.audio_vae.sample_rate,
            max_streams=max_streams,
        )
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


def _picture_precision() -> "Precision":
    """Half precision where the processor has instructions for it."""
    return "bfloat16" if has_bfloat16("cpu") else "float32"
