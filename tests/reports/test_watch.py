"""Recordings on the page: worst first, with what was heard and where it is wrong."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evals.recording.recording import Recording
from evals.recording.role import Role
from evals.scoring.compare import Comparison
from reports.cautions import cautions
from reports.described import description
from reports.grid import LABEL, TILE, write_grid
from reports.headline import headline_of
from reports.load import Runs
from reports.marked_text import Piece, marked_text, marks, pieces_of
from reports.tables import wide
from reports.verdicts import judgements, sentence
from reports.watch import shown, word_errors, worst_first
from streamchar_ref.core.errors import InputError
from streamchar_ref.media.decode import frames, probe
from streamchar_ref.media.encode import write_mp4
from tests.reports.factory import INFOS
from tests.reports.factory import score_row as row_of
from tests.reports.test_headline import headline, line
from tests.reports.test_tables import summary


def test_every_word_is_shown_once_and_errors_are_named() -> None:
    pieces = pieces_of(
        ["the", "old", "mill", "kept", "turning", "on", "and", "on"],
        ["the", "cold", "mill", "turning", "on", "and", "on", "here"],
    )
    assert pieces == [
        Piece("equal", "the", "the"),
        Piece("swapped", "old", "cold"),
        Piece("equal", "mill", "mill"),
        Piece("omitted", "kept", ""),
        Piece("equal", "turning on and on", "turning on and on"),
        Piece("inserted", "", "here"),
    ]
    assert pieces_of([], ["a"]) == [Piece("inserted", "", "a")]
    assert pieces_of(["a"], []) == [Piece("omitted", "a", "")]


def test_marks_need_no_colour_and_let_no_markup_in() -> None:
    text = marks(
        [Piece("omitted", "<b>", ""), Piece("inserted", "", "x"), Piece("swapped", "a", "c")]
    )
    assert '<del title="omitted" aria-label="omitted: &lt;b&gt;">&lt;b&gt;</del>' in text
    assert "<ins" in text
    assert "in place of" in text


def test_text_is_compared_as_the_metric_does() -> None:
    row = replace(row_of("ground_truth", "s", "wer", 0.1), components={"heard": "Twenty one, OK!"})
    assert "<" not in str(marked_text("21, okay.", row, {}))
    assert "<del" in str(marked_text("22, okay.", row, {}))
    assert marked_text("", row, {}) is None
    assert marked_text("a", replace(row, components={}), {}) is None


def recording(system: str, sample: str, **changes: Any) -> Recording:
    return Recording(
        sample_id=sample, system=system, suite="long_horizon_dev", transcript="hi",
        video_path=Path(f"{system}-{sample}.mkv"), **changes,
    )  # fmt: skip


def test_failed_prompts_come_first_then_those_with_the_most_errors() -> None:
    rates = {"mild": 0.1, "bad": 0.6, "fine": 0.0}
    rows = [row_of("streamchar_base", sample, "wer", rate) for sample, rate in rates.items()]
    rows += [row_of("ground_truth", "fine", "wer", 0.9)]
    runs = Runs(paths=(), rows=tuple(rows), window_rows=(), infos=INFOS)
    made = [recording("streamchar_base", sample) for sample in rates]
    made += [recording("ground_truth", "fine")]
    content = shown(runs, made, {}, lambda one: None, lambda one: [])
    assert [sample for _, sample in worst_first(content)] == ["bad", "mild", "fine"]
    made[2] = recording("streamchar_base", "fine", error="broke")
    content = shown(runs, made, {}, lambda one: None, lambda one: [])
    assert next(iter(worst_first(content)))[1] == "fine"


def test_systems_are_described_from_their_source_without_running_it() -> None:
    assert description("shifted_sound") == "The true clip with its sound late."
    assert description("static_portrait") == "The reference picture, held still, in silence."
    assert description("shifted_sound (two)") == description("shifted_sound")
    assert description("somebody_elses") == ""


def verdict(system: str, against: str, said: Any, **changes: Any) -> Comparison:
    fields: dict[str, Any] = {"p_holm": 0.01, "n_independent": 20, "smallest_p": 1e-5}
    return Comparison(
        suite="smoke", metric="wer", protocol="wer/x@1", system=system, against=against,
        verdict=said, **(fields | changes),
    )  # fmt: skip


def models(*values: float) -> Any:
    rows = [summary(name, value) for name, value in zip("abc", values, strict=False)]
    (table,) = wide(rows, roles=dict.fromkeys("abc", Role.MODEL))
    return headline_of(table)


def test_a_leader_is_called_best_only_if_the_test_says_so() -> None:
    table = models(0.1, 0.2, 0.3)
    won = [verdict("a", "b", "better"), verdict("c", "a", "worse"), verdict("b", "c", "better")]
    (one,) = judgements(table, won)
    assert (one.leader, one.is_shown) == ("a", True)
    assert one.words == "better than each of the 2 others, p = 0.010"
    assert sentence(table, [one]) == "On 6 recordings of smoke, a is best in WER."
    won[0] = verdict("a", "b", "inconclusive", p_holm=0.4, smallest_p=0.25, n_independent=3)
    (one,) = judgements(table, won)
    assert not one.is_shown
    assert one.words == "not shown to be better than b: 3 prompts are too few to tell"
    assert "no model is shown to be best" in sentence(table, [one])


def test_a_single_model_stands_beside_the_ceiling() -> None:
    table = headline(line("mine", "wer", 0.2), line("truth", "wer", 0.0))
    (one,) = judgements(table, [verdict("mine", "truth", "worse")])
    assert one.words == "worse, p = 0.010"
    assert "mine is worse in WER than truth" in sentence(table, [one])
    few = verdict("truth", "mine", "inconclusive", smallest_p=0.25, n_independent=3)
    (one,) = judgements(table, [few])
    assert one.words == "3 prompts are too few to tell"
    assert "no difference of mine to truth is shown: there are too few" in sentence(table, [one])
    assert judgements(headline(line("truth", "wer", 0.0)), []) == []


def test_a_still_picture_ahead_of_the_models_is_a_caution() -> None:
    rows = [line("mine", "id_distance", 0.4), line("still", "id_distance", 0.1)]
    (text,) = cautions(headline(*rows))
    assert text.startswith("still is ahead of every model in id distance: a picture that")
    ceiling = line("truth", "id_distance", 0.05)
    assert cautions(headline(*rows, ceiling)) == []
    assert cautions(headline(line("mine", "wer", 0.1), line("still", "wer", 1.0))) == []


def clip(path: Path, num_frames: int, shade: int) -> Path:
    write_mp4(
        path, [np.full((num_frames, 64, 64, 3), shade, np.uint8)],
        np.zeros(num_frames * 640, np.float32), fps=25, sample_rate=16_000,
    )  # fmt: skip
    return path


def test_a_grid_has_all_systems_and_lasts_as_long_as_the_longest(tmp_path: Path) -> None:
    made = [
        replace(recording(name, "s"), video_path=clip(tmp_path / f"{name}.mp4", count, shade))
        for name, count, shade in (("one", 5, 40), ("two", 10, 200))
    ]
    made.append(recording("gone", "s", error="broke"))
    out = write_grid(tmp_path / "grid.mp4", made)
    assert probe(out).audio_codec
    pictures = np.concatenate(list(frames(out, fps=25)))
    assert pictures.shape == (10, TILE + LABEL, 2 * TILE, 3)
    left, right = pictures[-1, LABEL + 9, 9], pictures[-1, LABEL + 9, TILE + 9]
    assert abs(int(left[0]) - 40) < 12
    assert abs(int(right[0]) - 200) < 12
    with pytest.raises(InputError, match="no recording"):
        write_grid(out, made[2:])


def test_of_several_protocols_the_last_that_heard_words_is_shown() -> None:
    rows = [
        replace(row_of("ground_truth", "s", "wer", 0.1), protocol=name, components={"heard": name})
        for name in ("wer/b@1", "wer/a@1")
    ]
    rows.append(replace(rows[0], protocol="wer/z@1", components={}))
    runs = Runs(paths=(), rows=tuple(rows), window_rows=(), infos=INFOS)
    content = shown(runs, [recording("ground_truth", "s")], {}, lambda one: None, lambda one: [])
    found = word_errors(content, content.recordings[0])
    assert found is not None
    assert found.protocol == "wer/b@1"
