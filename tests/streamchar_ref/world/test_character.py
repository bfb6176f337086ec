import re
from dataclasses import fields

import numpy as np
import pytest

from streamchar_ref.world.character import (
    GARMENTS,
    GLASSES,
    PATTERNS,
    SIDE_DETAILS,
    STYLES,
    blend,
    draw_character,
)

DRAWN = [draw_character(seed) for seed in range(400)]


def test_a_seed_names_one_character() -> None:
    assert draw_character(5) == draw_character(5)
    assert len({character.caption for character in DRAWN[:100]}) > 95


def test_everything_that_may_be_worn_occurs() -> None:
    assert {c.style for c in DRAWN} == set(STYLES)
    assert len(STYLES) >= 10
    assert {c.garment for c in DRAWN} == set(GARMENTS)
    assert {c.pattern for c in DRAWN} == set(PATTERNS)
    assert {c.glasses for c in DRAWN} == set(GLASSES)
    assert {c.side_detail for c in DRAWN} == set(SIDE_DETAILS)
    assert {c.detail_side for c in DRAWN} == {-1, 1}


@pytest.mark.parametrize("seed", range(40))
def test_colours_are_colours_and_the_caption_one_sentence(seed: int) -> None:
    character = DRAWN[seed]
    colours = (character.skin, character.hair, character.eyes, character.lips, character.clothes)
    assert np.all(np.array([*colours, character.accent, *character.background]) >= 0)
    assert np.all(np.array([*colours, character.accent, *character.background]) <= 1)
    told = r"An? (young |older )?(wo)?(man|person) with [a-z ,-]+, before an? [a-z]+ background\."
    assert re.fullmatch(told, character.caption)
    assert not re.search(r"\ba [aeiou]", character.caption)


def test_what_is_worn_is_told() -> None:
    for character in DRAWN:
        told = character.caption
        assert ("beard" in told) == (character.beard > 0)
        assert ("moustache" in told) == (character.moustache > 0 and not character.beard)
        assert (f"{character.glasses} glasses" in told) == bool(character.glasses)
        assert ("hat" in told.replace("with a", "")) == character.has_hat
        assert ("earring" in told) == (character.side_detail == "hoop")
        assert ("scarf" in told) == (character.garment == "scarf")


def test_the_ends_of_a_blend_are_the_two_characters() -> None:
    a, b = DRAWN[3], DRAWN[8]
    assert blend(a, b, 0) == a
    assert blend(a, b, 1) == b


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_a_blend_lies_between_and_switches_what_has_no_between(share: float) -> None:
    a, b = DRAWN[3], DRAWN[8]
    mixed = blend(a, b, share)
    assert mixed.face_width == pytest.approx(a.face_width + share * (b.face_width - a.face_width))
    np.testing.assert_allclose(
        mixed.background[0],
        (1 - share) * np.array(a.background[0]) + share * np.array(b.background[0]),
    )
    for field in fields(a):
        if not isinstance(getattr(a, field.name), float | tuple):
            expected = getattr(a if share < 0.5 else b, field.name)
            assert getattr(mixed, field.name) == expected
