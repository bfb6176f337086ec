"""Progress takes one line of a terminal, and few lines of a log."""

import io
import sys

import pytest

from evals.commands.terminal import ProgressBar, in_words


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
    assert "two:  0/5" in text  # a new bar, though it has as many steps
    assert "one:  5/5" not in text.partition("two:")[2]


def test_a_log_has_the_first_and_the_last_step(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    follow(ProgressBar())
    assert capsys.readouterr().err.splitlines() == ["one: 0/5", "one: 5/5", "two: 0/5", "two: 5/5"]


def test_the_time_left_is_told_at_the_pace_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [0.0]
    log = io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    progress = ProgressBar(clock=lambda: now_s[0])
    for done in range(11):
        progress("one", done, 10)
        now_s[0] += 20.0
    lines = log.getvalue().splitlines()
    assert lines[0] == "one: 0/10"
    assert "one: 2/10, about 3 min left" in lines
    assert "one: 8/10, about 40 s left" in lines
    assert lines[-1] == "one: 10/10"
    assert len(lines) == 6  # a line in half a minute


def test_a_terminal_shows_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [0.0]
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    progress = ProgressBar(clock=lambda: now_s[0])
    progress("one", 2, 5)  # two were there before
    now_s[0] = 60.0
    progress("one", 3, 5)
    assert "about 2 min left" in terminal.getvalue()


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "1 s"), (80, "80 s"), (600, "10 min"), (7900, "2 h 10 min")]
)
def test_durations_are_told_roughly(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
