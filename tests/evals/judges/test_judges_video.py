from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from evals.extractors import EXTRACTORS
from evals.extractors.face import FaceExtractor
from evals.extractors.networks import WEIGHTS, judge_figures
from evals.extractors.networks.fvd_world import (
    CLIP_FRAMES,
    DAMAGES,
    FEATURE_SIZE,
    TRACKS,
    planes,
    square,
)
from evals.extractors.networks.identity_world import SIDE, cut_head
from evals.extractors.networks.weights_file import about_weights
from evals.features.store import readable
from evals.judges.damage import LOOKS, ORDERS, SHIFTS, moved, turn_chroma, turn_hue
from evals.judges.drawn import Take, babble, film
from evals.judges.fvd_check import over_floor
from evals.judges.fvd_data import damaged, draw_take, example
from evals.judges.fvd_train import FVD_WORLD as FVD_WORLD_SPEC
from evals.judges.identity_check import errors
from evals.judges.identity_data import attributes, draw_person, stream
from evals.judges.identity_train import IDENTITY_WORLD as IDENTITY_WORLD_SPEC
from evals.judges.table import JUDGES
from evals.metrics import SET_METRICS
from evals.metrics.identity import IDENTITY, IDENTITY_WORLD, IdDistance, IdentityParams
from evals.numerics.frechet import frechet_distance
from evals.protocols.base import MetricContext, MetricWindow
from evals.recording.recording import Recording
from streamchar_ref.world.character import draw_character
from streamchar_ref.world.render import portrait

HELD_OUT = 9400
FVD_WORLD = next(metric for metric in SET_METRICS if metric.name == "fvd_world")


def extract(name: str, frames: np.ndarray, *, batch: int = 32) -> dict[str, np.ndarray]:
    face, extractor = FaceExtractor(), EXTRACTORS[name].make()
    for start in range(0, len(frames), batch):
        part = frames[start : start + batch]
        extractor.update(part, {"face": face.update(part, {})})
    return dict(extractor.finish())


@cache
def painted(identity: int, num_frames: int = 40) -> np.ndarray:
    return film("painted", identity=identity, seed=identity, num_frames=num_frames, size=128).frames


@cache
def stream_embedding(identity: int, seed: int) -> np.ndarray:
    frames = stream(draw_character(identity), identity, seed, 1, size=128)
    return extract("identity_world", frames)["embedding"][0]


@cache
def reference_embedding(identity: int) -> np.ndarray:
    picture = portrait(draw_character(identity), size=128, seed=identity)
    return extract("identity_world", picture[None])["embedding"][0]


def gap(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.linalg.norm(one - other))


def test_weights_are_small_and_say_how_they_were_made() -> None:
    for name, style in (("fvd_world", "flat"), ("identity_world", "painted")):
        path = WEIGHTS / f"{name}.safetensors"
        assert path.stat().st_size <= 2_000_000
        about = about_weights(path)
        assert about["style"] == style
        assert about["command"] == f"streamchar judges train {name}"
        assert about["is_complete"]
        assert name in JUDGES


@pytest.mark.parametrize("name", ["fvd_world", "identity_world"])
def test_features_do_not_depend_on_how_frames_are_batched(name: str) -> None:
    whole = extract(name, painted(HELD_OUT))
    pieces = extract(name, painted(HELD_OUT), batch=7)
    for array in whole:
        np.testing.assert_array_equal(whole[array], pieces[array])


def test_clips_overlap_and_a_short_video_has_none() -> None:
    found = extract("fvd_world", painted(HELD_OUT))
    assert found["start_frame"].tolist() == [0, 8, 16, 24]
    assert found["features"].shape == (4, FEATURE_SIZE)
    assert extract("fvd_world", painted(HELD_OUT)[:15])["features"].shape == (0, FEATURE_SIZE)


def test_shuffled_frames_move_the_features_more_than_other_people_do() -> None:
    videos = [painted(HELD_OUT + number) for number in range(8)]
    rng = np.random.default_rng(0)
    order = np.concatenate([4 * chunk + rng.permutation(4) for chunk in range(10)])
    clean = [extract("fvd_world", video)["features"] for video in videos]
    shuffled = [extract("fvd_world", video[order])["features"] for video in videos]
    assert over_floor(clean, shuffled)[1] > 1.5


