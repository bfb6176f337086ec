"""The command line starts quickly and says what is wrong."""

import subprocess
import sys
from importlib.metadata import entry_points

import pytest

from streamchar_ref import cli


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    return int(stopped.value.code or 0)


def test_help_lists_every_verb_without_importing_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    text = capsys.readouterr().out
    for entry in entry_points(group=cli.GROUP):
        assert entry.name in text
    assert "cannot be found" not in text


def test_help_imports_no_heavy_package() -> None:
    code = (
        "import sys\nfrom streamchar_ref.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'numpy', 'typer', 'pandas', 'matplotlib', 'av'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_misspelt_verb_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("scroe") == 2
    assert "'score'" in capsys.readouterr().err


@pytest.mark.parametrize("verb", sorted(e.name for e in entry_points(group=cli.GROUP)))
def test_every_verb_has_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(verb, "--help") == 0
    assert "Usage: streamchar " + verb in capsys.readouterr().out


def test_wrong_use_exits_with_two(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("weights", "pull", "nonesuch") == 2
