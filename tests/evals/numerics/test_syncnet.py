"""SyncNet's scores against a plain transcription, and its path from file to score."""

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from evals import extractors
from evals.extractors import syncnet as syncnet_extractor
from evals.extractors import track_sync
from evals.extractors.face_crop import (
    PAD_VALUE,
    TrackRule,
    crop_squares,
    cut_square,
    face_tracks,
    tracks_of,
)
from evals.extractors.mfcc import mfcc
from evals.extractors.networks.syncnet import SyncNet, load_syncnet
from evals.extractors.syncnet import SyncNetExtractor, embed_sound, int16_samples, mouth_embedder
from evals.numerics.syncnet import (
    is_real_pair,
    masked_curve,
    mean_curve,
    read_curve,
    score_embeddings,
    shifted_distances,
    windowed_scores,
)
from streamchar_ref import weights
from streamchar_ref.weights import WeightsAltered, WeightsMissing


def embeddings(seed: int, num_windows: int, size: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """Picture and sound that agree at shift 0, up to noise."""
    rng = np.random.default_rng(seed)
    visual = rng.normal(size=(num_windows, size)).astype(np.float32)
    return visual, visual + 0.3 * rng.normal(size=visual.shape).astype(np.float32)


def plain_scores(visual: np.ndarray, audio: np.ndarray) -> tuple[int, float, float]:
    """The published loop: one window and one shift at a time, in torch."""
    v, a = torch.from_numpy(visual), torch.from_numpy(audio)
    padded = torch.nn.functional.pad(a, (0, 0, 15, 15))
    rows = [
        torch.nn.functional.pairwise_distance(v[[i]].repeat(31, 1), padded[i : i + 31])
        for i in range(len(v))
    ]
    mean = torch.stack(rows, 1).mean(1)
    best, where = torch.min(mean, 0)
    return 15 - int(where), float(torch.median(mean) - best), float(best)


@pytest.mark.parametrize("num_windows", [1, 10, 31, 700])
def test_scores_agree_with_the_plain_loop(num_windows: int) -> None:
    visual, audio = embeddings(num_windows, num_windows)
    offset, confidence, distance = plain_scores(visual, audio)
    score = score_embeddings(visual, audio)
    assert score.offset_frames == offset
    assert score.sync_c == pytest.approx(confidence, abs=2e-5)
    assert score.sync_d == pytest.approx(distance, abs=2e-5)


def test_differences_carry_the_epsilon_of_torch() -> None:
    visual, _ = embeddings(0, 40)
    assert score_embeddings(visual, visual).sync_d == pytest.approx(1e-6 * np.sqrt(32), rel=1e-3)


@settings(max_examples=40, deadline=None)
@given(st.integers(-14, 14), st.integers(0, 1000))
def test_shifting_the_sound_shifts_the_offset(shift: int, seed: int) -> None:
    visual, audio = embeddings(seed, 90)
    early = np.roll(audio, -shift, axis=0)  # sound i is now that of picture i + shift
    score = score_embeddings(visual, early)
    assert score.offset_frames == shift
    assert not score.is_censored


def test_offset_at_the_edge_is_censored() -> None:
    visual, audio = embeddings(1, 90)
    assert score_embeddings(visual, np.roll(audio, -15, axis=0)).is_censored


def test_ties_go_to_the_first_shift_and_the_median_is_the_lower_one() -> None:
    score = read_curve(np.array([2.0, 1.0, 4.0, 1.0, 5.0]))
    assert (score.offset_frames, score.sync_c, score.sync_d) == (1, 1.0, 1.0)
    assert (score.sync_c0, score.sync_d0) == (-2.0, 4.0)
    gap = read_curve(np.array([np.nan, 1.0, 4.0, 3.0, 5.0]))
    assert gap.sync_c == 2.0  # of 1, 3, 4, 5 the lower median is 3


def test_zero_padding_lowers_confidence_of_short_streams_and_masking_does_not() -> None:
    rng = np.random.default_rng(3)
    level = 5 + rng.normal(size=(1, 64))  # embeddings far from the origin, like real ones
    visual, audio = (part + level for part in embeddings(3, 50, 64))
    distance = shifted_distances(visual, audio)
    published = read_curve(mean_curve(distance))
    masked = read_curve(masked_curve(distance, is_real_pair(50)))
    unaffected = read_curve(
        np.mean([np.linalg.norm(visual[20:30] - audio[20 + k : 30 + k], axis=1).mean(keepdims=True)
                 for k in range(-15, 16)], axis=1)
    )  # fmt: skip
    assert masked.sync_c == pytest.approx(unaffected.sync_c, rel=0.05)
    assert abs(published.sync_c - masked.sync_c) > 5 * abs(masked.sync_c - unaffected.sync_c)


def test_windows_borrow_real_neighbours() -> None:
    visual, audio = embeddings(4, 200)
    distance = shifted_distances(visual, audio)
    windows = {start: score for start, _, score in windowed_scores(distance, window_frames=50)}
    assert list(windows) == [0, 50, 100, 150]
    alone = np.stack(
        [np.linalg.norm(visual[50:100] + 1e-6 - audio[50 + k : 100 + k], axis=1).mean()
         for k in range(-15, 16)]
    )  # fmt: skip
    assert windows[50].sync_c == pytest.approx(read_curve(alone).sync_c, rel=1e-5)


@pytest.mark.parametrize("num_samples", [100, 400, 16_000, 52_345])
def test_mfcc_agrees_with_python_speech_features(num_samples: int) -> None:
    reference = pytest.importorskip("python_speech_features")
    rng = np.random.default_rng(num_samples)
    noise = rng.normal(size=num_samples) * np.linspace(0, 8000, num_samples)
    samples = noise.astype(np.int16)
    np.testing.assert_allclose(mfcc(samples), reference.mfcc(samples, 16_000), atol=1e-6)


def test_mfcc_of_silence_is_finite() -> None:
    assert np.isfinite(mfcc(np.zeros(16_000, np.int16))).all()


def test_samples_are_rounded_to_sixteen_bits() -> None:
    samples = np.array([0, 0.5, -1, 1, 2, 1 / 32768], np.float32)
    np.testing.assert_array_equal(int16_samples(samples), [0, 16384, -32768, 32767, 32767, 1])


def test_tracks_bridge_short_gaps_and_split_at_jumps() -> None:
    box = np.tile([100.0, 100, 300, 320], (200, 1))
    box[120:] += 400  # another place
    num_faces = np.ones(200, int)
    num_faces[50:60] = 0
    box[50:60] = np.nan
    num_faces[190:] = 0
    tracks = face_tracks(box, num_faces, TrackRule())
    assert [(track.start_frame, track.stop_frame) for track in tracks] == [(0, 120), (120, 190)]
    np.testing.assert_array_equal(tracks[0].box[55], [100, 100, 300, 320])


def test_short_tracks_and_small_faces_are_left_out() -> None:
    small = np.tile([10.0, 10, 90, 90], (100, 1))
    assert face_tracks(small, np.ones(100, int), TrackRule()) == []
    large = np.tile([10.0, 10, 190, 190], (51, 1))
    assert len(face_tracks(large, np.ones(51, int), TrackRule())) == 1


def test_limits_of_a_track_are_strict_as_published() -> None:
    """``len(track) > min_track``, ``iou > iouThres`` and ``mean > min_face_size``."""
    large = np.tile([10.0, 10, 190, 190], (50, 1))
    assert face_tracks(large, np.ones(50, int), TrackRule()) == []
    just = np.tile([10.0, 10, 110, 110], (60, 1))
    assert face_tracks(just, np.ones(60, int), TrackRule()) == []
    for right, num_tracks in ((400.0, 2), (402.0, 1)):
        box = np.tile([0.0, 0, 200, 200], (120, 1))
        box[60:, 2] = right  # 200 of 400 pixels are shared, then 200 of 402
        box[:60, 2] = 200.0 if num_tracks == 2 else 202.0
        tracks = face_tracks(box, np.ones(120, int), TrackRule())
        assert len(tracks) == num_tracks


def test_several_faces_have_tracks_of_their_own_that_share_frames() -> None:
    box = np.tile([0.0, 0, 200, 200], (80, 1))
    both = {
        "box": box,
        "num_faces": np.full(80, 2),
        "all_frame": np.repeat(np.arange(80), 2),
        "all_track": np.tile([3, 5], 80),
        "all_box": np.tile([[0.0, 0, 200, 200], [300.0, 0, 450, 150]], (80, 1)),
    }
    tracks = tracks_of(both, TrackRule())
    assert [(track.number, track.start_frame, track.stop_frame) for track in tracks] == [
        (3, 0, 80), (5, 0, 80)
    ]  # fmt: skip
    assert tracks[1].box[40].tolist() == [300, 0, 450, 150]
    alone = {name: values[:0] if "all" in name else values for name, values in both.items()}
    assert [track.number for track in tracks_of(alone, TrackRule())] == [-1]


def padded_crop(frame: np.ndarray, box: np.ndarray, crop_scale: float) -> np.ndarray:
    """The published crop: pad the whole picture, then slice."""
    half = max(box[2] - box[0], box[3] - box[1]) / 2
    pad = int(half * (1 + 2 * crop_scale))
    padded = np.pad(frame, ((pad, pad), (pad, pad), (0, 0)), constant_values=PAD_VALUE)
    y, x = (box[1] + box[3]) / 2 + pad, (box[0] + box[2]) / 2 + pad
    side = half * (1 + crop_scale)
    return padded[
        int(y - half) : int(y + half * (1 + 2 * crop_scale)), int(x - side) : int(x + side)
    ]


@settings(max_examples=30, deadline=None)
@example(0.0, 0.0, 15.0, 79.99999999999999)
@given(st.floats(0, 99), st.floats(0, 79), st.floats(15, 80), st.floats(15, 80))
def test_crop_is_the_published_one(x: float, y: float, width: float, height: float) -> None:
    frame = np.random.default_rng(0).integers(0, 255, (80, 100, 3), dtype=np.uint8)
    box = np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2])
    square = crop_squares(np.tile(box, (31, 1)), crop_scale=0.4)[15]
    published = padded_crop(frame, box, 0.4)
    ours = cut_square(frame, square, size=32)
    assert published.shape[:2] == (square[3] - square[1], square[2] - square[0])
    np.testing.assert_array_equal(ours, cv2.resize(published, (32, 32)))


