"""Generates English training text from a grammar and word lists.

The output is paragraphs, one per line, of ordinary sentences; some paragraphs consist of random
words of the CMU dictionary, for sounds that the lists lack, and some of repeated or similar words
as in tongue twisters, in which models easily lose their place. Word lists and grammar are in
``script.json``: ``<person>`` is a list or a rule, ``<person.p>`` a plural, ``<act.s>``,
``<act.ed>``, ``<act.ing>`` and ``<act.en>`` forms of a verb; a capitalised rule is expanded with
a capital; ``<1:person>`` names its choice, and ``<1>`` repeats it.
"""

import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TypeVar

from streamchar_ref.world.lexicon import VOWELS, dictionary_words, pronounce

SHARE_OF_DRAWN_WORDS = 0.1
SHARE_OF_TWISTERS = 0.15
_SENTENCES = (
    "sentence", "sentence", "sentence", "sentence", "sentence", "question", "question",
    "exclaim", "short", "speech", "speech", "long",
)  # fmt: skip
_REFERENCE = re.compile(r"<([\w.:]+)>")
_ARTICLE = re.compile(r"\b([Aa]) (?=([A-Za-z]+|8|18\b|11\b))")
_VERB_FORMS = ("", ".s", ".ed", ".ing", ".en")
_T = TypeVar("_T")
Template = tuple[str, ...]  # alternating literal text and names of rules


@dataclass(frozen=True, kw_only=True)
class Grammar:
    """Word lists and rules.

    Attributes:
        words: Words by the name of their list and form.
        rules: Expansions of a name.
        before_vowel: Words that take "an".
        similar: Groups of words that differ in one sound.
        openers: Words by the name of their list, then by first sound.
    """

    words: dict[str, tuple[str, ...]]
    rules: dict[str, tuple[Template, ...]]
    before_vowel: frozenset[str]
    similar: tuple[tuple[str, ...], ...]
    openers: tuple[dict[str, tuple[str, ...]], ...]


def write_script(seed: int, *, num_words: int) -> str:
    """Generates training text.

    Args:
        seed: Of the text.
        num_words: Minimum number of words; the last sentence may be cut.

    Returns:
        Paragraphs, one per line. The same seed gives the same text, and a longer text starts with
        the shorter one.

    Raises:
        ValueError: If ``num_words`` is below 1.
        WeightsMissing: If the dictionary is not on this machine.
    """
    if num_words < 1:
        raise ValueError(f"a script has at least one word, not {num_words}")
    writer = _Writer(seed)
    paragraphs, so_far = [], 0
    while so_far < num_words:
        sentences = []
        for sentence in writer.paragraph():
            sentences.append(sentence)
            so_far += sentence.count(" ") + 1
            if so_far >= num_words:
                break
        paragraphs.append(" ".join(sentences))
    return "\n".join(paragraphs)


@cache
def grammar() -> Grammar:
    """Reads ``script.json`` and looks up the pronunciation of its words."""
    source = json.loads(
        files("streamchar_ref.world").joinpath("script.json").read_text(encoding="utf-8")
    )
    words = _word_forms(source)
    rules = {
        name: tuple(tuple(_REFERENCE.split(option)) for option in options)
        for name, options in source["rules"].items()
    }
    sounds = {word: _sounds(word) for forms in words.values() for word in forms}
    return Grammar(
        words=words,
        rules=rules,
        before_vowel=frozenset(word for word, sound in sounds.items() if sound[0] in VOWELS),
        similar=_similar(sounds),
        openers=tuple(
            _by_first_sound(words[name], sounds)
            for name in ("look", "person.p", "act.ed", "look", "object.p")
        ),
    )


