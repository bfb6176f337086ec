"""Speed of one stream of the shipped checkpoint, student and teacher, on one thread.

The settings take turns within each prompt, so that what else the machine does slows all. Run from
the repository: .venv/bin/python reports/published/2026-11-28/students/rtf.py > rtf.csv
"""

import csv
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

ROWS = {
    "student, 1 step": ("student", SamplerConfig(num_steps=1)),
    "student, 4 steps": ("student", SamplerConfig(num_steps=4)),
    "teacher, 8 ab2": ("plain", SamplerConfig()),
}
NUM_PROMPTS = 6

torch.set_num_threads(1)
checkpoint = load_checkpoint(shipped_checkpoint())
models = {network: checkpoint.model(network) for network in ("student", "plain")}
table = csv.writer(sys.stdout, lineterminator="\n")
table.writerow(("prompt", "row", "media_s", "first_chunk_s", "wall_s", "processor_s"))
for prompt in load_suite("short_clip_dev")[:NUM_PROMPTS]:
    for name, (network, sampler) in ROWS.items():
        model = models[network]
        wall, processor, arrivals = time.perf_counter(), time.process_time(), []
        num_frames = 0
        for chunk in stream(
            model,
            Transcript(prompt.transcript),
            prompt=prompt_of(prompt.caption, prompt.voice),
            reference=prompt.reference,
            seed=0,
            sampler=sampler,
        ):
            arrivals.append(time.perf_counter() - wall)
            num_frames += len(chunk.frames)
        took = (arrivals[0], arrivals[-1], time.process_time() - processor)
        media_s = num_frames / model.config.stream.fps
        table.writerow((prompt.prompt_id, name, media_s, *(round(t, 3) for t in took)))
