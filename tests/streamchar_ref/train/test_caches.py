"""Data of a run that was altered, cut, or made of something else is never learned from."""

import inspect
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamchar_ref.core.errors import InputError
from streamchar_ref.core.sealed import index_bytes, read_index, seal
from streamchar_ref.model.config import preset
from streamchar_ref.train import data as module
from streamchar_ref.train.data import TrainingData
from streamchar_ref.train.data_size import data_size
from streamchar_ref.train.latent_cache import is_latent_file, load_latents
from streamchar_ref.world import corpus, piper
from streamchar_ref.world.corpus import FORMAT, INDEX, PLAN, Corpus, open_corpus
from streamchar_ref.world.corpus_build import CorpusPlan, build_corpus
from tests.streamchar_ref.tiny import tiny_model

PLANNED = CorpusPlan(
    style="flat", rooms=0, shard_s=3, texts=("Seven geese cross the road.", "Put the lamp here.")
)
HOURS = 6 / 3600


def built(folder: Path, plan: CorpusPlan = PLANNED) -> Corpus:
    return build_corpus(folder, plan, hours=HOURS, max_mb=5)


@pytest.fixture(scope="module")
def whole_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("whole") / "corpus").folder


@pytest.fixture
def corpus_folder(whole_corpus: Path, tmp_path: Path) -> Path:
    """A corpus that a test may alter."""
    return Path(shutil.copytree(whole_corpus, tmp_path / "corpus"))


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def spoiled(before: bytes, rng: random.Random) -> bytes:
    altered = bytearray(before)
    altered[rng.randrange(len(altered))] ^= 1 << rng.randrange(8)
    return bytes(altered[: rng.randrange(len(altered))] if rng.random() < 0.25 else altered)


def read_all(folder: Path) -> None:
    corpus._shard.cache_clear()  # as another process would
    opened = inspect.unwrap(open_corpus)  # the check of annotations would read some speech itself
    for utterance in opened(folder):
        assert len(utterance.samples)


def test_an_altered_byte_anywhere_in_a_corpus_is_refused_and_built_again(
    corpus_folder: Path,
) -> None:
    whole = content(corpus_folder)
    rng = random.Random(3)
    for path in sorted(corpus_folder.iterdir()):
        for _ in range(15):
            path.write_bytes(spoiled(whole[path.name], rng))
            with pytest.raises(InputError, match=path.name.replace(".", r"\.")) as refused:
                read_all(corpus_folder)
            assert "\n" not in str(refused.value)
            if path.name == PLAN:  # what was wanted there is not known any more
                path.write_bytes(whole[PLAN])
        built(corpus_folder)
        assert content(corpus_folder) == whole


def test_a_shard_of_another_corpus_or_place_is_noticed(corpus_folder: Path, tmp_path: Path) -> None:
    other = built(tmp_path / "b", replace(PLANNED, seed=4))
    whole = content(corpus_folder)
    first, second = sorted(corpus_folder.glob("*.npz"))[:2]
    for foreign in (other.folder / first.name, second):
        first.write_bytes(foreign.read_bytes())
        with pytest.raises(InputError, match="another one than the index says"):
            read_all(corpus_folder)
        (corpus_folder / INDEX).unlink()  # as after a kill
        built(corpus_folder)
        assert content(corpus_folder) == whole


@pytest.mark.parametrize(
    "change",
    [
        lambda index: index.update(shards=[]),
        lambda index: index.update(shards={}),
        lambda index: index.update(shards=[3]),
        lambda index: index.pop("shards"),
        lambda index: index["shards"][0].update(name="../shard-00000.npz"),
        lambda index: index["shards"][0].update(name="/etc/passwd"),
        lambda index: index["shards"][0].update(utterances="3"),
        lambda index: index["shards"][0].update(utterances=True),
        lambda index: index["shards"][0].update(utterances=-1),
        lambda index: index["shards"][0].update(duration_s=None),
        lambda index: index["shards"][0].update(utterances=99),
        lambda index: index["shards"][0].pop("sha256"),
        lambda index: index.update(version=1),
        lambda index: index.update(plan=""),
    ],
)
def test_an_index_of_another_shape_is_refused(
    corpus_folder: Path, change: Callable[[dict[str, Any]], Any]
) -> None:
    path = corpus_folder / INDEX
    index = read_index(path, version=FORMAT, remedy="")
    del index["digest"]
    change(index)
    path.write_bytes(index_bytes(index))
    with pytest.raises(InputError, match=str(corpus_folder)):
        read_all(corpus_folder)


