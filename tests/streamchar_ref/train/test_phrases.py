import re

import numpy as np
import pytest

from streamchar_ref.train.phrases import ATTRIBUTES, FILLERS, SYNONYMS, read_prompt, rewrite, said
from streamchar_ref.world.character import Character, draw_character
from streamchar_ref.world.voices import VOICES, prompt_of

PROMPT = (
    "A young woman with an ash blond bob, deep brown skin, grey eyes, cat-eye glasses, a flower "
    "in the hair, a navy knitted hat and a dotted sky blue jumper under a sage scarf, before a "
    "sky background. Voice ada: middle, small, bright."
)


def says(text: str) -> dict[str, str]:
    return {name: value for name, value in said(read_prompt(text)).items() if value}


def test_a_prompt_is_read_phrase_by_phrase() -> None:
    assert says(PROMPT) == {
        "age": "young", "who": "woman", "style": "bob", "hair": "ash blond", "skin": "deep brown",
        "eyes": "grey", "glasses": "cat-eye", "side_detail": "flower", "hat": "navy",
        "pattern": "dotted", "clothes": "sky blue", "garment": "jumper", "scarf": "sage",
        "background": "sky", "voice": "ada", "height": "middle", "size": "small", "tone": "bright",
    }  # fmt: skip


def test_what_is_read_of_a_caption_is_true_of_the_character() -> None:
    for seed in range(400):
        character = draw_character(seed)
        read = said(read_prompt(character.caption))
        assert read["glasses"] == character.glasses
        assert read["facial_hair"] == ("beard" * (character.beard > 0) or _moustache(character))
        assert bool(read["hat"]) == character.has_hat
        assert bool(read["earrings"]) == character.has_earrings
        assert bool(read["jewel"]) == bool(character.jewel)
        assert bool(read["side_detail"]) == bool(character.side_detail)
        assert (not read["pattern"]) == (character.pattern == "plain")
        assert bool(read["scarf"]) == (character.garment == "scarf")
        assert read["voice"] == ""


def _moustache(character: Character) -> str:
    return "moustache" * (character.moustache > 0)


def test_every_value_occurs_and_every_style_of_hair_is_another() -> None:
    seen: dict[str, set[str]] = {name: set() for name in ATTRIBUTES}
    styles: dict[str, set[str]] = {}
    voices = sorted(ATTRIBUTES["voice"][1:])
    for seed in range(1200):
        character = draw_character(seed)
        read = said(read_prompt(prompt_of(character.caption, voices[seed % len(voices)])))
        styles.setdefault(character.style, set()).add(read["style"])
        for name, value in read.items():
            seen[name].add(value)
    assert all(len(told) == 1 for told in styles.values())
    for name, values in ATTRIBUTES.items():
        assert seen[name] | {""} == set(values)


@pytest.mark.parametrize(
    "text",
    ["", "A robot with red eyes.", PROMPT.replace("bob", "perm"), PROMPT.replace("ada", "x")],
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a prompt|not known"):
        read_prompt(text)


def test_rewriting_drops_phrases_and_says_which_are_left() -> None:
    rng, phrases = np.random.default_rng(0), read_prompt(PROMPT)
    whole = said(phrases)
    lengths = set()
    for _ in range(300):
        text, kept = rewrite(phrases, rng)
        lengths.add(len(kept))
        left = {name: value for name, value in said(kept).items() if value}
        assert left.items() <= whole.items()
        words = set(re.findall(r"[a-z]+", text))
        for value in {left.get("skin", ""), left.get("clothes", "")} & {"deep brown", "sky blue"}:
            assert value.split()[1] in words
        assert ("ada" in words) == bool(left.get("voice"))
    assert min(lengths) <= 2
    assert max(lengths) == len(phrases)


def test_the_same_draw_rewrites_the_same_way() -> None:
    texts = [rewrite(read_prompt(PROMPT), np.random.default_rng(3))[0] for _ in range(2)]
    assert texts[0] == texts[1]


def test_other_words_do_not_change_what_captions_say() -> None:
    known = {word for values in ATTRIBUTES.values() for value in values for word in value.split()}
    assert not known & {word for words in SYNONYMS.values() for word in words}
    assert not (known | set(VOICES)) & set(FILLERS)
