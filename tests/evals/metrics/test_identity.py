from functools import cache
from pathlib import Path

import cv2
import dlib
import numpy as np
import pytest
from scipy.stats import theilslopes

from evals.extractors.face import landmark_columns
from evals.extractors.identity import (
    MEAN_FACE,
    POINTS,
    IdentityExtractor,
    aligned_chip,
    similarity,
)
from evals.extractors.sampled_faces import is_sampled
from evals.metrics.identity import IDENTITY, IdentityParams, IdSlope
from evals.numerics.windows import (
    block_bootstrap_ci95,
    ends,
    fill_short_gaps,
    regress_out,
    spans,
    theil_sen,
)
from evals.protocols.base import Metric, MetricContext, Score, Unscored
from streamchar_ref.weights import locate
from tests.evals.real_clips import (
    HALF_BODY,
    TALKING_HEAD,
    clip_face,
    clip_frames,
    face_features,
    recording,
)

ID_DISTANCE, ID_RANK1, ID_DRIFT, ID_SLOPE, ID_COVERAGE = IDENTITY
REFERENCE = Path("reference.png")


def identity_features(
    frames: np.ndarray, face: dict[str, np.ndarray], *, batch: int = 32
) -> dict[str, np.ndarray]:
    extractor = IdentityExtractor()
    for start in range(0, len(frames), batch):
        rows = slice(start, start + batch)
        extractor.update(frames[rows], {"face": {name: face[name][rows] for name in face}})
    return extractor.finish()


@cache
def clip_identity(name: str, num: int) -> dict[str, np.ndarray]:
    return identity_features(clip_frames(name, num=num), clip_face(name, num=num))


