"""The report page: one HTML file with everything in it, which asks nothing of the network."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.resources import files
from typing import Any, TypeVar

from evals.recording.recording import Recording
from evals.recording.role import place_of
from evals.scoring.compare import Comparison
from reports import sections
from reports.figures.save import figure_bytes
from reports.gallery import Drawn
from reports.headline import headline_of
from reports.html import Html, data_uri, el, join
from reports.html_table import html_headline, html_table
from reports.load import Runs
from reports.tables import wide

Player = Callable[[Recording], bytes | None]
"""A small mp4 of a recording, or nothing."""
Strip = Callable[[Recording], list[tuple[float, bytes]]]
"""A few PNG pictures of a recording, each with its time in seconds."""

Made = TypeVar("Made")
MAX_PLAYED = 3
# The browser itself refuses anything that is not in the file.
_POLICY = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'"


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a page shows.

    Attributes:
        title: Of the page.
        runs: Scores and curves.
        provenance: ``run.json`` of each run, by the run's name.
        comparisons: Paired results; they decide what is best.
        figures: In the order of the page.
        recordings: To be shown, if players or strips are given.
        notes: What a reader should know of the runs.
        player: Makes the video of a recording.
        strip: Makes its film strip.
    """

    title: str
    runs: Runs
    provenance: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    comparisons: Sequence[Comparison] = ()
    figures: Sequence[Drawn] = ()
    recordings: Sequence[Recording] = ()
    notes: Sequence[str] = ()
    player: Player = lambda recording: None
    strip: Strip = lambda recording: []


def page(content: Content) -> str:
    """Builds the page; the same content gives the same bytes."""
    return document(
        content.title,
        _lede(content),
        [(anchor, title, body) for anchor, title, body in _parts(content) if body is not None],
        footer="Made by streamchar from scores.jsonl, windows.csv and run.json.",
    )


def document(title: str, lede: Html, parts: Sequence[tuple[str, str, Html]], *, footer: str) -> str:
    """Lays out a page that asks nothing of the network.

    Args:
        title: Of the page.
        lede: Under the title.
        parts: Anchor, heading and body of each section.
        footer: Where the page comes from.

    Returns:
        The HTML file's text.
    """
    links = [el("a", name, href=f"#{anchor}") for anchor, name, _ in parts]
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="referrer", content="no-referrer"),
        el("title", title),
        el("style", Html(files("reports").joinpath("page.css").read_text(encoding="utf-8"))),
    )
    body = el(
        "body",
        el("header", el("h1", title), lede, el("nav", *links)),
        el("main", *(el("section", el("h2", t), b, id=a) for a, t, b in parts)),
        el("footer", footer),
    )
    return "<!doctype html>\n" + el("html", head, body, lang="en") + "\n"


def _parts(content: Content) -> Iterator[tuple[str, str, Html | None]]:
    rows = content.runs.rows
    protocols: dict[str, Any] = {}
    for run in content.provenance.values():
        protocols |= run.get("protocols", {})
    runs = content.runs
    tables = wide(runs.summaries, comparisons=content.comparisons, roles=runs.roles)
    headline = join(*(html_headline(headline_of(table)) for table in tables))
    complete = join(*(html_table(table) for table in tables))
    yield "results", "Results", join(headline, _folded("All metrics", complete))
    yield "unavailable", "Not measured here", sections.unavailable(rows)
    figures = [_plot_or_why_not(drawn) for drawn in content.figures]
    yield "figures", "Figures", el("div", *figures, class_="plots") if figures else None
    yield "recordings", "Recordings", _recordings(content)
    yield "failures", "What failed, and why", sections.failures(rows)
    pairs = sections.pairs(content.comparisons)
    yield "pairs", "System against system", pairs and _folded("All paired differences", pairs)
    yield "samples", "Sample by sample", _folded("All samples", sections.samples(rows))
    yield "protocols", "Protocols", sections.glossary(rows, protocols)
    yield "provenance", "Where this comes from", _provenance(content)


def _lede(content: Content) -> Html:
    rows = content.runs.rows
    systems = sorted({row.system for row in rows}, key=partial(_place, content.runs))
    failed = sum("failure" in row.status for row in rows)
    gone = sum(row.status == "unavailable" for row in rows)
    computed = sum(row.status == "computed" for row in rows)
    apply = sum(row.status != "not_applicable" for row in rows)
    facts: dict[str, str] = {
        "systems": ", ".join(systems),
        "suites": ", ".join(sorted({row.suite for row in rows})),
        "recordings": str(
            len({(r.system, r.suite, r.sample_id, r.seed) for r in content.recordings})
        )
        if content.recordings
        else str(len({row.key[:4] for row in rows if row.sample_id != "*"})),
        "scores": f"{computed} of {apply} that apply; {failed} failed, {gone} unavailable",
    }
    for run in content.provenance.values():
        facts |= _machine(run)
    entries = [
        el("div", el("dt", name), el("dd", value or NOT_RECORDED)) for name, value in facts.items()
    ]
    return el("dl", *entries, class_="facts")


