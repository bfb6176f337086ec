import itertools
import random
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.text import numbers
from evals.text.english import _contractions
from evals.text.normalise import NORMALISERS, SEED_TTS_PUNCTUATION, normalise

english = pytest.importorskip(
    "whisper_normalizer.english", reason="whisper-normalizer, of the extra dev, is the reference"
)
REFERENCE = english.EnglishTextNormalizer()
OF_THE_PACKAGE_ONLY = (r"\bkinda\b", r"\bsorta\b", r"\bdunno\b", r"\bcause\b")
for rule in OF_THE_PACKAGE_ONLY:  # OpenAI's own code, openai-whisper 20250625, does not have them
    del REFERENCE.replacers[rule]

WRITTEN_BY_HAND = """\
O'Neil's shop isn't open, is it?|o.k.|Type One and type 1|It's one o'clock|the ones I'd like
twenty twenty six|nineteen eighty-four|one oh one|double oh seven|triple nine|one hundred and one
two and a half million dollars|a year and a half|three point one four one five nine|point five
$20 million|$1,234,567.89|20 dollars and 7 cents|$2 and 7 cents|$0.07|five cents|10 per cent
99 percent of 1,000|minus five degrees|plus or minus two|negative forty|+3 -4 +x|50% off|% of it
the 274th time|1960s|the nineteen sixties|twenty first century|the ninth and tenth|second to none
one hundred thousandth|three hundred millions|zero point zero|o|oh no|the oh's|hundreds of thousands
Mr. Smith and Mrs. Jones met Dr. Who, Prof. X, Gen. Lee and Lt. Col. Sr.|St. James's Rev. Hon. Jr.
I'd been, he's been, she'd gone, it's gone, we'd done, he's got, won't, can't, let's, ain't, y'all
wanna kinda sorta dunno gotta gonna I'ma imma woulda coulda shoulda 'cause ma'am they're you've I'm
Um, uh, hmm, mm, mhm, mmm - well|[laughter] yes (inaudible) <noise> no|colour centre organise grey
theatre, travelling, aluminium and jewellery|caf\u00e9 na\u00efve \u0153uvre stra\u00dfe \u00c6sir
\u20ac5, \u00a35.50 and 7\u00a2|\u00bd cup|H2O at 100C|192.168.0.1|3.|v1.0.|a.b.c.|...|""|(|[x|<|1/2
one two three four|fifty five fifty five|twenty one hundred|two hundred twenty|ten ten ten|five one
a hundred|hundred|thousand million|one point|point|and|double|double twenty|triple oh|double double
one hundred and|and five|seven and a half|dogs and a half|and a half|per|per cent|three per person
percent|cent|a dollar|dollars|minus|minus word|plus twenty dollars|fifteen hundredths|point hundred
\u0661\u0662|\u00b2 squared|1st 2nd 3rd 4th 5s|1s|the 1st|won 't|she 's|I\u2019m \u2018here\u2019
1,2,3|1, 2, 3|one, two, three|2-3|twenty-one|thirty-two-year-old|24/7|100%|$%|%5|5 %|5$|-|--5|\u00a3
"""
HAND = [text for line in WRITTEN_BY_HAND.splitlines() for text in line.split("|")]
OTHERS = "2 20 3.5 1,000 $5 -7 7th 2.0 0 007 1 21 % $ the a half year colour isn't mr uh . , -"
VOCABULARY = [*sorted(numbers.WORDS), *OTHERS.split()]


@pytest.mark.parametrize("text", HAND)
def test_text_by_hand_comes_out_as_from_whisper_normalizer(text: str) -> None:
    assert NORMALISERS["whisper-en"](text) == REFERENCE(text)


def test_sequences_of_number_words_come_out_as_from_whisper_normalizer() -> None:
    rng = random.Random(0)
    texts = [" ".join(rng.choices(VOCABULARY, k=rng.randint(1, 7))) for _ in range(4_000)]
    assert [t for t in texts if NORMALISERS["whisper-en"](t) != REFERENCE(t)] == []


def test_every_pair_of_common_number_words_comes_out_as_from_whisper_normalizer() -> None:
    few = "zero one nine eleven twenty fifth twenties hundred thousands minus dollars point and 5"
    texts = map(" ".join, itertools.product(few.split(), repeat=3))
    assert [t for t in texts if NORMALISERS["whisper-en"](t) != REFERENCE(t)] == []


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.text(alphabet=st.sampled_from(string.printable + "\u20ac\u00a3\u00e9\u2019\u00a2")))
def test_any_text_comes_out_as_from_whisper_normalizer(text: str) -> None:
    assert NORMALISERS["whisper-en"](text) == REFERENCE(text)


def test_four_rules_of_the_package_are_not_openais() -> None:
    said = "the root cause is kinda sorta clear, I dunno, 'cause"
    assert normalise(said, "whisper-en") == "the root cause is kinda sorta clear i dunno cause"
    assert len(REFERENCE.replacers) == len(_contractions()) == 49


def test_text_comes_out_as_from_openai_whisper_itself() -> None:
    whisper = pytest.importorskip("whisper.normalizers", reason="openai-whisper is the reference")
    theirs = whisper.EnglishTextNormalizer()
    rng = random.Random(1)
    texts = [*HAND, *(" ".join(rng.choices(VOCABULARY, k=5)) for _ in range(2_000))]
    assert [t for t in texts if NORMALISERS["whisper-en"](t) != theirs(t)] == []


def test_british_spellings_become_american() -> None:
    assert normalise("The colour of the theatre.", "whisper-en") == "the color of the theater"


def test_seed_tts_keeps_the_straight_apostrophe_and_nothing_else() -> None:
    said = "Don't -- she said, \u201cstop\u201d; it\u2019s 5.5%!"
    assert normalise(said, "seed-tts-en") == "don't she said stop its 55"


def test_seed_tts_makes_a_double_space_single_only_once() -> None:
    assert NORMALISERS["seed-tts-en"]("a    b") == "a  b"


def test_seed_tts_punctuation_is_that_of_zhon() -> None:
    zhon = pytest.importorskip("zhon.hanzi", reason="zhon is the reference")
    assert {*zhon.punctuation, *string.punctuation} - {"'"} == SEED_TTS_PUNCTUATION


def test_raw_changes_nothing() -> None:
    assert NORMALISERS["raw"](" A, b  ") == " A, b  "
