"""The reference model under the harness, with random weights."""

import json
from collections import deque
from collections.abc import Callable
from inspect import signature
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from baselines import streamchar_ref
from baselines.streamchar_ref import OraclePointer, StreamCharRef
from evals.commands.check import app as check
from evals.commands.ls import app as ls
from evals.extractors.align_world import AlignWorldExtractor
from evals.recording.make_system import make_system
from evals.recording.system import Prompt, TextPiece, installed_systems, problems_with
from evals.suites import load_suite
from streamchar_ref.blocks.parts import variants
from streamchar_ref.core.errors import InputError
from streamchar_ref.media import AVChunk
from streamchar_ref.model.checkpoint import load_checkpoint, part_of, save_checkpoint
from streamchar_ref.model.config import PRESETS
from streamchar_ref.networks.text import read_phonemes
from streamchar_ref.sampling.config import SamplerConfig
from streamchar_ref.streaming.pointers import ChunkObservation
from streamchar_ref.world.clips import make_clip
from streamchar_ref.world.lexicon import UnreadableText
from tests.streamchar_ref.streaming.test_stream import talkative


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("checkpoint") / "tiny"
    model = talkative()
    save_checkpoint(folder, model.state_dict(), model.config, origin={}, storage="int8")
    return str(folder)


@pytest.fixture(scope="module")
def prompt() -> Prompt:
    return load_suite("smoke")[0]