class _Writer:
    """Samples from the grammar; holds the random state."""

    def __init__(self, seed: int) -> None:
        self._grammar = grammar()
        self._dictionary = dictionary_words()
        self._random = random.Random(f"script {seed}").random  # random() is stable over versions

    def paragraph(self) -> Iterator[str]:
        """Yields three to eight sentences of one kind."""
        kind = self._random()
        for _ in range(3 + int(self._random() * 6)):
            if kind < SHARE_OF_DRAWN_WORDS:
                yield self._random_words()
            elif kind < SHARE_OF_DRAWN_WORDS + SHARE_OF_TWISTERS:
                yield self._twister()
            else:
                yield self._finished(self._expand(self._pick(_SENTENCES)))

    def _pick(self, options: tuple[_T, ...]) -> _T:
        return options[int(self._random() * len(options))]

    def _expand(self, name: str, named: dict[str, str] | None = None) -> str:
        words = self._grammar.words.get(name)
        if words is not None:
            return self._pick(words)
        if name[0].isupper():
            text = self._expand(name.lower())
            return text[0].upper() + text[1:]
        rule = self._pick(self._grammar.rules[name])
        if len(rule) == 1:
            return rule[0]
        return self._fill(rule, {} if named is None else named)

    def _fill(self, rule: Template, named: dict[str, str]) -> str:
        parts = list(rule)
        for index in range(1, len(rule), 2):
            name = rule[index]
            if name[0].isdigit():
                key, _, source = name.partition(":")
                if source:
                    named[key] = self._expand(source)
                parts[index] = named[key]
            else:
                parts[index] = self._expand(name)
        return "".join(parts)

    def _random_words(self) -> str:
        words = [self._pick(self._dictionary) for _ in range(4 + int(self._random() * 9))]
        commas = ["," * (self._random() < 0.2) for _ in words[1:]] + ["."]
        text = " ".join(word + comma for word, comma in zip(words, commas, strict=True))
        return text[0].upper() + text[1:]

    def _twister(self) -> str:
        kind = self._random()
        if kind < 0.5:
            text = self._expand("twister")
        elif kind < 0.75:
            text = self._expand("similar", self._similar_words())
        else:
            text = self._expand("alliteration", self._same_openers())
        return self._finished(text)

    def _similar_words(self) -> dict[str, str]:
        words = list(self._pick(self._grammar.similar))
        chosen = [words.pop(int(self._random() * len(words))) for _ in range(3)]
        return dict(zip("123", chosen, strict=True))

    def _same_openers(self) -> dict[str, str]:
        openers = self._grammar.openers
        sounds = tuple(sorted(set(openers[0]).intersection(*openers[1:])))
        sound = self._pick(sounds)
        return {str(slot): self._pick(words[sound]) for slot, words in enumerate(openers, 1)}

    def _finished(self, text: str) -> str:
        text = _ARTICLE.sub(self._article, text)
        text = text.replace(" i ", " I ").replace('"i ', '"I ')
        return text[0].upper() + text[1:] if text[0] != '"' else text

    def _article(self, match: re.Match[str]) -> str:
        article, word = match.groups()
        is_vowel = word[0].isdigit() or word.lower() in self._grammar.before_vowel
        return f"{article}n " if is_vowel else match.group()


def _word_forms(source: dict[str, dict[str, list[str]]]) -> dict[str, tuple[str, ...]]:
    lists = {kind: {name: " ".join(lines).split() for name, lines in source[kind].items()}
             for kind in ("nouns", "verbs", "adjectives", "adverbs", "names", "words")}  # fmt: skip
    words: dict[str, tuple[str, ...]] = {}
    for name, nouns in lists["nouns"].items():
        pairs = [_noun_forms(entry) for entry in nouns]
        words[name] = tuple(single for single, _ in pairs)
        words[f"{name}.p"] = tuple(plural for _, plural in pairs if plural)
    for name, verbs in lists["verbs"].items():
        forms = [_verb_forms(entry) for entry in verbs]
        for index, form in enumerate(_VERB_FORMS):
            words[name + form] = tuple(verb[index] for verb in forms)
    for kind in ("adjectives", "adverbs", "words"):
        words |= {name: tuple(entries) for name, entries in lists[kind].items()}
    for name, entries in lists["names"].items():
        words[name] = tuple(entry.capitalize() for entry in entries)
    return words


def _noun_forms(entry: str) -> tuple[str, str]:
    single, slash, plural = entry.partition("/")
    return (single, plural) if slash else (single, _with_s(single))


def _verb_forms(entry: str) -> tuple[str, ...]:
    if "/" in entry:
        return tuple(entry.split("/"))
    stem = entry + entry[-1] if _doubles(entry) else entry
    is_silent_e = entry.endswith("e") and not entry.endswith(("ee", "oe", "ye"))
    if entry.endswith("e"):
        past = entry + "d"
    elif entry.endswith("y") and entry[-2] not in "aeiou":
        past = entry[:-1] + "ied"
    else:
        past = stem + "ed"
    return entry, _with_s(entry), past, (entry[:-1] if is_silent_e else stem) + "ing", past


def _with_s(word: str) -> str:
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return word + "es"
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    return word + "s"


def _doubles(verb: str) -> bool:
    """Whether the last letter is doubled, as in "stopped": one vowel, then one consonant."""
    return re.fullmatch(r"[^aeiou]*(qu)?[aeiou][bdfgklmnprstvz]", verb) is not None


def _sounds(word: str) -> tuple[str, ...]:
    return tuple(phone.rstrip("012") for phone in pronounce(word).split())


def _similar(sounds: dict[str, tuple[str, ...]]) -> tuple[tuple[str, ...], ...]:
    groups: dict[tuple[str, ...], list[str]] = {}
    for word, sound in sounds.items():
        for index in range(len(sound)):
            key = (*sound[:index], "*", *sound[index + 1 :])
            groups.setdefault(key, []).append(word)
    return tuple(tuple(group) for group in groups.values() if len(group) > 2)


def _by_first_sound(
    words: tuple[str, ...], sounds: dict[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    groups: dict[str, list[str]] = {}
    for word in words:
        groups.setdefault(sounds[word][0], []).append(word)
    return {sound: tuple(group) for sound, group in groups.items() if len(group) > 1}
