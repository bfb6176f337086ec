"""Protocol cards: one for each protocol, filled from the code, with citations that exist."""

from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from evals.extractors import OWN_RECOGNISERS
from evals.extractors.find_asr import OwnRecogniser
from evals.metrics import EVERY_METRIC
from evals.metrics.own_recogniser import own_metrics
from evals.protocols.card import (
    HOW_TO_ADD,
    bibliography,
    card_of,
    fill,
    is_pattern,
    load_cards,
    read_card,
)
from evals.scoring.recipe import recipe_values
from evals.scoring.score import Options, params_of
from streamchar_ref.core.errors import InputError

CARD = """
protocol = "wer/toy@1"
title = "a"
cites = []
preprocessing = "b"
sampling = "c"
aggregation = "d"
minimum_n = 5
compare_with = "e"
not_with = ["f", "g"]
traps = []
recipe = "of {window_s}   s"
"""


def test_each_protocol_has_a_card_and_each_card_a_protocol() -> None:
    protocols = {metric.protocol for metric in EVERY_METRIC}
    families = {card for card in load_cards() if is_pattern(card)}
    missing = sorted(protocols - set(load_cards()))
    orphans = sorted(set(load_cards()) - protocols - families)
    assert not missing, f"no card of {', '.join(missing)}: {HOW_TO_ADD}"
    assert not orphans, f"no protocol of {', '.join(orphans)}: is it spelt as in its metric?"


@pytest.mark.parametrize("package", OWN_RECOGNISERS)
def test_a_recogniser_of_ones_own_has_the_cards_of_its_family(package: str) -> None:
    named = OwnRecogniser(name="a-b.1", package=package, path=Path("x"), sha256="0")
    metrics = own_metrics(named)
    for metric in metrics:
        card = card_of(metric.protocol)
        assert card is not None, metric.protocol
        recipe = fill(card.recipe, recipe_values(params_of(metric, Options())))
        assert package in recipe
    of_wer = {id(card_of(metric.protocol)) for metric in metrics if metric.name == "wer"}
    assert len(of_wer) == 2  # its own normaliser, and the published ones
    families = [name for name in load_cards() if is_pattern(name) and "asr:" in name]
    unused = [one for one in families if not any(fnmatchcase(m.protocol, one) for m in metrics)]
    assert not unused


def test_recipes_are_filled_from_the_settings_of_the_code() -> None:
    cards = load_cards()
    for metric in EVERY_METRIC:
        values = recipe_values(params_of(metric, Options()))
        try:
            text = fill(cards[metric.protocol].recipe, values)
        except KeyError as unknown:
            pytest.fail(f"the recipe of {metric.protocol} names {{{unknown.args[0]}}}")
        assert "{" not in text, metric.protocol
        assert "  " not in text, metric.protocol


def test_citations_are_in_the_bibliography_and_used() -> None:
    entries = bibliography()
    cited = {key for card in load_cards().values() for key in card.cites}
    assert cited <= set(entries), sorted(cited - set(entries))
    assert set(entries) <= cited, sorted(set(entries) - cited)
    for key, entry in entries.items():
        for field in ("title", "author", "year"):
            assert f"{field}={{" in entry.replace(" = ", "="), f"{key}: no {field}"


def test_a_card_is_read_with_its_texts_on_one_line(tmp_path: Path) -> None:
    path = tmp_path / "wer.toy.toml"
    path.write_text(CARD)
    card = read_card(path)
    assert card.protocols == ("wer/toy@1",)
    assert card.compare_with == ("e",)
    assert card.recipe == "of {window_s} s"
    assert fill(card.recipe, {"window_s": 2.0}) == "of 2 s"


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("title =", "titel =", "wer.toy.toml: the key 'titel' is none of"),
        ("traps = []\n", "", "wer.toy.toml: the key 'traps' is missing"),
        ("= 5", "= -1", "minimum_n is a whole number from 0"),
        ('"a"', "7", "title is a text"),
        ('["f", "g"]', "[1]", "not_with is a list of texts"),
        ("cites", "[cites", "not TOML"),
    ],
)
def test_a_broken_card_names_file_and_key(
    before: str, after: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "wer.toy.toml"
    path.write_text(CARD.replace(before, after, 1))
    with pytest.raises(InputError) as told:
        read_card(path)
    assert message in str(told.value)


def test_two_cards_of_one_protocol_are_refused(tmp_path: Path) -> None:
    for name in ("a.toml", "b.toml"):
        (tmp_path / name).write_text(CARD)
    with pytest.raises(InputError, match="another card already"):
        load_cards(tmp_path)


def test_a_key_of_two_entries_is_refused(tmp_path: Path) -> None:
    for name in ("a.bib", "b.bib"):
        (tmp_path / name).write_text("@misc{one,\n  title={A}\n}\n")
    with pytest.raises(InputError, match="'one' is there twice"):
        bibliography(tmp_path)


def test_unknown_placeholders_are_refused() -> None:
    with pytest.raises(KeyError, match="hop_s"):
        fill("every {hop_s} s", {"window_s": 2.0})
    assert fill("{a.b:.0%} of {c}", {"a": {"b": 0.5}, "c": ["x", 1.5]}) == "50% of x, 1.5"
