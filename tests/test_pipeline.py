"""From a suite to the report page in one command, on real networks."""

import json
from pathlib import Path
from typing import Any

import pytest

import evals
from reports.load import load_runs
from streamchar_ref import cli
from streamchar_ref.weights import weights_folder


def streamchar(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        cli.main([str(argument) for argument in arguments])
    return int(stopped.value.code or 0)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one prompt: truth, late sound, held picture, and the silent floor."""
    folder = tmp_path_factory.mktemp("demo")
    run = folder / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STREAMCHAR_WEIGHTS", str(weights_folder()))
        patch.setenv("STREAMCHAR_CACHE", str(folder / "cache"))
        systems = "ground_truth,shifted_sound,frozen_picture,static_portrait"
        status = streamchar(
            "run", "smoke", "--systems", systems, "--limit", 1, "--jobs", 1, "--out", run
        )
        assert status == 0
        files = {path: path.read_bytes() for path in run.glob("*.*")}
        again = streamchar(
            "run", "smoke", "--systems", systems, "--limit", 1, "--jobs", 1, "--out", run
        )
        assert again == 0
        changed = [path.name for path, content in files.items() if path.read_bytes() != content]
        assert changed == [], "the same command again changes nothing"
    return run


def values(run: Path, protocol: str) -> dict[str, Any]:
    rows = [json.loads(line) for line in (run / "scores.jsonl").read_text().splitlines()]
    return {row["system"]: row["value"] for row in rows if row["protocol"] == protocol}


@pytest.mark.slow
def test_floor_and_ceiling_land_where_they_must(demo: Path) -> None:
    for recogniser in ("moonshine-tiny", "whisper-base"):
        wer = values(demo, f"wer/{recogniser}@2")
        assert wer["ground_truth"] <= 0.2
        assert wer["static_portrait"] == 1.0
    offset = values(demo, "mesh_offset_ms/facemesh-hama@2")
    assert abs(offset["ground_truth"]) <= 40
    assert offset["shifted_sound"] == pytest.approx(-320, abs=40)  # 8 frames late
    assert offset["frozen_picture"] is None
    assert values(demo, "dynamic_degree/dis-128px@1")["frozen_picture"] == 0
    distance = values(demo, "id_distance/dlib@1")
    assert distance["static_portrait"] < distance["ground_truth"] < 0.45
    assert values(demo, "rtf/arrivals@2")["static_portrait"] < 0.5


def test_run_refuses_an_unknown_system_before_it_records(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert streamchar("run", "smoke", "--systems", "static_portrait,statc", "--out", run) == 2
    assert not run.exists()


@pytest.mark.slow
def test_every_sample_has_a_row_of_every_metric(demo: Path) -> None:
    long = load_runs([demo]).long
    samples = long[long["sample_id"] != "*"]
    counts = samples.groupby("protocol")["system"].nunique()
    assert set(counts) == {4}
    unscored = samples[samples["status"] != "computed"]
    assert (unscored["reason"] != "").all()
    assert unscored["value"].isna().all()


@pytest.mark.slow
def test_the_page_is_one_file_with_players(demo: Path) -> None:
    page = (demo / "report.html").read_text()
    assert page.count("<video") == 4
    assert 'src="http' not in page
    assert (demo / "tables").is_dir()
    assert list((demo / "figures").glob("*.pdf"))


@pytest.mark.slow
def test_the_library_gives_what_the_command_gives(
    demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMCHAR_WEIGHTS", str(weights_folder()))
    monkeypatch.setenv("STREAMCHAR_CACHE", str(demo.parent / "cache"))
    results = evals.evaluate(demo, metrics=["wer", "rtf"], jobs=1)
    long = results.long
    assert set(long["metric"]) == {"wer", "rtf"}
    said = long[long["protocol"] == "wer/whisper-base@2"].set_index("system")["value"].to_dict()
    assert said == values(demo, "wer/whisper-base@2")
    assert "<table>" in results._repr_html_()