@pytest.mark.parametrize("damage", sorted(set(DAMAGES) - {"colour", "skip"}))
def test_every_strong_damage_moves_the_features(damage: str) -> None:
    takes = [
        Take(frames=painted(HELD_OUT + n), tracks=np.zeros((40, 5), np.float32)) for n in range(4)
    ]
    clean = [_clip(take, {}, seed) for take in takes for seed in range(3)]
    spoilt = [_clip(take, {damage: 0.9}, seed) for take in takes for seed in range(3)]
    halves = frechet_distance(np.concatenate(clean[:6]), np.concatenate(clean[6:]))
    assert frechet_distance(np.concatenate(clean[:6]), np.concatenate(spoilt[6:])) > halves


def _clip(take: Take, doses: dict[str, float], seed: int) -> np.ndarray:
    shown = damaged(take, doses, np.random.default_rng(seed), vary=False)
    return extract("fvd_world", shown.frames)["features"]


def test_one_person_is_nearer_than_another() -> None:
    people = range(HELD_OUT, HELD_OUT + 8)
    own = [gap(reference_embedding(n), stream_embedding(n, 0)) for n in people]
    other = [gap(reference_embedding(n), stream_embedding(m, 0)) for n, m in pairwise(people)]
    assert np.mean(own) < 0.6 * np.mean(other)
    assert np.median(own) < min(other)


@pytest.mark.parametrize("turn", [turn_hue, turn_chroma])
def test_another_hue_is_nearer_than_another_person(
    turn: Callable[[np.ndarray, float], np.ndarray],
) -> None:
    for identity in range(HELD_OUT, HELD_OUT + 4):
        frames = stream(draw_character(identity), identity, 0, 1, size=128)
        turned = extract("identity_world", turn(frames, 40.0))["embedding"][0]
        own = gap(stream_embedding(identity, 0), turned)
        assert own < 0.5 * gap(stream_embedding(identity, 0), stream_embedding(identity + 1, 0))


def recording(domain: str) -> Recording:
    return Recording(
        sample_id="a", system="s", suite="u", transcript="", video_path=Path("none"),
        groups={"domain": domain},
    )  # fmt: skip


def test_judges_refuse_real_people() -> None:
    assert FVD_WORLD.domain == "world"
    row = FVD_WORLD.score_set([], [{}], domain="real")
    assert row.status == "not_applicable"
    assert "domain" in row.reason
    for metric in IDENTITY_WORLD:
        row = metric.score(recording("real"), {}, MetricContext())
        assert row.status == "not_applicable"
        assert "domain" in row.reason
    assert readable(["face", "fvd_world", "identity_world"], "real") == ["face"]


def test_world_metrics_read_their_own_embeddings_and_references() -> None:
    here = np.zeros((10, 64), np.float32)
    frames = np.arange(0, 50, 5)
    found: dict[str, dict[str, np.ndarray]] = {
        "face": {"has_mesh": np.ones(50, bool)},
        "identity_world": {
            "embedding": here, "frame": frames, "sampled": frames,
            "num_faces": np.ones(10, np.int32), "sharpness": np.ones(10),
        },
        "reference_identity_world": {"embedding": here[:1] + 0.1},
    }  # fmt: skip
    subject = Recording(
        sample_id="a", system="s", suite="u", transcript="", video_path=Path("none"),
        reference_path=Path("a.png"), groups={"domain": "world", "identity": "anna"},
    )  # fmt: skip
    by_name = {metric.name: metric for metric in IDENTITY_WORLD}
    value = by_name["id_world_distance"].measure(subject, found, MetricContext()).value
    assert value == pytest.approx(0.8)
    known = {"identity_world": {"anna": here[0], "ben": here[0] + 1}}
    rank = by_name["id_world_rank1"].measure(subject, found, MetricContext(references=known))
    assert rank.value == 1


def test_no_time_of_failure_where_the_network_errs_too_often() -> None:
    windows = tuple(MetricWindow(t0_s=t, t1_s=t + 2.0, value=0.1 * t) for t in (0.0, 2.0, 4.0, 6.0))
    metric = IdDistance(params=IdentityParams(), protocol="id_distance/dlib@1")
    assert metric.time_to_failure(windows, "world") == {}
    metric.verification = {"world": {"eer": 0.06, "threshold": 0.3}}
    assert metric.time_to_failure(windows, "world") == {}
    metric.verification = {"world": {"eer": 0.05, "threshold": 0.3}}
    assert metric.time_to_failure(windows, "world") == {"failed_after_s": 4.0}
    assert metric.time_to_failure(windows[:2], "world") == {"failed_after_s": None}
    assert metric.time_to_failure(windows, "real") == {}


