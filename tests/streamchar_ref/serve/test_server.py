import io
import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("websockets")  # with starlette and uvicorn: the extra `serve`

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection

from streamchar_ref.core.errors import InputError
from streamchar_ref.serve import people, session
from streamchar_ref.serve.server import listen
from streamchar_ref.serve.wire import SKIPS_WAIT
from streamchar_ref.streaming.live import read_piece
from tests.streamchar_ref.serve.fake_engine import FPS, FakeEngine
from tests.streamchar_ref.serve.served import (
    SPEAK,
    TOKEN,
    Served,
    ask,
    next_message,
    served,
    wait_until,
)


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with served(FakeEngine(max_streams=2)) as running:
        yield running


@pytest.fixture(autouse=True)
def no_stream_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "server" in request.fixturenames:
        engine = request.getfixturevalue("server").engine
        wait_until(lambda: not engine.open_streams)


def get(url: str, **headers: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_the_page_and_its_files_need_the_token(server: Served) -> None:
    for name in ("", "page.js", "page.css", "face/7"):
        assert get(server.url + name)[0] == 200
        assert get(server.url.replace(TOKEN, "another") + name)[0] == 403
    for path in ("", "page.js", "?token=" + TOKEN):
        assert get(server.url.replace(f"{TOKEN}/", "") + path)[0] == 403
    assert get(server.url + "app.py")[0] == 404
    assert get(server.url + "face/x")[0] == get(server.url + "face/" + "9" * 19)[0] == 404


def test_pages_of_other_sites_are_refused(server: Served) -> None:
    own = server.url.split(f"/{TOKEN}")[0]
    assert get(server.url, Origin=own)[0] == 200
    for wrong in ("http://evil.example", "null", own.replace("http", "https")):
        assert get(server.url, Origin=wrong)[0] == 403
    for host in ("evil.example", "[::1"):
        assert get(server.url, Host=host)[0] == 403


@pytest.mark.parametrize(
    ("token", "origin"), [("wrong", None), (TOKEN, "http://evil.example"), (TOKEN + "x", None)]
)
def test_a_socket_needs_the_token_and_our_origin(
    server: Served, token: str, origin: str | None
) -> None:
    with pytest.raises(InvalidStatus) as refused, server.connect(token, origin=origin):
        pass
    assert refused.value.response.status_code == 403


def test_a_text_is_said_with_captions_and_times(server: Served) -> None:
    with server.connect() as client:
        assert next_message(client, "hello")["fps"] == FPS
        ask(client)
        number = next_message(client, "begun")["stream"]
        captions = next_message(client, "captions")
        assert captions["end"] == len(read_piece(SPEAK["text"]).text)
        assert [word for word, _ in captions["words"]] == ["Hello", "there,", "my", "friend."]
        chunks = [next_message(client, "chunk") for _ in range(4)]
    assert [chunk["index"] for chunk in chunks] == [0, 1, 2, 3]
    assert {chunk["stream"] for chunk in chunks} == {number}
    assert [chunk["start_s"] for chunk in chunks] == pytest.approx([0, 0.16, 0.32, 0.48])
    assert [chunk["spoken"] for chunk in chunks] == [2, 4, 6, 8]
    assert all(chunk["took_s"] > 0 and chunk["made_s"] <= chunk["sent_s"] for chunk in chunks)


def test_a_number_of_a_character_brings_its_picture_and_a_voice_its_prompt(server: Served) -> None:
    with server.connect() as client:
        ask(client, character="12", voice="jonas")
        next_message(client, "begun")
    prompt, picture = server.engine.people[-1]
    assert "Voice jonas" in prompt
    assert np.array_equal(picture, people.character("12").picture)


def test_text_is_changed_while_it_is_said(server: Served) -> None:
    with server.connect() as client:
        ask(client)
        next_message(client, "chunk")
        ask(client, text="We think so", do="replace")
        while "think" not in (words := [w for w, _ in next_message(client, "captions")["words"]]):
            pass
    assert words[0] == "Hello"
    assert words[-3:] == ["We", "think", "so."]


def test_text_after_silence_skips_what_waits(server: Served) -> None:
    with server.connect() as client:
        ask(client, text="Hi")
        first = [next_message(client, "chunk") for _ in range(3)]
        ask(client, text="And you?")
        while (chunk := next_message(client, "chunk"))["spoken"] == first[-1]["spoken"]:
            assert not chunk["flags"]
        assert chunk["flags"] == SKIPS_WAIT
        assert not next_message(client, "chunk")["flags"]


def test_a_stream_stops_when_it_is_asked(server: Served) -> None:
    with server.connect() as client:
        ask(client)
        next_message(client, "chunk")
        client.send('{"do": "stop"}')
        assert next_message(client, "ended")["reason"] == "stopped"
        ask(client)
        assert next_message(client, "chunk")["index"] == 0


def test_one_visitor_too_many_is_told_and_the_others_go_on(server: Served) -> None:
    with server.connect() as one, server.connect() as two, server.connect() as three:
        for client in (one, two):
            ask(client)
            next_message(client, "chunk")
        ask(three)
        assert "2 streams are open" in next_message(three, "refused")["reason"]
        assert next_message(one, "chunk")["index"] > 0
        one.send('{"do": "stop"}')
        next_message(one, "ended")
        ask(three)
        assert next_message(three, "chunk")["index"] == 0


def test_a_visitor_who_vanishes_frees_the_place(server: Served) -> None:
    with server.connect() as client:
        ask(client)
        next_message(client, "chunk")
        client.socket.shutdown(socket.SHUT_RDWR)
        wait_until(lambda: not server.engine.open_streams)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"text": "  "}, "type something"),
        ({"text": 7}, "type something"),
        ({"text": "..."}, "no words to say"),
        ({"text": "\u041f\u0440\u0438\u0432\u0435\u0442"}, "only English"),
        ({"text": "word " * 401}, "at most 2000"),
        ({"character": "x"}, "choose a character"),
        ({"character": "own"}, "choose a character"),
        ({"character": "9" * 19}, "18 digits"),
        ({"voice": "nobody"}, "unknown voice"),
        ({"do": "dance"}, "unknown"),
        ("not json", "no JSON"),
        ([1], "no JSON object"),
    ],
)
def test_what_cannot_be_done_is_said_and_the_page_goes_on(
    server: Served, message: object, reason: str
) -> None:
    with server.connect() as client:
        if isinstance(message, dict):
            ask(client, **message)
        else:
            client.send(message if isinstance(message, str) else json.dumps(message))
        assert reason in next_message(client, "error")["reason"]
        ask(client)
        next_message(client, "chunk")


