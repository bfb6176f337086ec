"""Cautions about models ahead of the truth, and judges that contradict each other about it."""

from typing import Any

import pytest

from evals.metrics import INFOS
from evals.protocols.tool import imported_infos
from evals.scoring.compare import Comparison
from reports.cautions import cautions
from reports.headline import headline_markdown, headline_of
from reports.reasons import BEYOND_TRUTH, STILL
from tests.reports.test_headline import ROLES, headline, line
from tests.reports.test_tables import table

WORLD = {"protocol": "id_world_distance/identity_world@1"}
DLIB = {"protocol": "id_distance/dlib@1"}


def compared(metric: str, system: str, against: str, verdict: Any, **changes: Any) -> Comparison:
    fields: dict[str, Any] = {"p": 0.001, "p_holm": 0.01, "smallest_p": 1e-5, "delta": 1.0}
    protocol = {"id_world_distance": WORLD, "id_distance": DLIB}.get(metric, {}).get("protocol")
    return Comparison(
        suite="smoke", metric=metric, protocol=protocol or f"{metric}/x@1", system=system,
        against=against, verdict=verdict, **(fields | changes),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("metric", "mine", "truth", "words"),
    [
        ("id_distance", 0.1, 0.2, "soft, averaged and still faces"),
        ("id_drift", 0.0, 0.1, "a real take drifts by itself"),
        ("wer", 0.01, 0.02, "how easy a voice is to recognise"),
        ("fvd_world", 1.0, 2.0, "sets that are small, soft or copies"),
        ("mesh_offset_ms", 1.0, 9.0, "beyond zero is the error of the measure"),
        ("voice_drift", 0.1, 0.2, "an even voice"),
        ("flicker", 0.1, 0.2, "never quite steady"),
    ],
)
def test_a_model_ahead_of_the_truth_is_told_what_that_means(
    metric: str, mine: float, truth: float, words: str
) -> None:
    ahead = cautions(headline(line("mine", metric, mine), line("truth", metric, truth)))
    assert ahead[0].startswith("mine is ahead of the ceiling, truth, in ")
    assert words in ahead[0]
    behind = cautions(headline(line("mine", metric, truth), line("truth", metric, mine)))
    assert not any("ahead of the ceiling" in text for text in behind)


def test_reasons_are_of_metrics_that_there_are() -> None:
    assert {*BEYOND_TRUTH, *STILL} <= {*INFOS}


def test_no_reason_is_made_up_for_imported_metrics_and_for_those_it_does_not_suit() -> None:
    imported = imported_infos()
    assert len(imported) > 100
    rows = [
        line(system, metric, value, protocol=f"{metric}/import-tool@1")
        for metric in (*imported, "mesh_lmd_lips", "psnr", "completion", "loops", "of_a_plug_in")
        for system, value in (("mine", 0.3), ("truth", 0.5), ("still", 0.1))
    ]
    assert cautions(table(*rows, roles=ROLES)) == []


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ("sync_d_world", "silence and a still mouth"),
        ("id_world_drift", "keeps its face"),
        ("colour_drift", "has no drift"),
        ("flicker", "neither shakes nor flickers"),
        ("rtf", "computes nothing"),
    ],
)
def test_a_still_control_ahead_of_all_is_told_why_metric_by_metric(metric: str, words: str) -> None:
    one = table(line("mine", metric, 0.3), line("still", metric, 0.1), roles=ROLES)
    assert words in cautions(one)[0]


def test_a_lead_that_a_test_could_have_shown_and_did_not_is_none() -> None:
    one = headline(line("mine", "wer", 0.01), line("truth", "wer", 0.02))
    chance = compared("wer", "mine", "truth", "inconclusive", p=0.6)
    assert cautions(one, comparisons=[chance]) == []
    (few,) = cautions(one, comparisons=[compared("wer", "truth", "mine", "inconclusive",
                                                 p=0.5, smallest_p=0.5)])  # fmt: skip
    assert "WER (not tested)" in few
    (shown,) = cautions(one, comparisons=[compared("wer", "mine", "truth", "better", delta=-0.01)])
    assert "in WER:" in shown


