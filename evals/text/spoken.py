"""Verbalises a text: how written words are spoken.

`readings` processes a transcript, or a recogniser's output, in four steps. All text metrics use
it unless their protocol names a published normaliser.

==============  =================================================================================
``characters``  Unicode variants become one form, see `evals.text.characters`
``markup``      tags, stage directions and speaker names are removed, see `evals.text.markup`
``figures``     money, dates, times, units and numbers become words, see `evals.text.figures`
``letters``     abbreviations, initials, addresses and symbols become words, see
                `evals.text.letters`
==============  =================================================================================
"""

import re
import unicodedata
from functools import lru_cache

from evals.text.characters import plain_characters
from evals.text.choices import Pieces, first_reading, pieces_of
from evals.text.english import american, plain_letter
from evals.text.figures import read_figures
from evals.text.letters import read_letters_and_signs, read_short_forms
from evals.text.markup import without_markup
from evals.text.tables import TABLES

STEPS = ("characters", "markup", "figures", "letters")
_SPELLINGS = re.compile(
    r"(?<![\w'])(?:" + "|".join(map(re.escape, TABLES["spellings"])) + r")(?![\w'])", re.IGNORECASE
)
_WORD = re.compile(r"(?P<letter>[a-z](?=\.))|[a-z]+(?:'[a-z]+)*")
_QUOTE = re.compile(r"(?<![^\W_])'|'(?![^\W_])")
_LETTERS = TABLES["letters"]


@lru_cache(maxsize=4096)
def readings(text: str) -> Pieces:
    """Verbalises a text.

    Args:
        text: English, in any usual spelling.

    Returns:
        Pieces with all their usual readings, see `evals.text.choices`.
    """
    text = without_markup(plain_characters(text))
    text = read_letters_and_signs(read_figures(read_short_forms(text)))
    text = _SPELLINGS.sub(lambda match: TABLES["spellings"][match[0].lower()], text)
    return pieces_of(_QUOTE.sub(" ", text))


def spoken_form(text: str) -> str:
    """The usual reading of a text, punctuation kept."""
    return " ".join(first_reading(readings(text)).split())


def words_of(spoken: str) -> tuple[str, ...]:
    """Splits a reading into lower-case words of letters and apostrophes, in American spelling.

    Args:
        spoken: From `spoken_form` or `evals.text.choices.best_reading`.

    Returns:
        Words in order; a spelled letter becomes its name (``f.`` -> eff).
    """
    plain = "".join(map(plain_letter, unicodedata.normalize("NFKD", spoken.lower())))
    words = []
    for match in _WORD.finditer(plain):
        is_letter = match["letter"] is not None or (len(match[0]) == 1 and match[0] not in "ai")
        words.append(_letter_name(match[0]) if is_letter else _american(match[0]))
    return tuple(words)


def _american(word: str) -> str:
    stem, apostrophe, ending = word.partition("'")
    return f"{american(stem)}{apostrophe}{ending}"


def _letter_name(letter: str) -> str:
    return str(_LETTERS[letter])


def spoken_words(transcript: str) -> tuple[str, ...]:
    """Words of the usual reading, see `words_of`."""
    return words_of(spoken_form(transcript))
