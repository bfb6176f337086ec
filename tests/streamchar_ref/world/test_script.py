import re
from collections import Counter
from itertools import pairwise

import pytest

from streamchar_ref.weights import WeightsMissing, locate
from streamchar_ref.world import lexicon
from streamchar_ref.world.lexicon import VOWELS, pronounce, read_text
from streamchar_ref.world.script import grammar, write_script

try:
    locate("cmudict-stress")
except WeightsMissing as missing:
    pytest.skip(str(missing), allow_module_level=True)

START_OF_SEED_0 = "There goes one lace too many! Stop hiding the short engine in Paris!"


def only_the_dictionary(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(word: str) -> str:
        raise AssertionError(f"{word!r} is not in the dictionary")

    for name in ("_compound", "_learned", "_spelled"):
        monkeypatch.setattr(lexicon, name, refuse)


def test_the_same_seed_gives_the_same_text_and_another_another() -> None:
    assert write_script(3, num_words=400) == write_script(3, num_words=400)
    assert write_script(3, num_words=400) != write_script(4, num_words=400)


def test_a_longer_script_begins_like_a_shorter_one() -> None:
    short = write_script(3, num_words=300)
    assert write_script(3, num_words=900).startswith(short)


def test_the_text_of_a_seed_stays_as_it_is() -> None:
    assert write_script(0, num_words=12) == START_OF_SEED_0


@pytest.mark.parametrize("num_words", [1, 50, 1000])
def test_a_script_is_as_long_as_asked_and_ends_with_a_sentence(num_words: int) -> None:
    script = write_script(1, num_words=num_words)
    assert num_words <= len(script.split()) < num_words + 120
    assert script.rstrip('"')[-1] in ".!?"


def test_no_words_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one word, not 0"):
        write_script(1, num_words=0)


def test_every_word_is_in_the_dictionary(monkeypatch: pytest.MonkeyPatch) -> None:
    only_the_dictionary(monkeypatch)
    for words in grammar().words.values():
        for word in words:
            pronounce(word)
    read_text(write_script(1, num_words=20_000))


def test_words_and_sounds_are_many() -> None:
    own = {word.lower() for words in grammar().words.values() for word in words}
    assert len(own) > 6000
    pairs = Counter[tuple[str, ...]]()
    for word in own:
        phones = [phone.rstrip("012") for phone in pronounce(word).split()]
        pairs.update(pairwise(phones))
    assert len(pairs) > 780  # of 39 * 39, most of which are in no English word
    said = set(re.findall(r"[a-z']+", write_script(2, num_words=50_000).lower()))
    assert len(said) > 8000
    assert len(said & own) > 4500


def test_every_phoneme_is_heard_often() -> None:
    sentences = read_text(write_script(5, num_words=5000))
    phones = Counter(p.phone for words in sentences for word in words for p in word.phonemes)
    assert len(phones) == 39
    assert min(phones.values()) > 5


def test_every_name_in_the_rules_is_a_list_or_a_rule() -> None:
    known = set(grammar().words) | set(grammar().rules)
    for rules in grammar().rules.values():
        for rule in rules:
            for name in rule[1::2]:
                source = name.partition(":")[2] if name[0].isdigit() else name.lower()
                assert not source or source in known


def test_a_and_an_follow_the_sound() -> None:
    text = write_script(7, num_words=30_000)
    for article, word in re.findall(r"\b([Aa]n?) ([a-z]+)\b", text):
        if word in grammar().before_vowel:
            assert article.lower() == "an", f"{article} {word}"
        elif article.lower() == "an":
            assert pronounce(word).split()[0].rstrip("012") in VOWELS, f"{article} {word}"


def test_drawn_words_and_twisters_have_their_share() -> None:
    own = {word.lower() for words in grammar().words.values() for word in words}
    lines = write_script(8, num_words=60_000).lower().splitlines()
    paragraphs = [re.findall(r"[a-z']+", line) for line in lines]
    foreign = [sum(word not in own for word in words) / len(words) for words in paragraphs if words]
    assert 0.06 < sum(share > 0.5 for share in foreign) / len(foreign) < 0.14
    repeats = [1 - len(set(words)) / len(words) for words in paragraphs if words]
    assert sum(share > 0.4 for share in repeats) / len(repeats) > 0.05
