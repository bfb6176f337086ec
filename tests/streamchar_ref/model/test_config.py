import inspect
import json
import random

import pytest
from jaxtyping import TypeCheckError

from streamchar_ref.core.errors import InputError
from streamchar_ref.model.config import PRESETS, override, preset
from streamchar_ref.model.config_json import from_json, to_json
from streamchar_ref.model.streamchar import shapes_of
from streamchar_ref.networks.orchestrator import OrchestratorConfig


@pytest.mark.parametrize("name", PRESETS)
def test_a_config_survives_json(name: str) -> None:
    config = preset(name)
    assert config.preset == name
    assert from_json(json.loads(json.dumps(to_json(config)))) == config


@pytest.mark.parametrize(
    ("name", "seconds", "samples"), [("micro", 1.28, 20_480), ("paper", 1.375, 22_000)]
)
def test_playing_time_of_a_chunk(name: str, seconds: float, samples: int) -> None:
    config = preset(name)
    assert config.stream.chunk_s == pytest.approx(seconds)
    assert config.chunk_samples == samples
    geometry = config.geometry
    assert geometry.chunk_audio_latents * config.audio_vae.latent_samples == samples


def test_geometry_of_the_paper() -> None:
    geometry = preset("paper").geometry
    assert (geometry.chunk_latents, geometry.chunk_audio_latents) == (9, 44)
    assert geometry.video_cells == (64, 64)


def test_an_unknown_preset_is_an_error_that_names_those_known() -> None:
    with pytest.raises(ValueError, match="no preset 'huge'; known: tiny, micro, base, paper"):
        preset("huge")


def test_override_changes_a_copy() -> None:
    before = preset("tiny")
    after = override(
        before,
        ["stream.sink_latents=0", "orchestrator.mode=once", "video_vae.widths=[4, 8, 8]",
         "sampler.shift=2"],
    )  # fmt: skip
    assert after.stream.sink_latents == 0
    assert after.orchestrator.mode == "once"
    assert after.video_vae.widths == (4, 8, 8)
    assert after.sampler.shift == 2
    assert before == preset("tiny")
    assert from_json(to_json(after)) == after


def test_overrides_that_fit_each_other_only_are_applied_at_once() -> None:
    config = override(preset("tiny"), ["stream.chunk_frames=17", "video_vae.first_latent_frames=1"])
    assert config.geometry.chunk_latents == 5


