import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streamchar_ref.commands import serve
from streamchar_ref.commands.serve import app

NEEDED = ("starlette", "uvicorn", "websockets")


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "find_spec", lambda name: None if name == "uvicorn" else object())
    done = CliRunner().invoke(app, ["--no-browser"])
    assert done.exit_code == 2
    assert done.stderr == (
        "error: uvicorn not installed: pip install 'streamchar[serve]', or pip install uvicorn\n"
    )


def test_a_port_in_use_is_one_line_before_the_model_is_loaded(tmp_path: Path) -> None:
    for name in NEEDED:
        pytest.importorskip(name)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        nowhere = str(tmp_path / "none")
        done = CliRunner().invoke(
            app, ["--no-browser", "--port", str(port), "--checkpoint", nowhere]
        )
    assert done.exit_code == 2
    assert (
        done.stderr == f"error: port {port} is in use; choose another with --port, or 0 for any\n"
    )


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--port", "70000"], "65535"),
        (["--max-streams", "0"], "max-streams"),
        (["--port", "0", "--checkpoint", "none"], "none"),
        (["--port", "0", "--set", "sampler.steps=1"], "steps"),
    ],
)
def test_wrong_options_end_with_2(
    arguments: list[str], why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in NEEDED:
        pytest.importorskip(name)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["--no-browser", *arguments])
    assert done.exit_code == 2
    assert why in done.stderr
