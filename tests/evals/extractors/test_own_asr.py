"""Recognisers that the user names: found without a download, and part of the hash."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from evals.extractors import EXTRACTORS
from evals.extractors.asr import WhisperTranscriber
from evals.extractors.asr_own import heard_languages
from evals.extractors.find_asr import VARIABLE, find_asr
from evals.metrics.heard_language import check_heard
from evals.metrics.own_recogniser import own_metrics
from evals.protocols.base import Unscored
from evals.scoring.evaluate import evaluate
from evals.text.spoken_language import SpokenLanguage
from streamchar_ref.core.errors import InputError
from streamchar_ref.media.encode import write_mp4
from streamchar_ref.weights import WeightsMissing, locate

GERMAN = SpokenLanguage(code="de")
SOUND = np.full(16_000, 0.1, dtype=np.float32)


@pytest.fixture(autouse=True)
def no_recogniser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")  # so that what `find_asr` sets is taken back


def packaged() -> Path:
    try:
        return locate("whisper-base")
    except WeightsMissing as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("nowhere", "no such file or folder; give a folder of faster-whisper"),
        ("faster-whisper:large-v9", "has no such model; known: .*large-v3"),
        ("faster-whisper:large-v3", "not on this machine, and nothing is downloaded unasked"),
        ("transformers:openai/whisper-large-v3", "hf download openai/whisper-large-v3"),
        ("openai-whisper:large-v3", "whisper.load_model"),
    ],
)
def test_what_is_not_on_this_machine_is_an_error_that_says_how_to_get_it(
    asked: str, message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("faster_whisper")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(InputError, match=message):
        find_asr(asked)


def test_a_folder_that_would_make_a_library_download_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match=r"tokenizer\.json missing beside model\.bin"):
        find_asr(str(tmp_path))
    (tmp_path / "model.bin").unlink()
    with pytest.raises(InputError, match="no recogniser that is known here"):
        find_asr(str(tmp_path))


def test_the_weights_are_part_of_the_hash_and_the_name_of_the_protocol(tmp_path: Path) -> None:
    folder = tmp_path / "tiny model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "whisper"}))
    (folder / "model.safetensors").write_bytes(b"a")
    first = find_asr(str(folder))
    assert (first.package, first.name, len(first.sha256)) == ("transformers", "tiny-model", 64)
    assert EXTRACTORS[first.extractor].protocol()["own_weights"] == first.sha256
    (folder / "model.safetensors").write_bytes(b"b")
    assert find_asr(str(folder)).sha256 != first.sha256
    metrics = own_metrics(first)
    assert [m.protocol for m in metrics if m.name == "wer"] == [
        "wer/asr:tiny-model@1",
        *(
            f"wer/asr:tiny-model+{normaliser}{mean}@1"
            for normaliser in ("whisper-en", "seed-tts-en", "raw")
            for mean in ("", "+macro")
        ),
    ]
    assert {m.needs for m in metrics} == {(first.extractor,)}
    assert next(m.protocol for m in metrics if m.is_default) == "wer/asr:tiny-model@1"


@pytest.mark.parametrize(
    ("package", "settings"),
    [
        ("faster-whisper", EXTRACTORS["asr_whisper_multilingual"].params),
        ("openai-whisper", {"beam_size": 5}),
        ("transformers", {"num_beams": 1, "do_sample": False, "temperature": 0.0}),
    ],
)
def test_the_settings_are_part_of_the_hash(package: str, settings: dict[str, Any]) -> None:
    assert settings.items() <= EXTRACTORS[f"asr_own_{package}"].params.items()


def test_the_heard_language_is_averaged_by_the_duration_of_the_windows() -> None:
    shares = iter([{"en": 0.0, "de": 1.0}, {"en": 1.0, "de": 0.0}])
    found = heard_languages(np.ones(40 * 16_000, np.float32), lambda window: next(shares))
    assert found["language"][0] == "de"
    assert found["english_probability"][0] == pytest.approx(0.25)


def test_openai_whisper_is_held_to_the_language_and_to_transcription(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told: dict[str, Any] = {}

    def transcribe(samples: np.ndarray, **options: Any) -> dict[str, Any]:
        told.update(options)
        word = {"word": "six", "start": 0.0, "end": 0.5}
        return {"segments": [{"text": "six", "start": 0.0, "end": 0.5, "words": [word]}]}

    model = SimpleNamespace(
        transcribe=transcribe, is_multilingual=True, dims=SimpleNamespace(n_mels=80),
        detect_language=lambda mel: (None, {"en": 0.9, "de": 0.1}),
    )  # fmt: skip
    stub = ModuleType("whisper")
    stub.__dict__.update(
        load_model=lambda path, device: model,
        tokenizer=SimpleNamespace(LANGUAGES={"en": "english", "de": "german"}),
        pad_or_trim=lambda window: window,
        log_mel_spectrogram=lambda window, n_mels: window,
    )
    monkeypatch.setitem(sys.modules, "whisper", stub)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "base.pt"))
    (tmp_path / "base.pt").write_bytes(b"")
    recogniser = EXTRACTORS["asr_own_openai-whisper"].make()
    found = recogniser.extract(SOUND, GERMAN)
    assert (told["language"], told["task"]) == ("de", "transcribe")
    with pytest.raises(Unscored, match="sounds English"):
        check_heard(GERMAN, "Sechs.", found)
    model.is_multilingual = False
    with pytest.raises(Unscored, match="for English alone"):
        recogniser.extract(SOUND, GERMAN)


def test_a_folder_of_transformers_hears_in_the_language_with_times_in_the_recording(
    tmp_path: Path,
) -> None:
    transformers = pytest.importorskip("transformers")
    shutil.copy(packaged() / "tokenizer.json", tmp_path)
    tokenizer = transformers.WhisperTokenizer.from_pretrained(str(tmp_path))
    tokenizer.save_pretrained(tmp_path)
    transformers.WhisperFeatureExtractor().save_pretrained(tmp_path)
    number = tokenizer.convert_tokens_to_ids
    torch.manual_seed(0)
    tiny = {f"{part}_{what}": n for part in ("encoder", "decoder")
            for what, n in (("layers", 1), ("attention_heads", 2), ("ffn_dim", 16))}  # fmt: skip
    config = transformers.WhisperConfig(d_model=16, max_target_positions=16, **tiny)
    model = transformers.WhisperForConditionalGeneration(config)
    model.generation_config = transformers.GenerationConfig(
        lang_to_id={name: number(name) for name in ("<|de|>", "<|en|>")},
        task_to_id={name: number(f"<|{name}|>") for name in ("transcribe", "translate")},
        no_timestamps_token_id=number("<|notimestamps|>"), is_multilingual=True, max_length=12,
        decoder_start_token_id=number("<|startoftranscript|>"), eos_token_id=50257,
        pad_token_id=50257, max_initial_timestamp_index=50, task="translate",
    )  # fmt: skip
    model.save_pretrained(tmp_path)
    recogniser = EXTRACTORS[find_asr(str(tmp_path)).extractor].make()
    found = recogniser.extract(SOUND, GERMAN)
    assert found["text"].tolist() != [""]
    assert 0 < found["english_probability"][0] < 1
    assert found["language"][0] in {"de", "en"}
    assert found["word_end_s"].max() <= 1.0
    with pytest.raises(Unscored, match="does not know French"):
        recogniser.extract(SOUND, SpokenLanguage(code="fr"))


SPEAK = """
import ctypes, os, sys
import espeakng_loader
library = ctypes.CDLL(espeakng_loader.get_library_path())
data = os.path.dirname(espeakng_loader.get_data_path()).encode()
assert library.espeak_Initialize(2, 0, data, 0) == 22_050
kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)

