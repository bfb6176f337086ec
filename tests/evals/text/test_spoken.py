"""The same speech in every usual spelling counts as the same words and sounds."""

from itertools import permutations

import jiwer
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.text.characters import plain_characters
from evals.text.choices import best_reading, choice, first_reading, pieces_of
from evals.text.comparison import compare_texts
from evals.text.language import language_code, written_in
from evals.text.markup import without_markup
from evals.text.normalise import SPOKEN, normalise
from evals.text.spoken import readings, spoken_form, spoken_words, words_of

SAME_SPEECH = """
The ticket costs twenty five dollars and fifty cents, ten percent more than in nineteen ninety nine.
The ticket costs $25.50, 10% more than in 1999.
The ticket costs 25 dollars and 50 cents, 10 per cent more than in 1999.

He paid one dollar for one point five pounds of rice.
He paid $1 for 1.5 pounds of rice.
He paid $1.00 for 1.5 lbs of rice.

On June third eighteen seventy one, the first train left.
On June 3rd, 1871, the 1st train left.
On June 3, 1871, the first train left.
On 6/3/1871, the 1st train left.
On 1871-06-03, the 1st train left.

On the third of June eighteen seventy one, it left.
On 3 June 1871, it left.
On the 3rd of June 1871, it left.

We meet at seven forty five in the morning.
We meet at 7:45 in the morning.

We meet at seven forty five p m on Monday.
We meet at 7:45 p.m. on Monday.
We meet at 7.45pm on Mon.
We meet at 7:45 PM on Monday.

We meet at seven o'clock sharp.
We meet at 7 o\u2019clock sharp.
We meet at 7:00 sharp.

It starts at a quarter to eight.
It starts at 7:45.

He earned one thousand two hundred fifty dollars and seventy five cents.
He earned $1,250.75.
He earned 1,250 dollars and 75 cents.

There were one thousand two hundred and fifty people.
There were 1,250 people.
There were 1250 people.
There were 1\u202f250 people.

It costs three pounds twenty.
It costs \u00a33.20.

It costs five euros.
It costs \u20ac5.
It costs 5\u20ac.
It costs 5 EUR.

That is twenty five cents.
That is 25\u00a2.
That is $0.25.

It costs five million dollars.
It costs $5 million.
It costs $5M.
It costs $5,000,000.

Add half a cup of milk.
Add \u00bd cup of milk.
Add 1/2 cup of milk.

Add two and a half cups.
Add 2\u00bd cups.
Add 2 1/2 cups.

Ten to fifteen people ran five kilometers at twenty degrees Celsius.
10-15 people ran 5km at 20\u00b0C.
10\u201315 people ran 5 kilometres at 20 \u2103.

Number seven is on Saint Paul street versus the others et cetera.
No. 7 is on St. Paul street vs. the others etc.
#7 is on St Paul Street vs the others, etc.
\u2116 7 is on St. Paul Street versus the others, etc.

He lives on Main street near Doctor Smith and mister Brown.
He lives on Main St. near Dr. Smith and Mr. Brown.
He lives on Main Street near Dr Smith and Mr Brown.

In the nineteen nineties and the eighties we danced.
In the 1990s and the '80s we danced.
In the 1990's and the \u201980s we danced.

King Henry the eighth had six wives.
King Henry VIII had 6 wives.

World War two ended in nineteen forty five.
World War II ended in 1945.
World War 2 ended in 1945.

He works in the U S A for the F B I.
He works in the U.S.A. for the F.B.I.
He works in the USA for the FBI.

Bread and butter plus jam at home equals joy, okay?
Bread & butter + jam @ home = joy, OK?

Type one and type two.
Type 1 and type 2.
Type I and type II.

The naive waiter at the cafe.
The na\u00efve waiter at the caf\u00e9.
The nai\u0308ve waiter at the cafe\u0301.

Write to jane underscore doe at example dot com.
Write to jane_doe@example.com.

Call five five five one two three four now.
Call 555-1234 now.
Call 555\u20111234 now.

My number is eight hundred five five five one two one two.
My number is 800-555-1212.
My number is (800) 555-1212.

It is two hundred dollars per month for apartment four B.
It is $200/month for Apt. 4B.
It is $200 per month for apartment 4B.

It is minus five degrees.
It is -5\u00b0.
It is \u22125 degrees.

The colour of the theatre was grey, and we realised it.
The color of the theater was gray, and we realized it.

The email about the long term follow up.
The e-mail about the long-term follow-up.
The e\u2011mail about the long\u2010term follow\u2011up.

In two thousand and five we moved.
In 2005 we moved.

Open twenty four seven.
Open 24/7.

He is five foot ten.
He is 5'10".
He is 5\u203210\u2033.

Two plus two equals four.
2 + 2 = 4.
2+2=4.

I don't think it's ready, O'Neil.
I don\u2019t think it\u2019s ready, O\u2019Neil.
I don\u02bct think it\u02bcs ready, O\u02bcNeil.
I don`t think it`s ready, O`Neil.
I don\u00b4t think it\uff07s ready, O\u2018Neil.

Well, the fish came back again today.
[laughs] Well, the fish came (sighs) back <break time="1s"/> again today.
ANNA: Well, the \ufb01sh came back again to\u00adday.
Speaker 2: Well,\u00a0the fish came\u200b back \uff41\uff47\uff41\uff49\uff4e today.
*laughs* \u201cWell, the fish came back again today.\u201d
<speak>Well, the <emphasis>fish</emphasis> came back again today.</speak>
Anna: Well, the fish came back\u2009again today.

She said hello there, my friend, and left.
She said \u201chello there, my friend,\u201d and left.
She said \u00abhello there\u00bb \u2014 my friend \u2014 and left.
She said 'hello there, my friend' and left.

Her data set is on the web site.
Her dataset is on the website.
""".strip().split("\n\n")


