"""Progress takes one line of a terminal, and few lines of a log."""

import io
import sys

import pytest

from evals.commands.terminal import ProgressBar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def follow(progress: ProgressBar, num_steps: int = 5) -> None:
    for system in ("one", "two"):
        for done in range(num_steps + 1):
            progress(system, done, num_steps)
    progress.close()


def test_a_terminal_has_one_line_that_is_cleared_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    follow(ProgressBar())
    text = terminal.getvalue()
    assert "\n" not in text
    assert text.rpartition("\r")[0].rpartition("\r")[2].strip() == ""
    assert "two:   0%" in text  # a new bar, though it has as many steps
    assert "one: 100%" not in text.partition("two:")[2]


def test_a_log_has_the_first_and_the_last_step(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    follow(ProgressBar())
    assert capsys.readouterr().err.splitlines() == ["one: 0/5", "one: 5/5", "two: 0/5", "two: 5/5"]
