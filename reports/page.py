"""The report page: one HTML file with everything in it, which asks nothing of the network."""

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.resources import files
from typing import Any

from evals.recording.recording import Recording
from evals.scoring.compare import Comparison
from reports import sections
from reports.cautions import cautions
from reports.described import systems_list
from reports.figures.save import figure_bytes
from reports.gallery import Drawn
from reports.headline import headline_of
from reports.html import Html, data_uri, el, join
from reports.html_table import html_headline, html_table
from reports.load import Runs
from reports.tables import wide
from reports.verdicts import headline_html
from reports.watch import Player, Strip, shown, watch

# The browser itself refuses anything that is not in the file, and any other script.
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
        [(anchor, title, body) for anchor, title, body in _parts(content) if body],
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
    has_players = any("<video" in body for _, _, body in parts)
    script = _packaged("page.js") if has_players else ""
    digest = b64encode(sha256(script.encode()).digest()).decode()
    policy = _POLICY + (f"; script-src 'sha256-{digest}'" if script else "")
    links = [el("a", name, href=f"#{anchor}") for anchor, name, _ in parts]
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=policy),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="referrer", content="no-referrer"),
        el("title", title),
        el("style", _packaged("page.css")),
    )
    body = el(
        "body",
        el("header", el("h1", title), lede, el("nav", *links)),
        el("main", *(el("section", el("h2", t), b, id=a) for a, t, b in parts)),
        el("footer", footer),
        el("script", script) if script else None,
    )
    return "<!doctype html>\n" + el("html", head, body, lang="en") + "\n"


def _packaged(name: str) -> Html:
    return Html(files("reports").joinpath(name).read_text(encoding="utf-8"))


def _parts(content: Content) -> Iterator[tuple[str, str, Html | None]]:
    rows, runs = content.runs.rows, content.runs
    protocols: dict[str, Any] = {}
    for run in content.provenance.values():
        protocols |= run.get("protocols", {})
    tables = wide(runs.summaries, comparisons=content.comparisons, roles=runs.roles)
    headlines = [headline_of(table) for table in tables]
    verdicts = [headline_html(table, content.comparisons) for table in headlines]
    yield "headline", "In short", join(*verdicts)
    yield "systems", "Systems", systems_list(runs, content.recordings)
    care = [
        cautions(one, runs.still, comparisons=content.comparisons, complete=table)
        for one, table in zip(headlines, tables, strict=True)
    ]
    main = [
        join(html_headline(one), _care(texts)) for one, texts in zip(headlines, care, strict=True)
    ]
    complete = join(*(html_table(table) for table in tables))
    yield "results", "Results", join(*main, _folded("All metrics", complete))
    seen = shown(runs, content.recordings, protocols, content.player, content.strip)
    yield "recordings", "Recordings", watch(seen)
    figures = [_plot_or_why_not(drawn) for drawn in content.figures]
    yield "figures", "Figures", el("div", *figures, class_="plots") if figures else None
    pairs = sections.pairs(content.comparisons)
    yield "pairs", "System against system", pairs and _folded("All paired differences", pairs)
    yield "failures", "Failures", sections.failures(rows)
    yield "unavailable", "Not measured here", sections.unavailable(rows)
    yield "samples", "Sample by sample", _folded("All samples", sections.samples(rows))
    yield "protocols", "Protocols", sections.glossary(rows, protocols)
    yield "provenance", "Provenance", _provenance(content)


def _care(texts: Sequence[str]) -> Html | None:
    if not texts:
        return None
    notes = el("ul", *(el("li", text) for text in texts), class_="note")
    return join(el("h3", "Where a number deceives"), notes)


def _lede(content: Content) -> Html:
    rows = content.runs.rows
    failed = sum("failure" in row.status for row in rows)
    gone = sum(row.status == "unavailable" for row in rows)
    computed = sum(row.status == "computed" for row in rows)
    apply = sum(row.status != "not_applicable" for row in rows)
    made = {(r.system, r.suite, r.sample_id, r.seed) for r in content.recordings}
    num_made = len(made) or len({row.key[:4] for row in rows if row.sample_id != "*"})
    facts = [
        f"{len({row.system for row in rows})} systems",
        f"suites {', '.join(sorted({row.suite for row in rows}))}",
        f"{num_made} recordings",
        f"{computed} of {apply} scores that apply; {failed} failed, {gone} unavailable",
    ]
    machines = [_machine(run) for run in content.provenance.values()]
    lines = dict.fromkeys([_DOT.join(facts), *machines])
    return join(*(el("p", line, class_="facts") for line in lines if line))


_DOT = " \N{MIDDLE DOT} "


def _machine(run: Mapping[str, Any]) -> str:
    versions = run.get("versions", {})
    names = ("streamchar", "python", "torch")
    commit, plus, changes = str(run.get("git", "")).partition("+")
    facts = [f"{name} {versions[name]}" for name in names if name in versions]
    if commit:
        facts.append(f"commit {commit[:12]}" + (f" {plus} {changes}" if changes else ""))
    if run.get("device"):
        facts.append(f"scored on {run['device']}")
    return _DOT.join(facts)


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
