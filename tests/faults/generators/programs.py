"""Programs for the system ``command`` that end early, hang, or write what is no chunk."""

import shlex
import sys
from pathlib import Path
from random import Random

from tests.faults.trial import Trial

START = """\
import json, os, subprocess, sys, time
import numpy as np

prompt, out = sys.argv[1:3]
rng = np.random.default_rng(0)


def chunk(index, frames=None, samples=None, name=None, **more):
    frames = np.zeros((5, 16, 16, 3), np.uint8) if frames is None else frames
    samples = np.zeros(3200, np.float32) if samples is None else samples
    partial = os.path.join(out, f"partial-{index}.npz")
    np.savez(partial, frames=frames, samples=samples, **more)
    os.replace(partial, os.path.join(out, name or f"chunk_{index:05d}.npz"))


def put(name, content=b""):
    with open(os.path.join(out, name), "wb") as file:
        file.write(content)


def half(path):
    content = open(path, "rb").read()
    return content[: len(content) // 2]


def endless():
    for index in range(10**9):
        chunk(index, np.zeros((500, 4, 4, 3), np.uint8), np.zeros(320_000, np.float32))


"""
GOOD = "chunk(0)\nchunk(1)\n"
FAILING = {
    "ends at once": "sys.exit(0)",
    "exit 3": "print('out of luck'); sys.exit(3)",
    "exit 3 after a chunk": "chunk(0); sys.exit(3)",
    "killed": "chunk(0); os.kill(os.getpid(), 9)",
    "segmentation fault": "os.kill(os.getpid(), 11)",
    "float frames": "chunk(0, np.zeros((5, 16, 16, 3)))",
    "grey frames": "chunk(0, np.zeros((5, 16, 16), np.uint8))",
    "four channels": "chunk(0, np.zeros((5, 16, 16, 4), np.uint8))",
    "stereo": "chunk(0, samples=np.zeros((3200, 2), np.float32))",
    "NaN": "chunk(0, samples=np.full(3200, np.nan, np.float32))",
    "loud": "chunk(0, samples=np.full(3200, 1e30, np.float32))",
    "integers": "chunk(0, samples=np.full(3200, 20000, np.int16))",
    "text": "chunk(0, samples=np.array(['a', 'b']))",
    "objects": "chunk(0, samples=np.array([{}, None], dtype=object))",
    "complex": "chunk(0, samples=np.zeros(3200, complex))",
    "no frames": "chunk(0, np.zeros((0, 16, 16, 3), np.uint8))",
    "no pixels": "chunk(0, np.zeros((5, 0, 16, 3), np.uint8))",
    "another size": "chunk(0); chunk(1, np.zeros((5, 32, 16, 3), np.uint8))",
    "spoken is text": "chunk(0, spoken=np.array('x'))",
    "spoken is many": "chunk(0, spoken=np.zeros(3))",
    "spoken is NaN": "chunk(0, spoken=np.array(np.nan))",
    "another array": "np.savez(os.path.join(out, 'chunk_00000.npz'), pictures=np.zeros(3))",
    "no npz": "put('chunk_00000.npz', b'hello')",
    "an npy": "np.save('x.npy', np.zeros(3)); put('chunk_00000.npz', open('x.npy', 'rb').read())",
    "empty file": "put('chunk_00000.npz')",
    "cut file": "chunk(0, name='x'); put('chunk_00000.npz', half(os.path.join(out, 'x')))",
    "a folder": "os.mkdir(os.path.join(out, 'chunk_00000.npz'))",
    "a link to nothing": "os.symlink('nowhere', os.path.join(out, 'chunk_00000.npz'))",
    "out of order": "chunk(1); chunk(2)",
    "a gap": "chunk(0); chunk(2)",
    "only a partial file": "put('chunk_00000.npz.part')",
    "mp4 is text": "put('out.mp4', b'hello')",
    "mp4 is empty": "put('out.mp4')",
    "mp4 is a folder": "os.mkdir(os.path.join(out, 'out.mp4'))",
    "mp4 is half": "put('out.mp4', half('good.mp4'))",
    "hangs": "time.sleep(600)",
    "hangs after a chunk": "chunk(0); time.sleep(600)",
    "hangs with a child": "subprocess.Popen(['sleep', '600']); time.sleep(600)",
    "folder removed": "import shutil; shutil.rmtree(out)",
    "folder a file": "import shutil; shutil.rmtree(out); open(out, 'w')",
    "endless": "endless()",
}
"""What must be kept as a failure."""
FINE = {
    "good": "",
    "prints much": "\nfor _ in range(200_000):\n    print('x' * 100)",
    "prints without line ends": "\nfor _ in range(200):\n    sys.stdout.write('x' * 100_000)",
    "prints no text": "sys.stdout.buffer.write(bytes(range(256)) * 100)",
    "prints control signs": "print('\\x1b[31m\\x1b]0;x\\x07')",
    "leaves a child": "subprocess.Popen(['sleep', '600'])",
    "leaves a child in a session": "subprocess.Popen(['sleep', '600'], start_new_session=True)",
    "leaves files": "open(os.path.join(out, 'x.tmp'), 'w').write('x')",
    "is slow": "time.sleep(0.3)",
    "without sound": "chunk(2, samples=np.zeros(0, np.float32))",
    "closes its output": "os.close(1); os.close(2)",
    "reads its input": "sys.stdin.read()",
    "changes its prompt": "open(prompt, 'w').write('')",
}
"""What comes before or after good chunks and changes nothing."""


def program(rng: Random, work: Path) -> Trial:
    """Two prompts through a program; then its recordings are scored."""
    if rng.random() < 0.75:
        note = rng.choice(list(FAILING))
        code = FAILING[note]
    else:
        note = rng.choice(list(FINE))
        is_after = rng.random() < 0.5 or "chunk" in FINE[note]
        code = GOOD + FINE[note] if is_after else f"{FINE[note]}\n{GOOD}"
    (work / "program.py").write_text(START + code + "\n")
    command = f"{shlex.quote(sys.executable)} program.py {{prompt}} {{out}}"
    timeout_s = 20 if note in FINE else 1.5  # a busy machine is slow to start a program
    record = (
        "record", "command", "--suite", "suite.jsonl", "--out", "out", "--no-warm-up",
        "--limit", "1", "--set", f"command={command}", "--set", f"timeout_s={timeout_s}",
    )  # fmt: skip
    return Trial(
        note=note,
        commands=(record, ("score", "out", "--metrics", "rtf", "--jobs", "1")),
        samples=() if note in REFUSED else ("a",),
        metrics=("rtf",),
        must_score=note not in REFUSED,
        check=_recorded if note in FINE else None,
    )


REFUSED = (
    "float frames", "grey frames", "four channels", "stereo", "NaN", "loud", "integers", "text",
    "objects", "complex", "no pixels", "no frames", "spoken is text", "spoken is many",
    "spoken is NaN",
)  # fmt: skip
"""What may be refused before anything is recorded, since it breaks the contract."""


def _recorded(work: Path) -> str:
    folder = work / "out/recordings/command/suite/a/0"
    if not (folder / "meta.json").is_file():
        return "nothing was recorded"
    error = folder / "error.txt"
    return f"failed: {error.read_text().splitlines()[-1]}" if error.is_file() else ""
