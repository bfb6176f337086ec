"""What workers elsewhere score and record is what this process does; a lost worker costs a task."""

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evals.commands.workers import check_workers
from evals.extractors import EXTRACTORS
from evals.features import jobs
from evals.features.cache import load_kept
from evals.features.missing import Missing
from evals.recording.record import RecordPlan, record
from evals.recording.run_folder import recordings_of
from evals.recording.system import Prompt
from evals.recording.system_file import load_class
from evals.recording.workers import BESIDE_OTHERS, Maker, record_by_workers
from evals.scoring.persist import score_run
from evals.scoring.score import Options
from streamchar_ref.core import device, elsewhere
from streamchar_ref.core.elsewhere import Outcome, Site, UnfitMachine, packed, run_packed, this_site
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.executors import open_executor
from streamchar_ref.core.ray_executor import RayExecutor
from streamchar_ref.core.slurm_executor import SlurmExecutor
from tests.evals.features.dying import NOTES, dies_once, number_or_death
from tests.evals.toys import First, recording, video

METRICS = [
    First("audio_envelope", "db"), First("pitch", "hz"), First("appearance", "sharpness"),
]  # fmt: skip
SYSTEM = """
import numpy as np
from streamchar_ref.media import AVChunk

class Noise:
    name, fps, sample_rate = "noise", 25, 16_000

    def stream(self, prompt, *, seed):
        rng = np.random.default_rng([seed, len(prompt.transcript)])
        for index in range(2):
            frames = rng.integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)
            yield AVChunk(index=index, frames=frames, samples=np.zeros(4 * 640, np.float32))
"""


@pytest.fixture(scope="module")
def two_ray_workers() -> Iterator[None]:
    ray = pytest.importorskip("ray", reason="Ray is not installed (extra cluster)")
    try:
        executor = RayExecutor("", jobs=2)
    except InputError as error:  # Ray's own limit on its start
        pytest.skip(f"this machine is too busy: {error}")
    yield
    executor.__exit__(None)
    assert not ray.is_initialized()


@pytest.mark.slow
@pytest.mark.usefixtures("two_ray_workers")
def test_scores_of_a_ray_with_a_worker_killed_in_the_middle_are_those_of_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subjects = [
        recording(video(tmp_path / f"{name}.mp4", level=level, count=8), sample_id=name)
        for name, level in (("a", 60), ("b", 120))
    ]

    def scored(run: Path, executor: str) -> dict[str, bytes]:
        monkeypatch.setenv("STREAMCHAR_CACHE", str(run / "cache"))
        options = Options(jobs=1, executor=executor)
        score_run(
            run, subjects, metrics=METRICS, set_metrics=[], options=options,
            progress=lambda *_: None,
        )  # fmt: skip
        return {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}

    here = scored(tmp_path / "here", "local")
    monkeypatch.setenv(NOTES, str(tmp_path))
    monkeypatch.setattr(jobs, "_extract_and_send", dies_once)
    assert scored(tmp_path / "there", "ray") == here
    assert b'"status": "computed"' in here["scores.jsonl"]
    assert b"failure" not in here["scores.jsonl"]
    networks = ("audio_envelope", "pitch", "appearance")
    tasks = [f"{sample} {name}" for sample in "ab" for name in networks]
    ran = (tmp_path / "ran.txt").read_text().splitlines()
    assert sorted(ran) == sorted([*tasks, "b pitch"])


@pytest.mark.usefixtures("two_ray_workers")
def test_ray_workers_record_the_same_pictures_and_sounds(tmp_path: Path) -> None:
    source = tmp_path / "noise.py"
    source.write_text(SYSTEM)
    reference = np.zeros((8, 8, 3), np.uint8)
    prompts = [Prompt(prompt_id=p, transcript=p * 3, reference=reference) for p in ("a", "bb")]
    here, there = (RecordPlan(out=tmp_path / name, suite="s", seed=3) for name in ("x", "y"))
    record(load_class(f"{source}:Noise")(), prompts, here)
    maker = Maker(name=f"{source}:Noise", settings={})
    with open_executor("ray", 2) as workers:
        found = record_by_workers(maker, prompts, there, workers)
        assert (found.name, found.counts) == ("noise", {"recorded": 2, "failed": 0, "kept": 0})
        again = record_by_workers(maker, prompts, there, workers)
    assert again.counts == {"recorded": 0, "failed": 0, "kept": 2}
    pairs = zip(recordings_of(here.out), recordings_of(there.out), strict=True)
    for one, other in pairs:
        assert one.video_path.read_bytes() == other.video_path.read_bytes()
        assert one.audio_path is not None
        assert other.audio_path is not None
        assert one.audio_path.read_bytes() == other.audio_path.read_bytes()
        assert other.trace is not None
        assert other.trace.timing_note == BESIDE_OTHERS


