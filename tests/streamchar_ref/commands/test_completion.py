"""What a shell is offered at the cursor; a verb is loaded only when its own words are asked for."""

from enum import StrEnum
from importlib.metadata import EntryPoint
from types import ModuleType
from typing import Annotated

import pytest
import typer

from streamchar_ref.cli import main
from streamchar_ref.commands import COMPLETE
from streamchar_ref.commands.completion import SHELLS, completions, script
from streamchar_ref.commands.verb import Verb


class Form(StrEnum):
    MD = "md"
    LATEX = "latex"


@pytest.fixture
def verbs(monkeypatch: pytest.MonkeyPatch) -> dict[str, EntryPoint]:
    one, many = Verb("One."), Verb("Many.")

    @one.command()
    def table(
        run: Annotated[str, typer.Argument()],
        form: Annotated[Form, typer.Option("--format")] = Form.MD,
        systems: Annotated[str, typer.Option()] = "",
    ) -> None:
        """Do nothing."""

    for name in ("list", "pull"):
        many.command(name)(lambda: None)
    module = ModuleType("verbs_of_a_test")
    module.one, module.many = one, many  # type: ignore[attr-defined]
    monkeypatch.setitem(__import__("sys").modules, "verbs_of_a_test", module)
    return {
        "table": EntryPoint("table", "verbs_of_a_test:one", "g"),
        "weights": EntryPoint("weights", "verbs_of_a_test:many", "g"),
        "broken": EntryPoint("broken", "no_such_module:app", "g"),
    }


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("streamchar t", ["table"]),
        ("streamchar br", ["broken"]),
        ("streamchar --v", ["--version"]),
        ("streamchar table runs/a --s", ["--systems"]),
        ("streamchar table --format ", ["md", "latex"]),
        ("streamchar table --format l", ["latex"]),
        ("streamchar table --format md --f", []),
        ("streamchar table runs/", []),
        ("streamchar table 'my ru", []),
        ("streamchar weights ", ["list", "pull"]),
        ("streamchar nothing --x", []),
    ],
)
def test_the_words_that_fit_are_offered(
    verbs: dict[str, EntryPoint], line: str, words: list[str]
) -> None:
    assert completions(line, verbs) == words


def test_the_program_answers_a_shell(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(COMPLETE, "streamchar wei")
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 0
    assert capsys.readouterr().out == "weights\n"


def test_each_shell_has_a_script_and_others_are_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert all(COMPLETE in script(shell) for shell in SHELLS)
    with pytest.raises(SystemExit) as ended:
        main(["--show-completion", "cmd.exe"])
    assert ended.value.code == 2
    assert "bash, zsh, fish" in capsys.readouterr().err