@pytest.mark.parametrize("spellings", SAME_SPEECH)
def test_the_same_speech_has_no_errors_whichever_spelling_each_side_has(spellings: str) -> None:
    for said, heard in permutations(spellings.splitlines(), 2):
        reference, words = compare_texts(said, heard, SPOKEN)
        assert reference == words


@pytest.mark.parametrize("spellings", [text for text in SAME_SPEECH if "data set" not in text])
def test_the_same_speech_has_the_same_sounds(spellings: str) -> None:
    plain, *others = spellings.splitlines()
    sounds = "".join(spoken_words(plain))
    for other in others:
        spoken = best_reading(readings(other), lambda text: "".join(words_of(text)), sounds)
        assert "".join(words_of(spoken)) == sounds


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.integers(0, 2_000_000), st.integers(0, 99), st.sampled_from(["", "$", "\u00a3", "\u20ac"])
)
def test_any_sum_reads_alike_with_and_without_commas(whole: int, part: int, sign: str) -> None:
    said, heard = (f"about {sign}{number}.{part:02d} more" for number in (whole, f"{whole:,}"))
    assert spoken_form(said) == spoken_form(heard)
    assert (
        compare_texts(said, spoken_form(heard), SPOKEN)[0] == compare_texts(said, heard, SPOKEN)[1]
    )


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.text(max_size=60))
def test_any_text_can_be_read_and_has_no_marks_left(text: str) -> None:
    spoken = spoken_form(text)
    assert not any("\ue000" <= char <= "\uf8ff" for char in spoken)
    assert all(word.replace("'", "").isascii() for word in spoken_words(text))


def test_wrong_words_stay_wrong() -> None:
    for said, heard in [
        ("It costs $25.50.", "It costs $25.60."),
        ("We meet at 7:45.", "We meet at 7:54."),
        ("In 1999 he left.", "In 1998 he left."),
        ("June 3, 1871", "June 13, 1871"),
        ("5 km away", "5 miles away"),
        ("the 1st of 3", "the 3rd of 3"),
    ]:
        reference, words = compare_texts(said, heard, SPOKEN)
        assert jiwer.wer(" ".join(reference), " ".join(words)) > 0


@pytest.mark.parametrize(
    "text",
    [
        "The quick brown fox jumps over the lazy dog, doesn't it?",
        "She was the only one who could have been there at that time; I know her.",
        "One apple, two pears and twenty one plums for Mr. Brown.",
        "They travelled a long way, and the theatre's doors were open.",
    ],
)
def test_plain_prose_is_written_as_by_the_published_normaliser(text: str) -> None:
    assert normalise(text, SPOKEN).split() == normalise(text, "whisper-en").split()


def test_plain_ascii_keeps_its_characters() -> None:
    text = "Don't -- she said \"stop\"; it's 5.5% (or so) & more, e.g. #1 [x] <y> a_b~c^d."
    assert plain_characters(text) == text


def test_what_is_said_in_parentheses_stays_and_directions_go() -> None:
    said = without_markup("I came (and left) home (sighs) *very* late {pause}.")
    assert said.split() == ["I", "came", ",", "and", "left,", "home", "very", "late", "."]


@pytest.mark.parametrize(
    ("label", "aloud"), [("Chapter 1", "chapter one"), ("Lesson 21", "lesson 21"), ("Anna 2", "")]
)
def test_a_numbered_label_may_be_said_or_not(label: str, aloud: str) -> None:
    for heard in (f"{aloud} the sea was calm", "the sea was calm"):
        reference, words = compare_texts(f"{label}: The sea was calm.", heard, SPOKEN)
        assert reference == words
    reference, words = compare_texts(f"{label}: The sea was calm.", "nine the sea was calm", SPOKEN)
    assert reference != words


