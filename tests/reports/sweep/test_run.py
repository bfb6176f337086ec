"""A whole sweep, with a system whose only weight is how much it fades."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from evals.recording.meta import read_meta
from evals.recording.run_folder import recording_folders
from evals.scoring.choice import choose_metrics
from evals.scoring.results import read_scores
from evals.suites import load_suite
from reports.commands.sweep import app
from reports.sweep import measure
from reports.sweep import run as sweep_run
from reports.sweep.measure import SweepPlan
from reports.sweep.run import Source, Watch, run_sweep
from streamchar_ref.core.errors import InputError
from streamchar_ref.model.checkpoint import load_checkpoint, part_of, save_checkpoint
from streamchar_ref.sampling.config import SamplerConfig
from tests.reports.sweep.fades import STREAMED, SYSTEM, Fades, save, save_steps, write_suite
from tests.streamchar_ref.streaming.test_stream import talkative

PROMPTS = 8


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_suite(tmp_path_factory.mktemp("suite") / "own.jsonl", PROMPTS)


@pytest.fixture(autouse=True)
def _undrawn(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """One test looks at the files of the figure; to write them takes as long as all the rest."""
    if request.function is not test_a_step_that_falls_behind_raises_the_alarm:
        monkeypatch.setattr(sweep_run, "write_figures", lambda figures, folder: [])


@pytest.fixture
def streamed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What the system streams from now on; a system of a file would be another module's."""
    monkeypatch.setattr(measure, "make_system", lambda name, settings: Fades(**settings))
    STREAMED.clear()
    yield STREAMED
    STREAMED.clear()


def plan(out: Path, suite: Path, *, count: int = 2, **changes: object) -> SweepPlan:
    metrics, set_metrics = choose_metrics(["colour_drift"], "default")
    values = {
        "out": out, "suite": "own", "prompts": tuple(load_suite(suite)[:count]),
        "metrics": tuple(metrics), "set_metrics": tuple(set_metrics), "system": SYSTEM,
    }  # fmt: skip
    return SweepPlan(**{**values, **changes})  # type: ignore[arg-type]


def sweep(suite: Path, out: Path, *arguments: str) -> Result:
    given = [*arguments, "--suite", str(suite), "--out", str(out), "--system", SYSTEM]
    return CliRunner().invoke(app, [*given, "--metrics", "colour_drift", "--jobs", "1"])


@pytest.mark.slow
def test_a_step_that_falls_behind_raises_the_alarm(tmp_path: Path, suite: Path) -> None:
    pattern = save_steps(tmp_path, {100: 4.0, 200: 1.0, 1000: 8.0})
    against = f"{tmp_path / 'step-100'}:plain"
    out = tmp_path / "run"
    done = sweep(suite, out, pattern, "--against", against, "--json", "--rule", "colour_drift")
    assert done.exit_code == 1, done.output
    told = json.loads(done.stdout)
    (metric,) = told["metrics"]
    assert [(p["step"], p["is_alarm"]) for p in metric["points"]] == [
        (100, False), (200, False), (1000, True),
    ]  # fmt: skip
    values = [point["summary"]["value"] for point in metric["points"]]
    assert values[1] < values[0] < metric["baseline"]["value"] < values[2]
    assert metric["points"][2]["to_baseline"]["verdict"] == "worse"
    assert [one["step"] for one in told["taken"]] == [200]
    assert done.stderr.count("ALARM: colour drift") == 1
    written = {path.relative_to(out).as_posix() for path in out.rglob("*sweep*")}
    assert written >= {
        "sweep.json", "tables/sweep_own.md", "figures/sweep_own.png", "figures/sweep_own.csv",
    }  # fmt: skip