@pytest.fixture(scope="module")
def distilled(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A teacher that says nothing, with two networks that do, sampled in other ways."""
    folder = tmp_path_factory.mktemp("distilled") / "tiny"
    model = talkative()
    tensors = dict(model.state_dict())
    for name in ("student", "raw"):
        tensors |= {f"{name}.{key}": value for key, value in part_of(tensors, "dit.").items()}
    tensors |= {key: 0.5 * value for key, value in part_of(tensors, "raw.dit.").items()}
    tensors |= {key: 0 * value for key, value in part_of(tensors, "dit.").items()}
    sampler = SamplerConfig(kind="renoise", num_steps=1, guidance=1, picture_guidance=1)
    samplers = {"student": sampler, "raw": sampler}
    save_checkpoint(folder, tensors, model.config, origin={}, samplers=samplers)
    return str(folder)


def short(prompt: Prompt, **changes: object) -> Prompt:
    values = {**vars(prompt), "transcript": "Oh.", "pieces": (), **changes}
    return Prompt(**values)  # type: ignore[arg-type]


def test_it_keeps_the_contract(checkpoint: str, prompt: Prompt) -> None:
    system = StreamCharRef(checkpoint=checkpoint, num_steps=1)
    assert problems_with(system, short(prompt)) == []
    assert installed_systems()["streamchar_ref"].load() is StreamCharRef


def test_the_command_says_so(checkpoint: str) -> None:
    done = CliRunner().invoke(
        check, ["streamchar_ref", "--set", f"checkpoint={checkpoint}", "--set", "num_steps=1"]
    )
    assert done.exit_code == 0, done.output
    assert "keeps the contract" in done.stdout


def test_weights_are_named_by_their_digest(checkpoint: str) -> None:
    digest = load_checkpoint(Path(checkpoint)).digest
    assert StreamCharRef(checkpoint=checkpoint).checkpoint == f"tiny sha256:{digest[:12]}"


def test_the_checkpoint_of_a_stage_is_refused_in_one_line(tmp_path: Path) -> None:
    model = talkative()
    parts = part_of(model.state_dict(), "dit", "orchestrator")
    save_checkpoint(tmp_path / "c", parts, model.config, origin={"teacher": {"steps": 1}})
    with pytest.raises(InputError, match=r"stage teacher.* lacks weights of video_vae") as refused:
        StreamCharRef(checkpoint=str(tmp_path / "c"))
    assert "\n" not in str(refused.value)


def test_a_model_that_draws_to_speech_is_given_the_truth(
    prompt: Prompt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, asked = talkative("order=sound_given"), []
    save_checkpoint(tmp_path / "c", model.state_dict(), model.config, origin={})

    def true(prompt: Prompt, *, seed: int) -> SimpleNamespace:
        asked.append(seed)
        return SimpleNamespace(samples=np.full(15_000, 0.1, np.float32))

    monkeypatch.setattr(streamchar_ref, "world_clip", true)
    system = StreamCharRef(checkpoint=str(tmp_path / "c"), num_steps=1)
    chunks = list(system.stream(short(prompt), seed=3))
    assert sum(len(chunk.samples) for chunk in chunks) == 2 * 10_240
    assert asked == [3]
    with pytest.raises(InputError, match="speak themselves and have an orchestrator"):
        StreamCharRef(checkpoint=str(tmp_path / "c"), path="engine")


def test_without_a_checkpoint_it_is_the_shipped_one(
    checkpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streamchar_ref, "shipped_checkpoint", lambda: Path(checkpoint))
    assert StreamCharRef().checkpoint.startswith("tiny ")


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({}, "streamchar_ref"),
        ({"context": "motion_only"}, "streamchar_ref_motion_only"),
        ({"context": "no_sink", "num_steps": 20}, "streamchar_ref_num_steps_20_no_sink"),
        ({"pointer": "fixed_rate"}, "streamchar_ref_fixed_rate_pointer"),
        (
            {"pointer": "fixed_rate", "phonemes_per_s": 9.5},
            "streamchar_ref_fixed_rate_pointer_9_5",
        ),
        ({"pointer": "none"}, "streamchar_ref_no_pointer"),
        ({"network": "plain"}, "streamchar_ref_plain"),
        ({"network": "plain", "num_steps": 4}, "streamchar_ref_num_steps_4_plain"),
        ({"guidance": 2, "motion_sigma": 0.1}, "streamchar_ref_guidance_2_motion_sigma_0_1"),
        ({"path": "plain"}, "streamchar_ref_plain_path"),
        ({"picture_precision": "bfloat16"}, "streamchar_ref_bfloat16_pictures"),
        ({"exact": False}, "streamchar_ref_not_exact"),
        ({"guidance": 2, "label": "mine"}, "mine"),
    ],
    ids=str,
)
def test_the_row_label_tells_variants_apart(
    checkpoint: str, settings: dict[str, object], name: str
) -> None:
    assert make_system("streamchar_ref", {"checkpoint": checkpoint, **settings}).name == name


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"checkpoint": "nowhere"}, "no checkpoint"),
        ({"preset": "micro"}, "'tiny', not 'micro'"),
        ({"network": "student"}, "no network 'student'; it has plain"),
        ({"context": "none"}, "context is one of full"),
        ({"pointer": "soft"}, "pointer is one of own"),
        ({"pointer": "fixed_rate", "phonemes_per_s": 0}, "positive"),
        ({"phonemes_per_s": 9.5}, "of pointer=fixed_rate, not used here"),
        ({"num_steps": -2}, "num_steps"),
        ({"label": "Two words"}, "lower case"),
        ({"device": "warp"}, "warp"),
        ({"path": "fast"}, "path is engine or plain"),
        ({"path": "engine", "pointer": "none"}, "take path=plain"),
        ({"picture_precision": "bfloat16", "pointer": "none"}, "path=engine"),
        ({"precision": "fp8", "path": "plain"}, "take bfloat16"),
        ({"precision": "int4"}, "precision is one of float32, bfloat16, fp8"),
        ({"exact": False, "path": "plain"}, "compiled and graphs are of path=engine"),
    ],
    ids=str,
)
def test_wrong_settings_are_refused(
    checkpoint: str, settings: dict[str, object], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        make_system("streamchar_ref", {"checkpoint": checkpoint, **settings})


def test_both_paths_stream_the_same_pictures_and_samples(checkpoint: str, prompt: Prompt) -> None:
    streams = []
    for path in ("engine", "plain"):
        system = make_system("streamchar_ref", {"checkpoint": checkpoint, "path": path})
        streams.append(list(islice(system.stream(short(prompt), seed=0), 4)))
    frames = 32  # the engine's first chunk comes in two pieces
    ours, theirs = (np.concatenate([chunk.frames for chunk in each])[:frames] for each in streams)
    np.testing.assert_array_equal(ours, theirs)
    ours, theirs = (np.concatenate([c.samples for c in each])[: 640 * frames] for each in streams)
    np.testing.assert_array_equal(ours, theirs)


def test_prompts_served_together_give_the_chunks_of_each_alone(
    checkpoint: str, prompt: Prompt
) -> None:
    system = StreamCharRef(checkpoint=checkpoint)
    prompts = [short(prompt), short(prompt, transcript="Ah, so.")]
    made: dict[int, list[AVChunk]] = {0: [], 1: []}
    for place, chunk in system.stream_many(prompts, seeds=[0, 1]):
        made[place].append(chunk)
    for place, (each, seed) in enumerate(zip(prompts, (0, 1), strict=True)):
        alone = list(system.stream(each, seed=seed))
        assert [chunk.index for chunk in made[place]] == list(range(len(alone)))
        for one, other in zip(made[place], alone, strict=True):
            np.testing.assert_array_equal(one.samples, other.samples)
            np.testing.assert_array_equal(one.frames, other.frames)
    parts = {name for name, start, end in system.take_parts() if end >= start}
    assert parts == {"denoise", "decode"}
    assert not system.take_parts()
    assert system.flops_per_chunk > 0


def test_the_parts_of_a_long_stream_are_all_told(checkpoint: str, prompt: Prompt) -> None:
    system = StreamCharRef(checkpoint=checkpoint)
    served = system._served
    assert served is not None
    served._engine._spans = deque(maxlen=6)
    for _ in range(2):  # those of the first request are forgotten
        chunks = list(islice(system.stream(short(prompt), seed=0), 8))
    assert 2 * len(chunks) - 1 <= len(system.take_parts()) <= 2 * len(chunks) + 2
    assert len(chunks) > 4


def test_a_prompt_that_cannot_be_said_leaves_nothing_open(checkpoint: str, prompt: Prompt) -> None:
    system = StreamCharRef(checkpoint=checkpoint)
    with pytest.raises(UnreadableText):
        list(system.stream_many([short(prompt), short(prompt, transcript="ЖЖ")], seeds=[0, 1]))
    assert list(islice(system.stream_many([short(prompt)], seeds=[0]), 1))


def test_two_passes_of_a_guided_step_read_the_weights_twice(checkpoint: str) -> None:
    one, two, plain = (
        system.bytes_per_chunk or 0
        for system in (
            StreamCharRef(checkpoint=checkpoint, guidance=3.0, exact=False),
            StreamCharRef(checkpoint=checkpoint, guidance=3.0),
            StreamCharRef(checkpoint=checkpoint, guidance=3.0, path="plain"),
        )
    )
    assert 0 < one < two == plain


def test_the_plain_path_serves_one_prompt_a_process(checkpoint: str) -> None:
    assert not hasattr(StreamCharRef(checkpoint=checkpoint, path="plain"), "stream_many")


def test_it_follows_what_the_prompt_says(checkpoint: str, prompt: Prompt) -> None:
    system = StreamCharRef(checkpoint=checkpoint, num_steps=1)

    def first(changed: Prompt) -> np.ndarray:
        return next(iter(system.stream(changed, seed=0))).samples

    plain = first(short(prompt))
    pieces = (TextPiece(t_s=0.0, text="Oh."),)
    assert np.array_equal(first(short(prompt, pieces=pieces)), plain)
    assert not np.array_equal(first(short(prompt, transcript="Ah!")), plain)
    assert not np.array_equal(first(short(prompt, voice="elsa")), plain)
    assert not np.array_equal(first(short(prompt, caption="")), plain)


@pytest.mark.parametrize(
    ("pointer", "told"),
    [("fixed_rate", [6.4, 12.8, 13.0]), ("none", [None, None, None])],
)
def test_the_pointer_is_the_one_asked_for(
    checkpoint: str, prompt: Prompt, pointer: str, told: list[float | None]
) -> None:
    rate: dict[str, Any] = {"phonemes_per_s": 10.0} if pointer == "fixed_rate" else {}
    system = StreamCharRef(checkpoint=checkpoint, num_steps=1, pointer=pointer, **rate)
    text = "How are you today?"
    length = len(read_phonemes(text).tokens)
    chunks = system.stream(short(prompt, transcript=text), seed=0)
    spoken = [chunk.spoken for chunk, _ in zip(chunks, told, strict=False)]
    expected = [None if each is None else min(each, length) for each in told]
    assert spoken == pytest.approx(expected) if pointer != "none" else spoken == expected


def test_the_network_that_streams_is_the_one_asked_for(distilled: str, prompt: Prompt) -> None:
    def first(network: str) -> np.ndarray:
        system = StreamCharRef(checkpoint=distilled, network=network, num_steps=1)
        return next(iter(system.stream(short(prompt), seed=0))).samples

    student = first("student")
    assert np.array_equal(first(""), student)
    assert not np.array_equal(first("raw"), student)
    assert not np.array_equal(first("plain"), student)


def test_a_named_network_is_part_of_label_and_checkpoint(distilled: str) -> None:
    digest = load_checkpoint(Path(distilled)).digest[:12]
    raw = make_system("streamchar_ref", {"checkpoint": distilled, "network": "raw"})
    assert (raw.name, raw.checkpoint) == ("streamchar_ref_raw", f"tiny sha256:{digest} raw")


def test_an_unknown_network_is_refused_with_those_there_are(distilled: str) -> None:
    with pytest.raises(InputError, match="no network 'critic'; it has plain, raw, student"):
        make_system("streamchar_ref", {"checkpoint": distilled, "network": "critic"})


Played = Callable[[OraclePointer], tuple[list[float], list[float]]]


@pytest.fixture(scope="module")
def played() -> Played:
    """A true clip, heard by a pointer as a stream would be: its account and the truth."""
    text = "The old man walked slowly along the river, and then he turned back to the village."
    clip = make_clip(text, identity=3, voice="joe")
    known, size = read_phonemes(text), 20_480

    def play(pointer: OraclePointer) -> tuple[list[float], list[float]]:
        position, told, truth = 0.0, [], []
        for start in range(0, len(clip.samples), size):
            samples = clip.samples[start : start + size]
            heard = ChunkObservation(
                text=known, position=position, advance=0.0, samples=samples, length_s=1.28
            )
            position += max(pointer(heard), 0.0)
            told.append(position)
            frame = min((start + size) // 640, clip.num_frames) - 1
            truth.append(float(clip.phonemes_spoken[frame]))
        return told, truth

    return play


def test_the_oracle_hears_how_far_true_speech_has_got(played: Played) -> None:
    told, truth = played(OraclePointer(AlignWorldExtractor()))
    assert np.abs(np.array(told) - truth).max() <= 3
    assert np.abs(np.array(told) - truth).mean() <= 1.5


def test_the_oracle_keeps_its_place_when_it_forgets(
    played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OraclePointer, "LONGEST_S", 3)
    told, truth = played(OraclePointer(AlignWorldExtractor()))
    assert np.abs(np.array(told) - truth).max() <= 3


def test_presets_are_listed_with_what_they_are_for() -> None:
    rows = json.loads(CliRunner().invoke(ls, ["presets", "--json"]).stdout)
    listed = {row["name"]: row["is"] for row in rows}
    assert set(listed) == set(PRESETS)
    for name, make in PRESETS.items():
        assert listed[name] == (make.__doc__ or "").split("\n")[0]


def test_what_is_measured_on_a_gpu_are_settings_that_exist() -> None:
    _, _, *rest = variants("micro", "cuda")
    names = {each.partition(":")[2].partition("=")[0] for each in rest[1::2]}
    assert {"graphs", "precision"} <= names <= set(signature(StreamCharRef).parameters)
    assert variants("micro", "cpu") == ["--systems", "micro=streamchar_ref"]
