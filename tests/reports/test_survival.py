"""Time to the first failure: the estimate, what counts as a failure, and the figure."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evals.recording.role import Role
from evals.scoring.results import ScoreRow, WindowRow
from reports.figures.survival import (
    FailureRule,
    in_words,
    lifetimes,
    survival_data,
)
from reports.gallery import draw
from reports.lifetimes import (
    compare_lifetimes,
    left_out_lifetimes,
    lifetimes_csv,
    lifetimes_markdown,
)
from reports.load import Runs
from reports.nothing import why_nothing
from streamchar_ref.core.errors import InputError


def curve(
    system: str, values: list[float | None], metric: str = "wer", sample: str = "a"
) -> list[WindowRow]:
    return [
        WindowRow(
            sample_id=sample, system=system, suite="u", seed=0, metric=metric,
            protocol=f"{metric}/x@1", t0_s=15.0 * n, t1_s=15.0 * n + 15, value=value,
        )
        for n, value in enumerate(values)
    ]  # fmt: skip


def row(system: str, metric: str, sample: str = "a", **changes: Any) -> ScoreRow:
    made = ScoreRow(
        sample_id=sample, system=system, suite="u", seed=0, metric=metric,
        protocol=f"{metric}/x@1", protocol_hash="0" * 12, domain="world", value=0.1, weight=1.0,
        status="computed", reason="",
    )  # fmt: skip
    return replace(made, **changes)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.9, 0.0, 0.9, 0.0], (75.0, "")),  # never two in a row
        ([0.0, 0.9, 0.9, 0.0], (15.0, "words")),
        ([0.9, None, 0.9], (45.0, "")),  # a gap ends a row
        ([0.5, 0.5, 0.5], (45.0, "")),  # above, not at
    ],
)
def test_words_fail_in_two_windows_in_a_row(
    values: list[float | None], expected: tuple[float, str]
) -> None:
    (found,) = lifetimes([], curve("s", values))
    assert (found.time_s, found.cause) == expected


def test_identity_fails_beyond_what_the_ceiling_shows() -> None:
    windows = [
        *curve("truth", [0.0] * 5), *curve("truth", [0.1, 0.2, 0.3, 0.2, 0.1], "id_distance"),
        *curve("s", [0.0] * 5), *curve("s", [0.1, 0.1, 0.4, 0.4, 0.4], "id_distance"),
    ]  # fmt: skip
    found = {one.system: one for one in lifetimes([], windows, ceilings=["truth"])}
    assert (found["s"].time_s, found["s"].cause) == (30.0, "identity")
    assert found["truth"].cause == ""
    assert not any(one.cause for one in lifetimes([], windows))  # without a ceiling no limit


def test_speech_that_ends_before_the_text_has_stopped() -> None:
    def stops(missing: int) -> str:
        components = {
            "early_stop_words": missing, "reference_words": 100, "silence_after_last_word_s": 20.0
        }  # fmt: skip
        rows = [row("s", "completion", components=components)]
        (found,) = lifetimes(rows, curve("s", [0.0] * 4))
        assert found.time_s == (40.0 if found.cause else 60.0)
        return found.cause

    assert (stops(5), stops(6)) == ("", "stopped")


def test_a_stream_that_never_came_failed_at_once() -> None:
    dead = row("s", "wer", "b", value=None, weight=0.0, status="generation_failure", reason="x")
    found = lifetimes([dead], curve("s", [0.0] * 5))
    assert [(one.time_s, one.cause) for one in found] == [(75.0, ""), (0.0, "no stream")]
    assert survival_data(found)["share"].tolist() == [0.5, 0.5]


def test_streams_are_watched_under_the_protocol_that_all_systems_have() -> None:
    """A protocol that sorts first, and that one system lacks, takes nothing from this system."""
    plain = "wer/moonshine-tiny@2"
    others = ("wer/asr:X@1", "wer/moonshine-tiny+macro@2", "wer/moonshine-tiny@2+native")
    windows = [
        replace(one, protocol=protocol)
        for system, protocols in (("a", (*others, plain)), ("b", (plain, others[1])))
        for protocol in protocols
        for one in curve(system, [0.0 if protocol == plain else 0.9] * 5)
    ]
    gone: dict[str, Any] = {
        "value": None,
        "weight": 0.0,
        "status": "generation_failure",
        "reason": "x",
    }
    rows = [
        row("a", "wer", "b", protocol=others[0], **gone),
        row("b", "wer", "c", protocol=plain, **gone),
        row("b", "wer", "a", protocol=plain),
        row("b", "wer", "d", protocol=plain, protocol_hash="f" * 12, **gone),
    ]
    found = [(one.system, one.sample, one.time_s, one.cause) for one in lifetimes(rows, windows)]
    assert found == [
        ("a", "a / 0", 75.0, ""), ("b", "a / 0", 75.0, ""), ("b", "c / 0", 0.0, "no stream")
    ]  # fmt: skip


def test_the_end_of_speech_is_taken_from_the_plain_protocol() -> None:
    windows = [replace(one, protocol="wer/moonshine-tiny@2") for one in curve("s", [0.0] * 4)]

    def cause(*protocols: str, **changes: Any) -> str:
        """Under the first protocol the speech stopped, under the others it did not."""
        rows = [
            row(
                "s", "completion", protocol=f"completion/{name}", **changes,
                components={"early_stop_words": 0 if n else 50, "reference_words": 100},
            )
            for n, name in enumerate(protocols)
        ]  # fmt: skip
        return lifetimes(rows, windows)[0].cause

    whisper = ("whisper-base@2", "whisper-base@2+as-played", "whisper-base@2+native")
    assert cause(*whisper) == "stopped"
    assert cause("moonshine-tiny@2", *whisper) == "stopped"
    assert cause("whisper-base@2+as-played") == ""
    failed: dict[str, Any] = {
        "value": None,
        "weight": 0.0,
        "status": "evaluator_failure",
        "reason": "x",
    }
    assert cause("moonshine-tiny@2", **failed) == ""


def test_the_rule_can_be_set_and_is_told() -> None:
    rule = FailureRule.parse("wer=0.3, windows=1")
    assert rule == FailureRule(wer=0.3, windows=1)
    assert "word error rate above 0.3 in a window" in in_words(rule, "")
    for wrong in ("wer=x", "words=1", "windows=0", "identity=2", "stop=-1", "windows=1.5"):
        with pytest.raises(InputError, match="--failure"):
            FailureRule.parse(wrong)


def test_the_figure_says_what_a_failure_is_and_needs_minutes() -> None:
    windows = tuple(curve("s", [0.0, 0.2, 0.2, 0.2, 0.2]))
    runs = Runs(
        paths=(Path("r"),), rows=(row("s", "wer"),), window_rows=windows, infos={},
        roles={"s": Role.MODEL},
    )  # fmt: skip
    (drawn,) = draw(runs, kinds=["survival"], rule=FailureRule(wer=0.1))
    assert "word error rate above 0.1 in 2 windows in a row" in drawn.caption
    (label,) = [text.get_text() for text in drawn.figure.axes[0].get_legend().get_texts()]
    assert label == "s (n=1, 1 failed)"
    short = replace(runs, window_rows=windows[:4])
    assert draw(short, kinds=["survival"]) == []
    assert "over minutes" in why_nothing(short, "survival", None)


def test_systems_are_compared_by_how_long_the_same_streams_last() -> None:
    """Ten streams: one system fails in each, the other never; both see the same prompts."""
    windows, rows = [], []
    for n in range(10):
        windows += curve("bad", [0.0] * (2 + n % 3) + [0.9] * 4, sample=f"s{n}")
        windows += curve("good", [0.0] * 8, sample=f"s{n}")
        rows += [row(system, "wer", f"s{n}") for system in ("bad", "good")]
    runs = Runs(paths=(Path("r"),), rows=tuple(rows), window_rows=tuple(windows), infos={})
    (found,) = compare_lifetimes(runs)
    assert (found.system, found.failed, found.failed_against, found.n_pairs) == ("bad", 10, 0, 10)
    assert (found.median_s, found.verdict) == (45.0, "fails earlier")
    assert (found.p, found.p_holm) == (2 / 2**10, 2 / 2**10)
    assert found.p_log_rank < 0.001
    (mirrored,) = compare_lifetimes(runs, against="bad")
    assert (mirrored.verdict, mirrored.p) == ("lasts longer", found.p)
    printed = lifetimes_markdown([found])
    assert "| u | bad | good | 10 against 0 | 45 against n.r. |" in printed
    assert lifetimes_csv([found]).splitlines()[1].endswith("fails earlier")
    people = {f"u/s{n}": f"face{n % 3}" for n in range(10)}
    (clustered,) = compare_lifetimes(replace(runs, identities=people))
    assert (clustered.n_independent, clustered.p, clustered.verdict) == (3, 0.25, "inconclusive")
    drawn = draw(runs, kinds=["survival"])[0]
    assert "Log-rank test over all systems: chi2 = " in drawn.caption
    short = replace(runs, window_rows=tuple(one for one in windows if one.t0_s < 60))
    assert compare_lifetimes(short) == []


def test_lifetimes_of_another_protocol_hash_are_not_tested() -> None:
    """One system has another hash in all streams, and a dead one; another in one stream of six."""
    windows, rows = [], []
    for n in range(6):
        for system in ("a", "b", "c"):
            is_other = system == "c" or (system == "b" and n == 5)
            digest = "f" * 12 if is_other else "0" * 12
            windows += curve(system, [0.0] * 8, sample=f"s{n}")
            rows.append(row(system, "wer", f"s{n}", protocol_hash=digest))
    gone = row(
        "c", "wer", "dead", protocol_hash="f" * 12, value=None, weight=0.0,
        status="generation_failure", reason="x",
    )  # fmt: skip
    runs = Runs(paths=(Path("r"),), rows=(*rows, gone), window_rows=tuple(windows), infos={})
    (found,) = compare_lifetimes(runs)
    assert (found.system, found.against, found.n_pairs) == ("a", "b", 5)
    notes = left_out_lifetimes(runs)
    lost = "b (1 of 6 streams), c (7 of 7 streams)"
    assert notes == [f"u: † left out, measured under another protocol hash: {lost}."]
    assert notes[0] in lifetimes_markdown([found], notes)
    assert notes[0] in lifetimes_markdown([], notes)
    alike = replace(runs, rows=tuple(replace(one, protocol_hash="0" * 12) for one in rows))
    assert left_out_lifetimes(alike) == []