def test_a_shard_with_the_right_seal_and_wrong_content_is_refused(corpus_folder: Path) -> None:
    path = corpus_folder / "shard-00000.npz"
    np.savez(path, text=np.frombuffer(b"[]", np.uint8))
    seal(path)
    (corpus_folder / INDEX).unlink()
    built(corpus_folder)
    read_all(corpus_folder)


@pytest.fixture
def data(corpus_folder: Path, monkeypatch: pytest.MonkeyPatch) -> TrainingData:
    """Data of a run with clips in files of one."""
    monkeypatch.setattr(module, "CLIPS_A_FILE", 1)
    return TrainingData(
        folder=corpus_folder.parent, config=preset("tiny"), data_size=data_size("tiny")
    )


def test_altered_latents_are_made_again(data: TrainingData, tmp_path: Path) -> None:
    vaes = {
        name: each for name, each in tiny_model().state_dict().items() if name.startswith("audio")
    }
    told: list[str] = []
    data = replace(data, progress=told.append)
    data.latents(vaes)
    (folder,) = tmp_path.glob("bank-*")
    whole = content_of(folder)
    files = [*sorted(folder.glob("*.npz")), *sorted((folder / "vaes").iterdir())]
    rng = random.Random(1)
    for path in files:
        before = path.read_bytes()
        path.write_bytes(spoiled(before, rng))
        told.clear()
        data.latents(vaes)
        assert content_of(folder) == whole
        assert told == (["latents 1/1"] if path.suffix == ".npz" else [])
    files[0].write_bytes(files[1].read_bytes())  # whole, but of other clips
    data.latents(vaes)
    replace(data, seed=8).latents(vaes)
    assert content_of(folder) != whole
    data.latents(vaes)
    assert content_of(folder) == whole


def content_of(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_bank_of_something_else_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "clips.npz"
    for text in (b"{}", b"[", b'{"clips": 3}', b'{"clips": [{}]}'):
        np.savez(path, told=np.frombuffer(text, np.uint8))
        seal(path)
        assert not is_latent_file(path, made_of="x")
        with pytest.raises(InputError, match=r"clips\.npz holds no clips"):
            load_latents([path])
    path.write_bytes(b"PK")
    assert not is_latent_file(path, made_of="x")
    with pytest.raises(InputError, match=r"clips\.npz was altered"):
        load_latents([path])


def test_an_altered_graph_of_the_voice_is_cut_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuts = []

    def cut(path: Path, reader: Path, sounder: Path) -> None:
        cuts.append(path)
        reader.write_bytes(b"reads")
        sounder.write_bytes(b"sounds")

    monkeypatch.setattr(piper, "cut_graph", cut)
    monkeypatch.setattr(piper, "cache_folder", lambda: tmp_path)
    halves = piper._halves(tmp_path / "voice.onnx")
    assert piper._halves(tmp_path / "voice.onnx") == halves
    assert len(cuts) == 1
    for number, half in enumerate(halves, 2):
        half.write_bytes(half.read_bytes()[:-1] + b"?")
        piper._halves(tmp_path / "voice.onnx")
        assert len(cuts) == number
    assert [half.read_bytes() for half in halves] == [b"reads", b"sounds"]
    for note in (tmp_path / "world").glob("*.sha256"):
        note.write_bytes(b"")
    piper._halves(tmp_path / "voice.onnx")
    assert len(cuts) == 4
