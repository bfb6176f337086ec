"""Statistics on made-up scores, and a whole calibration with toy metrics."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evals.calibration import calibrate as calibrate_module
from evals.calibration.calibrate import CalibrationPlan, measure, tracks_of
from evals.calibration.faults import chosen_faults
from evals.calibration.response import Response, Value, cell_of, floor_of, is_monotone, set_cell
from evals.calibration.results import Calibration, as_json, response_csv, responses_of
from evals.calibration.units import Unit, read_units
from evals.metrics.full_reference import FULL_REFERENCE
from evals.protocols.base import Score
from evals.protocols.set_metric import SetMetric
from evals.recording.manifest import load_manifest
from evals.scoring.results import dump_json
from streamchar_ref.core.errors import InputError
from streamchar_ref.media.encode import write_mp4
from streamchar_ref.media.wav import write_wav
from tests.evals.elsewhere import Elsewhere
from tests.evals.toys import ALL, RAN, toy_extractors

__all__ = ["toy_extractors"]
BRIGHT, LOUD = ALL[0], ALL[2]


def values(*numbers: float) -> dict[str, Value]:
    return {f"clip{i}": Value(value=number) for i, number in enumerate(numbers)}


CLEAN = values(1.0, 2.0, 3.0, 4.0)


def shifted(by: float, noise: float = 0.0) -> dict[str, Value]:
    signs = (1, -1, 1, -1)
    return values(*(i + 1 + by + noise * sign for i, sign in enumerate(signs)))


def response(*changes: float, floor: float = 0.05, **more: Any) -> Response:
    cells = tuple(
        cell_of(CLEAN, shifted(c, 0.01), dose=i + 1, realised=i + 1, floor=floor)
        for i, c in enumerate(changes)
    )
    made = Response(
        fault="f", metric="m", protocol="m/1", expectation="moves", direction=1,
        clean=2.5, clean_sd=1.3, floor=floor, cells=cells,
    )  # fmt: skip
    return replace(made, **more)


def test_a_change_is_paired_and_measured_in_clean_deviations() -> None:
    cell = cell_of(CLEAN, shifted(0.5), dose=1, realised=0.9, floor=0.1)
    assert (cell.change, cell.low, cell.high) == pytest.approx((0.5, 0.5, 0.5))
    assert cell.effect == pytest.approx(0.5 / np.std([1, 2, 3, 4], ddof=1))
    assert (cell.n, cell.is_detected) == (4, True)


def test_detection_needs_an_interval_without_zero_and_more_than_the_floor() -> None:
    assert cell_of(CLEAN, shifted(0.5), dose=1, realised=1, floor=0.6).is_detected is False
    assert cell_of(CLEAN, shifted(0.01, 0.5), dose=1, realised=1, floor=0).is_detected is False
    alone = {"clip0": Value(value=1.0)}
    one = cell_of(alone, {"clip0": Value(value=9.0)}, dose=1, realised=1, floor=0)
    assert one.is_detected is None


def test_the_floor_is_what_clean_clips_do_on_their_own() -> None:
    assert floor_of(CLEAN, shifted(0.2)) == pytest.approx(0.2)
    assert floor_of(CLEAN, shifted(0.0, 0.3)) > 0.1
    assert math.isnan(floor_of(CLEAN, {}))


def test_the_mean_change_is_weighted_like_the_metric() -> None:
    clean = {"a": Value(value=0.0, weight=9.0), "b": Value(value=0.0, weight=1.0)}
    faulted = {"a": Value(value=0.1, weight=9.0), "b": Value(value=0.6, weight=1.0)}
    assert cell_of(clean, faulted, dose=1, realised=1, floor=0).change == pytest.approx(0.15)


def test_the_smallest_dose_is_the_one_from_which_on_all_are_seen() -> None:
    assert response(0.0, 0.3, 0.6).smallest_dose == 2
    assert response(0.3, 0.0, 0.6).smallest_dose == 3
    assert response(0.0, 0.01, 0.02).smallest_dose is None
    assert response(0.2, 0.3, 0.6).smallest_dose == 1


def test_a_reaction_the_wrong_way_round_is_none() -> None:
    assert response(-0.3, -0.6).verdict == "missed"
    assert response(-0.3, -0.6, direction=0).verdict == "detected"


@pytest.mark.parametrize(
    ("changes", "direction", "expected"),
    [
        ([0, 1, 2, 3], 1, True),
        ([0, 1, 0.9, 3], 1, True),
        ([0, 2, 0.5, 3], 1, False),
        ([0, -1, -2], -1, True),
        ([0, -1, -2], 0, True),
        ([0, 1, -2], 0, False),
    ],
)
def test_monotone_allows_small_steps_back(
    changes: list[float], direction: int, expected: bool
) -> None:
    assert is_monotone(changes, direction) is expected


def test_nothing_detected_is_neither_monotone_nor_not() -> None:
    assert response(0.0, 0.01).is_monotone is None
    assert response(0.2, 0.4).is_monotone is True


@pytest.mark.parametrize(
    ("expectation", "strong", "weak"),
    [
        ("moves", "detected", "missed"),
        ("leaves", "violation", "quiet"),
        ("free", "reacts", "silent"),
        ("untouched", "untouched", "untouched"),
    ],
)
def test_verdicts(expectation: Any, strong: str, weak: str) -> None:
    assert response(0.3, 0.6, expectation=expectation, direction=0).verdict == strong
    assert response(0.0, 0.0, expectation=expectation, direction=0).verdict == weak


def test_what_is_not_measured_is_counted_with_its_reason() -> None:
    lost = {clip: Value(value=math.nan, reason="no face in any frame") for clip in CLEAN}
    cell = cell_of(CLEAN, lost, dose=1, realised=1, floor=0)
    assert math.isnan(cell.change)
    assert (cell.num_unmeasured, cell.reason) == (4, "no face in any frame")
    assert response().verdict == "-"
    half = cell_of(CLEAN, {**lost, "clip0": Value(value=2.0)}, dose=1, realised=1, floor=0)
    assert (half.n, half.num_unmeasured) == (1, 3)


def test_a_distance_of_sets_is_seen_from_twice_the_floor() -> None:
    assert set_cell(4.1, dose=1, realised=1, n=9, floor=2.0).is_detected
    assert not set_cell(3.9, dose=1, realised=1, n=9, floor=2.0).is_detected
    assert set_cell(6.0, dose=1, realised=1, n=9, floor=2.0).effect == pytest.approx(2.0)
    assert set_cell(math.nan, dose=1, realised=1, n=9, floor=2.0).is_detected is None


class MeanLevel(SetMetric):
    """Distance of mean brightness."""

    name, protocol, unit = "mean_level", "mean_level/test@1", "1"
    higher_is_better = False
    needs = ("brightness",)
    params: Mapping[str, Any] = {}

    def measure_set(self, features: Sequence[Any], reference: Sequence[Any]) -> Score:
        one, other = (
            np.mean([view["brightness"]["level"].mean() for view in views])
            for views in (features, reference)
        )
        return Score(value=abs(float(one - other)))


def own_files(folder: Path, count: int = 3) -> Path:
    """A manifest of clips, one of them with its sound in a file of its own."""
    lines = []
    for number in range(count):
        pixels = np.full((30, 64, 64, 3), 60 + 30 * number, np.uint8)
        pixels[:, ::7] += 20
        tone = 0.3 * np.sin(np.arange(19_200) * 0.05 * (1 + number)).astype(np.float32)
        path = folder / f"{number}.mp4"
        line: dict[str, Any] = {"sample_id": f"s{number}", "system": "mine"}
        line |= {"video_path": path.name, "transcript": "one two three"}
        line["groups"] = {"identity": f"p{number % 2}"}
        if number == 0:
            write_wav(folder / "0.wav", tone, sample_rate=16_000)
            line["audio_path"] = "0.wav"
        write_mp4(path, [pixels], None if number == 0 else tone, fps=25, sample_rate=16_000)
        lines.append(json.dumps(line))
    manifest = folder / "mine.jsonl"
    manifest.write_text("\n".join(lines))
    return manifest


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "evals.features.canonical.SHORT_SIDE", 64
    )  # below, x264 reads beyond the rows


@pytest.fixture
def no_recogniser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evals.calibration.faults.takes._recognised_words", lambda recording: [])


def plan(folder: Path, out: str = "out", **changes: Any) -> CalibrationPlan:
    manifest = folder / "mine.jsonl"
    recordings = load_manifest(manifest if manifest.is_file() else own_files(folder))
    made = CalibrationPlan(
        out=folder / out,
        clips={recording.sample_id: recording for recording in recordings},
        suite="mine",
        faults={"noise": (20, 0), "exposure_ramp": (0.5, 1), "identity_morph": (0.5,)},
        metrics=[BRIGHT, LOUD, ALL[5]],
        set_metrics=[MeanLevel()],
    )
    return replace(made, **changes)


def calibrated(made: CalibrationPlan) -> Calibration:
    return responses_of(made, measure(made))


@pytest.mark.usefixtures("no_recogniser")
def test_a_calibration_from_end_to_end_measures_each_track_once(tmp_path: Path) -> None:
    made = plan(tmp_path)
    found = calibrated(made)
    # clean, one more encode, two doses; the other track of each fault is that of the clean clip
    assert RAN.count("brightness") == 3 * (1 + 1 + 2)
    assert RAN.count("loudness") == 3 * (1 + 1 + 2)
    loud = found.of("noise", LOUD.protocol)
    assert loud is not None
    assert loud.expectation == "free"
    assert loud.cells[1].change > loud.cells[0].change > 0
    assert loud.verdict == "reacts"
    bright = found.of("noise", BRIGHT.protocol)
    assert bright is not None
    assert bright.verdict == "untouched"
    assert [cell.change for cell in bright.cells] == [0.0, 0.0]
    assert "needs the world" in found.skipped["identity_morph"]
    assert (found.num_clips, found.clip_seconds) == (3, 1.2)
    assert found.floor == "one more encode"
    assert not (tmp_path / "out" / "scratch").exists()


@pytest.mark.usefixtures("no_recogniser")
def test_the_same_command_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = as_json(calibrated(plan(tmp_path, "whole")))
    real, count = calibrate_module.measure_unit, 0

    def stops(*arguments: Any) -> Any:
        nonlocal count
        count += 1
        if count == 9:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(calibrate_module, "measure_unit", stops)
    with pytest.raises(KeyboardInterrupt):
        measure(plan(tmp_path))
    known = read_units(tmp_path / "out" / "units.jsonl")
    assert 3 < len(known) < 9
    assert as_json(calibrated(plan(tmp_path))) == whole
    count = 100
    RAN.clear()
    assert as_json(calibrated(plan(tmp_path))) == whole
    assert (RAN, count) == ([], 100)
    more = calibrated(plan(tmp_path, faults={"exposure_ramp": (0.25,), "noise": (20, 0)}))
    assert count == 103
    assert more.of("exposure_ramp", BRIGHT.protocol) is not None


@pytest.mark.usefixtures("no_recogniser")
def test_one_folder_holds_one_calibration(tmp_path: Path) -> None:
    measure(plan(tmp_path, faults={"noise": (0,)}))
    with pytest.raises(InputError, match="another seconds"):
        measure(plan(tmp_path, faults={"noise": (0,)}, seconds=1.0))
    path = tmp_path / "out" / "calibrate.json"
    path.write_text(path.read_text().replace('"made_with": "', '"made_with": "0'))
    with pytest.raises(InputError, match="another version of the world"):
        measure(plan(tmp_path, faults={"noise": (0,)}))


@pytest.mark.usefixtures("no_recogniser")
def test_workers_change_no_number(tmp_path: Path) -> None:
    one = plan(tmp_path, "one", faults={"noise": (0,)}, metrics=[], set_metrics=[])
    two = replace(one, out=tmp_path / "two", jobs=2)
    assert response_csv(calibrated(one)) == response_csv(calibrated(two))
    assert {u.fault for u in read_units(two.out / "units.jsonl")} == {
        "clean", "plain_reencode", "noise",
    }  # fmt: skip


@pytest.mark.usefixtures("no_recogniser")
def test_sets_stand_beside_the_distance_of_clean_halves(tmp_path: Path) -> None:
    found = calibrated(plan(tmp_path, faults={"exposure_ramp": (1,)}))
    sets = found.of("exposure_ramp", MeanLevel.protocol)
    assert sets is not None
    assert sets.is_set
    assert sets.floor > 0
    assert sets.cells[0].value > 10


@pytest.mark.usefixtures("no_recogniser")
def test_csv_and_json_hold_every_cell(tmp_path: Path) -> None:
    found = calibrated(plan(tmp_path, faults={"noise": (20, 0)}))
    lines = response_csv(found).splitlines()
    assert len(lines) == 1 + 4 * 2
    assert lines[0].startswith("fault,dose_unit,dose,realised_dose,metric")
    content = json.loads(dump_json(as_json(found)))
    assert {r["verdict"] for r in content["responses"]} <= {
        "detected", "missed", "quiet", "violation", "reacts", "silent", "untouched", "-",
    }  # fmt: skip


def test_a_clip_may_be_cut_with_its_transcript(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [("one", 0.1, 0.4), ("two", 0.5, 0.9), ("three", 1.2, 1.8)]
    monkeypatch.setattr("evals.calibration.faults.takes._recognised_words", lambda recording: words)
    made = plan(tmp_path, faults={"words_dropped": (0.5,)}, seconds=1.0)
    measured = measure(made)
    meta = json.loads((tmp_path / "out" / "clips" / "s1" / "take.json").read_text())
    assert (meta["transcript"], meta["num_frames"]) == ("one two", 23)
    assert measured[Unit("s1", "words_dropped", 0.5)].realised == 0.5


def test_tracks_and_doses_come_from_the_tables() -> None:
    assert tracks_of(BRIGHT) == {"picture"}
    assert tracks_of(LOUD) == {"sound"}
    assert tracks_of(ALL[5]) == {"picture", "sound"}
    assert chosen_faults(["noise"], every_dose=False) == {"noise": (20, 10, 0)}
    assert len(chosen_faults([], every_dose=True)["noise"]) == 5
    with pytest.raises(InputError, match="unknown fault 'nose'"):
        chosen_faults(["nose"], every_dose=False)


@pytest.mark.usefixtures("no_recogniser")
def test_workers_of_another_machine_send_their_features_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = {"noise": (20.0,)}
    whole = as_json(calibrated(plan(tmp_path, "whole", faults=faults)))
    workers = Elsewhere(tmp_path / "other_cache")
    monkeypatch.setenv("STREAMCHAR_CACHE", str(tmp_path / "third_cache"))
    monkeypatch.setattr(calibrate_module, "open_executor", lambda *_, gpus: workers)
    assert as_json(calibrated(plan(tmp_path, faults=faults, executor="ray"))) == whole
    assert workers.num_tasks > 3
    assert list((tmp_path / "third_cache" / "features-3").rglob("brightness-*.npz"))


def test_metrics_that_need_another_file_cost_the_others_nothing(tmp_path: Path) -> None:
    (psnr,) = (metric for metric in FULL_REFERENCE if metric.name == "psnr")
    made = CalibrationPlan(out=tmp_path, clips={}, suite="mine", faults={}, metrics=[BRIGHT, psnr])
    bench = calibrate_module._Bench(made)
    assert bench.names == ["brightness"]
    assert bench.absent["full_reference"].status == "not_applicable"
    assert "no other file" in bench.absent["full_reference"].reason
