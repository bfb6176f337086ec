"""What a prompt of the world says, phrase by phrase, and other ways to write the same."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from streamchar_ref.world.palette import BACKGROUNDS, CLOTHES, EYES, HAIRS, SKINS
from streamchar_ref.world.voices import voices_of

ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "age": ("", "young", "older"),
    "who": ("", "woman", "man", "person"),
    "style": (
        "", "short hair", "hair combed up", "curly hair", "buzz cut", "bald head", "afro",
        "pixie cut", "bob", "long hair", "long wavy hair", "hair in a bun", "hair in a ponytail",
        "two braids",
    ),
    "hair": ("", *HAIRS),
    "skin": ("", *SKINS),
    "eyes": ("", *EYES),
    "facial_hair": ("", "beard", "moustache"),
    "glasses": ("", "round", "square", "cat-eye"),
    "earrings": ("", "gold studs"),
    "side_detail": ("", "gold earring", "hair clip", "flower"),
    "jewel": ("", "gold pendant", "string of pearls", "brooch"),
    "hat": ("", *CLOTHES),
    "pattern": ("", "striped", "dotted", "checked", "patterned"),
    "clothes": ("", *CLOTHES),
    "garment": ("", "jumper", "shirt", "cardigan", "hoodie", "turtleneck"),
    "scarf": ("", *CLOTHES),
    "background": ("", *BACKGROUNDS),
    "voice": ("", *voices_of("piper")),
    "height": ("", "high", "middle", "deep"),
    "size": ("", "small", "normal", "large"),
    "tone": ("", "bright", "plain", "dark"),
}  # fmt: skip
"""What a prompt can say and in which words; the first, empty one stands for nothing said."""

SYNONYMS: dict[str, tuple[str, ...]] = {
    "woman": ("lady", "girl", "female"), "man": ("guy", "gentleman", "boy", "male"),
    "young": ("youthful",), "older": ("old", "elderly", "aged"), "grey": ("gray",),
    "blond": ("blonde",), "bald": ("hairless",), "moustache": ("mustache",),
    "braids": ("plaits",), "fair": ("pale", "light"), "golden": ("tan", "tanned"),
    "beard": ("stubble",), "glasses": ("spectacles",), "earring": ("hoop",),
    "pendant": ("necklace",), "brooch": ("pin",), "knitted": ("wool", "woollen"),
    "hat": ("beanie", "cap"), "striped": ("stripy",), "dotted": ("spotted",),
    "checked": ("plaid", "tartan"), "jumper": ("sweater", "pullover"), "coral": ("orange",),
    "mustard": ("yellow",), "plum": ("purple",), "background": ("backdrop",),
    "before": ("behind",), "deep": ("low",),
}  # fmt: skip
"""Other words for those of captions."""

FILLERS = (
    "portrait", "picture", "photo", "drawing", "painted", "cartoon", "character", "friendly",
    "kind", "smiling", "smile", "happy", "serious", "calm", "cheerful", "warm", "soft",
    "wearing", "wears", "dressed", "has", "having", "who", "is", "are", "her", "his", "their",
    "she", "he", "they", "speaks", "speaking", "talking", "says", "looks", "looking", "at",
    "to", "camera", "front", "face", "very", "some", "on", "from", "for", "by", "studio",
    "style", "beautiful", "handsome", "nice", "simple",
)  # fmt: skip
"""Words of people's prompts that say nothing about an attribute."""

_IDLE = {"a", "an", "one", "the", "in", "before", "under", "head", "knitted", "cut"}
_JOINS = (", ", ". ", " and ", " with ", "; ", " wearing ")


@dataclass(frozen=True, kw_only=True)
class Phrase:
    """A few words and what they say.

    Attributes:
        words: As in a caption.
        says: Attribute to one of its `ATTRIBUTES`.
    """

    words: str
    says: Mapping[str, str]


def read_prompt(prompt: str) -> tuple[Phrase, ...]:
    """Cuts a prompt of the world into phrases.

    Args:
        prompt: A painted character's caption, and a voice or none.

    Returns:
        Its phrases, in its order.

    Raises:
        ValueError: If a part of it is not worded as the world's captions are.
    """
    found = re.fullmatch(
        r"(an? .+?) with (.+), (before .+? background)\.( voice .+\.)?", prompt.lower()
    )
    if not found:
        raise ValueError(f"not a prompt of the world: {prompt!r}")
    who, middle, background, voice = found.groups()
    phrases = [who, *re.split(r", | and | under ", middle), background]
    return tuple(_read(words) for words in phrases) + tuple(_voice(voice) if voice else ())


