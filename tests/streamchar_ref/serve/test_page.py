import re
from collections.abc import Iterator

import pytest

pytest.importorskip("websockets")  # with starlette and uvicorn: the extra `serve`

from tests.streamchar_ref.serve.browser import Page, chromium, find_chromium
from tests.streamchar_ref.serve.fake_engine import FakeEngine
from tests.streamchar_ref.serve.served import Served, ask, next_message, served

SHADES = """(() => {
  const screen = document.getElementById("screen");
  const data = screen.getContext("2d").getImageData(0, 0, screen.width, screen.height).data;
  return new Set(data.filter((_, index) => index % 4 === 0)).size;
})()"""
SAID = """[...document.querySelectorAll("#captions span")].map(
  (each) => [each.textContent, each.className])"""


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with served(FakeEngine(max_streams=1, side=64, frames=8, pace=2, phonemes=1)) as running:
        yield running


@pytest.fixture(scope="module")
def page(server: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    program = find_chromium()
    if program is None:
        pytest.skip("no Chromium on PATH: apt-get install chromium")
    with chromium(program, tmp_path_factory.mktemp("profile")) as opened:
        opened.open(server.url)
        yield opened


def type_and_click(page: Page, text: str, button: str = "speak") -> None:
    page.evaluate(f"document.getElementById('text').value = {text!r}; undefined")
    page.evaluate(f"document.getElementById({button!r}).click()")


def text_of(page: Page, name: str) -> str:
    return str(page.evaluate(f"document.getElementById({name!r}).textContent"))


def test_the_page_says_a_sentence_shows_it_and_measures(page: Page) -> None:
    page.wait_for("document.getElementById('portrait').naturalWidth === 256")
    page.wait_for("hello !== null")
    type_and_click(page, "Good day.")
    page.wait_for("document.body.dataset.state === 'listening'")
    assert page.evaluate(SAID) == [["Good", "said"], ["day.", "said"]]
    assert page.evaluate(SHADES) > 20
    assert page.evaluate("Number(document.getElementById('trace').dataset.points)") >= 5
    assert re.fullmatch(r"\d+\.\d\d s", text_of(page, "first"))
    assert re.fullmatch(r"\d+\.\d\d s", text_of(page, "work"))
    assert page.evaluate("trace.points.filter((point) => point.isGap).length") == int(
        text_of(page, "gaps")
    )
    assert page.evaluate("player.context.currentTime") > 1
    assert page.errors == []


def test_the_text_is_changed_in_the_page_and_stopped(page: Page) -> None:
    type_and_click(page, "We were going to say very many more words than these.")
    page.wait_for("document.body.dataset.state === 'speaking'")
    type_and_click(page, "Stop it now.", "replace")
    page.wait_for("document.getElementById('captions').textContent.trim().endsWith('it now.')")
    assert "than these" not in text_of(page, "captions")
    page.evaluate("document.getElementById('stop').click()")
    page.wait_for("document.body.dataset.state === 'still'")
    assert page.errors == []


def test_a_page_that_cannot_be_served_says_so_and_works_later(page: Page, server: Served) -> None:
    with server.connect() as other:
        ask(other)
        next_message(other, "chunk")
        type_and_click(page, "And me?")
        page.wait_for("document.getElementById('message').textContent.includes('no more can be')")
        assert next_message(other, "chunk")["index"] > 0
        other.send('{"do": "stop"}')
        next_message(other, "ended")
    type_and_click(page, "And me?")
    page.wait_for("document.body.dataset.state === 'speaking'")
    assert text_of(page, "message") == ""
    page.evaluate("document.getElementById('stop').click()")


def test_the_page_says_what_is_wrong_with_a_text_and_a_file(page: Page) -> None:
    type_and_click(page, "...")
    page.wait_for("document.getElementById('message').textContent.includes('no words to say')")
    assert page.evaluate("document.getElementById('text').value") == "..."
    type_and_click(page, "")
    assert text_of(page, "message") == "Type something to say."
    page.evaluate("bring(new File(['text'], 'notes.txt'))")
    page.wait_for("document.getElementById('message').textContent.includes('cannot be read as')")
    assert page.errors == []
