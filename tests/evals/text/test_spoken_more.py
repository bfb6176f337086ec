"""Spellings of the same speech that word processors and recognisers differ in, and real errors."""

import random
import time

import pytest
from rapidfuzz.distance import Levenshtein

from evals.text.comparison import compare_texts
from evals.text.language import language_code, written_in
from evals.text.normalise import SPOKEN, normalise

SAME = """
It fell -$5.50.|It fell minus five dollars and fifty cents.
The change was -\u20ac20.|The change was negative twenty euros.
It was \u201310 \u00b0C.|It was minus ten degrees Celsius.
The price is 49,99 \u20ac.|The price is forty nine euros and ninety nine cents.
It is \u20ac49,99.|It is forty nine euros ninety nine.
CAD 300 is fine.|Three hundred Canadian dollars is fine.
A \u20a91000 note|a one thousand won note
R$50 is enough.|Fifty reais is enough.
NZ$5 or HK$7|five New Zealand dollars or seven Hong Kong dollars
US$40 million|forty million US dollars
1.000.000 people|one million people
from 10%-15%|from ten to fifteen percent
5km-10km|five kilometers to ten kilometers
pages 10\u201315|pages ten through fifteen
on 5-Mar-2024|on the fifth of March twenty twenty four
Sun, 5 Mar 2024|Sunday the fifth of March twenty twenty four
Mon-Fri|Monday to Friday
Tues.\u2013Thurs.|Tuesday through Thursday
open 9am-5pm|open nine a m to five p m
open 9-5pm|open nine to five p m
open 9:00-17:00|open nine to seventeen hundred
10 a.m.\u2013noon|ten a m to noon
call +44 20 7946 0958|call plus four four two oh seven nine four six oh nine five eight
call 1-800-555-0199|call one eight hundred five five five oh one nine nine
tied 0-0|tied nil nil
v1.2.3|version one point two point three
5 > 3|five is greater than three
10^6|ten to the sixth
x\u00b2 + y\u00b3|x squared plus y cubed
60mph|sixty miles an hour
10kg|ten kilos
coffee w/ milk and w/o sugar|coffee with milk and without sugar
the Wi-Fi|the wifi
CO2|c o two
James's book|James' book
rock n roll|rock and roll
goin' home|going home
tell 'em 'cause I said|tell them because I said
I *really* mean it|I really mean it
**Nothing** matters|nothing matters
Oh baby (don't cry)|oh baby don't cry
(laughs nervously) Hi|hi
(sighs deeply and coughs) Hi|hi
"""
DIFFERENT = """
-$5|$5
-\u20ac20|\u20ac20
minus twenty pounds|twenty pounds
+$5|$5
$50|fifty
$1.2m|1.2 million
A$5|NZ$5
\u201310 \u00b0C|10 \u00b0C
**Nothing** matters|matters
(laughs nervously) Hi|laughs nervously hi
10%-15%|10%-50%
9am-5pm|9am-5am
5-Mar-2024|5-May-2024
Mon-Fri|Mon-Sat
x\u00b2|x\u00b3
call 1-800-555-0199|call 1-900-555-0199
version 2.1|version 2.2
w/ milk|w/o milk
"""


def _pairs(text: str) -> list[list[str]]:
    return [line.split("|") for line in text.strip().splitlines()]


@pytest.mark.parametrize(("written", "spoken"), _pairs(SAME))
def test_more_spellings_of_the_same_speech_have_no_errors(written: str, spoken: str) -> None:
    for said, heard in ((written, spoken), (spoken, written)):
        reference, words = compare_texts(said, heard, SPOKEN)
        assert reference == words


@pytest.mark.parametrize(("one", "other"), _pairs(DIFFERENT))
def test_speech_that_differs_in_sign_unit_or_digit_is_told_apart(one: str, other: str) -> None:
    for said, heard in ((one, other), (other, one)):
        reference, words = compare_texts(said, heard, SPOKEN)
        assert reference != words


def test_thousands_of_words_out_of_order_are_read_in_seconds() -> None:
    rng = random.Random(0)
    lines = [
        "On July 4th, 1776, about $1.2m was spent at 7:45 p.m. by Dr. Smith.",
        "The price rose from 10-15% to 3/4 of 1,250 units in 1999.",
        "Call 555-0123 or visit example.com, e.g. today.",
        "We saw the long river bend under the old stone bridge.",
    ] * 60
    rng.shuffle(lines)
    start = time.perf_counter()
    reference, heard = compare_texts(" ".join(lines), " ".join(reversed(lines)), SPOKEN)
    assert time.perf_counter() - start < 15
    assert Levenshtein.distance(reference, heard) > 500
    dropped = compare_texts(" ".join(lines), " ".join(lines[:100] + lines[101:]), SPOKEN)
    missing = len(compare_texts(lines[100], "", SPOKEN)[0])
    assert abs(Levenshtein.distance(*dropped) - missing) <= 2


def test_a_loop_of_digits_longer_than_python_writes_is_read() -> None:
    heard = " ".join(["twenty twenty"] * 1500)
    assert "".join(normalise(heard, "whisper-en").split()) == "2020" * 1500
    reference, words = compare_texts("In 2020 we met.", heard, SPOKEN)
    assert reference != words


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Bonjour, comment \u00e7a va ?", "French"),
        ("Merci beaucoup", "French"),
        ("Hola, \u00bfc\u00f3mo est\u00e1s?", "Spanish"),
        ("Muchas gracias", "Spanish"),
        ("Ciao, come stai?", "Italian"),
        ("Grazie mille", "Italian"),
        ("\u00abJe ne sais pas\u00bb", "French"),
        ('She answered "je ne sais quoi" and left', ""),
        ("He shouted \u201cno me gusta\u201d at them", ""),
        ("A E I O U", ""),
        ("Come stay with us", ""),
    ],
)
def test_greetings_are_told_and_english_that_quotes_or_spells_is_not(
    text: str, language: str
) -> None:
    assert written_in(text).language == language


def test_a_tag_may_name_the_country_first() -> None:
    assert language_code("British English") == "en"
    assert language_code("simplified Chinese") == "zh"
