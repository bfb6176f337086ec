"""Recordings side by side: players that run together, scores, and what was heard."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from evals.recording.recording import Recording
from evals.recording.role import Role
from evals.scoring.results import ScoreRow
from reports.axes import headline_metrics, label_of, scale_of, unit_of, without_replaced
from reports.described import ROLES
from reports.html import Html, data_uri, el, join
from reports.load import Runs
from reports.marked_text import legend, marked_text
from reports.numbers import rounded

Player = Callable[[Recording], bytes | None]
"""A small mp4 of a recording, or nothing."""
Strip = Callable[[Recording], list[tuple[float, bytes]]]
"""A few PNG pictures of a recording, each with its time in seconds."""

Made = TypeVar("Made")
Sample = tuple[str, str]
"""Suite and sample_id."""
MAX_PLAYED = 3
MAX_SCORES = 7
MAX_ACROSS = 5
WORST_BY = "wer"


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What recordings are shown with.

    Attributes:
        runs: Scores.
        recordings: Of all systems.
        protocols: Hash -> parameters.
        player: Makes the video of a recording.
        strip: Makes its film strip.
        by_recording: Scores with a value of each recording.
    """

    runs: Runs
    recordings: Sequence[Recording]
    protocols: Mapping[str, Any]
    player: Player
    strip: Strip
    by_recording: Mapping[tuple[str, str, str, int], list[ScoreRow]] = field(default_factory=dict)


def shown(runs: Runs, recordings: Sequence[Recording], protocols: Mapping[str, Any],
          player: Player, strip: Strip) -> Shown:  # fmt: skip
    """Gathers the scores of each recording; see `Shown`."""
    by_recording: dict[tuple[str, str, str, int], list[ScoreRow]] = defaultdict(list)
    for row in runs.rows:
        if row.value is not None:
            by_recording[row.system, row.suite, row.sample_id, row.seed].append(row)
    return Shown(runs=runs, recordings=recordings, protocols=protocols, player=player,
                 strip=strip, by_recording=by_recording)  # fmt: skip


def worst_first(content: Shown) -> dict[Sample, list[Recording]]:
    """Groups recordings by prompt: what failed first, then by the word errors of the models.

    Without models all systems count; without word errors, by name.
    """
    order = content.runs.in_print_order
    groups: dict[Sample, list[Recording]] = defaultdict(list)
    for one in sorted(content.recordings, key=lambda r: (order.index(r.system), r.seed)):
        groups[one.suite, one.sample_id].append(one)
    models = {name for name in order if content.runs.role_of(name) is Role.MODEL} or set(order)

    def badness(sample: Sample) -> tuple[int, float, Sample]:
        own = [one for one in groups[sample] if one.system in models]
        rates = [row.value for one in own if (row := word_errors(content, one)) and row.value]
        return -sum(bool(one.error) for one in own), -sum(rates), sample

    return {sample: groups[sample] for sample in sorted(groups, key=badness)}


def word_errors(content: Shown, recording: Recording) -> ScoreRow | None:
    """Returns the row of ``wer``; of several protocols the last one by name that heard words."""
    rows = [row for row in _rows(content, recording) if row.metric == WORST_BY]
    return max(rows, key=lambda row: ("heard" in row.components, row.protocol), default=None)


def _rows(content: Shown, one: Recording) -> list[ScoreRow]:
    return content.by_recording.get((one.system, one.suite, one.sample_id, one.seed), [])


def watch(content: Shown) -> Html | None:
    """Shows the worst prompts, each with all its systems side by side.

    Args:
        content: Recordings with what they are shown with.

    Returns:
        Nothing if there is nothing to see.
    """
    ordered = worst_first(content)
    groups = []
    for place, (sample, recordings) in enumerate(list(ordered.items())[:MAX_PLAYED]):
        cards = [_card(content, one, place) for one in recordings]
        if any(card is not None for card in cards):
            groups.append(_group(content, sample, recordings, cards))
    if not groups:
        return None
    rest = len(ordered) - len(groups)
    more = f" {rest} more prompts are in the run folder." if rest > 0 else ""
    note = f"The prompts with the most word errors of the models come first.{more}"
    return join(el("p", note, class_="note"), legend(), *groups)