def _place(runs: Runs, system: str) -> tuple[bool, bool, str]:
    return place_of(runs.role_of(system), system)


NOT_RECORDED = "not recorded"


def _machine(run: Mapping[str, Any]) -> dict[str, str]:
    versions = run.get("versions", {})
    names = ("streamchar", "python", "torch")
    commit, plus, changes = str(run.get("git", "")).partition("+")
    return {
        "versions": ", ".join(f"{name} {versions[name]}" for name in names if name in versions),
        "commit": commit[:12] + (f" {plus} {changes}" if changes else ""),
        "scored on": str(run.get("device", "")),
    }


def plot(drawn: Drawn) -> Html:
    """Shows a figure with its caption; nothing of it is fetched."""
    picture = data_uri(figure_bytes(drawn.figure, "svg"), "image/svg+xml")
    narrow = " narrow" if drawn.figure.get_figwidth() < 5 else ""  # two of them side by side
    return el(
        "figure",
        el("img", src=picture, alt=drawn.title),
        el("figcaption", el("b", f"{drawn.title}. "), drawn.caption),
        class_=f"plot{narrow}",
    )


def _plot_or_why_not(drawn: Drawn) -> Html:
    try:
        return plot(drawn)
    except Exception as error:  # one figure must not cost the page
        return el("p", f"{drawn.title}: cannot be drawn: {error}", class_="note")


def _recordings(content: Content) -> Html | None:
    """Shows the first samples, the systems under each other so that they can be compared."""
    by_sample: dict[tuple[str, str], list[Recording]] = defaultdict(list)
    ordered = sorted(
        content.recordings, key=lambda r: (r.suite, r.sample_id, _place(content.runs, r.system))
    )
    for recording in ordered:
        by_sample[recording.suite, recording.sample_id].append(recording)
    groups = []
    for (suite, sample_id), recordings in list(by_sample.items())[:MAX_PLAYED]:
        shown = [_recording(recording, content) for recording in recordings]
        if any(item is not None for item in shown):
            groups.append(
                join(
                    el("h3", f"{sample_id} ({suite})"),
                    el("blockquote", recordings[0].transcript)
                    if recordings[0].transcript
                    else None,
                    *shown,
                )
            )
    if not groups:
        return None
    rest = len(by_sample) - len(groups)
    more = f"{rest} more samples are in the run folder." if rest > 0 else None
    return join(*groups, el("p", more, class_="note") if more else None)


def _recording(recording: Recording, content: Content) -> Html | None:
    seed = el("span", f" seed {recording.seed}", class_="unit")
    if recording.error:
        whose = "generation" if recording.error_status == "generation_failure" else "evaluation"
        failed = el("span", f"{whose} failed: {recording.error}", class_="badge failed")
        return el("div", el("h4", recording.system, seed, " ", failed), class_="recording")
    video, no_video = _attempt(content.player, recording)
    pictures, no_pictures = _attempt(content.strip, recording)
    if video is None and not pictures and not no_video + no_pictures:
        return None
    player = (
        el("span", "no player", class_="na")
        if video is None
        else el("video", controls=True, preload="metadata", src=data_uri(video, "video/mp4"))
    )
    film = [
        el("li", el("img", src=data_uri(png, "image/png"), alt=f"at {t_s:.1f} s"), f"{t_s:.1f} s")
        for t_s, png in pictures or ()
    ]
    problems = [("player", no_video), ("film strip", no_pictures)]
    badges = [
        el("span", f"no {what}: {why}", class_="badge failed") for what, why in problems if why
    ]
    heading = el("h4", recording.system, seed, *badges)
    return el("div", heading, player, el("ul", *film, class_="strip"), class_="recording")


def _attempt(make: Callable[[Recording], Made], recording: Recording) -> tuple[Made | None, str]:
    """Makes a picture of a recording, or says why not: a file that is gone must not cost a page."""
    try:
        return make(recording), ""
    except Exception as error:  # whatever is wrong with one file
        return None, f"{type(error).__name__}: {error}"


def _folded(title: str, body: Html) -> Html:
    return el("details", el("summary", title), body)


def _provenance(content: Content) -> Html:
    entries = []
    for name, run in content.provenance.items():
        brief = {key: value for key, value in run.items() if key != "protocols"}
        entries.append(_folded(f"run.json of {name}", el("pre", sections.as_json(brief))))
    names = ", ".join(path.name for path in content.runs.paths)
    notes = [el("p", note, class_="note") for note in content.notes]
    return join(el("p", f"Runs: {names}."), *notes, *entries)