@pytest.fixture(scope="module")
def network() -> SyncNet:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return SyncNet().eval()


@pytest.fixture(scope="module")
def weights_folder(network: SyncNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    (folder / "syncnet").mkdir()
    torch.save(network.state_dict(), folder / "syncnet" / "syncnet_v2.model")
    return folder


@pytest.fixture
def random_weights(weights_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random weights in place of the official ones, which nobody may ship."""
    path = weights_folder / "syncnet" / "syncnet_v2.model"
    official = weights.registry()["syncnet"]
    pin = dataclasses.replace(
        official.files[0],
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        size=path.stat().st_size,
    )
    fake = weights.registry() | {"syncnet": dataclasses.replace(official, files=(pin,))}
    for module in (weights, extractors):
        monkeypatch.setattr(module, "registry", lambda: fake)
    monkeypatch.setenv("STREAMCHAR_WEIGHTS", str(weights_folder))


def test_state_dict_has_the_official_keys_and_sizes(network: SyncNet) -> None:
    state = network.state_dict()
    assert state["netcnnlip.0.weight"].shape == (96, 3, 5, 7, 7)
    assert state["netcnnlip.18.weight"].shape == (512, 256, 1, 6, 6)
    assert state["netcnnaud.18.weight"].shape == (512, 256, 5, 4)
    assert state["netfclip.3.weight"].shape == state["netfcaud.3.weight"].shape == (1024, 512)
    # The official file has 54,573,114 bytes: 4 a number, and the rest is keys and framing.
    num_bytes = sum(tensor.nbytes for tensor in state.values())
    assert 0 < 54_573_114 - num_bytes < 30_000


def crops(num_frames: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (num_frames, 14, 14, 3), dtype=np.uint8)
    return coarse.repeat(16, axis=1).repeat(16, axis=2)


def test_mouth_windows_do_not_depend_on_how_many_run_at_once(network: SyncNet) -> None:
    frames = crops(13)
    found = []
    for windows_at_once in (1, 8, 64):
        mouth = mouth_embedder(network, windows_at_once=windows_at_once)
        for frame in frames:
            mouth.push(frame)
        found.append(mouth.finish())
    assert found[0].shape == (9, 1024)
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], atol=1e-4)  # f32 sums in another order


@torch.inference_mode()
def test_mouth_embedding_is_the_published_window(network: SyncNet) -> None:
    frames = crops(6, seed=1)
    mouth = mouth_embedder(network)
    for frame in frames:
        mouth.push(frame)
    bgr = torch.from_numpy(frames[1:6, :, :, ::-1].transpose(3, 0, 1, 2)[None].astype(np.float32))
    published = network.netfclip(network.netcnnlip(bgr).view(1, -1))
    np.testing.assert_allclose(mouth.finish()[1:], published.numpy(), atol=1e-4)


@torch.inference_mode()
def test_sound_embedding_is_the_published_window(network: SyncNet) -> None:
    samples = np.random.default_rng(2).integers(-9000, 9000, 16_000).astype(np.int16)
    ours = embed_sound(network, samples, 20, windows_at_once=7)
    cepstra = torch.from_numpy(mfcc(samples).T.astype(np.float32))
    published = network.netfcaud(network.netcnnaud(cepstra[None, None, :, 76:96]).view(1, -1))
    assert ours.shape == (20, 1024)
    np.testing.assert_allclose(ours[19:], published.numpy(), atol=1e-5)


def serve(frames: np.ndarray, monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    def decoded(path: Path, *, fps: float) -> Iterator[np.ndarray]:
        yield from (frames[at : at + batch] for at in range(0, len(frames), batch))

    for module in (syncnet_extractor, track_sync):
        monkeypatch.setattr(module, "decoded_frames", decoded)


def extract(
    spec_params: dict[str, object], samples: np.ndarray, upstream: Mapping[str, object]
) -> Mapping[str, np.ndarray]:
    return SyncNetExtractor(**spec_params).extract(Path("clip.mp4"), samples, upstream)


@pytest.mark.usefixtures("random_weights")
def test_whole_path_is_the_same_for_any_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = crops(30, seed=3)
    samples = np.random.default_rng(4).uniform(-0.3, 0.3, 28 * 640 + 5).astype(np.float32)
    box = np.tile([30.0, 30, 180, 190], (30, 1)).astype(np.float32)
    face = {"face": {"box": box, "num_faces": np.r_[np.zeros(2, int), np.ones(28, int)]}}
    found = []
    for batch in (3, 32):
        serve(frames, monkeypatch, batch)
        found.append(extract({"min_track_frames": 20}, samples, face))
    assert found[0]["start_frame"].tolist() == [2]
    assert found[0]["num_windows"].tolist() == [26 - 5]  # 28 frames, sound for 26 of them
    assert found[0]["distance"].shape == (21, 31)
    for name, array in found[0].items():
        assert array.tobytes() == found[1][name].tobytes()


@pytest.mark.usefixtures("random_weights")
def test_whole_frames_need_no_face(monkeypatch: pytest.MonkeyPatch) -> None:
    serve(crops(12, seed=5), monkeypatch, 32)
    samples = np.random.default_rng(6).uniform(-0.3, 0.3, 12 * 640).astype(np.float32)
    features = extract({"crop": "none"}, samples, {})
    assert features["num_windows"].tolist() == [7]


@pytest.mark.usefixtures("random_weights")
def test_no_face_gives_no_track() -> None:
    nothing = {"box": np.full((9, 4), np.nan, np.float32), "num_faces": np.zeros(9, int)}
    features = extract({}, np.zeros(9 * 640, np.float32), {"face": nothing})
    assert features["distance"].shape == (0, 31)


@pytest.mark.usefixtures("random_weights")
def test_another_file_of_the_same_size_is_refused(
    weights_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = bytearray((weights_folder / "syncnet" / "syncnet_v2.model").read_bytes())
    content[-1] ^= 1
    (tmp_path / "syncnet").mkdir()
    (tmp_path / "syncnet" / "syncnet_v2.model").write_bytes(content)
    monkeypatch.setenv("STREAMCHAR_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsAltered, match="pinned is"):
        SyncNetExtractor()


def test_without_weights_the_command_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMCHAR_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsMissing, match="weights pull syncnet"):
        SyncNetExtractor()


def test_pickled_code_is_not_run(tmp_path: Path) -> None:
    torch.save(SyncNet(), tmp_path / "model.pt")
    with pytest.raises(Exception, match=r"[Ww]eights.only"):
        load_syncnet(str(tmp_path / "model.pt"))
