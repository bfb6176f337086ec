"""Systems in Python that break what the harness asks of one."""

from pathlib import Path
from random import Random

from tests.faults.generators import values
from tests.faults.trial import Trial

FIELDS = ("name", "fps", "sample_rate", "is_silent", "is_still", "checkpoint")
STREAMS = {
    "returns nothing": "return None",
    "returns a list": "return [good(0), good(1)]",
    "yields nothing": "return iter(())",
    "yields None": "yield None",
    "yields a dict": "yield {'frames': 1}",
    "raises": "raise ValueError('no luck')",
    "raises without words": "raise ValueError",
    "raises many lines": "raise ValueError('a\\nb\\n\\x1b[31mc')",
    "raises midway": "yield good(0); raise RuntimeError('midway')",
    "exits": "yield good(0); raise SystemExit(0)",
    "exits at once": "raise SystemExit(3)",
    "is out of memory": "yield good(0); raise MemoryError",
    "is too deep": "yield from self.stream(prompt, seed=seed)",
    "says that a file is missing": "open('/nowhere/x')",
    "says that the disk is full": "raise OSError(28, 'No space left on device')",
    "stops": "raise StopIteration",
    "asserts": "assert False",
    "index from 1": "yield good(1)",
    "index twice": "yield good(0); yield good(0)",
    "index is text": "yield AVChunk(index='0', frames=F, samples=S)",
    "float frames": "yield AVChunk(index=0, frames=F / 255, samples=S)",
    "channels first": "yield AVChunk(index=0, frames=F.transpose(0, 3, 1, 2), samples=S)",
    "a list of frames": "yield AVChunk(index=0, frames=F.tolist(), samples=S)",
    "no frames": "yield AVChunk(index=0, frames=F[:0], samples=S)",
    "frames are None": "yield AVChunk(index=0, frames=None, samples=S)",
    "another size": "yield good(0); yield AVChunk(index=1, frames=F[:, :8], samples=S)",
    "a size of 0": "yield AVChunk(index=0, frames=F[:, :0], samples=S)",
    "stereo": "yield AVChunk(index=0, frames=F, samples=np.stack([S, S]))",
    "double": "yield AVChunk(index=0, frames=F, samples=S.astype(float))",
    "NaN": "yield AVChunk(index=0, frames=F, samples=S * np.nan)",
    "infinite": "yield AVChunk(index=0, frames=F, samples=S + np.inf)",
    "too loud": "yield AVChunk(index=0, frames=F, samples=S + 100)",
    "too much sound": "yield AVChunk(index=0, frames=F, samples=np.zeros(10**6, np.float32))",
    "no sound": "yield AVChunk(index=0, frames=F, samples=S[:0])",
    "spoken is NaN": "yield AVChunk(index=0, frames=F, samples=S, spoken=np.nan)",
    "spoken is text": "yield AVChunk(index=0, frames=F, samples=S, spoken='x')",
    "read-only": "F.flags.writeable = False; yield good(0)",
    "strides": "yield AVChunk(index=0, frames=F[:, ::-1, ::-1], samples=S[::-1])",
    "changes its rate": "yield good(0); self.fps = 0; yield good(1)",
    "changes its name": "yield good(0); self.name = '../x'; yield good(1)",
    "changes the prompt": "prompt.groups['x'] = {1: 2}; yield good(0)",
    "changes the folder": "import os; os.chdir('/'); yield good(0)",
    "prints": "print('hello'); yield good(0)",
    "closes the output": "import sys; sys.stdout = None; yield good(0)",
    "makes errors of warnings": "np.seterr(all='raise'); yield good(0)",
    "is fine": "yield good(0); yield good(1)",
}
TOPS = ("", "", "", "import no_such_module", "raise SystemExit(1)", "1 / 0", "def", "x = '\\x00'",
        "import sys; sys.argv = None", "print('hello')", "from . import nothing")  # fmt: skip


def system(rng: Random, work: Path) -> Trial:
    """A system with one or two things wrong, recorded, checked and scored."""
    fields = {"name": "'odd'", "fps": "25", "sample_rate": "16_000"}
    notes = []
    if rng.random() < 0.35:
        name = rng.choice(FIELDS)
        value = (
            repr(values.value(rng)).replace("nan", "float('nan')").replace("inf", "float('inf')")
        )
        fields[name] = value
        notes.append(f"{name} = {value}")
        if rng.random() < 0.2:
            del fields[name]
    how = rng.choice(list(STREAMS))
    top = rng.choice(TOPS) if rng.random() < 0.2 else ""
    notes += [how, *([top] if top else [])]
    made = rng.choice(("", "", "", "def __init__(self, needed): pass", "def __init__(self): 1 / 0"))
    (work / "odd.py").write_text(
        _code(fields, STREAMS[how], top, made), encoding="utf-8", errors="replace"
    )
    settings = (
        ("--set", f"{rng.choice(('needed', 'fps', 'x'))}={values.text(rng)}")
        if rng.random() < 0.1
        else ()
    )
    record = ("record", "odd.py:Odd", "--suite", "suite.jsonl", "--out", "out", *settings)
    warm = ("--no-warm-up",) if rng.random() < 0.5 else ()
    commands: list[tuple[str, ...]] = [tuple(w.replace("\x00", "") for w in (*record, *warm))]
    if rng.random() < 0.3:
        commands.append(("check", "odd.py:Odd", "--suite", "suite.jsonl"))
    if rng.random() < 0.3:
        commands.append(
            ("score", "out", "--metrics", "rtf,exposure_drift", "--jobs", "1", "--native")
        )
    return Trial(note="; ".join(notes), commands=tuple(commands))


def _code(fields: dict[str, str], stream: str, top: str, made: str) -> str:
    body = stream.replace("; ", "\n        ")
    return "\n".join([
        "import numpy as np",
        "from streamchar_ref.media import AVChunk",
        top,
        "F = np.zeros((5, 16, 16, 3), np.uint8)",
        "S = np.zeros(3200, np.float32)",
        "def good(index): return AVChunk(index=index, frames=F, samples=S)",
        "class Odd:",
        *(f"    {name} = {value}" for name, value in fields.items()),
        f"    {made}",
        "    def stream(self, prompt, *, seed):",
        f"        {body}",
        "",
    ])  # fmt: skip