@pytest.mark.parametrize(
    ("assignment", "complaint"),
    [
        ("stream.sinks=0", "StreamConfig has no field 'sinks'; it has fps, size"),
        ("streams.fps=0", "Config has no field 'streams'; it has preset, stream"),
        ("stream.size.x=3", 'stream.size is {"x": 3}, not a whole number below'),
        ("stream.size", "'stream.size' is not path=value"),
        ("stream.size=large", 'stream.size is "large", not a whole number below'),
        ("stream.size=1000001", "size is a whole number of at most 1000000"),
        ("sampler.guidance=null", "guidance cannot be null, it is 1"),
        ("stream=3", "stream is 3, not an object"),
    ],
)
def test_a_wrong_override_is_named(assignment: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        override(preset("tiny"), [assignment])


@pytest.mark.parametrize("assignment", ["orchestrator.mode=twice", "orchestrator.pointer=finger"])
def test_a_wrong_choice_is_named(assignment: str) -> None:
    _, _, choice = assignment.partition("=")
    # the test suite's check of annotations comes before ours and raises a TypeError
    with pytest.raises((ValueError, TypeError), match=choice):
        override(preset("tiny"), [assignment])


@pytest.mark.parametrize(
    ("assignment", "complaint"),
    [
        ("stream.fps=0", "stream.fps must be above 0, not 0"),
        ("sampler.num_steps=0", "sampler.num_steps is a whole number from 1 on: 0"),
        ("sampler.shift=-1", "sampler.shift must be above 0, not -1"),
        ("stream.sink_latents=-1", "stream.sink_latents cannot be -1"),
        ("stream.chunk_frames=15", "15 frames are not 4 plus a multiple of 4"),
        ("stream.fps=24", "16 frames at 24 fps is not whole audio latents of 640 samples"),
        ("stream.size=40", "40 pixels are not whole tokens of 16 pixels"),
        ("stream.motion_latents=5", "motion_latents is 5, but a chunk has 4 latents"),
        ("stream.sink_latents=5", "sink_latents is 5, but a chunk has 4 latents"),
        ("prompt.num_tokens=5", r"the parts differ in prompt_tokens: \[4, 5\]"),
        ("dit.prompt_width=64", r"the parts differ in prompt_width: \[32, 64\]"),
        ("dit.condition_width=64", r"the parts differ in condition_width: \[32, 64\]"),
        ("orchestrator.history_latents=15", "history_latents=15 is not whole tokens of 2"),
    ],
)
def test_parts_that_do_not_fit_are_refused(assignment: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        override(preset("tiny"), [assignment])


def test_a_config_of_another_version_is_refused() -> None:
    values = to_json(preset("tiny"))
    for spoiled in (
        {**values, "vocoder": {}},
        {name: value for name, value in values.items() if name != "dit"},
        {**values, "dit": {**values["dit"], "depth": 3}},
    ):
        with pytest.raises(ValueError, match="not a config of this version"):
            from_json(spoiled)


ODD_VALUES = (
    "0", "-1", "7", "999999", "99999999999999999999", "1e400", "NaN", "-Infinity", "null", "true",
    "[]", "[1]", "[0, 0, 0]", '[4, "a", 8]', "{}", '{"fps": 25}', "abc", "", "1.5", "[" * 3000,
    "\0", "\ud83d", "in_loop", "1" * 5000, "[1000000, 1000000, 1000000]",
)  # fmt: skip


def refusal_of(assignments: list[str]) -> str:
    try:
        shapes_of(override(preset("tiny"), assignments))
    except (InputError, TypeCheckError) as error:  # the latter: the test suite's own check
        return str(error) if isinstance(error, InputError) else "another type"
    return ""


def test_whatever_is_set_gives_networks_or_one_line() -> None:
    rng = random.Random(11)
    paths = [
        f"{part}.{name}"
        for part, values in to_json(preset("tiny")).items()
        if isinstance(values, dict)
        for name in values
    ]
    paths += ["preset", "stream", "x", "", ".", "stream.", "stream.fps.x"]
    refusals = [
        refusal_of(
            [f"{rng.choice(paths)}={rng.choice(ODD_VALUES)}" for _ in range(rng.choice((1, 1, 2)))]
        )
        for _ in range(150)
    ]
    assert 100 < sum(map(bool, refusals)) < 150
    assert max(len(refusal.splitlines()) for refusal in refusals) == 1


@pytest.mark.parametrize("value", [3, [], None, "x", {}, {"dit": 3}, {"stream": {"fps": "25"}}])
def test_json_of_another_shape_is_no_config(value: object) -> None:
    values = to_json(preset("tiny")) | value if isinstance(value, dict) and value else value
    with pytest.raises(InputError, match="not a config of this version"):
        inspect.unwrap(from_json)(values)


def test_a_model_larger_than_the_memory_is_refused_before_it_is_built() -> None:
    huge = override(preset("tiny"), ["orchestrator.width=1000000"])
    with pytest.raises(InputError, match="the machine's memory is"):
        shapes_of(huge)


def test_the_prefix_is_start_prompt_window_and_pooled_history() -> None:
    config = OrchestratorConfig()
    assert config.window == 80
    assert config.prefix_length == 1 + 8 + 80 + 24


def test_a_config_of_an_earlier_version_is_read() -> None:
    many_steps = override(preset("micro"), ["sampler.num_steps=50", "sampler.kind=euler"])
    values = to_json(many_steps)
    sampler = values.pop("sampler")
    sampler.pop("kind")  # there was only one
    values["stream"] |= {"sigma_shift": sampler.pop("shift"), **sampler}
    values["orchestrator"]["timing"] = "foretold"
    assert from_json(values) == many_steps