@pytest.mark.parametrize("p", [0.001, 0.5])
def test_a_lead_of_means_that_the_paired_difference_denies_is_none(p: float) -> None:
    one = headline(line("mine", "wer", 0.01), line("truth", "wer", 0.02))
    test: dict[str, Any] = {"p": p, "smallest_p": p}
    denied = [
        compared("wer", "mine", "truth", "worse", delta=0.05, **test),
        compared("wer", "truth", "mine", "better", delta=-0.05, **test),
        compared("wer", "mine", "truth", "inconclusive", delta=0.0, **test),
    ]
    assert [cautions(one, comparisons=[each]) for each in denied] == [[], [], []]
    alike = headline(line("mine", "csim", 0.9, higher_is_better=True),
                     line("truth", "csim", 0.8, higher_is_better=True))  # fmt: skip
    (shown,) = cautions(alike, comparisons=[compared("csim", "truth", "mine", "worse", delta=-0.1,
                                                     p=0.001)])  # fmt: skip
    assert "in CSIM:" in shown
    assert not cautions(alike, comparisons=[compared("csim", "truth", "mine", "better", delta=0.1)])


def test_a_judge_whose_pairs_deny_its_means_contradicts_no_other() -> None:
    rows = [
        line("mine", "id_world_distance", 0.1, **WORLD), line("mine", "id_distance", 0.9, **DLIB),
        line("truth", "id_world_distance", 0.2, **WORLD), line("truth", "id_distance", 0.4, **DLIB),
    ]  # fmt: skip
    complete = table(*rows, roles=ROLES)
    short = headline_of(complete)
    worse = compared("id_distance", "mine", "truth", "worse", delta=0.5)
    better = compared("id_distance", "mine", "truth", "better", delta=-0.5)
    told = [cautions(short, comparisons=[one], complete=complete) for one in (worse, better)]
    assert [len(texts) for texts in told] == [2, 1]


def test_two_face_networks_that_disagree_about_the_truth_are_named() -> None:
    rows = [
        line("mine", "id_world_distance", 0.1, **WORLD), line("mine", "id_distance", 0.9, **DLIB),
        line("truth", "id_world_distance", 0.2, **WORLD), line("truth", "id_distance", 0.4, **DLIB),
    ]  # fmt: skip
    complete = table(*rows, roles=ROLES)
    short = headline_of(complete)
    assert [one.metric for one in short.lines] == ["id_world_distance"]
    ahead, against = cautions(short, complete=complete)
    assert "id-world distance (not tested)" in ahead
    assert against == (
        "id distance (id_distance/dlib@1) says the opposite of id-world distance "
        "(id_world_distance/identity_world@1): by it mine is behind truth. Where two judges "
        "disagree in direction, neither decides."
    )
    assert "says the opposite" in " ".join(headline_markdown(short, [against]).split())
    agreeing = table(*rows[:1], line("mine", "id_distance", 0.3, **DLIB), *rows[2:], roles=ROLES)
    assert len(cautions(headline_of(agreeing), complete=agreeing)) == 1


def test_two_networks_that_order_two_models_otherwise_are_named() -> None:
    roles = ROLES | {"other": ROLES["mine"]}
    rows = [
        line(system, metric, 0.5, **form)
        for system in ("mine", "other")
        for metric, form in (("id_world_distance", WORLD), ("id_distance", DLIB))
    ]
    complete = table(*rows, roles=roles)
    tests = [
        compared("id_world_distance", "mine", "other", "better"),
        compared("id_distance", "mine", "other", "worse"),
    ]
    (text,) = cautions(headline_of(complete), comparisons=tests, complete=complete)
    assert "shows other better than mine" in text or "shows mine better than other" in text
    assert cautions(headline_of(complete), comparisons=tests[:1], complete=complete) == []
