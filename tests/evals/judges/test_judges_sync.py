"""The judges of lip-sync and of spoken phonemes: protocol, repeatability, training, progress."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from evals.commands.judges import app
from evals.extractors import EXTRACTORS
from evals.extractors.align_world import AlignWorldExtractor
from evals.extractors.face import FaceExtractor
from evals.extractors.mouth_crop import cut_mouth, mouth_squares
from evals.extractors.networks import WEIGHTS
from evals.extractors.networks.align_world import AlignWorld
from evals.extractors.networks.sound import damaged, log_mel, mel_power
from evals.extractors.networks.sync_world import (
    NUM_MELS,
    WINDOW_FRAMES,
    WINDOW_MEL_FRAMES,
    SyncWorld,
)
from evals.extractors.networks.syncnet import WINDOW_FRAMES as SYNCNET_WINDOW_FRAMES
from evals.extractors.networks.syncnet import WINDOW_MFCC_FRAMES, SyncNet
from evals.extractors.networks.weights_file import about_weights, load_weights, save_weights
from evals.extractors.sync_world import SAMPLES_A_FRAME, SyncWorldExtractor, mouth_embedder
from evals.features.missing import Missing
from evals.features.view import FeatureView
from evals.judges import align_train, sync_train
from evals.judges.align_data import Sentence
from evals.judges.sync_check import area, moved
from evals.judges.sync_data import Mouths
from evals.judges.table import JUDGES
from evals.metrics.per_world import PhonemeErrorRateInWorld, reference_phones
from evals.metrics.published import PUBLISHED
from evals.metrics.sync_world import SYNC_WORLD
from evals.numerics.syncnet import mean_curve, read_curve
from evals.protocols.base import MetricContext
from evals.recording.recording import Recording
from evals.text.progress import (
    PHONES,
    at_video_frames,
    spoken_progress,
)
from streamchar_ref.media.encode import write_mp4
from streamchar_ref.world.clips import make_clip
from streamchar_ref.world.speech import SILENCE, speak

SENTENCE = "The quick brown fox jumps over the lazy dog, and both of them go home to bed."


def subject(domain: str = "world", transcript: str = SENTENCE) -> Recording:
    return Recording(
        sample_id="a",
        system="s",
        suite="u",
        transcript=transcript,
        video_path=Path("none.mp4"),
        groups={"domain": domain},
    )


def distance_of(offset_frames: int, num_windows: int = 120) -> dict[str, np.ndarray]:
    """What the extractor would find in a clip whose sound is early by some frames."""
    distance = np.full((num_windows, 31), 9.0, np.float32)
    distance[:, 15 - offset_frames] = 4.0
    return {
        "distance": distance,
        "start_frame": np.array([0]),
        "num_windows": np.array([num_windows]),
        "track": np.array([-1]),
    }


@pytest.mark.parametrize("num_frames", [5, 6, 40])
def test_windows_are_those_of_syncnet(num_frames: int) -> None:
    ours, theirs = SyncWorld().eval(), SyncNet().eval()
    num_windows = num_frames - SYNCNET_WINDOW_FRAMES + 1
    sound_frames = WINDOW_MFCC_FRAMES + 4 * (num_windows - 1)
    assert (WINDOW_FRAMES, WINDOW_MEL_FRAMES) == (SYNCNET_WINDOW_FRAMES, WINDOW_MFCC_FRAMES)
    with torch.inference_mode():
        assert len(ours.embed_mouth(torch.zeros(1, num_frames, 48, 48))[0]) == num_windows
        assert len(ours.embed_sound(torch.zeros(1, sound_frames, NUM_MELS))[0]) == num_windows
        if num_frames == 5:
            assert len(theirs.embed_mouth(torch.zeros(3, num_frames, 224, 224))) == num_windows


def test_a_window_depends_on_its_own_frames_alone() -> None:
    network = SyncWorld().eval()
    generator = torch.Generator().manual_seed(0)
    crops = torch.rand(1, 12, 48, 48, generator=generator)
    features = torch.rand(1, WINDOW_MEL_FRAMES + 4 * 7, NUM_MELS, generator=generator)
    with torch.inference_mode():
        alone = network.embed_mouth(crops[:, 3:8])
        torch.testing.assert_close(network.embed_mouth(crops)[:, 3:4], alone, atol=1e-5, rtol=0)
        heard = network.embed_sound(features[:, 12 : 12 + WINDOW_MEL_FRAMES])
        whole = network.embed_sound(features)
        torch.testing.assert_close(whole[:, 3:4], heard, atol=1e-5, rtol=0)


@pytest.mark.parametrize("offset", [-15, -3, 0, 7])
def test_offsets_are_positive_when_the_sound_is_early(offset: int) -> None:
    features = FeatureView({"sync_world": distance_of(offset), "face": {}})
    scores = {m.name: m.score(subject(), features, MetricContext()) for m in SYNC_WORLD}
    assert scores["av_offset_world"].value == offset
    assert scores["sync_c_world"].value == pytest.approx(5.0)
    assert scores["sync_d_world"].value == pytest.approx(4.0)
    assert scores["av_offset_world"].components["offset_is_censored"] == (offset == -15)


def test_names_and_features_are_not_those_of_the_published_scores() -> None:
    assert not {m.name for m in SYNC_WORLD} & {m.name for m in PUBLISHED}
    assert {m.needs[0] for m in SYNC_WORLD} == {"sync_world"}
    assert not {"syncnet", "syncnet-no-crop"} & {name for m in SYNC_WORLD for name in m.needs}
    for metric, published in zip(SYNC_WORLD, PUBLISHED, strict=True):
        assert published.params.items() <= metric.params.items()


@pytest.mark.parametrize("metric", [*SYNC_WORLD, PhonemeErrorRateInWorld()], ids=lambda m: m.name)
def test_real_video_is_refused(metric: PhonemeErrorRateInWorld) -> None:
    features = FeatureView({metric.needs[0]: distance_of(0), "face": {}})
    score = metric.score(subject(domain="real"), features, MetricContext())
    assert np.isnan(score.value)
    assert "domain 'world'" in score.reason


def test_sound_from_outside_is_as_far_as_a_wrong_sound() -> None:
    network = SyncWorld().eval()
    mouths = [toy_mouths(seed) for seed in range(4)]
    generator = torch.Generator().manual_seed(0)
    batch = sync_train.draw_batch(mouths, generator, size=8, num_frames=12)
    with torch.inference_mode():
        network.mouth_head.weight.mul_(0.01)
        network.sound_head.weight.mul_(30)
        sync_train.place_outside(network, batch)
        visual, audio = network.embed_mouth(batch.crops), network.embed_sound(batch.features)
    wrong = float(torch.cdist(visual, audio.roll(1, dims=0)).mean())
    assert float(visual.norm(dim=-1).mean()) == pytest.approx(wrong, rel=0.05)


def test_the_square_is_around_the_mouth_and_follows_slowly() -> None:
    box = np.tile([100.0, 50.0, 200.0, 150.0], (60, 1))
    box[30, 3] += 40  # the chin of one frame
    squares = mouth_squares(box)
    np.testing.assert_array_equal(squares, np.tile([119, 93, 181, 155], (60, 1)))
    wide = mouth_squares(box, margin=1.0)[0]
    assert (wide[2] - wide[0]) == 124


def test_crops_outside_the_picture_are_grey() -> None:
    frame = np.full((64, 64, 3), 200, np.uint8)
    crop = cut_mouth(frame, np.array([40, 40, 88, 88]), size=48)
    assert crop[0, 0] == 200
    assert crop[-1, -1] == 110


def test_embeddings_do_not_depend_on_how_frames_arrive_nor_on_threads() -> None:
    crops = np.random.default_rng(0).integers(0, 255, (45, 48, 48), np.uint8)
    network = SyncWorld().eval()
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        mouth = mouth_embedder(network)
        for crop in crops:
            mouth.push(crop)
        found.append(mouth.finish())
    torch.set_num_threads(1)
    assert len(found[0]) == 41
    np.testing.assert_array_equal(found[0], found[1])


def test_windows_of_the_phoneme_recogniser_leave_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "align.safetensors"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        save_weights(path, AlignWorld(), {})
    judge = AlignWorldExtractor(weights=path)
    samples = np.random.default_rng(0).normal(0, 0.1, 16_000 * 23).astype(np.float32)
    cut = judge.log_probs(samples).astype(np.float64)
    with torch.inference_mode():
        features = log_mel(torch.from_numpy(mel_power(samples, num_mels=64)))[: 23 * 100]
        whole = judge._network(features[None])[0].numpy()
    assert cut.shape == (23 * 50, len(PHONES) + 1)
    np.testing.assert_allclose(cut, whole, atol=4e-3)  # half precision
    np.testing.assert_array_equal(judge.log_probs(samples), judge.log_probs(samples))


def test_weights_come_back_and_equal_runs_are_equal_bytes(tmp_path: Path) -> None:
    network = SyncWorld()
    about = {"seed": 3, "style": "flat", "steps": 7}
    for name in ("a", "b"):
        save_weights(tmp_path / name, network, about)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert about_weights(tmp_path / "a") == about
    other = SyncWorld()
    load_weights(tmp_path / "a", other)
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], tensor, atol=1e-3, rtol=1e-3)


def test_a_judge_of_more_than_two_megabytes_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at most 2000000"):
        save_weights(tmp_path / "x", torch.nn.Linear(1000, 2000), {})


@pytest.mark.parametrize("name", ["sync_world", "align_world"])
def test_shipped_weights_are_small_and_say_how_they_were_made(name: str) -> None:
    path = WEIGHTS / f"{name}.safetensors"
    assert path.stat().st_size <= 2_000_000
    about = about_weights(path)
    assert about["judge"] == name
    assert about["command"] == f"streamchar judges train {name}"
    assert about["style"] == {"sync_world": "flat", "align_world": "painted"}[name]
    assert EXTRACTORS[name].protocol()["judge"]


def toy_mouths(seed: int, num_frames: int = 80) -> Mouths:
    """A bright bar that opens as loud as the sound is."""
    rng = np.random.default_rng(seed)
    level = np.repeat(rng.uniform(0, 1, num_frames // 4), 4)
    crops = np.full((num_frames, 64, 64), 60, np.uint8)
    for frame, opening in enumerate(level):
        half = int(2 + 14 * opening)
        crops[frame, 32 - half : 32 + half, 16:48] = 220
    power = np.repeat(level, 4)[:, None] ** 2 * np.ones((1, NUM_MELS)) + 1e-4
    return Mouths(crops=crops, power=power.astype(np.float32))


def test_training_of_sync_world_lowers_the_loss(
    monkeypatch: pytest.MonkeyPatch, losses_of_training: Callable[..., list[float]]
) -> None:
    monkeypatch.setattr(sync_train, "STRETCH_FRAMES", 24)
    mouths = [toy_mouths(seed) for seed in range(6)]
    losses = losses_of_training(
        sync_train.SYNC_WORLD, mouths, num_steps=25, batch=4, warmup_steps=3
    )
    assert np.mean(losses[-5:]) < losses[0] - 0.2


def toy_sentence(seed: int) -> Sentence:
    """Each phoneme is a band of its own."""
    rng = np.random.default_rng(seed)
    phones = rng.integers(1, 9, 40)
    power = np.full((400, 64), 1e-4, np.float32)
    for place, phone in enumerate(phones):
        power[10 * place + 2 : 10 * place + 9, 7 * phone - 6 : 7 * phone] = 1.0
    spans = np.arange(40)[:, None] * 0.1 + np.array([0.02, 0.09])
    return Sentence(power=power, phones=phones, spans_s=spans)


def test_training_of_align_world_lowers_the_loss(
    losses_of_training: Callable[..., list[float]],
) -> None:
    sentences = [toy_sentence(seed) for seed in range(6)]
    losses = losses_of_training(
        align_train.ALIGN_WORLD, sentences, num_steps=14, batch=4, warmup_steps=3
    )
    assert losses[-1] < 0.5 * losses[0]


def test_emissions_are_held_to_the_time_of_their_phoneme() -> None:
    sentences = [toy_sentence(0)]
    batch = align_train.draw_batch(
        sentences, torch.Generator(), size=1, num_mel_frames=400, is_damaged=False
    )
    log_probs = torch.full((1, 200, len(PHONES) + 1), -20.0)
    log_probs[..., 0] = -1e-3
    late = log_probs.clone()
    for place, phone in enumerate(batch.phones.tolist()):
        log_probs[0, 5 * place + 2, [0, phone]] = torch.tensor([-20.0, -1e-3])
        if place < 38:
            late[0, 5 * place + 12, [0, phone]] = torch.tensor([-20.0, -1e-3])
    assert align_train.held_ctc_loss(log_probs, batch) < 0.1
    assert align_train.held_ctc_loss(late, batch) > 5


def test_damage_keeps_shape_and_is_repeatable() -> None:
    power = torch.rand(3, 160, 40)
    once, again = (damaged(power, torch.Generator().manual_seed(5)) for _ in range(2))
    assert once.shape == power.shape
    torch.testing.assert_close(once, again, rtol=0, atol=0)
    assert bool((once >= 0).all())
    assert not torch.equal(once[0] / once[0].mean(), power[0] / power[0].mean())


def test_phoneme_errors_are_counted_against_the_front_end_of_the_world() -> None:
    metric = PhonemeErrorRateInWorld()
    reference = list(reference_phones(SENTENCE))
    heard = [*reference[:4], *reference[5:]]
    found = {
        "phonemes": np.array(heard),
        "start_s": np.arange(len(heard)) * 0.1,
        "duration_s": np.array([len(heard) * 0.1]),
    }
    score = metric.score(subject(), FeatureView({"align_world": found}), MetricContext())
    assert score.value == pytest.approx(1 / len(reference))
    assert score.components["deletions"] == 1
    assert score.weight == len(reference)
    silent = metric.score(
        subject(transcript="..."), FeatureView({"align_world": found}), MetricContext()
    )
    assert np.isnan(silent.value)
    absent = FeatureView({"align_world": Missing(reason="no sound", status="not_applicable")})
    assert metric.score(subject(), absent, MetricContext()).reason == "no sound"


def test_moved_sound_of_a_painted_clip_is_found(tmp_path: Path) -> None:
    clip = make_clip(SENTENCE, identity=77, voice="ada", seed=5)
    path = tmp_path / "clip.mp4"
    write_mp4(path, clip.frames(size=128), clip.samples, fps=25, sample_rate=16_000)
    face = FaceExtractor()
    for frames in clip.frames(size=128):
        face.update(frames, {})
    judge = SyncWorldExtractor(min_face_px=32)
    upstream = {"face": face.finish()}
    tracks = judge.tracks(upstream["face"])
    assert len(tracks) == 1
    (mouth,) = judge.embed_mouths(path, tracks)
    for shift in (-7, 0, 4):
        samples = moved(clip.samples, shift)
        score = read_curve(mean_curve(judge.distances(mouth, samples)))
        assert abs(score.offset_frames - shift) <= 1
    first, second = (judge.extract(path, clip.samples, upstream) for _ in range(2))
    assert all(np.array_equal(first[name], second[name]) for name in first)
    num_frames = min(tracks[0].stop_frame, len(clip.samples) // SAMPLES_A_FRAME)
    assert first["distance"].shape == (num_frames - WINDOW_FRAMES, 31)


def test_spoken_phonemes_of_a_new_text_are_found_in_their_time() -> None:
    speech = speak(SENTENCE, voice="ben", seed=8)
    sounds = [phoneme for phoneme in speech.phonemes if phoneme.phone != SILENCE]
    found = AlignWorldExtractor().extract(speech.samples)
    progress = spoken_progress(found["log_probs"], [sound.phone for sound in sounds])
    num_frames = int(speech.length_s * 25)
    truth = np.searchsorted([s.t0_s for s in sounds], (np.arange(num_frames) + 1) / 25)
    error = at_video_frames(progress, num_frames=num_frames, fps=25) - truth
    assert np.abs(error).mean() < 1.0
    assert progress[-1] == len(sounds)


def test_moved_sound_comes_early_by_whole_frames() -> None:
    samples = np.arange(3000, dtype=np.float32)
    assert moved(samples, 2)[0] == 2 * SAMPLES_A_FRAME
    assert moved(samples, -2)[2 * SAMPLES_A_FRAME] == 0
    assert all(len(moved(samples, k)) == 3000 for k in (-9, 0, 9))


def test_area_under_the_curve() -> None:
    assert area(np.array([2.0, 3.0]), np.array([0.0, 2.0])) == pytest.approx(3.5 / 4)


def test_commands_name_the_judges_they_know() -> None:
    shown = CliRunner().invoke(app, ["train", "nonesuch"])
    assert shown.exit_code == 2
    for name in ("sync_world", "align_world", "fvd_world", "identity_world"):
        assert JUDGES[name].load_spec().name == name
        assert callable(JUDGES[name].load_test())
        assert name in shown.output
