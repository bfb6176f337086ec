"""How figures look: widths of the common venues, small type, colours that all eyes tell apart."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any, NamedTuple

import matplotlib
from cycler import cycler
from matplotlib.font_manager import findfont
from matplotlib.ft2font import FT2Font

from streamchar_ref.core.names import short, visible

WIDTHS_IN = {
    "cvpr_column": 3.25,
    "cvpr_page": 6.875,
    "neurips": 5.5,
    "acm_column": 3.33,
    "acm_page": 7.0,
    "report": 7.2,
}
"""Venue and column -> inches."""

# Okabe and Ito, "Color Universal Design", 2008; yellow last, for it is faint on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
BLACK = "#000000"
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
GREY = "#8a8a8a"
GOOD, BAD, WARN = COLOURS[2], COLOURS[1], COLOURS[4]

STYLE: dict[str, Any] = {
    "figure.dpi": 150,
    "savefig.dpi": 200,
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.edgecolor": "#555555",
    "axes.labelcolor": "#222222",
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.4,
    "axes.prop_cycle": cycler(color=COLOURS),
    "pdf.fonttype": 42,  # text stays text; several venues refuse type 3
    "ps.fonttype": 42,
    "svg.hashsalt": "streamchar",  # element ids, and so the file, repeat
    "figure.constrained_layout.use": True,
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
}
"""Matplotlib settings; see `styled`."""

ABOVE: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1.0), "borderaxespad": 0.2}
"""Places a legend over the axis, where it hides nothing."""


def styled() -> AbstractContextManager[None]:
    """Draws and saves in this style inside a ``with`` block; other figures keep theirs."""
    return matplotlib.rc_context(STYLE)  # type: ignore[arg-type]  # its keys are a literal type


def drawn(name: str, most: int = 40) -> str:
    """Writes any name so that a figure shows it as it is.

    Args:
        name: Of a system or sample.
        most: Letters that there is room for; a longer name is shortened.

    Returns:
        Without signs that the font lacks, which are written as escapes; in front of an underscore,
        with which matplotlib would leave it out of a legend, an invisible blank.
    """
    shown = short("".join(_in_font(sign) for sign in visible(name)), most)
    if matplotlib.rcParams["text.parse_math"]:  # drawn outside `styled`
        shown = shown.replace("$", "\\$")
    return ("\u200b" * shown.startswith("_")) + shown


def _in_font(sign: str) -> str:
    return sign if ord(sign) in _glyphs() else sign.encode("unicode_escape").decode()


@cache
def _glyphs() -> frozenset[int]:
    return frozenset(FT2Font(findfont("DejaVu Sans")).get_charmap())


class _Look(NamedTuple):
    systems: tuple[str, ...] = ()
    ceilings: frozenset[str] = frozenset()
    order: tuple[str, ...] = ()


_NO_LOOK = _Look()
_LOOK: ContextVar[_Look] = ContextVar("look", default=_NO_LOOK)


@contextmanager
def same_look(
    systems: Sequence[str], ceilings: Collection[str] = (), order: Sequence[str] | None = None
) -> Iterator[None]:
    """Gives each system the same colour, marker and place in all figures of a ``with`` block.

    Args:
        systems: All; those that a figure lacks keep their colours and markers.
        ceilings: Of them, the first of which is black.
        order: In which they are drawn; that of ``systems`` by default.
    """
    look = _Look(tuple(systems), frozenset(ceilings), tuple(systems if order is None else order))
    token = _LOOK.set(look)
    try:
        yield
    finally:
        _LOOK.reset(token)


def in_look_order(systems: Iterable[str]) -> list[str]:
    """Sorts systems as `same_look` says, unknown ones last, by name."""
    return _sorted_as(_LOOK.get().order, systems)


def _sorted_as(order: Sequence[str], systems: Iterable[str]) -> list[str]:
    places = {name: place for place, name in enumerate(order)}
    return sorted(set(systems), key=lambda name: (places.get(name, len(places)), name))


def colours_of(systems: Iterable[str]) -> dict[str, str]:
    """Gives each system its colour, by `same_look`, else by its place in the sorted names.

    There are eight; then they repeat, with other markers.
    """
    known, ceilings, _ = _LOOK.get()
    every = _sorted_as(known, [*known, *systems])
    first = next((name for name in every if name in ceilings), "")
    coloured = [name for name in every if name != first]
    colours = [colour for colour in COLOURS if not first or colour != BLACK]
    found = {name: colours[place % len(colours)] for place, name in enumerate(coloured)}
    return found | ({first: BLACK} if first else {})


def markers_of(systems: Iterable[str]) -> dict[str, str]:
    """Gives each system its marker, so that a black-and-white print can be read."""
    known = _LOOK.get().systems
    every = _sorted_as(known, [*known, *systems])
    return {name: MARKERS[index % len(MARKERS)] for index, name in enumerate(every)}
