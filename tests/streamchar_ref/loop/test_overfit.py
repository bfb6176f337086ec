"""The whole recipe on one sentence of one character: can it be learned at all?"""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from streamchar_ref.model.checkpoint import load_checkpoint
from streamchar_ref.model.config import preset
from streamchar_ref.streaming.stream import stream
from streamchar_ref.streaming.transcript import Transcript
from streamchar_ref.train.clips import draw_clip
from streamchar_ref.train.data_size import data_size
from streamchar_ref.train.export import export
from streamchar_ref.train.run import TrainRun
from streamchar_ref.world.corpus import open_corpus
from streamchar_ref.world.corpus_build import CorpusPlan, build_corpus

TEXT = "Seven geese cross the road."
STEPS = {"prompt": 2, "video_vae": 120, "audio_vae": 100, "speech": 150, "teacher": 240}
FALLS = {
    "video_vae": {"pixels": 0.4},
    "audio_vae": {"mel": 0.6},
    "speech": {"alignment": 0.6, "pointer": 0.3, "phones": 0.5},
    "teacher": {"video": 0.1, "audio": 0.5},
}
"""To which share of its first value each loss falls."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> TrainRun:
    folder = tmp_path_factory.mktemp("one")
    plan = CorpusPlan(style="flat", rooms=0, shard_s=1, texts=(TEXT,))
    build_corpus(folder / "corpus", plan, hours=1 / 3600, max_mb=5)
    run = TrainRun(
        folder=folder, config=preset("tiny"), data_size=replace(data_size("tiny"), pool_clips=1)
    )
    for stage, steps in STEPS.items():
        changes = {"num_steps": steps, "learning_rate": 3e-3, "warmup_steps": 20, "batch": 8}
        run.train(stage, minutes=10, resume=False, changes=changes | {"ema_decay": 0.95})
    return run


def log(run: TrainRun, stage: str, name: str) -> list[float]:
    with (run.folder / stage / "log.csv").open() as file:
        return [float(row[name]) for row in csv.DictReader(file)]


@pytest.mark.slow
@pytest.mark.parametrize("stage", FALLS)
def test_every_loss_falls(run: TrainRun, stage: str) -> None:
    for name, share in FALLS[stage].items():
        first, *_, last = log(run, stage, name)
        assert last < share * first, name


@pytest.mark.slow
def test_it_streams_the_sentence_and_stops(run: TrainRun, tmp_path: Path) -> None:
    export(run, tmp_path / "whole", storage="float32")
    model = load_checkpoint(tmp_path / "whole").model()
    drawn = draw_clip(open_corpus(run.folder / "corpus"), 0, size=32, fps=25, seed=0)
    chunks = list(
        stream(model, Transcript(TEXT), prompt=drawn.prompt, reference=drawn.references[0])
    )
    assert chunks[-1].spoken == pytest.approx(len(drawn.text), abs=2)
    seconds = sum(len(chunk.samples) for chunk in chunks) / 16_000
    assert seconds == pytest.approx(drawn.clip.num_frames / drawn.clip.fps, abs=1.5)
    frames = np.concatenate([chunk.frames for chunk in chunks]).astype(float)
    count = min(len(frames), len(drawn.frames))
    error = np.abs(frames[:count] - drawn.frames[:count]).mean()
    assert error < np.abs(drawn.frames - drawn.frames.mean(axis=(0, 1, 2))).mean() / 2
