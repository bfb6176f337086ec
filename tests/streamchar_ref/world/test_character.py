import re

import numpy as np
import pytest

from streamchar_ref.world.character import NECKLINES, STYLES, draw_character


def test_a_seed_names_one_character() -> None:
    assert draw_character(5) == draw_character(5)
    assert len({draw_character(seed).caption for seed in range(100)}) > 90


def test_all_styles_and_necklines_occur() -> None:
    drawn = [draw_character(seed) for seed in range(100)]
    assert {c.style for c in drawn} == set(STYLES)
    assert {c.neckline for c in drawn} == set(NECKLINES)


@pytest.mark.parametrize("seed", range(20))
def test_colours_are_colours_and_the_caption_one_sentence(seed: int) -> None:
    character = draw_character(seed)
    colours = (character.skin, character.hair, character.eyes, character.lips, character.clothes)
    assert np.all(np.array([*colours, *character.background]) >= 0)
    assert np.all(np.array([*colours, *character.background]) <= 1)
    assert re.fullmatch(r"A friendly person with [a-z, ]+\.", character.caption)


def test_beards_glasses_and_colours_are_told() -> None:
    for character in map(draw_character, range(60)):
        assert ("beard" in character.caption) == (character.beard > 0)
        assert ("glasses" in character.caption) == character.has_glasses
