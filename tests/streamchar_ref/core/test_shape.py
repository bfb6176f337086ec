"""JSON values against type hints: what fits, and what is said of what does not."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import pytest

from streamchar_ref.core.shape import Above, AtLeast, fault_in


class Place(TypedDict):
    city: str
    zip: NotRequired[int]


@dataclass
class Visit:
    place: Place
    kind: Literal["work", "play"]
    hours: Annotated[float | None, AtLeast(0)]
    span: tuple[int, int] = (0, 0)
    rates: dict[str, Annotated[float, Above(0)]] | None = None


VISIT: dict[str, Any] = {
    "place": {"city": "Ulm", "more": [1]},
    "kind": "work",
    "hours": 2,
    "span": [1, 2],
    "rates": {"a": 0.5},
}


@pytest.mark.parametrize(
    "changes", [{}, {"hours": None}, {"rates": None}, {"place": {"city": "Ulm", "zip": 89073}}]
)
def test_what_fits_has_no_fault(changes: dict[str, Any]) -> None:
    assert fault_in(VISIT | changes, Visit) == ""


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"place": {"zip": 1}}, "place lacks 'city'"),
        ({"place": {"city": 3}}, "place.city is 3, not text"),
        ({"kind": "rest"}, 'kind is "rest", not one of work, play'),
        ({"hours": -1}, "hours is -1 and must be at least 0"),
        ({"hours": True}, "hours is true, not a number or null"),
        ({"span": [1]}, "span is [1], not a list of 2"),
        ({"span": [1, 2.5]}, "span[1] is 2.5, not a whole number below 2^63"),
        ({"span": [1, 2**63]}, "span[1] is 9223372036854775808, not a whole number below 2^63"),
        ({"other": 1}, "it has the unknown field 'other'"),
    ],
)
def test_the_first_fault_is_named_with_its_place(changes: dict[str, Any], fault: str) -> None:
    assert fault_in(VISIT | changes, Visit) == fault


def test_bounds_inside_an_option_are_kept() -> None:
    assert "rates" in fault_in(VISIT | {"rates": {"a": 0.0}}, Visit)