def test_errors_on_pairs_are_part_of_the_protocol() -> None:
    figures = judge_figures("identity_world")
    assert figures["eer"] <= 0.05
    assert all(m.params["verification"]["world"] == figures for m in IDENTITY_WORLD)
    dlib = judge_figures("dlib_world")
    assert IDENTITY[0].params["verification"]["world"] == dlib


def test_equal_error_rate_of_known_pairs() -> None:
    people = [np.array([float(n)]) for n in range(10)]
    apart = errors(people, [person + 0.1 for person in people])
    assert (apart.eer, apart.auc) == (0, 1)
    rng = np.random.default_rng(0)
    noise = [rng.normal(size=8) for _ in range(600)]
    guess = errors(noise[:300], noise[300:])
    assert guess.eer == pytest.approx(0.5, abs=0.06)


def test_damage_keeps_the_shape_and_doses_the_effect() -> None:
    frames = painted(HELD_OUT)[:CLIP_FRAMES]
    rng = np.random.default_rng(0)
    for name, order in ORDERS.items():
        shown = order(np.arange(CLIP_FRAMES), 0.7, rng)
        assert shown.shape == (CLIP_FRAMES,), name
        assert shown.min() >= 0, name
        assert not np.array_equal(shown, np.arange(CLIP_FRAMES)), name
    for name, shift in SHIFTS.items():
        assert moved(frames, shift(CLIP_FRAMES, 0.5, rng)).shape == frames.shape, name
    for name, look in LOOKS.items():
        little, much = (look(frames, dose, np.random.default_rng(3)) for dose in (0.3, 1.0))
        assert little.dtype == much.dtype == np.uint8, name
        change = [np.abs(out.astype(float) - frames).mean() for out in (little, much)]
        assert 0 < change[0] < change[1], name


def test_examples_tell_what_was_done() -> None:
    take = draw_take("flat", 3)
    rng = np.random.default_rng(0)
    for _ in range(20):
        one = example(take, rng)
        assert one.planes.shape == (6, CLIP_FRAMES, 64, 64)
        assert np.isfinite(one.planes).all()
        assert ((one.doses > 0) <= (one.is_damaged > 0)).all()
        assert one.tracks.shape == (CLIP_FRAMES, len(TRACKS))


def test_a_still_picture_has_no_change_in_its_planes() -> None:
    still = np.repeat(painted(HELD_OUT)[:1], CLIP_FRAMES, axis=0)
    assert not planes(still)[4].any()
    assert planes(painted(HELD_OUT)[:CLIP_FRAMES])[4].any()


def test_babble_fills_its_time_without_gaps() -> None:
    sounds = babble(np.random.default_rng(0), 5.0)
    assert sounds[0].t0_s == 0
    assert sounds[-1].t1_s >= 5
    assert all(one.t1_s == other.t0_s for one, other in pairwise(sounds))


def test_squares_and_heads_are_cut_as_asked() -> None:
    frame = np.zeros((90, 160, 3), np.uint8)
    frame[:, 35:125] = 200
    assert (square([frame], 90)[0] == 200).all()
    corner = cut_head(frame, np.array([-10, -10, 20, 20], np.float32))
    assert corner.shape == (SIDE, SIDE, 3)


def test_clothes_and_hue_are_not_part_of_who_somebody_is() -> None:
    numbers = np.stack([attributes(draw_character(seed)) for seed in range(40)])
    assert (np.ptp(numbers, axis=0) > 0).mean() > 0.8


def test_a_short_training_lowers_the_loss_of_the_video_judge(
    losses_of_training: Callable[..., list[float]],
) -> None:
    takes = [draw_take("flat", identity) for identity in range(2)]
    losses = losses_of_training(FVD_WORLD_SPEC, takes, num_steps=24, batch=4, warmup_steps=4)
    assert np.mean(losses[-6:]) < 0.8 * np.mean(losses[:6])


def test_a_short_training_lowers_the_loss_of_the_identity_judge(
    losses_of_training: Callable[..., list[float]],
) -> None:
    people = [draw_person(identity, num_scenes=1, num_frames=2) for identity in range(6)]
    found = [person for person in people if person is not None]
    losses = losses_of_training(IDENTITY_WORLD_SPEC, found, num_steps=30, batch=4, warmup_steps=4)
    assert np.mean(losses[-6:]) < 0.8 * np.mean(losses[:6])