@pytest.mark.slow
def test_a_slurm_array_gives_results_in_order_though_a_job_is_lost(tmp_path: Path) -> None:
    pytest.importorskip("submitit", reason="submitit is not installed (extra cluster)")
    folder = tmp_path / "tasks"
    with SlurmExecutor(folder, 2, cluster="local", poll_s=0.1) as executor:
        futures = [executor.submit(number_or_death, tmp_path, number) for number in (2, 3)]
        assert [future.result(timeout=120) for future in futures] == [4, 9]
    assert (tmp_path / "died").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("dask", "none of local, ray, ray:ADDRESS, slurm"),
        ("slurm:here", "an address goes with ray alone"),
        ("slurm", "no sbatch on PATH"),
    ],
)
def test_an_executor_that_cannot_be_had_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, message: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=message):
        check_workers(name)


@pytest.mark.parametrize(("package", "name"), [("ray", "ray:auto"), ("submitit", "slurm")])
def test_a_missing_package_names_its_extra(
    monkeypatch: pytest.MonkeyPatch, package: str, name: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=r"pip install 'streamchar\[cluster\]'"):
        check_workers(name)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "nowhere"])
def test_an_address_without_a_cluster_is_refused_at_once(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    ray = pytest.importorskip("ray", reason="Ray is not installed (extra cluster)")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(InputError, match=address):
        RayExecutor(address, 2)


def test_a_machine_with_other_code_or_without_the_disk_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    here = this_site()
    assert run_packed(here, packed(pow, (2, 5))).result == 32
    assert isinstance(run_packed(here, packed(int, ("x",))).error, ValueError)
    away = Site(folder=str(tmp_path / "none"), variables={}, code=here.code)
    refused = run_packed(away, packed(pow, (2, 5)))
    assert isinstance(refused.error, UnfitMachine)
    assert "must share the disk" in str(refused.error)
    monkeypatch.setattr(elsewhere, "code_state", lambda: {**here.code, "numpy": "0.1"})
    refused = run_packed(here, packed(pow, (2, 5)))
    assert isinstance(refused.error, UnfitMachine)
    assert "numpy: 0.1 there" in str(refused.error)


def test_a_task_sees_no_variable_that_its_sender_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STREAMCHAR_MAX_LETTERS", raising=False)
    site = this_site()
    monkeypatch.setenv("STREAMCHAR_MAX_LETTERS", "5")
    assert run_packed(site, packed(os.getenv, ("STREAMCHAR_MAX_LETTERS",))) == Outcome()


def test_features_of_another_protocol_are_refused_and_not_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STREAMCHAR_CACHE", str(tmp_path))
    keys, found = {"audio": "f" * 12}, {"pitch": {"hz": np.ones(3)}}
    sent = jobs.Sent.of(found, ["pitch"])
    other = replace(sent, protocols={"pitch": "0" * 12}, machine="far")
    with pytest.raises(UnfitMachine, match="on far measures pitch by other protocols"):
        jobs.keep_sent(keys, other)
    assert not any(tmp_path.iterdir())
    absent = {"pitch": Missing(reason="no weights", status="unavailable")}
    assert jobs.keep_sent(keys, replace(other, features=absent)) == absent
    assert jobs.keep_sent(keys, sent) == found
    assert list(load_kept(keys, ["pitch"])) == ["pitch"]


def test_cuda_is_refused_without_a_gpu_and_has_protocols_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import torch

    monkeypatch.setenv(device.VARIABLE, "cpu")
    before = {name: spec.protocol() for name, spec in EXTRACTORS.items()}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="use --device cpu"):
        check_workers("local", "cuda")
    with pytest.raises(InputError, match="none of cpu, cuda, cuda:N"):
        check_workers("local", "tpu")
    check_workers("ray", "cuda")  # the workers look at their own machine
    changed = {name for name, spec in EXTRACTORS.items() if spec.protocol() != before[name]}
    assert {"syncnet", "i3d", "lite0", "voice"} <= changed
    assert not changed & {"face", "asr_whisper", "audio_envelope", "sync_world"}


@pytest.mark.gpu
def test_networks_on_cuda_agree_with_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from evals.extractors.networks.syncnet import SyncNet

    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")
    torch.manual_seed(0)
    network, mouths = SyncNet().eval(), 255 * torch.rand(3, 12, 224, 224)
    with torch.inference_mode():
        expected = device.run_placed(network.embed_mouth, mouths)
        monkeypatch.setenv(device.VARIABLE, "cuda")
        found = device.run_placed(device.placed(network).embed_mouth, mouths)
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()
