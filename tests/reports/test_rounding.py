"""Single numbers and their intervals in print."""

import pytest

from reports.numbers import rounded, rounded_with_ends


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((4e-4, 2.1e-4, 4.9e-4), ("0.00040", "[0.00021, 0.00049]")),
        ((12.34, 8.1, 16.6), ("12.3", "[8.1, 16.6]")),
        ((10.02, 9.99, 10.05), ("10.02", "[9.99, 10.05]")),
        ((0.5, -20.0, 21.0), ("0.5", "[−20.0, 21.0]")),
        ((0.25, 0.25, 0.25), ("0.250", "[0.250, 0.250]")),
    ],
)
def test_an_interval_that_excludes_zero_is_not_printed_as_zero(
    numbers: tuple[float, float, float], text: tuple[str, str]
) -> None:
    assert rounded_with_ends(*numbers) == text


def test_a_small_number_keeps_two_digits() -> None:
    shown = [rounded(value) for value in (123.45, 0.0521, 0.0101, -0.00034, 0.0)]
    assert shown == ["123.5", "0.052", "0.010", "−0.00034", "0.000"]
