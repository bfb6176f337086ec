"""Which language a transcript is to be spoken in, and how its text is counted.

A tag decides. Without one the transcript does: by its script, or by its function words if they
point to one language clearly; nothing of either is English, as in `evals.text.language`.
"""

import unicodedata
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

from evals.text.characters import plain_characters
from evals.text.language import UNKNOWN, language_code, language_name, written_in
from evals.text.markup import without_markup

ENGLISH = "en"
WITHOUT_SPACES = frozenset({"zh", "ja", "th", "lo", "my", "km", "bo", "dz"})
"""Languages that write no spaces between words: characters are counted, not words."""
MIN_IN_SCRIPT = 0.5
"""Share of letters that must be of the language's own scripts; the others are names."""
_CHINESE = "CJK"
_KANA = "HIRAGANA KATAKANA KATAKANA-HIRAGANA"
_SCRIPTS_OF = {
    "zh": _CHINESE, "ja": f"{_CHINESE} {_KANA}", "ko": f"HANGUL {_CHINESE}", "th": "THAI",
    "lo": "LAO", "my": "MYANMAR", "km": "KHMER", "bo": "TIBETAN", "dz": "TIBETAN", "el": "GREEK",
    "he": "HEBREW", "yi": "HEBREW", "ka": "GEORGIAN", "hy": "ARMENIAN", "ta": "TAMIL",
    "te": "TELUGU", "gu": "GUJARATI", "kn": "KANNADA", "ml": "MALAYALAM", "si": "SINHALA",
    "am": "ETHIOPIC", "ti": "ETHIOPIC", "bn": "BENGALI", "as": "BENGALI", "or": "ORIYA",
    **dict.fromkeys(("ru", "uk", "be", "bg", "mk", "ba", "tg", "ky"), "CYRILLIC"),
    **dict.fromkeys(("ar", "fa", "ur", "ps", "sd", "ug"), "ARABIC"),
    **dict.fromkeys(("hi", "mr", "ne", "sa"), "DEVANAGARI"),
}  # fmt: skip
"""Scripts of languages that are not written in Latin letters."""
_SEVERAL_SCRIPTS = frozenset(["sr", "bs", "az", "uz", "kk", "tk", "tt", "mn", "pa", "ku", "ms"])
_ONLY_IN = {
    "THAI": "th", "LAO": "lo", "MYANMAR": "my", "KHMER": "km", "GREEK": "el", "HEBREW": "he",
    "GEORGIAN": "ka", "ARMENIAN": "hy", "TAMIL": "ta", "TELUGU": "te", "GUJARATI": "gu",
    "KANNADA": "kn", "MALAYALAM": "ml", "SINHALA": "si", "HANGUL": "ko",
}  # fmt: skip
"""Scripts that name their language, as far as it is spoken today by many."""
_SET_IT = "set 'language' in the manifest, or --language for files"


@dataclass(frozen=True, kw_only=True)
class SpokenLanguage:
    """What a recogniser is told of the speech, and nothing else.

    Attributes:
        code: Two letters.
        has_figures: Whether the transcript writes numbers in figures; otherwise a recogniser that
            can is kept from writing them.
        is_traditional: Whether Chinese is written in traditional characters.
    """

    code: str
    has_figures: bool = False
    is_traditional: bool = False

    @property
    def key(self) -> str:
        """Tells apart what a recogniser may hear differently, e.g. ``zh-hant+figures``."""
        return self.code + "-hant" * self.is_traditional + "+figures" * self.has_figures

    @property
    def name(self) -> str:
        """In English."""
        return language_name(self.code)

    @property
    def has_spaces(self) -> bool:
        """Whether words are separated by spaces."""
        return self.code not in WITHOUT_SPACES


@lru_cache(maxsize=4096)
def spoken_language(tag: str, transcript: str) -> SpokenLanguage:
    """Decides in which language a transcript is to be spoken.

    Args:
        tag: See `evals.text.language.language_code`; empty if there is none.
        transcript: As written.

    Returns:
        The language; English if nothing indicates another one.

    Raises:
        ValueError: If tag and script contradict each other, or the transcript leaves open which
            of several languages it is.
    """
    text = without_markup(plain_characters(transcript))
    code = language_code(tag)
    if code == UNKNOWN:
        code = _code_of_text(text)
    else:
        _check_script(code, text)
    return SpokenLanguage(
        code=code,
        has_figures=any(char.isdigit() for char in text),
        is_traditional=code == "zh" and chinese_form(text) > 0,
    )


def _code_of_text(text: str) -> str:
    written = written_in(text)
    if not written.language:
        return ENGLISH
    if written.by_script:
        scripts = scripts_in(text)
        code = "ja" if scripts.keys() & set(_KANA.split()) else ""
        script = next(s for s, _ in scripts.most_common() if s != "LATIN")
        code = code or ("zh" if script == _CHINESE else _ONLY_IN.get(script, ""))
    else:
        code = written.code
    if not code:
        which = f"is {written.language}" if written.by_script else f"may be {written.language}"
        raise ValueError(f"the transcript {which}, no language is given: {_SET_IT}")
    return code


def _check_script(code: str, text: str) -> None:
    if code in _SEVERAL_SCRIPTS:
        return
    share = share_in_script(code, text)
    if share < MIN_IN_SCRIPT:
        name, most = language_name(code), scripts_in(text).most_common(1)[0][0].capitalize()
        raise ValueError(
            f"the language is given as {name} ({code!r}), the transcript is in {most} letters"
        )


def scripts_in(text: str) -> Counter[str]:
    """Counts letters by script, with Unicode's names: ``LATIN``, ``CYRILLIC``, ``CJK``."""
    names = (unicodedata.name(char, "").split(" ")[0] for char in text if char.isalpha())
    return Counter("LATIN" if name in {"FEMININE", "MASCULINE"} else name for name in names)


def share_in_script(code: str, text: str) -> float:
    """Returns which share of the letters a language can be written in; 1 without letters."""
    scripts = scripts_in(text)
    own = _SCRIPTS_OF.get(code, "LATIN").split()
    return sum(scripts[name] for name in own) / scripts.total() if scripts else 1.0


def chinese_form(text: str) -> int:
    """Tells traditional from simplified characters.

    Args:
        text: Chinese.

    Returns:
        How many characters are traditional only, minus those that are simplified only, as the
        character sets Big5 and GB 2312 have them.
    """
    forms = [(_is_in("big5", char), _is_in("gb2312", char)) for char in text if char > "\u3400"]
    return forms.count((True, False)) - forms.count((False, True))


def _is_in(charset: str, char: str) -> bool:
    try:
        char.encode(charset)
    except UnicodeEncodeError:
        return False
    return True