def collect(wave, count, events):
    if wave and count:
        sys.stdout.buffer.write(ctypes.string_at(wave, 2 * count))
    return 0

callback = kind(collect)
library.espeak_SetSynthCallback(callback)
library.espeak_SetVoiceByName(b"de")
written = sys.argv[1].encode() + b"\\0"
library.espeak_Synth(written, len(written), 0, 1, 0, 1, None, None)
library.espeak_Synchronize()
"""


def german_speech(text: str) -> np.ndarray:
    """Synthesises with eSpeak's German voice, 22.05 kHz, in a process of its own.

    The library keeps state that would change what the world's eSpeak voices say afterwards.
    """
    pytest.importorskip("espeakng_loader")
    said = subprocess.run([sys.executable, "-c", SPEAK, text], capture_output=True, check=True)
    return np.frombuffer(said.stdout, np.int16).astype(np.float32) / 32_768


def test_a_folder_of_videos_in_german_is_scored_in_german(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("faster_whisper")
    monkeypatch.setenv("STREAMCHAR_WEIGHTS", str(packaged().parent))
    monkeypatch.setenv("STREAMCHAR_CACHE", str(tmp_path / "cache"))
    text = "Eins, zwei, drei, vier, fünf, sechs."
    folder = tmp_path / "mine"
    folder.mkdir()
    speech = german_speech(text)
    frames = np.full((25 * len(speech) // 22_050 + 1, 64, 64, 3), 120, np.uint8)
    write_mp4(folder / "a.mp4", [frames], speech, fps=25, sample_rate=22_050)
    (folder / "a.txt").write_text(text, encoding="utf-8")
    found = evaluate(
        folder, metrics="wer", protocol="wer/whisper-base-multilingual@1", language="de", jobs=1
    )
    (row,) = found.rows
    assert (row.status, row.components["language"]) == ("computed", "de"), row.reason
    assert row.value is not None
    assert row.value <= 0.5
    assert not any(sign.isdigit() for sign in row.components["heard"])


def test_ones_own_folder_is_heard_with_the_settings_of_the_packaged_recogniser(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("faster_whisper")
    given: dict[str, Any] = {}
    folder = packaged()
    monkeypatch.setattr(WhisperTranscriber, "__init__", lambda self, **told: given.update(told))
    for asked, name in (("whisper-base", "whisper-base"), (str(folder), folder.name)):
        found = find_asr(asked)
        assert (found.name, found.path) == (name, folder.resolve())
        EXTRACTORS[found.extractor].make()
        assert given.pop("folder") == folder.resolve()
        assert given == EXTRACTORS["asr_whisper"].params
