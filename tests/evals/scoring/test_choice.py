"""Metrics by the names that people give them, by axis, protocol and profile."""

from pathlib import Path

import pytest

from evals.metrics import EVERY_METRIC, INFOS
from evals.protocols.info import Axis
from evals.protocols.profile import DEFAULT, load_profiles
from evals.scoring.choice import choose_metrics
from evals.scoring.names import ALIASES, AXIS_ALIASES, metrics_named, resolve_names
from streamchar_ref.core.errors import InputError


def chosen(*names: str, protocol: str = DEFAULT, profile: str = "") -> set[str]:
    parts = choose_metrics(list(names), protocol, profile=profile)
    return {metric.protocol for part in parts for metric in part}


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("wer", "wer"), ("WER", "wer"), ("LSE-C", "sync_c"), ("lse_d", "sync_d"),
        ("Sync-C", "sync_c"), ("id rank-1", "id_rank1"), ("rtf", "rtf"), ("dnsmos", "dnsmos_ovrl"),
        ("FVD", "fvd"),
    ],
)  # fmt: skip
def test_labels_and_usual_names_are_metrics(name: str, metric: str) -> None:
    assert metrics_named(name, INFOS) == [metric]


@pytest.mark.parametrize("name", ["lip-sync", "lipsync", "lip_sync", "Lip Sync", "sync"])
def test_an_axis_in_any_spelling_is_its_metrics(name: str) -> None:
    of_axis = [metric for metric, info in INFOS.items() if info.axis is Axis.LIP_SYNC]
    assert metrics_named(name, INFOS) == of_axis
    assert metrics_named(name, {"wer", "sync_d", "sync_c"}) == ["sync_c", "sync_d"]


def test_aliases_hide_no_metric_and_name_one_that_exists() -> None:
    assert set(ALIASES.values()) <= set(INFOS)
    assert not {*ALIASES, *AXIS_ALIASES} & set(INFOS)


def test_no_metric_of_our_own_has_the_name_of_a_published_one() -> None:
    own = {metric for metric, info in INFOS.items() if info.is_project_specific}
    assert not own & set(ALIASES.values())
    for published in ("csim", "fid", "fvd", "lse-c", "lpips", "utmos"):
        assert not own & set(metrics_named(published, INFOS) or [])


def test_slips_are_explained_with_the_nearest_name() -> None:
    for slip, near in (("lip-snyc", "lip-sync"), ("werr", "wer"), ("lse_f", "lse_")):
        with pytest.raises(InputError, match=f"did you mean '{near}"):
            resolve_names([slip], INFOS, "unknown metric")


def test_a_slip_is_told_three_names_and_the_command_that_lists_all() -> None:
    with pytest.raises(InputError) as told:
        resolve_names(["id_dist"], INFOS, "unknown metric")
    assert str(told.value).count("'id_") == 4
    assert str(told.value).endswith("? all: streamchar ls metrics")
    with pytest.raises(InputError, match=r"unknown metric 'zzzz'; all: streamchar ls metrics$"):
        resolve_names(["zzzz"], INFOS, "unknown metric")
    with pytest.raises(InputError, match=r"no scores of 'zzzz'; there are: wer, rtf$"):
        resolve_names(["zzzz"], ["rtf", "wer"], "no scores of")


def test_an_axis_stands_for_its_default_protocols_and_a_name_for_any() -> None:
    assert "per_world/align-world@2" not in chosen("text")
    assert chosen("text") >= {"wer/whisper-base@2", "cer/whisper-base@2"}
    assert chosen("per_world") == {"per_world/align-world@2"}
    assert "per_world/align-world@2" in chosen("text", protocol="all")


def test_profiles_hold_protocols_that_exist_and_are_chosen_as_one() -> None:
    protocols = {metric.protocol for metric in EVERY_METRIC}
    assert len(load_profiles()) >= 5
    for name, profile in load_profiles().items():
        missing = set(profile.protocols) - protocols
        assert not missing, f"profiles/{name}.toml names {', '.join(sorted(missing))}"
        assert profile.title
        assert chosen(profile=name) == set(profile.protocols)
    assert chosen(profile=DEFAULT) == {m.protocol for m in EVERY_METRIC if m.is_default}


def test_a_profile_is_narrowed_by_metrics_and_goes_with_no_protocol() -> None:
    assert chosen("wer", profile="published") == {"wer/whisper-base+whisper-en@2"}
    with pytest.raises(InputError, match="none of rtf has a protocol of the profile 'seed-tts'"):
        chosen("rtf", profile="seed-tts")
    with pytest.raises(InputError, match="did you mean 'published'"):
        chosen(profile="publishd")
    with pytest.raises(InputError, match="not both"):
        chosen(profile="published", protocol="all")


def test_a_broken_profile_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('title = "a"\n')
    with pytest.raises(InputError, match=r"mine.toml: a profile has a title and a list"):
        load_profiles(tmp_path)
