"""Which of several faces is measured: by reference picture, by speech, by size, and the doubts."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evals.features.missing import Missing
from evals.features.view import FeatureView
from evals.judges.drawn import film
from evals.metrics.followed import Followed, doubt_in_words, follow
from evals.metrics.identity import IDENTITY, IDENTITY_WORLD
from evals.metrics.mesh_sync import SYNC
from evals.metrics.published import SyncConfidence
from evals.protocols.base import MetricContext, Unscored
from evals.recording.run_folder import read_run
from evals.scoring.persist import score_run
from evals.scoring.score import Options
from streamchar_ref.media.encode import write_lossless
from streamchar_ref.weights import weights_folder
from tests.evals.real_clips import recording

NUM = 200
REFERENCE = Path("reference.png")
ID_DISTANCE, _, ID_DRIFT, _, ID_COVERAGE = IDENTITY
ENVELOPE_SYNC = SYNC[3]


def lips(seed: int) -> np.ndarray:
    """A mouth that opens and closes four times a second, more or less."""
    rng = np.random.default_rng(seed)
    smooth = np.convolve(rng.normal(size=NUM + 20), np.hanning(7), mode="same")[10:-10]
    return (0.05 + 0.02 * smooth / smooth.std()).astype(np.float32)


def crowd(*people: tuple[float, float, slice, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """Features of a clip.

    Args:
        *people: Of each track where its embedding is on a line from the reference, the side of
            its face in pixels, in which frames it is seen, and its mouth in all of them.

    Returns:
        Tracks 0, 1 and so on, embedded twice a second.
    """
    rows = [
        (frame, track, *people[track])
        for frame in range(NUM)
        for track in range(len(people))
        if frame in range(*people[track][2].indices(NUM))
    ]
    sampled = np.array([(25 * row + 1) // 2 for row in range(16)])
    seen = [row for row in rows if row[0] in sampled]
    embedding = np.zeros((len(seen), 128), np.float32)
    embedding[:, 0] = [row[2] for row in seen]
    frames, tracks = (np.array([row[n] for row in rows]) for n in (0, 1))
    box = np.array([[200 * row[1], 0, 200 * row[1] + row[3], row[3]] for row in rows], np.float32)
    num_faces = np.bincount(frames, minlength=NUM)
    empty = np.full(NUM, np.nan, np.float32)
    return {
        "face": {
            "num_faces": num_faces,
            "has_mesh": num_faces > 0,
            "score": np.ones(NUM, np.float32),
            "box": np.full((NUM, 4), np.nan, np.float32),
            "face_px": empty,
            "lip_aperture": empty,
            "all_frame": frames,
            "all_track": tracks,
            "all_score": np.ones(len(rows), np.float32),
            "all_box": box,
            "all_face_px": box[:, 3],
            "all_lip_aperture": np.array([row[5][row[0]] for row in rows], np.float32),
        },
        "identity": {
            "embedding": embedding,
            "frame": np.array([row[0] for row in seen]),
            "track": np.array([row[1] for row in seen]),
            "num_faces": num_faces[[row[0] for row in seen]],
            "sharpness": np.ones(len(seen)),
            "sampled": sampled,
        },
        "reference_identity": {"embedding": np.zeros((1, 128), np.float32)},
        "audio_envelope": {"speech_db": np.full(NUM, -90.0)},
    }


def sound_of(mouth: np.ndarray) -> dict[str, np.ndarray]:
    """Loudness that follows a mouth by 80 ms."""
    return {"speech_db": np.roll(-40 + 600 * (mouth - 0.05), 2)}


ALL = slice(0, NUM)
STILL = np.full(NUM, 0.05, np.float32)


def test_without_several_faces_nothing_is_chosen_and_nothing_else_is_read() -> None:
    face = crowd((0.2, 100, ALL, STILL))["face"]
    alone = {
        name: values[:0] if name.startswith("all_") else values for name, values in face.items()
    }
    followed = follow(recording(), {"face": alone})
    assert followed == Followed()
    assert followed.components == {}
    assert followed.view({"face": alone})["face"] is alone


def test_a_face_that_flickers_up_beside_the_only_one_changes_nothing() -> None:
    """Nor does a frame of both at a cut; the other person after the cut is measured, too."""
    features = crowd(
        (0.3, 100, slice(0, 101), STILL), (0.9, 100, slice(100, NUM), STILL),
        (1.4, 300, slice(50, 54), STILL),
    )  # fmt: skip
    named = recording(reference_path=REFERENCE)
    assert follow(named, features | {"identity": {}}).tracks == (0, 1)
    score = ID_DISTANCE.measure(named, features, MetricContext())
    assert score.value == pytest.approx(np.mean([0.3] * 9 + [0.9] * 8), abs=0.01)
    assert "doubt" not in score.components


def test_the_person_of_the_reference_is_followed_before_a_larger_one() -> None:
    features = crowd((0.9, 200, ALL, STILL), (0.3, 60, ALL, STILL))
    followed = follow(recording(reference_path=REFERENCE), features)
    assert (followed.tracks, followed.by, followed.doubt) == ((1,), "reference", "")
    score = ID_DISTANCE.measure(recording(reference_path=REFERENCE), features, MetricContext())
    assert score.value == pytest.approx(0.3)
    assert score.components["num_people"] == 2
    assert followed.view(features)["face"]["face_px"].tolist() == [60] * NUM


def test_two_who_match_equally_well_and_none_who_matches_are_doubts() -> None:
    twins = crowd((0.30, 200, ALL, STILL), (0.35, 60, ALL, STILL))
    followed = follow(recording(reference_path=REFERENCE), twins)
    assert "2 faces match the reference picture equally well (0.30, 0.35)" in followed.doubt
    strangers = crowd((0.8, 200, ALL, STILL), (1.4, 60, ALL, STILL))
    followed = follow(recording(reference_path=REFERENCE), strangers)
    assert followed.doubt == "no face matches the reference picture (nearest: 0.80)"
    assert "chosen by reference" in doubt_in_words(followed.components)


def test_a_person_is_found_again_after_a_cut_and_a_lone_bystander_is_not_taken_for_them() -> None:
    """Two people until frame 80; then the bystander alone; from 140 the person alone."""
    features = crowd(
        (0.3, 100, slice(0, 80), STILL),
        (1.2, 150, slice(0, 80), STILL),
        (1.3, 150, slice(80, 140), STILL),
        (0.2, 100, slice(140, NUM), STILL),
    )
    followed = follow(recording(reference_path=REFERENCE), features)
    assert (followed.tracks, followed.num_people, followed.doubt) == ((0, 3), 2, "")
    has_mesh = followed.view(features)["face"]["has_mesh"]
    assert np.flatnonzero(~has_mesh).tolist() == list(range(80, 140))


def test_several_faces_in_the_reference_picture_are_told() -> None:
    features = crowd((0.3, 100, ALL, STILL), (0.9, 50, slice(0, 3), STILL))
    features["reference_identity"] = {
        "embedding": np.zeros((2, 128), np.float32), "num_faces": np.array([2, 2])
    }  # fmt: skip
    score = ID_DISTANCE.measure(recording(reference_path=REFERENCE), features, MetricContext())
    assert score.components["doubt"].startswith("the reference picture shows 2 faces")
    assert doubt_in_words(score.components) == score.components["doubt"]


def test_two_faces_of_one_frame_are_never_one_person() -> None:
    features = crowd((0.3, 100, ALL, STILL), (0.3, 100, ALL, STILL))
    assert len(follow(recording(reference_path=REFERENCE), features).tracks or ()) == 1


def test_without_a_reference_the_face_that_speaks_is_followed() -> None:
    features = crowd((0.9, 200, ALL, lips(1)), (0.1, 60, ALL, lips(2)))
    for speaker in (0, 1):
        heard = features | {"audio_envelope": sound_of(lips(speaker + 1))}
        followed = follow(recording(reference_path=None), heard)
        assert (followed.tracks, followed.by, followed.doubt) == ((speaker,), "speech", "")


def test_the_only_mouth_that_moves_speaks_and_silence_leaves_the_larger_face() -> None:
    still_and_lively = crowd((0.9, 90, ALL, STILL), (0.1, 60, ALL, lips(2)))
    heard = still_and_lively | {"audio_envelope": sound_of(lips(2))}
    assert follow(recording(reference_path=None), heard).tracks == (1,)
    silent = follow(recording(reference_path=None), still_and_lively)
    assert (silent.tracks, silent.by) == ((0,), "size")
    assert silent.doubt == ""  # more than twice as large
    alike = crowd((0.9, 70, ALL, STILL), (0.1, 60, ALL, STILL))
    assert "neither" in follow(recording(reference_path=None), alike).doubt


def test_sync_is_that_of_the_followed_mouth() -> None:
    features = crowd((0.9, 200, ALL, lips(1)), (0.2, 60, ALL, lips(2)))
    features |= {"audio_envelope": sound_of(lips(2))}
    named = recording(reference_path=REFERENCE)
    own = ENVELOPE_SYNC.measure(named, features, MetricContext())
    alone = crowd((0.2, 60, ALL, lips(2)), (9.0, 9, slice(0, 1), STILL))
    alone |= {"audio_envelope": sound_of(lips(2))}
    assert own.value > 0.5
    assert own.value == pytest.approx(ENVELOPE_SYNC.measure(named, alone, MetricContext()).value)
    assert own.components["followed_by"] == "reference"


def test_syncnet_tracks_of_other_people_are_left_out() -> None:
    features = crowd((0.9, 200, ALL, STILL), (0.2, 60, ALL, STILL))
    distance = np.full((300, 31), 9.0, np.float32)
    distance[:150, 15], distance[150:, 15] = 1.0, 5.0
    features["syncnet"] = {
        "distance": distance,
        "start_frame": np.array([0, 0]),
        "num_windows": np.array([150, 150]),
        "track": np.array([0, 1]),
    }
    named = recording(reference_path=REFERENCE, groups={"domain": "real"})
    assert SyncConfidence().score(named, features, MetricContext()).value == pytest.approx(4.0)


def test_coverage_is_of_frames_with_one_face_and_tells_the_share_of_the_person() -> None:
    features = crowd((0.3, 100, ALL, STILL), (1.2, 90, slice(0, 100), STILL))
    score = ID_COVERAGE.measure(recording(reference_path=REFERENCE), features, MetricContext())
    assert score.value == pytest.approx(0.5)
    assert score.components["person_share"] == 1


def test_lack_of_weights_is_told_where_there_is_a_choice() -> None:
    features = crowd((0.3, 100, ALL, STILL), (1.2, 150, ALL, STILL))
    absent = Missing(reason="weights pull dlib-face", status="unavailable")
    view = FeatureView(features | {"identity": absent})
    with pytest.raises(Unscored, match="weights pull dlib-face"):
        follow(recording(), view)


def test_a_file_with_two_drawn_people_is_scored_on_the_one_of_the_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The person of the reference is the smaller one; a doubt about a stranger is in the notes."""
    monkeypatch.setenv("STREAMCHAR_WEIGHTS", str(weights_folder()))
    monkeypatch.setenv("STREAMCHAR_CACHE", str(tmp_path / "cache"))
    small, large, stranger = (
        film("painted", identity=n, seed=n, num_frames=12, size=128).frames
        for n in (9401, 9402, 9403)
    )
    frames = np.full((12, 256, 512, 3), 90, np.uint8)
    frames[:, 64:192, 64:192] = small
    frames[:, :, 256:] = large.repeat(2, axis=1).repeat(2, axis=2)
    write_lossless(tmp_path / "two.mkv", [frames], fps=25)
    for name, picture in (("own", small), ("stranger", stranger)):
        Image.fromarray(picture[0]).save(tmp_path / f"{name}.png")
    named = [
        recording(
            sample_id=name,
            video_path=tmp_path / "two.mkv",
            reference_path=tmp_path / f"{name}.png",
            groups={"domain": "world"},
        )
        for name in ("own", "stranger")
    ]
    rows = score_run(
        tmp_path / "run",
        named,
        metrics=[metric for metric in IDENTITY_WORLD if metric.name == "id_world_distance"],
        set_metrics=[],
        options=Options(),
        progress=lambda what, done, total: None,
    )
    values = {row.sample_id: row.value for row in rows}
    assert values["own"] < 0.5 < 1 < values["stranger"]
    assert rows[0].components["doubt"] == ""
    notes = read_run(tmp_path / "run")["notes"]
    assert "no face matches the reference picture" in str(notes[named[1].recording_id])
    assert "people" not in str(notes.get(named[0].recording_id))
