"""Training must run where little is installed: a GPU machine without audio or video packages."""

import subprocess
import sys
from pathlib import Path

import pytest

from streamchar_ref.world.corpus_build import CorpusPlan, build_corpus

REFUSED = (
    "av", "soxr", "scipy", "soundfile", "librosa", "PIL", "pandas", "matplotlib", "onnx", "jiwer",
    "cv2", "evals", "baselines", "reports",
)  # fmt: skip
PROGRAM = f"""
import sys

sys.modules.update(dict.fromkeys({REFUSED!r}))  # importing them fails as if they were not there
from streamchar_ref.commands.train import app
app(sys.argv[1:], standalone_mode=False)

import streamchar_ref.blocks.blocks, streamchar_ref.blocks.parts, streamchar_ref.blocks.runner
from streamchar_ref.commands.bench import app as bench
tiny = ["--preset", "tiny", "--device", "cpu", "--steps", "1"]
bench(["training", *tiny, "--stages", "distill_regress", "--batch", "2"], standalone_mode=False)
bench(["scale", *tiny, "--chunks", "1"], standalone_mode=False)
"""


@pytest.mark.slow
def test_every_stage_runs_on_torch_transformers_and_numpy_alone(tmp_path: Path) -> None:
    plan = CorpusPlan(style="flat", rooms=0, shard_s=12, texts=("Seven geese cross the road.",))
    build_corpus(tmp_path / "corpus", plan, hours=12 / 3600, max_mb=5)
    arguments = ["all", "--preset", "tiny", "--steps", "2", "--jobs", "1", "--out", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "checkpoint" / "checkpoint.json").is_file()
    assert (tmp_path / "teacher" / "log.csv").is_file()
    assert "distill_regress" in done.stdout
    assert "chunk of 640 ms: floor" in done.stdout
