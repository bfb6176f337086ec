"""Suites of prompts in which a line, or the whole file, is wrong."""

from pathlib import Path
from random import Random
from typing import Any

from PIL import Image

from tests.faults import base
from tests.faults.generators import mangle, values
from tests.faults.trial import Trial


def suite(rng: Random, work: Path) -> Trial:
    """Three prompts; a field is strange, the text is damaged, or a picture is."""
    prompts = [_prompt(rng, number) for number in range(3)]
    base.write_lines(work / "prompts.jsonl", prompts)
    draw = rng.random()
    if draw < 0.6:
        note = mangle.mangle(rng, work / "prompts.jsonl")
    elif draw < 0.8:
        note = mangle.mangle(rng, work / "face.png")
    else:
        size = rng.choice(((1, 1), (1, 4000), (4000, 1), (3, 5), (0xFFFF, 1)))
        mode = rng.choice(("RGB", "L", "RGBA", "P", "1", "I;16", "CMYK"))
        suffix = ".tiff" if mode == "CMYK" else ".png"
        Image.new(mode, size).save(work / f"odd{suffix}")
        (work / f"odd{suffix}").rename(work / "face.png")
        note = f"a picture of {size}, {mode}"
    record = ("record", "toy.py:Toy", "--suite", "prompts.jsonl", "--out", "out")
    score = ("score", "out", "--metrics", "rtf", "--jobs", "1")
    is_read = rng.random() < 0.3
    return Trial(note=note, commands=(record, score) if is_read else (record,))


def _prompt(rng: Random, number: int) -> dict[str, Any]:
    prompt: dict[str, Any] = {
        "prompt_id": f"p{number}",
        "transcript": rng.choice(
            ("Hello there.", [{"t_s": 0, "text": "Hello"}, {"t_s": 1, "text": "there."}])
        ),
        "reference_path": "face.png",
        "voice": "joe",
        "caption": "a face",
        "seed": 1,
        "groups": {"identity": "anna"},
    }
    if rng.random() < 0.3:
        prompt[rng.choice(("prompt_id", "transcript", "voice", "caption"))] = values.text(rng)
    if rng.random() < 0.1:
        prompt["groups"] = {values.text(rng): values.text(rng)}
    return prompt