def features(
    distances: np.ndarray, *, num_faces: int = 1, sharpness: np.ndarray | None = None
) -> dict[str, dict[str, np.ndarray]]:
    """Embeddings on a line from the reference at 0, two a second."""
    num = len(distances)
    embedding = np.zeros((num, 128), np.float32)
    embedding[:, 0] = distances
    frames = np.array([(25 * row + 1) // 2 for row in range(num)], np.int32)
    return {
        "face": {"has_mesh": np.ones(num * 25 // 2, bool)},
        "identity": {
            "embedding": embedding,
            "frame": frames,
            "sampled": frames,
            "num_faces": np.full(num, num_faces, np.int32),
            "sharpness": np.full(num, 50.0) if sharpness is None else sharpness,
        },
        "reference_identity": {"embedding": np.zeros((1, 128), np.float32)},
    }


def measure(metric: object, found: dict, **changes: object) -> Score:
    context = changes.pop("context", MetricContext())
    changes = {"reference_path": REFERENCE} | changes
    return metric.measure(recording(**changes), found, context)


def test_two_frames_a_second_are_sampled_by_a_fixed_rule() -> None:
    assert [index for index in range(76) if is_sampled(index, 2)] == [0, 13, 25, 38, 50, 63, 75]


def test_similarity_undoes_a_turn_a_scale_and_a_shift() -> None:
    turn = 0.7 * np.array([(np.cos(0.3), -np.sin(0.3)), (np.sin(0.3), np.cos(0.3))])
    moved = MEAN_FACE @ turn.T + (5, -2)
    matrix = similarity(MEAN_FACE, moved)
    assert matrix == pytest.approx(np.column_stack([turn, (5, -2)]))


def test_chip_matches_that_of_dlib() -> None:
    """At whole pixels, as dlib's points are. Tolerance: two ways of resampling differ by up to
    3 grey levels and, between embeddings, by 0.05; another person is 0.8 away."""
    frame = clip_frames(TALKING_HEAD)[100]
    points = clip_face(TALKING_HEAD)["landmarks"][100][landmark_columns(POINTS)].round()
    parts = [dlib.point(int(x), int(y)) for x, y in points]
    shape = dlib.full_object_detection(dlib.rectangle(0, 0, 511, 511), parts)
    theirs, ours = (
        dlib.get_face_chip(frame, shape, size=150, padding=0.25),
        aligned_chip(frame, points),
    )
    assert np.abs(ours.astype(int) - theirs).mean() < 3
    path = locate("dlib-face") / "dlib_face_recognition_resnet_model_v1.dat"
    embed = dlib.face_recognition_model_v1(str(path)).compute_face_descriptor
    assert np.linalg.norm(np.array(embed(ours)) - np.array(embed(theirs))) < 0.05


def test_chip_of_a_large_face_is_averaged_and_stays_in_place() -> None:
    small = cv2.resize(clip_frames(TALKING_HEAD)[100], (400, 400), interpolation=cv2.INTER_AREA)
    points = clip_face(TALKING_HEAD)["landmarks"][100][landmark_columns(POINTS)]
    small_points = ((points + 0.5) * 400 / 512 - 0.5).astype(np.float32)
    large = small.repeat(4, axis=0).repeat(4, axis=1)
    large_points = (4 * small_points + 1.5).astype(np.float32)
    difference = aligned_chip(large, large_points).astype(int) - aligned_chip(small, small_points)
    assert np.abs(difference).mean() < 1


@pytest.mark.slow
def test_one_person_is_nearer_than_another() -> None:
    one = clip_identity(TALKING_HEAD, 100)["embedding"]
    other = clip_identity(HALF_BODY, 75)["embedding"]
    same = np.linalg.norm(one[:, None] - one, axis=2).max()
    different = np.linalg.norm(one[:, None] - other, axis=2).min()
    assert same < 0.6 < different


def test_embeddings_do_not_depend_on_how_frames_are_batched() -> None:
    frames, face = clip_frames(TALKING_HEAD)[:30], clip_face(TALKING_HEAD)
    face = {name: values[:30] for name, values in face.items()}
    whole = identity_features(frames, face, batch=30)
    cut = identity_features(frames, face, batch=7)
    assert all(whole[name].tobytes() == cut[name].tobytes() for name in whole)


def test_a_picture_is_a_video_of_one_frame() -> None:
    picture = clip_frames(TALKING_HEAD)[:1]
    found = identity_features(picture, face_features(picture))
    assert found["embedding"].shape == (1, 128)
    assert found["sampled"].tolist() == [0]
    blank = np.full((1, 128, 128, 3), 128, np.uint8)
    assert identity_features(blank, face_features(blank))["embedding"].shape == (0, 128)


def test_too_small_faces_are_not_embedded() -> None:
    frames, face = clip_frames(TALKING_HEAD)[:1], clip_face(TALKING_HEAD)
    face = {name: values[:1] for name, values in face.items()}
    face["box"] = np.array([[10, 10, 30, 30]], np.float32)
    assert len(identity_features(frames, face)["embedding"]) == 0


def test_id_distance_is_the_mean_and_has_windows() -> None:
    score = measure(ID_DISTANCE, features(np.array([0.1, 0.3, 0.2, 0.4, 0.5, 0.5, 0.5, 0.5])))
    assert score.value == pytest.approx(0.375)
    assert [window.value for window in score.windows] == pytest.approx([0.25, 0.5])


def test_id_distance_needs_a_reference_with_a_face() -> None:
    found = features(np.full(4, 0.2))
    with pytest.raises(Unscored, match="no reference picture"):
        measure(ID_DISTANCE, found, reference_path=None)
    found["reference_identity"] = {"embedding": np.zeros((0, 128), np.float32)}
    with pytest.raises(Unscored, match="no usable face in the reference"):
        measure(ID_DISTANCE, found)


def test_id_rank1_counts_frames_nearest_to_the_own_reference() -> None:
    own, other = np.zeros(128), np.zeros(128)
    other[0] = 1.0
    found = features(np.array([0.1, 0.2, 0.9, 0.3]))
    context = MetricContext(references={"identity": {"anna": own, "ben": other}})
    score = measure(ID_RANK1, found, context=context, groups={"identity": "anna"})
    assert score.value == pytest.approx(0.75)
    assert score.components["nearest"] == {"anna": 3, "ben": 1}
    assert score.components["distance_to_others"] == pytest.approx(0.625)
    swapped = measure(ID_RANK1, found, context=context, groups={"identity": "ben"})
    assert swapped.value == pytest.approx(0.25)


def test_id_rank1_needs_two_references_and_the_own_one() -> None:
    found = features(np.full(4, 0.2))
    with pytest.raises(Unscored, match="fewer than two"):
        measure(
            ID_RANK1, found, context=MetricContext(references={"identity": {"a": np.zeros(128)}})
        )
    two = MetricContext(references={"identity": {"b": np.zeros(128), "c": np.ones(128)}})
    with pytest.raises(Unscored, match="no usable reference picture of 'a'"):
        measure(ID_RANK1, found, context=two, groups={"identity": "a"})


def test_id_drift_is_end_minus_start() -> None:
    found = features(np.linspace(0.2, 0.6, 40))
    score = measure(ID_DRIFT, found)
    assert score.value == pytest.approx(0.4 * 0.85, abs=0.02)
    assert score.components["anchor"] == "reference"
    without = measure(ID_DRIFT, found, reference_path=None)
    assert without.components["anchor"] == "start"
    assert without.value == pytest.approx(0.4 * 0.85, abs=0.04)
    back = measure(ID_DRIFT, features(np.linspace(0.6, 0.2, 40)))
    assert back.value == pytest.approx(-score.value)


FAST_SLOPE = IdSlope(params=IdentityParams(num_draws=5), protocol="id_slope_per_min/fast@1")


@pytest.mark.parametrize("metric", [ID_DRIFT, FAST_SLOPE], ids=lambda metric: metric.name)
def test_without_a_reference_what_does_not_change_has_no_drift_on_the_average(
    metric: Metric,
) -> None:
    """60 faces that jitter around one place: about as many values below as above 0, where the
    distance to the mean of the start would be above in nearly all of them."""
    rng = np.random.default_rng(0)
    values = []
    for _ in range(60):
        found = features(np.zeros(40))
        found["identity"]["embedding"] = rng.normal(0, 0.03, (40, 128)).astype(np.float32)
        values.append(measure(metric, found, reference_path=None).value)
    assert 18 <= sum(value < 0 for value in values) <= 42
    assert abs(np.mean(values)) < 2.5 * np.std(values) / np.sqrt(60)


def test_without_a_reference_one_frame_at_the_start_is_too_few() -> None:
    with pytest.raises(Unscored, match="no reference picture, and 1 embedded frames"):
        measure(ID_DRIFT, features(np.full(6, 0.3)), reference_path=None)


def test_the_curve_of_id_drift_is_the_drift_and_not_the_distance() -> None:
    found = measure(ID_DRIFT, features(np.linspace(0.2, 0.6, 100)))
    assert ID_DRIFT.curve is None
    assert found.windows[0].value == pytest.approx(0.0, abs=0.03)
    assert found.windows[-1].value == pytest.approx(found.value, abs=0.03)


def test_the_curve_of_id_slope_is_of_distances_and_says_so() -> None:
    found = measure(ID_SLOPE, features(np.linspace(0.2, 0.6, 100)))
    assert ID_SLOPE.curve == ("corrected id distance", "1")
    assert found.windows[0].value == pytest.approx(0.2, abs=0.03)


def test_id_slope_finds_a_drift_per_minute_and_its_interval() -> None:
    rng = np.random.default_rng(0)
    distances = 0.3 + 0.1 * np.arange(120) / 120 + rng.normal(0, 0.01, 120)
    score = measure(ID_SLOPE, features(distances))
    assert score.value == pytest.approx(0.1, abs=0.02)
    low, high = score.components["ci95"]
    assert low < score.value < high
    assert high - low < 0.06


def test_id_slope_does_not_take_blur_for_another_person() -> None:
    rng = np.random.default_rng(1)
    log_sharpness = 4 - np.arange(160) / 160 + np.repeat(rng.normal(0, 0.3, 40), 4)
    found = features(0.8 - 0.1 * log_sharpness, sharpness=np.exp(log_sharpness))
    score = measure(ID_SLOPE, found)
    assert score.components["uncorrected"] > 0.05
    assert score.value == pytest.approx(0, abs=0.005)


def test_id_slope_needs_five_windows() -> None:
    with pytest.raises(Unscored, match="4 windows with a face, 5 needed"):
        measure(ID_SLOPE, features(np.full(16, 0.3)))


def test_id_coverage_counts_frames_with_exactly_one_usable_face() -> None:
    found = features(np.full(8, 0.3))
    found["identity"]["num_faces"][:2] = 2
    for name in ("embedding", "frame", "num_faces", "sharpness"):
        found["identity"][name] = found["identity"][name][:-1]
    assert measure(ID_COVERAGE, found).value == pytest.approx(5 / 8)


def test_without_any_face_only_coverage_is_measured() -> None:
    found = features(np.full(8, 0.3))
    for name in ("embedding", "frame", "num_faces", "sharpness"):
        found["identity"][name] = found["identity"][name][:0]
    assert measure(ID_COVERAGE, found).value == 0
    for metric in (ID_DISTANCE, ID_DRIFT, ID_SLOPE):
        with pytest.raises(Unscored, match="no usable face"):
            measure(metric, found)


def test_no_metric_breaks_on_one_frame() -> None:
    found = features(np.full(1, 0.3))
    found["face"]["has_mesh"] = np.ones(1, bool)
    assert measure(ID_DISTANCE, found).value == pytest.approx(0.3)
    assert measure(ID_COVERAGE, found).value == 1
    for metric in (ID_DRIFT, ID_SLOPE):
        with pytest.raises(Unscored):
            measure(metric, found)


def test_the_talking_head_stays_itself() -> None:
    found = {"face": clip_face(TALKING_HEAD), "identity": clip_identity(TALKING_HEAD, 200)}
    other = clip_identity(HALF_BODY, 75)["embedding"]
    found["reference_identity"] = {"embedding": found["identity"]["embedding"][:1]}
    references = {"a": found["identity"]["embedding"][0], "b": other[0]}
    assert measure(ID_DISTANCE, found).value < 0.45
    assert (
        measure(ID_RANK1, found, context=MetricContext(references={"identity": references})).value
        == 1
    )
    assert measure(ID_COVERAGE, found).value == 1


# The helpers behind curves and slopes.


def test_theil_sen_matches_scipy() -> None:
    rng = np.random.default_rng(0)
    for num in (2, 3, 10, 40):
        times, values = np.sort(rng.normal(size=num)), rng.normal(size=num)
        assert theil_sen(times, values) == pytest.approx(theilslopes(values, times).slope)
    assert np.isnan(theil_sen(np.array([1.0]), np.array([2.0])))


def test_the_interval_of_pure_noise_holds_zero_in_most_cases() -> None:
    """40 series: a 95 % interval of a bootstrap with few blocks covers at least 80 %."""
    rng = np.random.default_rng(0)
    times = np.arange(30) / 30
    covered = [
        low <= 0 <= high
        for low, high in (
            block_bootstrap_ci95(times, rng.normal(size=30), num_draws=100) for _ in range(40)
        )
    ]
    assert np.mean(covered) >= 0.8


def test_the_interval_is_the_same_each_time_and_unknown_for_few_windows() -> None:
    times, values = np.arange(12.0), np.random.default_rng(3).normal(size=12)
    assert block_bootstrap_ci95(times, values) == block_bootstrap_ci95(times, values)
    assert np.isnan(block_bootstrap_ci95(times[:4], values[:4])).all()


def test_regress_out_leaves_what_the_nuisance_does_not_explain() -> None:
    rng = np.random.default_rng(0)
    nuisance, steps = rng.normal(size=50), np.arange(50.0)
    cleaned = regress_out(0.1 * steps - 2 * nuisance, nuisance)
    assert cleaned - cleaned.mean() == pytest.approx(0.1 * (steps - steps.mean()))
    rising = 0.1 * steps + 2 * nuisance
    assert regress_out(rising, nuisance) == pytest.approx(rising)
    straight = regress_out(0.1 * steps, 3 * steps)
    assert straight == pytest.approx(0.1 * steps)


def test_spans_of_short_and_long_videos() -> None:
    assert list(spans(10, length_s=2, hop_s=2)) == [(0, 10)]
    assert list(spans(130, length_s=2, hop_s=2)) == [(0, 50), (50, 100)]
    assert list(spans(200, length_s=4, hop_s=2)) == [(0, 100), (50, 150), (100, 200)]


def test_ends_are_fifteen_percent_and_never_empty() -> None:
    assert ends(100) == (slice(0, 15), slice(85, 100))
    assert ends(2) == (slice(0, 1), slice(1, 2))
    with pytest.raises(Unscored):
        ends(1)


def test_short_gaps_are_filled_and_long_ones_marked() -> None:
    values = np.array([1, np.nan, 3, np.nan, np.nan, 6, np.nan])
    filled, usable = fill_short_gaps(values, max_gap=1)
    assert filled == pytest.approx([1, 2, 3, 4, 5, 6, 6])
    assert usable.tolist() == [True, True, True, False, False, True, False]
    assert not fill_short_gaps(np.full(3, np.nan), max_gap=1)[1].any()