def test_the_reading_with_the_fewest_errors_is_chosen() -> None:
    pieces = pieces_of(f"at {choice('seven', 'seven sharp', 'noon')} or {choice('a', 'b')}")
    assert first_reading(pieces) == "at seven or a"
    assert best_reading(pieces, str.split, ["at", "noon", "or", "b"]) == "at noon or b"


FOREIGN = {
    "Chinese": "\u4eca\u5929\u5728\u8fd9\u91cc\u7684\u6bcf\u4e00\u4e2a\u4eba\u3002",
    "Japanese": "\u4eca\u65e5\u306f\u3044\u3044\u5929\u6c17\u3067\u3059\u306d\u3002",
    "Cyrillic": "\u0421\u0435\u0433\u043e\u0434\u043d\u044f \u0432\u0441\u0435.",
    "Portuguese": "Hoje todos aqui est\u00e3o a lutar por um futuro melhor para o nosso pa\u00eds.",
    "German": "Jeder, der heute hier ist, strebt nach einer besseren Zukunft.",
    "French": "La voiture rouge roule tr\u00e8s vite dans la rue.",
    "Spanish": "El perro corre por el parque con mi hermana.",
    "Italian": "Mi chiamo Luca e abito a Roma con la mia famiglia.",
    "Polish": "Dzie\u0144 dobry, nazywam si\u0119 Anna i mieszkam w Warszawie.",
}


@pytest.mark.parametrize("language", FOREIGN)
def test_transcripts_in_other_languages_are_told(language: str) -> None:
    assert language in written_in(FOREIGN[language]).language


@pytest.mark.parametrize(
    "text",
    [
        "bin blue at f two now",
        "Colorless green ideas sleep furiously",
        "Everyone has been to Los Angeles, Las Vegas and San Francisco.",
        "El Nino hit La Paz and El Paso.",
        "Charles de Gaulle, Ludwig van Beethoven.",
        "Ha ha ha! La la la.",
        "Hola amigo!",
        "Die hard, or was I at war in an old den?",
        "Peter Piper picked a peck of pickled peppers",
        "No, no, no",
        "Tokyo is \u6771\u4eac in Japanese, and Kyoto is another old town.",
        "",
    ],
)
def test_english_names_and_nonsense_are_not_taken_for_another_language(text: str) -> None:
    assert written_in(text).language == ""


def test_every_usual_tag_of_a_language_is_known() -> None:
    for tag in ("en_GB", "eng", "English", "EN-us", "en", "en_US.UTF-8", "english (UK)"):
        assert language_code(tag) == "en"
    for tag in ("zh-CN", "cmn", "Chinese", "zho", "zh_Hans_CN", "Mandarin"):
        assert language_code(tag) == "zh"
    assert language_code("") == language_code("und") == ""
    with pytest.raises(ValueError, match="'engl'; did you mean 'en'"):
        language_code("engl")


INVISIBLE = (
    "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\u2061\ufeff\ufe0f\u202a\u202c\u2066\u2069\u180e"
)
BLANKS = (
    "\u00a0\u1680\u2000\u2002\u2003\u2005\u2007\u2008\u2009\u200a\u202f\u205f\u3000\t\x0b\u2028"
)
APOSTROPHES = (
    "\u2018\u2019\u201b\u02bc\u02bb\u02b9\u02bd\u2032\uff07\u00b4`\u02b9\u02ca\u02cb\ua78c\u055a"
)
HYPHENS = "\u2010\u2011\u2012\u2013\u2014\u2212\ufe63\uff0d\u2043"
SENTENCE = "I don't think that it's a well-known story, but we'll see."


@pytest.mark.parametrize(("plain", "variants"), [("'", APOSTROPHES), (" ", BLANKS), ("-", HYPHENS)])
def test_every_variant_of_a_character_reads_alike(plain: str, variants: str) -> None:
    for variant in variants:
        said = SENTENCE.replace(plain, variant)
        reference, words = compare_texts(said, SENTENCE, SPOKEN)
        assert reference == words, hex(ord(variant))
        assert spoken_words(said) == spoken_words(SENTENCE), hex(ord(variant))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, len(SENTENCE)), st.sampled_from(INVISIBLE)), max_size=8))
def test_invisible_characters_change_nothing_wherever_they_stand(
    inserted: list[tuple[int, str]],
) -> None:
    said = SENTENCE
    for place, char in inserted:
        said = said[:place] + char + said[place:]
    assert spoken_words(said) == spoken_words(SENTENCE)
    assert normalise(said, SPOKEN) == normalise(SENTENCE, SPOKEN)
