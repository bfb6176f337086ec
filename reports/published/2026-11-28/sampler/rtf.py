"""Speed of one stream of the shipped checkpoint: 50 Euler steps and 8 of `ab2`, on one thread.

The settings take turns within each prompt, so that what else the machine does slows both. Run from
the repository: .venv/bin/python reports/published/2026-11-28/sampler/rtf.py > rtf.csv
"""

import csv
import statistics
import sys
import time

import torch

from evals.suites import load_suite
from streamchar_ref.model.checkpoint import load_checkpoint
from streamchar_ref.model.shipped import shipped_checkpoint
from streamchar_ref.sampling.config import SamplerConfig
from streamchar_ref.streaming.stream import stream
from streamchar_ref.streaming.transcript import Transcript
from streamchar_ref.world.voices import prompt_of

SAMPLERS = {
    "50 euler": SamplerConfig(num_steps=50, kind="euler"),
    "8 ab2": SamplerConfig(num_steps=8, kind="ab2"),
}
NUM_PROMPTS = 4

torch.set_num_threads(1)
model = load_checkpoint(shipped_checkpoint()).model("plain")
table = csv.writer(sys.stdout, lineterminator="\n")
table.writerow(("prompt", "sampler", "media_s", "wall_s", "processor_s"))
speeds: dict[str, list[float]] = {name: [] for name in SAMPLERS}
for prompt in load_suite("short_clip_dev")[:NUM_PROMPTS]:
    for name, sampler in SAMPLERS.items():
        wall, processor = time.perf_counter(), time.process_time()
        chunks = stream(
            model,
            Transcript(prompt.transcript),
            prompt=prompt_of(prompt.caption, prompt.voice),
            reference=prompt.reference,
            seed=0,
            sampler=sampler,
        )
        media_s = sum(len(chunk.frames) for chunk in chunks) / model.config.stream.fps
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        speeds[name].append(processor / media_s)
        row = (prompt.prompt_id, name, media_s, round(wall, 2), round(processor, 2))
        table.writerow(row)
many, few = (statistics.mean(values) for values in speeds.values())
sys.stderr.write(f"processor s a second: {many:.2f}, {few:.2f}; ratio {many / few:.1f}\n")
