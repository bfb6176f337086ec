"""What the data card of the suites promises: counts, splits, texts of their own, lengths."""

import json
import re
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from evals.suites import SUITES, suite_names, summarise_suite
from streamchar_ref.weights import WeightsMissing, locate
from streamchar_ref.world import lexicon
from streamchar_ref.world.character import draw_character
from streamchar_ref.world.lexicon import read_text
from streamchar_ref.world.script import write_script
from streamchar_ref.world.speech import speak
from streamchar_ref.world.voices import voices_of

NGRAM = 6
SCRIPT_WORDS = 200_000
COUNTS = {
    "smoke": 3, "short_clip": 150, "long_horizon": 20, "tongue_twisters": 40, "unpredictable": 50,
    "smoke_dev": 3, "short_clip_dev": 60, "tongue_twisters_dev": 20, "unpredictable_dev": 25,
}  # fmt: skip
FIRST_TEST_CHARACTER, FIRST_DEV_CHARACTER = 10_000, 20_000
SECONDS = {"short_clip": (8, 13.5), "tongue_twisters": (5, 13), "unpredictable": (6, 13)}

try:
    locate("cmudict-stress")
except WeightsMissing as missing:
    pytest.skip(str(missing), allow_module_level=True)


@cache
def entries(name: str) -> tuple[dict[str, Any], ...]:
    lines = (SUITES / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return tuple(json.loads(line) for line in lines)


def plain_words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9']+", text.lower())


def ngrams(text: str) -> set[tuple[str, ...]]:
    words = plain_words(text)
    return {tuple(words[start : start + NGRAM]) for start in range(len(words) - NGRAM + 1)}


@cache
def suite_ngrams(name: str) -> frozenset[tuple[str, ...]]:
    return frozenset().union(*(ngrams(entry["transcript"]) for entry in entries(name)))


def test_every_suite_has_a_twin_for_tuning() -> None:
    names = set(suite_names())
    assert set(COUNTS) <= names
    assert {f"{name}_dev" for name in names if not name.endswith("_dev")} <= names


@pytest.mark.parametrize("name", COUNTS)
def test_a_suite_has_as_many_prompts_as_the_card_says(name: str) -> None:
    assert len(entries(name)) == COUNTS[name]


def test_no_prompt_id_seed_or_text_is_used_twice() -> None:
    everything = [entry for name in suite_names() for entry in entries(name)]
    for field in ("prompt_id", "seed", "transcript"):
        assert len({entry[field] for entry in everything}) == len(everything), field


@pytest.mark.parametrize("name", suite_names())
def test_identities_keep_to_their_split_and_their_voice(name: str) -> None:
    voices: dict[int, set[str]] = {}
    for entry in entries(name):
        voices.setdefault(entry["character"], set()).add(entry["voice"])
    is_dev = name.endswith("_dev")
    low = FIRST_DEV_CHARACTER if is_dev else FIRST_TEST_CHARACTER
    assert all(low <= character < low + 10_000 for character in voices)
    assert all(len(spoken_with) == 1 for spoken_with in voices.values())
    assert set().union(*voices.values()) <= set(voices_of("piper"))
    if not name.startswith(("smoke", "long_horizon")):
        assert len(voices) >= 16
        assert len({draw_character(character).caption for character in voices}) == len(voices)


def test_no_identity_is_in_two_suites() -> None:
    cast = {name: {entry["character"] for entry in entries(name)} for name in suite_names()}
    assert not [pair for pair in combinations(cast, 2) if cast[pair[0]] & cast[pair[1]]]


@pytest.mark.parametrize("name", suite_names())
def test_every_word_is_in_the_dictionary(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    guessed: list[str] = []
    for way in ("_compound", "_learned", "_spelled"):
        monkeypatch.setattr(lexicon, way, lambda word: guessed.append(word) or "AH0")
    for entry in entries(name):
        read_text(entry["transcript"])
    assert not guessed


def test_suites_share_no_run_of_six_words() -> None:
    for one, other in combinations(suite_names(), 2):
        assert not suite_ngrams(one) & suite_ngrams(other), (one, other)


def test_training_text_shares_no_run_of_six_words_with_a_suite() -> None:
    script = ngrams(write_script(0, num_words=SCRIPT_WORDS))
    assert len(script) > SCRIPT_WORDS * 0.9
    for name in suite_names():
        assert not suite_ngrams(name) & script, name


@pytest.mark.parametrize("name", ["long_horizon", "long_horizon_dev"])
def test_long_passages_are_long(name: str) -> None:
    if name not in suite_names():
        pytest.skip(f"{name} is not there")
    assert min(len(entry["transcript"].split()) for entry in entries(name)) >= 700


def test_short_clips_open_in_different_ways() -> None:
    for name in ("short_clip", "short_clip_dev"):
        openings = [" ".join(plain_words(e["transcript"])[:3]) for e in entries(name)]
        assert max(openings.count(opening) for opening in openings) <= 2
        styles = [entry["groups"]["style"] for entry in entries(name)]
        assert min(styles.count(style) for style in set(styles)) >= 7
        assert len(set(styles)) == 8


@pytest.mark.parametrize("name", SECONDS)
def test_prompts_last_as_long_as_the_card_says(name: str) -> None:
    shortest, longest = SECONDS[name]
    for entry in entries(name)[:: len(entries(name)) // 3]:
        spoken = speak(entry["transcript"], voice=entry["voice"], seed=entry["seed"])
        assert shortest <= len(spoken.samples) / 16_000 <= longest


def test_the_card_has_the_figures_of_the_files() -> None:
    card = Path(SUITES / "README.md").read_text(encoding="utf-8")
    for name in suite_names():
        summary = summarise_suite(name)
        row = f"| `{name}` | {summary.split} | {summary.prompts} | {summary.identities} |"
        assert f"{row} {summary.words:,} |" in card
    assert set(re.findall(r"^\| `(\w+)` \|", card, re.MULTILINE)) == set(suite_names())