def said(phrases: Iterable[Phrase]) -> dict[str, str]:
    """Returns every attribute's value; it is empty where no phrase speaks of it."""
    values = dict.fromkeys(ATTRIBUTES, "")
    for phrase in phrases:
        values |= phrase.says
    return values


def rewrite(phrases: Sequence[Phrase], rng: np.random.Generator) -> tuple[str, tuple[Phrase, ...]]:
    """Writes a prompt as people would: some phrases, any order, other words, words between.

    Args:
        phrases: Of a prompt.
        rng: Of the draw.

    Returns:
        The text, and the phrases that are left in it.
    """
    share = rng.uniform(0.2, 1.1)
    kept = [phrases[int(n)] for n in rng.permutation(len(phrases)) if rng.random() < share]
    kept = [_less_voice(phrase, rng) if "tone" in phrase.says else phrase for phrase in kept]
    text = "".join(str(rng.choice(_JOINS)) + _reworded(phrase.words, rng) for phrase in kept)
    return text.lstrip(" ,;."), tuple(kept)


def _one_of(attribute: str) -> str:
    names = sorted(filter(None, ATTRIBUTES[attribute]), key=len, reverse=True)
    return f"(?P<{attribute}>{'|'.join(names)})"


_PATTERNS = [
    re.compile(pattern)
    for pattern in (
        rf"an? ({_one_of('age')} )?{_one_of('who')}",
        rf"{_one_of('skin')} skin",
        rf"{_one_of('eyes')} eyes",
        rf"a (short )?{_one_of('facial_hair')}",
        rf"{_one_of('glasses')} glasses",
        _one_of("earrings"),
        rf"(a|one) {_one_of('side_detail')}( in the hair)?",
        rf"a {_one_of('jewel')}",
        rf"an? {_one_of('hat')} knitted hat",
        rf"an? ({_one_of('pattern')} )?{_one_of('clothes')} {_one_of('garment')}",
        rf"an? {_one_of('scarf')} scarf",
        rf"before an? {_one_of('background')} background",
    )
]
_HAIR = re.compile(rf"\b{_one_of('hair')}\b ?")
_VOICE = re.compile(
    rf" voice {_one_of('voice')}: {_one_of('height')}, {_one_of('size')}, {_one_of('tone')}\."
)


def _read(words: str) -> Phrase:
    for pattern in _PATTERNS:
        if found := pattern.fullmatch(words):
            says = {name: value for name, value in found.groupdict().items() if value}
            return Phrase(words=words, says=says)
    colour = _HAIR.search(words)
    style = re.sub(r"^an? ", "", _HAIR.sub("", words))
    if style not in ATTRIBUTES["style"]:
        raise ValueError(f"a caption has a phrase that is not known: {words!r}")
    says = {"style": style} | ({"hair": colour["hair"]} if colour else {})
    return Phrase(words=words, says=says)


def _voice(words: str) -> list[Phrase]:
    found = _VOICE.fullmatch(words)
    if not found:
        raise ValueError(f"a prompt has a voice that is not known: {words!r}")
    return [Phrase(words=words.strip(" ."), says=found.groupdict())]


def _less_voice(phrase: Phrase, rng: np.random.Generator) -> Phrase:
    """Names a voice only, or says some of how it sounds; its name alone says all of it."""
    if rng.random() < 0.4:
        return phrase
    if rng.random() < 0.4:
        return Phrase(words=f"voice {phrase.says['voice']}", says=phrase.says)
    some = {k: v for k, v in phrase.says.items() if k != "voice" and rng.random() < 0.7}
    return Phrase(words=" ".join([*some.values(), "voice"]), says=some)


def _reworded(words: str, rng: np.random.Generator) -> str:
    """Leaves words out, moves them, swaps them for others that mean the same, puts some between."""
    found = words.split()
    if rng.random() < 0.3:
        found = [word for word in found if word not in _IDLE]
    if rng.random() < 0.2:
        found = [str(word) for word in rng.permutation(found)]
    found = [_synonym(word, rng) if rng.random() < 0.2 else word for word in found]
    while rng.random() < 0.3:
        found.insert(int(rng.integers(len(found) + 1)), str(rng.choice(FILLERS)))
    return " ".join(found)


def _synonym(word: str, rng: np.random.Generator) -> str:
    return str(rng.choice(SYNONYMS.get(word, (word,))))
