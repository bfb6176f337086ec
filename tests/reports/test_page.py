import re
from base64 import b64encode
from hashlib import sha256
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from evals.scoring.results import ScoreRow
from reports.build import build_report, printed
from reports.gallery import draw
from reports.html import Html, el, join
from reports.load import Runs, load_runs
from reports.page import Content, page
from tests.reports.factory import TRANSCRIPT, make_run, player, recordings, run_json, strip


class Structure(HTMLParser):
    """Collects tags, addresses and ids, and checks that elements close."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        found = dict(attrs)
        self.addresses += [found[key] or "" for key in ("src", "href") if key in found]
        self.ids += [found["id"] or ""] if "id" in found else []
        if tag not in {"meta", "img", "br", "hr", "input", "wbr"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(text: str) -> Structure:
    structure = Structure()
    structure.feed(text)
    structure.close()
    assert structure.open == []
    return structure


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("page")
    runs = load_runs(make_run(folder / "run"))
    found = recordings(folder)
    content = Content(
        title="A & B <run>",
        runs=runs,
        provenance={"run": run_json()},
        comparisons=runs.comparisons,
        figures=draw(runs, recordings=found),
        recordings=found,
        player=player,
        strip=strip,
    )
    return page(content)


def test_the_page_asks_nothing_of_the_network(whole: str) -> None:
    structure = read(whole)
    assert all(address.startswith(("data:", "#")) for address in structure.addresses)
    assert not {"link", "iframe", "object"} & set(structure.tags)
    style = whole[whole.index("<style>") : whole.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    assert "default-src 'none'" in whole.replace("&#x27;", "'")


def test_the_only_script_is_the_one_that_the_page_allows(whole: str) -> None:
    assert read(whole).tags.count("script") == 1
    script = whole[whole.index("<script>") + 8 : whole.index("</script>")]
    digest = b64encode(sha256(script.encode()).digest()).decode()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', whole)
    assert policy is not None
    assert unescape(policy[1]).endswith(f"script-src 'sha256-{digest}'")
    assert not re.search(r"fetch\(|XMLHttp|import\(|innerHTML|\bon\w+=", script)


def test_every_link_leads_somewhere(whole: str) -> None:
    structure = read(whole)
    assert len(structure.ids) == len(set(structure.ids))
    assert {a[1:] for a in structure.addresses if a.startswith("#")} <= set(structure.ids)


def test_transcripts_reasons_and_titles_stay_text(whole: str) -> None:
    text = "".join(read(whole).text)
    assert TRANSCRIPT in text
    assert "Tried to allocate <2.00 GiB>" in text
    assert "A & B <run>" in text
    assert "<b>rose" not in whole


def test_a_hostile_name_cannot_become_markup(tmp_path: Path) -> None:
    attack = '"><img src=x onerror=alert(1)><script>'
    runs = load_runs(make_run(tmp_path / "run"))
    rows = tuple(
        ScoreRow(**(vars(row) | {"system": attack, "reason": attack * bool(row.reason)}))
        for row in runs.rows
        if row.system == "cascade_a"
    )
    bad = Runs(paths=runs.paths, rows=rows, window_rows=(), infos=runs.infos)
    text = page(Content(title=attack, runs=bad, provenance={attack: {"device": attack}}))
    structure = read(text)
    assert "script" not in structure.tags
    assert "img" not in structure.tags


def test_what_is_unavailable_says_how_to_get_it(whole: str) -> None:
    section = whole[whole.index('id="unavailable"') : whole.index('id="samples"')]
    assert "Sync-C, Sync-D, FVD" in section
    assert "streamchar weights pull syncnet_v2" in section
    assert "streamchar doctor" in section


def test_failures_are_named_with_sample_and_reason(whole: str) -> None:
    section = whole[whole.index('id="failures"') : whole.index('id="unavailable"')]
    for word in ("cascade_a", "dev_002", "CUDA out of memory", "bad allocation", "id_rank1"):
        assert word in section


def test_recordings_have_players_strips_and_times(whole: str) -> None:
    structure = read(whole)
    assert structure.tags.count("video") == 11
    assert whole.count("data:image/png") == 11 * 8
    assert "42.8 s" in structure.text


def test_a_visitor_reads_who_is_best_before_any_table(whole: str) -> None:
    section = whole[whole.index('id="headline"') : whole.index('id="systems"')]
    assert "cascade_a" in section
    assert "no model is shown to be best at anything" in section
    assert "prompts are too few to tell" in section
    assert whole.index('id="headline"') < whole.index("<table>")


def test_each_system_has_a_line_that_says_what_it_is(whole: str) -> None:
    section = whole[whole.index('id="systems"') : whole.index('id="results"')]
    assert "The prompt&#x27;s character of the world says the prompt&#x27;s transcript." in section
    assert section.count("<dt>") == 4
    assert "ceiling" in section


def test_players_of_a_prompt_start_together_and_stand_beside_their_scores(whole: str) -> None:
    section = whole[whole.index('id="recordings"') : whole.index('id="figures"')]
    assert section.count("Play together") == 3
    assert section.count('class="pick" hidden') == 11
    assert section.count('class="scores"') == 11
    first = section[section.index('class="recording"') :]
    assert "WER" in first[: first.index("</table>")]


def test_a_control_that_beats_every_model_is_named_with_the_reason(whole: str) -> None:
    section = whole[whole.index('id="results"') : whole.index('id="recordings"')]
    notes = section[section.index("Where a number deceives") :]
    assert "static_portrait is ahead of every model and the ceiling in" in notes
    assert "a picture that does not change" in notes


def test_each_protocol_is_explained_once(whole: str) -> None:
    section = whole[whole.index('id="protocols"') : whole.index('id="provenance"')]
    assert section.count("<details") == len(
        {row["protocol"] for row in run_json()["protocols"].values()}
    )
    assert "window_s" in section


def test_the_head_says_versions_commit_device_and_counts(whole: str) -> None:
    head = "".join(read(whole[whole.index("<header>") : whole.index("</header>") + 9]).text)
    for word in ("0.1.0", "2.13.0+cpu", "93f6ac9c2a1b + changes", "EPYC", "29 failed"):
        assert word in head


@pytest.mark.slow
def test_a_run_folder_gets_page_tables_and_figures_and_the_same_bytes_again(
    tmp_path: Path,
) -> None:
    run = make_run(tmp_path / "run")
    out = build_report([run], run / "report.html")
    first = {path: path.read_bytes() for path in sorted(run.rglob("*")) if path.is_file()}
    names = {path.relative_to(run).as_posix() for path in first}
    assert {"report.html", "tables/results.md", "tables/results.tex", "tables/results.csv"} <= names
    assert any(re.fullmatch(r"figures/drift_.*\.pdf", name) for name in names)
    assert build_report([run], out) == out
    assert first == {path: path.read_bytes() for path in sorted(run.rglob("*")) if path.is_file()}


def test_two_runs_share_a_page_elsewhere_without_touching_them(tmp_path: Path) -> None:
    folders = [make_run(tmp_path / name) for name in ("one", "two")]
    build_report(folders, tmp_path / "both.html", title="Both")
    assert "streamchar_base (two)" in (tmp_path / "both.html").read_text()
    assert not (folders[0] / "tables").exists()


def test_a_run_is_printed_as_its_headline_or_whole(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    assert "| WER ↓ [%] (1)" in printed([run])
    assert "CER" not in printed([run])
    assert "| CER ↓ [%] |" in printed([run], every_metric=True)


def test_the_headline_stands_first_and_the_rest_is_folded(whole: str) -> None:
    section = whole[whole.index('id="results"') : whole.index('id="recordings"')]
    headline, fold, complete = section.replace("<wbr>", "").partition(
        "<details><summary>All metrics</summary>"
    )
    assert fold
    assert "CER" not in headline
    assert "CER" in complete
    assert headline.index("streamchar_base") < headline.index("ground_truth")
    assert complete.index("ground_truth") < complete.index("streamchar_base")


def test_elements_escape_text_and_attributes() -> None:
    made = el("p", "<", el("b", "&"), None, title='"', class_="x", hidden=True, id=None)
    assert made == '<p title="&quot;" class="x" hidden>&lt;<b>&amp;</b></p>'
    assert join("a", Html("<br>")) == "a<br>"
    assert el("img", src="data:x") == '<img src="data:x">'