def test_what_the_engine_refuses_is_said(server: Served) -> None:
    with server.connect() as client:
        ask(client, text="Unlucky")
        assert next_message(client, "refused")["reason"] == "this one is refused"


def picture_file(kind: str = "PNG", size: tuple[int, int] = (64, 48)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, (200, 120, 40)).save(out, kind)
    return out.getvalue()


def test_a_picture_of_ones_own_speaks(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "count_faces", lambda picture: 1)
    with server.connect() as client:
        client.send(picture_file())
        assert next_message(client, "portrait")["picture"].startswith("data:image/jpeg;base64,")
        ask(client, character="own", voice="jonas")
        next_message(client, "chunk")
    prompt, picture = server.engine.people[-1]
    assert "Voice jonas" in prompt
    assert picture.shape == (512, 512, 3)


@pytest.mark.parametrize(
    ("content", "faces", "reason"),
    [
        (picture_file(), 0, "no face"),
        (picture_file("JPEG"), 3, "3 faces"),
        (b"no picture at all", 1, "cannot be read as a picture"),
        (picture_file()[:60], 1, "cannot be read as a picture"),
        (b"", 1, "cannot be read as a picture"),
    ],
)
def test_a_picture_that_cannot_be_taken_is_refused(
    server: Served, monkeypatch: pytest.MonkeyPatch, content: bytes, faces: int, reason: str
) -> None:
    monkeypatch.setattr(people, "count_faces", lambda picture: faces)
    with server.connect() as client:
        client.send(content)
        assert reason in next_message(client, "error")["reason"]


def send_and_wait(client: ClientConnection, content: bytes) -> None:
    client.send(content)
    next_message(client, "never")


def test_a_message_that_is_too_large_ends_this_connection_only(server: Served) -> None:
    with server.connect() as other, server.connect() as client:
        client.send(b"0" * (people.MAX_PICTURE_BYTES + 1))
        assert "more than 8 MB" in next_message(client, "error")["reason"]
        with pytest.raises(ConnectionClosed):
            send_and_wait(client, b"0" * (2 * people.MAX_PICTURE_BYTES + 1))
        ask(other)
        next_message(other, "chunk")


def test_a_visitor_who_does_not_read_is_ended_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session, "MOST_WAITING", 4)
    with served(FakeEngine(side=256, frames=6, pace=20)) as server:
        with server.connect(max_queue=1) as lazy, server.connect() as keen:
            ask(lazy)
            wait_until(lambda: len(server.engine.open_streams) == 1)
            ask(keen)
            next_message(keen, "begun")
            while len(server.engine.open_streams) == 2:
                next_message(keen, "chunk")
            assert next_message(keen, "chunk")["index"] > 0
            with pytest.raises(ConnectionClosed) as closed:
                next_message(lazy, "never")
        assert closed.value.rcvd is not None
        assert "did not read" in closed.value.rcvd.reason


def test_a_stream_without_text_ends_after_a_while() -> None:
    with served(FakeEngine(pace=20), idle_s=0.5) as server, server.connect() as client:
        ask(client, text="Hi")
        assert next_message(client, "ended")["reason"] == "all is said"
        ask(client, text="Hi")
        assert next_message(client, "chunk")["index"] == 0


def test_an_engine_that_fails_tells_all_and_the_server_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with served(FakeEngine()) as server, server.connect() as one, server.connect() as two:
        for client in (one, two):
            ask(client)
            next_message(client, "chunk")
        server.engine.broken = RuntimeError("the device is lost")
        for client in (one, two):
            assert "the device is lost" in next_message(client, "ended")["reason"]
        server.engine.broken = None
        ask(one)
        assert next_message(one, "chunk")["index"] == 0
    assert "a step failed" in caplog.text


def test_a_port_in_use_is_named() -> None:
    with listen(0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port} is in use; choose another"):
            listen(port)
