"""Tie groups as letters: shared where nothing was shown, apart where something was."""

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from evals.numerics.letters import compact_letters

NAMES = tuple("ABCDEFG")


@st.composite
def displays(draw: st.DrawFn) -> tuple[tuple[str, ...], set[tuple[str, str]]]:
    systems = tuple(draw(st.permutations(NAMES)))[: draw(st.integers(1, len(NAMES)))]
    pairs = list(combinations(systems, 2))
    return systems, set(draw(st.lists(st.sampled_from(pairs)))) if pairs else set()


@settings(deadline=None, max_examples=60)
@given(displays())
def test_two_systems_share_a_letter_unless_they_differ(
    display: tuple[tuple[str, ...], set[tuple[str, str]]],
) -> None:
    systems, different = display
    letters = compact_letters(systems, different)
    assert all(letters[system] for system in systems)
    for one, other in combinations(systems, 2):
        is_apart = (one, other) in different or (other, one) in different
        assert bool(set(letters[one]) & set(letters[other])) == (not is_apart)


@settings(deadline=None, max_examples=40)
@given(displays())
def test_no_letter_can_be_left_out_or_added(
    display: tuple[tuple[str, ...], set[tuple[str, str]]],
) -> None:
    systems, different = display
    found = compact_letters(systems, different)
    used = sorted(set("".join(found.values())))
    for letter in used:
        rest = {name: set(own) - {letter} for name, own in found.items()}
        is_told = all(rest[name] for name in systems) and all(
            rest[one] & rest[other] or not set(found[one]) & set(found[other])
            for one, other in combinations(systems, 2)
        )
        assert not is_told


def test_a_textbook_display() -> None:
    """Only the ends differ: the one between shares a letter with both."""
    assert compact_letters(tuple("ABC"), [("A", "C")]) == {"A": "a", "B": "ab", "C": "b"}
    assert compact_letters(tuple("ABC"), [("C", "A"), ("B", "A")]) == {"A": "a", "B": "b", "C": "b"}
    assert compact_letters(tuple("ABC"), []) == {"A": "a", "B": "a", "C": "a"}
    assert compact_letters(tuple(""), []) == {}


def test_the_best_system_has_the_first_letter_whatever_the_order_of_the_pairs() -> None:
    pairs = [("A", "D"), ("B", "D"), ("A", "C")]
    expected = {"A": "a", "B": "ab", "C": "bc", "D": "c"}
    assert compact_letters(tuple("ABCD"), pairs) == expected
    assert compact_letters(tuple("ABCD"), [pair[::-1] for pair in reversed(pairs)]) == expected


def test_beyond_the_alphabet_letters_have_a_number_and_a_dot_between_them() -> None:
    names = [f"s{n:02d}" for n in range(30)]
    letters = compact_letters(names, combinations(names, 2))
    assert (letters["s00"], letters["s25"], letters["s26"]) == ("a", "z", "a1")
    assert len(set(letters.values())) == 30