def _group(
    content: Shown, sample: Sample, recordings: Sequence[Recording], cards: Sequence[Html | None]
) -> Html:
    suite, sample_id = sample
    transcript = recordings[0].transcript
    strips = [_strip(content, one) for one in recordings if not one.error]
    return el(
        "div",
        el("h3", sample_id, el("span", f" {suite}", class_="unit")),
        el("blockquote", transcript) if transcript else None,
        el(
            "div",
            el("button", "Play together", type="button", class_="together"),
            el("input", type="range", min=0, max=1000, value=0, class_="seek",
               aria_label="playing time of all"),
            el("span", "0.0 s", class_="clock"),
            class_="controls", hidden=True,
        ),
        el("div", *cards, class_=f"cards of-{_across(sum(card is not None for card in cards))}"),
        el("details", el("summary", "Film strips"), *strips) if any(strips) else None,
        class_="prompt",
    )  # fmt: skip


def _across(count: int) -> int:
    """Returns columns that fill rows evenly: 7 cards are 4 and 3, not 5 and 2."""
    return -(-count // -(-count // MAX_ACROSS)) if count else 1


def _card(content: Shown, one: Recording, place: int) -> Html | None:
    role = content.runs.role_of(one.system)
    seed = f", seed {one.seed}" if one.seed else ""
    heading = el("h4", one.system, el("span", f"{ROLES[role]}{seed}", class_="role"))
    if one.error:
        whose = "generation" if one.error_status == "generation_failure" else "evaluation"
        failed = el("span", f"{whose} failed: {one.error}", class_="badge failed")
        return el("div", heading, failed, class_="recording")
    video, why = attempt(content.player, one)
    row = word_errors(content, one)
    text = marked_text(one.transcript, row, content.protocols) if row else None
    scores = _scores(content, one)
    if video is None and not why and scores is None:
        return None
    screen = (
        el("span", "no player", class_="na")
        if video is None
        else el("video", controls=True, preload="metadata", playsinline=True,
                src=data_uri(video, "video/mp4"), aria_label=f"{one.system}, {one.sample_id}")
    )  # fmt: skip
    sound = el(
        "label",
        el("input", type="radio", name=f"sound-{place}", class_="sound"),
        " sound",
        class_="pick", hidden=True,
    )  # fmt: skip
    return el(
        "div",
        heading,
        screen,
        sound if video is not None else None,
        el("span", f"no player: {why}", class_="badge failed") if why else None,
        scores,
        el("p", text, class_="heard", tabindex="0") if text else None,
        class_="recording",
    )


def _scores(content: Shown, one: Recording) -> Html | None:
    """The headline metrics of one recording, few enough to be read beside the player."""
    by_metric: dict[str, ScoreRow] = {}
    for row in sorted(_rows(content, one), key=lambda row: row.protocol):
        by_metric[row.metric] = row  # the last protocol, as for the text
    if (errors := word_errors(content, one)) is not None:
        by_metric[WORST_BY] = errors
    names = without_replaced(name for name in headline_metrics() if name in by_metric)
    cells = [
        el(
            "tr",
            el("th", label_of(name), scope="row"),
            el(
                "td",
                f"{_number((by_metric[name].value or 0.0) * scale_of(name))} "
                f"{unit_of(name, content.runs.infos[name].unit)}".strip(),
            ),
            title=by_metric[name].protocol,
        )
        for name in names[:MAX_SCORES]
    ]
    return el("table", el("tbody", *cells), class_="scores") if cells else None


def _number(value: float) -> str:
    return "0" if value == 0 else rounded(value)


def _strip(content: Shown, one: Recording) -> Html | None:
    pictures, why = attempt(content.strip, one)
    if not pictures:
        badge = el("span", f"no film strip: {why}", class_="badge failed")
        return el("p", one.system, " ", badge) if why else None
    film = [
        el("li", el("img", src=data_uri(png, "image/png"), alt=f"at {t_s:.1f} s"), f"{t_s:.1f} s")
        for t_s, png in pictures
    ]
    return el("div", el("h4", one.system), el("ul", *film, class_="strip"), class_="film")


def attempt(make: Callable[[Recording], Made], recording: Recording) -> tuple[Made | None, str]:
    """Makes a picture of a recording, or says why not: a file that is gone must not cost a page."""
    try:
        return make(recording), ""
    except Exception as error:  # whatever is wrong with one file
        return None, f"{type(error).__name__}: {error}"
