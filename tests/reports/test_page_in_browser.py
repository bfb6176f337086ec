"""Players of a prompt in a real browser: together, one sound, nothing cut off."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from reports.html import el
from reports.load import Runs
from reports.page import document
from reports.watch import shown, watch
from tests.reports.factory import INFOS, SYSTEMS, player, recordings
from tests.reports.factory import score_row as row_of
from tests.streamchar_ref.serve.browser import Page, chromium, find_chromium

TIMES = "[...document.querySelectorAll('video')].map(v => v.currentTime)"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    program = find_chromium()
    if program is None:
        pytest.skip("no Chromium on PATH: apt-get install chromium")
    folder = tmp_path_factory.mktemp("watched")
    made = [replace(one, error="") for one in recordings(folder) if one.sample_id == "dev_001"]
    rows = tuple(row_of(system, "dev_001", "wer", 0.1) for system in SYSTEMS)
    runs = Runs(paths=(), rows=rows, window_rows=(), infos=INFOS)
    body = watch(shown(runs, made, {}, player, lambda one: []))
    assert body is not None
    page = folder / "page.html"
    page.write_text(document("T", el("p", "x"), [("r", "R", body)], footer=""), encoding="utf-8")
    with chromium(program, tmp_path_factory.mktemp("profile")) as opened:
        for domain in ("Runtime", "Page"):
            opened.call(f"{domain}.enable")
        opened.call("Emulation.setDeviceMetricsOverride", width=1200, height=900,
                    deviceScaleFactor=1, mobile=False)  # fmt: skip
        opened.call("Page.navigate", url=page.as_uri())
        opened.wait_for(
            "[...document.querySelectorAll('video')].filter(v => v.readyState > 2).length === 4"
        )
        yield opened


def test_one_button_plays_all_with_one_sound(browser: Page) -> None:
    assert browser.evaluate("document.querySelector('.controls').hidden") is False
    browser.evaluate("document.querySelector('.together').click()")
    browser.wait_for(f"Math.min(...{TIMES}) > 0.3")
    times = browser.evaluate(TIMES)
    assert max(times) - min(times) < 0.25
    heard = "[...document.querySelectorAll('video')].filter(v => !v.muted).length"
    assert browser.evaluate(heard) == 1


def test_another_sound_can_be_chosen(browser: Page) -> None:
    browser.evaluate("document.querySelectorAll('.sound')[2].click()")
    assert browser.evaluate("[...document.querySelectorAll('video')].map(v => v.muted)") == [
        True, True, False, True,
    ]  # fmt: skip


def test_nothing_is_cut_off_at_the_side(browser: Page) -> None:
    assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth")
    boxes = "[...document.querySelectorAll('.recording, table')]"
    edges = f"{boxes}.map(e => e.getBoundingClientRect().right)"
    assert max(browser.evaluate(edges)) <= 1200