def test_what_is_measured_is_not_measured_again(
    tmp_path: Path, suite: Path, streamed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Source(patterns=(save_steps(tmp_path, {1: 1.0}),))
    first = run_sweep(source, plan(tmp_path / "run", suite))
    assert first.sweep is not None
    streamed.clear()
    monkeypatch.setattr(measure, "score_run", None)  # would raise if it was called
    again = run_sweep(source, plan(tmp_path / "run", suite))
    assert streamed == []
    assert again.sweep == first.sweep


def test_more_steps_prompts_and_networks_are_added(
    tmp_path: Path, suite: Path, streamed: list[str]
) -> None:
    patterns = (save_steps(tmp_path, {1: 1.0}),)
    run_sweep(Source(patterns=patterns), plan(tmp_path / "run", suite, count=1))
    assert streamed[-1] == "student_000001/p0"
    save_steps(tmp_path, {2: 1.0})
    streamed.clear()
    networks = ("student", "raw")
    both = run_sweep(
        Source(patterns=patterns, networks=networks), plan(tmp_path / "run", suite, count=2)
    )
    assert both.sweep is not None
    assert [point.summary.n for point in both.sweep.metrics[0].points] == [2, 2, 2, 2]
    assert "student_000001/p0" not in streamed
    assert {"student_000001/p1", "raw_000001/p0", "student_000002/p0"} <= set(streamed)


def test_all_steps_hear_the_same_noise(tmp_path: Path, suite: Path) -> None:
    source = Source(patterns=(save_steps(tmp_path, {1: 1.0, 2: 1.0}),))
    outcome = run_sweep(source, plan(tmp_path / "run", suite, seed=3))
    one, other = (
        [row.value for row in outcome.rows if row.system == f"student_{step:06d}"]
        for step in (1, 2)
    )
    assert one == other
    assert len(set(one)) == 2


def test_a_run_killed_before_scoring_is_scored_later(
    tmp_path: Path, suite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Source(patterns=(save_steps(tmp_path, {1: 1.0, 2: 2.0}),))

    def killed(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(measure, "score_run", killed)
        with pytest.raises(KeyboardInterrupt):
            run_sweep(source, plan(tmp_path / "run", suite))
    outcome = run_sweep(source, plan(tmp_path / "run", suite))
    assert [row.status for row in outcome.rows] == ["computed"] * 4


def test_recordings_made_anew_are_scored_anew(tmp_path: Path, suite: Path) -> None:
    patterns = (save_steps(tmp_path, {1: 1.0}),)
    before = run_sweep(Source(patterns=patterns), plan(tmp_path / "run", suite))
    save_steps(tmp_path, {1: 6.0})
    with pytest.raises(InputError, match=r"step-1 was replaced: .*student_000001.*choose another"):
        run_sweep(Source(patterns=patterns), plan(tmp_path / "run", suite))
    (tmp_path / "run/recordings/student_000001").rename(tmp_path / "old")
    after = run_sweep(Source(patterns=patterns), plan(tmp_path / "run", suite))
    assert [row.value for row in after.rows] > [row.value for row in before.rows]
    assert read_scores(tmp_path / "run/scores.jsonl") == list(after.rows)


def test_other_settings_are_refused_and_the_baseline_has_its_own(
    tmp_path: Path, suite: Path
) -> None:
    source = Source(patterns=(save_steps(tmp_path, {1: 1.0}),), against=f"{tmp_path / 'step-1'}")
    made = plan(tmp_path / "run", suite, settings={"more": 1}, baseline_settings={"more": 2})
    outcome = run_sweep(source, made)
    assert outcome.sweep is not None
    (point,) = outcome.sweep.metrics[0].points
    assert point.to_baseline is not None
    assert point.to_baseline.delta is not None
    assert point.to_baseline.delta < -1
    with pytest.raises(InputError, match="was recorded with"):
        run_sweep(source, plan(tmp_path / "run", suite, settings={"more": 3}))
    with pytest.raises(InputError, match="the sweep itself sets 'network'"):
        plan(tmp_path / "run", suite, settings={"network": "raw"})


def test_a_watch_takes_what_comes_until_its_time_is_over(tmp_path: Path, suite: Path) -> None:
    pattern = save_steps(tmp_path, {1: 4.0})
    now, told = [0.0], []

    def sleep(length_s: float) -> None:
        now[0] += length_s
        if now[0] == 10:
            (tmp_path / "step-2").mkdir()  # not whole yet
        elif now[0] == 20:
            (tmp_path / "step-2").rmdir()
            save_steps(tmp_path, {2: 1.0})

    watch = Watch(minutes=0.75, poll_s=10.0, clock=lambda: now[0], sleep=sleep)
    outcome = run_sweep(
        Source(patterns=(pattern,)), plan(tmp_path / "run", suite), watch=watch, tell=told.append
    )
    assert outcome.sweep is not None
    assert [entry.step for entry in outcome.sweep.entries] == [1, 2]
    assert now[0] == 45
    assert [line.partition(" (")[0] for line in told] == [
        "measured: student_000001", "measured: student_000002",
    ]  # fmt: skip


def test_an_interruption_ends_a_watch_with_its_results(tmp_path: Path, suite: Path) -> None:
    def interrupt(length_s: float) -> None:
        raise KeyboardInterrupt

    source = Source(patterns=(save_steps(tmp_path, {1: 1.0}),))
    outcome = run_sweep(source, plan(tmp_path / "run", suite), watch=Watch(sleep=interrupt))
    assert outcome.sweep is not None
    assert (tmp_path / "run/sweep.json").is_file()


def test_a_watch_notices_a_checkpoint_that_is_replaced(tmp_path: Path, suite: Path) -> None:
    source = Source(patterns=(save_steps(tmp_path, {1: 1.0}),))
    watch = Watch(sleep=lambda length_s: void(save_steps(tmp_path, {1: 2.0})))
    with pytest.raises(InputError, match="step-1 was replaced"):
        run_sweep(source, plan(tmp_path / "run", suite), watch=watch)


def void(value: object) -> None:
    """Ignores a value."""


def test_a_stream_that_fails_is_told_and_fails_the_command(tmp_path: Path, suite: Path) -> None:
    pattern = save_steps(tmp_path, {1: 1.0, 2: -1.0})
    done = sweep(suite, tmp_path / "run", pattern, "--limit", "1")
    assert done.exit_code == 1
    assert "failed: RuntimeError: fades below nothing" in done.stderr
    assert "| 2 | student | failed (1) | 0 |" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere/step-*",), "no folder matches"),
        (("PATTERN", "--network", "ema"), "no checkpoint has a network 'ema'"),
        (("PATTERN", "--against", "nowhere"), "no checkpoint"),
        (("PATTERN", "--watch-minutes", "1"), "goes with --watch"),
        (("PATTERN", "--rule", "wer"), "not among --metrics"),
        (("PATTERN", "--set", "label=a"), "sets 'label'"),
        (("PATTERN", "--system", "static_portrait"), "has no setting 'checkpoint'"),
    ],
)
def test_wrong_use_is_told_in_one_line(
    tmp_path: Path, suite: Path, arguments: tuple[str, ...], words: str
) -> None:
    save(tmp_path / "step-1", 1.0)
    given = [argument.replace("PATTERN", str(tmp_path / "step-*")) for argument in arguments]
    options = ["--suite", str(suite), "--out", str(tmp_path / "run"), "--metrics", "colour_drift"]
    system = [] if "--system" in given else ["--system", SYSTEM]
    done = CliRunner().invoke(app, [*given, *options, *system])
    assert done.exit_code == 2, done.output
    assert words in done.stderr
    assert not (tmp_path / "run" / "recordings").exists()


def test_the_student_of_the_reference_model_is_swept(tmp_path: Path, suite: Path) -> None:
    model = talkative()
    tensors = dict(model.state_dict())
    tensors |= {f"student.{key}": 0.5 * value for key, value in part_of(tensors, "dit.").items()}
    samplers = {"student": SamplerConfig(num_steps=2)}
    save_checkpoint(tmp_path / "step-7", tensors, model.config, origin={}, samplers=samplers)
    source = Source(patterns=(str(tmp_path / "step-*"),))
    made = plan(
        tmp_path / "run", suite, count=1, system="streamchar_ref", settings={"num_steps": 1}
    )
    outcome = run_sweep(source, made)
    assert outcome.failed == ()
    (folder,) = recording_folders(tmp_path / "run").values()
    meta, digest = read_meta(folder), load_checkpoint(tmp_path / "step-7").digest[:12]
    assert meta["checkpoint"] == f"tiny sha256:{digest} student"
    assert meta["settings"] == {
        "checkpoint": f"sha256:{digest}", "network": "student", "num_steps": 1,
    }  # fmt: skip


def test_two_sweeps_of_one_run_do_not_mix(tmp_path: Path, suite: Path) -> None:
    source = Source(patterns=(save_steps(tmp_path, {1: 1.0}),))

    def start_another(length_s: float) -> None:
        run_sweep(source, plan(tmp_path / "run", suite))

    with pytest.raises(InputError, match="does 'sweep' there already"):
        run_sweep(source, plan(tmp_path / "run", suite), watch=Watch(sleep=start_another))
