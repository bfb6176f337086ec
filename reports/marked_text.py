"""What a recogniser heard, with errors marked so that no colour is needed to read them."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from evals.scoring.results import ScoreRow
from evals.text.align import align
from evals.text.comparison import compare_texts
from evals.text.normalise import NORMALISERS, SPOKEN
from reports.html import Html, el, join


class Piece(NamedTuple):
    """A run of words of one kind.

    Attributes:
        kind: ``equal``, ``omitted``, ``inserted`` or ``swapped``.
        asked: Words of the transcript.
        heard: Words of the recogniser.
    """

    kind: str
    asked: str
    heard: str


def pieces_of(asked: Sequence[str], heard: Sequence[str]) -> list[Piece]:
    """Aligns two texts by the fewest edits, see `evals.text.align.align`.

    Args:
        asked: Normalised words of the transcript.
        heard: Normalised words of the recogniser.

    Returns:
        Runs of words in order, all words once.
    """
    return [
        Piece(
            kind,
            " ".join(one.asked for one in run if one.asked),
            " ".join(one.heard for one in run if one.heard),
        )
        for kind, group in groupby(_words(asked, heard), key=lambda one: one.kind)
        for run in [list(group)]
    ]


def _words(asked: Sequence[str], heard: Sequence[str]) -> Iterator[Piece]:
    alignment = align(asked, heard)
    reference = alignment.reference_index.tolist()
    recognised = alignment.heard_index.tolist()
    i = j = 0
    for place, is_hit in enumerate([*alignment.is_hit.tolist(), None]):
        last = place == len(reference)
        next_i, next_j = (len(asked), len(heard)) if last else (reference[place], recognised[place])
        yield from (Piece("omitted", word, "") for word in asked[i:next_i])
        yield from (Piece("inserted", "", word) for word in heard[j:next_j])
        if not last:
            kind = "equal" if is_hit else "swapped"
            yield Piece(kind, asked[next_i], heard[next_j])
        i, j = next_i + 1, next_j + 1


def marked_text(transcript: str, row: ScoreRow, protocols: Mapping[str, Any]) -> Html | None:
    """Marks the errors of one recording.

    Args:
        transcript: What should be said.
        row: Of ``wer``, with the recogniser's text in its components.
        protocols: Hash -> parameters, for the normaliser.

    Returns:
        The text; ``None`` where there is nothing to compare.
    """
    heard = row.components.get("heard")
    if not transcript or not isinstance(heard, str):
        return None
    parameters = protocols.get(row.protocol_hash) or {}
    normaliser = str(parameters.get("params", {}).get("normaliser", SPOKEN))
    normaliser = normaliser if normaliser in NORMALISERS else SPOKEN
    return marks(pieces_of(*compare_texts(transcript, heard, normaliser)))


def marks(pieces: Sequence[Piece]) -> Html:
    """Shows runs of words: struck out, underlined, or both where one stands for another."""
    shown: list[Html | str] = []
    for kind, asked, heard in pieces:
        if kind == "equal":
            shown.append(heard)
        elif kind == "omitted":
            shown.append(el("del", asked, title="omitted", aria_label=f"omitted: {asked}"))
        elif kind == "inserted":
            shown.append(el("ins", heard, title="added", aria_label=f"added: {heard}"))
        else:
            shown.append(
                el(
                    "span",
                    el("del", asked),
                    " ",
                    el("ins", heard),
                    class_="swap",
                    title=f"heard {heard!r} in place of {asked!r}",
                )
            )
        shown.append(" ")
    return join(*shown)


def legend() -> Html:
    """Explains the marks with themselves."""
    return el(
        "p",
        "Under each clip: what the recogniser heard, as WER counts it. ",
        el("del", "struck out"),
        ": omitted; ",
        el("ins", "underlined"),
        ": added; ",
        el("span", el("del", "asked"), " ", el("ins", "heard"), class_="swap"),
        ": another word.",
        class_="note",
    )
