"""Programs in their own environment: chunks, an mp4, and every way to fail."""

import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from baselines.command import Command, CommandFailed
from baselines.replay import Replay
from evals.recording.record import RecordPlan, record_one
from evals.recording.run_folder import recordings_of
from evals.recording.system import Prompt, problems_with
from streamchar_ref.core.errors import InputError
from streamchar_ref.media.encode import write_mp4

HEAD = """
import json, sys, time, os
from pathlib import Path
import numpy as np
request = json.loads(Path(sys.argv[1]).read_text()); out = Path(sys.argv[2])
def chunk(i, frames=8, **account):
    part = out / f".{i}.npz"
    np.savez(part, frames=np.full((frames, 16, 16, 3), i, np.uint8),
             samples=np.zeros(frames * 640, np.float32), **account)
    part.rename(out / f"chunk_{i:05d}.npz")
"""


def prompt() -> Prompt:
    return Prompt(prompt_id="p", transcript="one two", reference=np.zeros((8, 8, 3), np.uint8))


def command(folder: Path, body: str, timeout_s: float = 30.0) -> Command:
    program = folder / "program.py"
    program.write_text(HEAD + body)
    return Command(f"{sys.executable} {program} {{prompt}} {{out}}", timeout_s=timeout_s)


def test_chunks_are_seen_while_the_program_runs(tmp_path: Path) -> None:
    system = command(tmp_path, "chunk(0); time.sleep(0.5); chunk(1)")
    assert record_one(system, prompt(), RecordPlan(out=tmp_path / "run", suite="s"))
    (found,) = recordings_of(tmp_path / "run")
    assert found.trace is not None
    assert "started for each prompt" in found.trace.timing_note
    first, second = found.trace.t_arrival_s
    assert 0.4 < second - first < 5  # half a second apart, not both at the end


def test_the_contract_is_kept(tmp_path: Path) -> None:
    body = "assert request['transcript'] == 'one two' and Path(request['reference']).is_file()\n"
    assert problems_with(command(tmp_path, body + "chunk(0); chunk(1)"), prompt()) == []


def test_a_program_may_keep_account_of_what_it_has_spoken(tmp_path: Path) -> None:
    system = command(tmp_path, "chunk(0, spoken=2); chunk(1, spoken=np.float32(4.5))")
    assert [chunk.spoken for chunk in system.stream(prompt(), seed=0)] == [2, 4.5]
    assert problems_with(system, prompt()) == []


def test_an_mp4_at_the_end_is_taken_too(tmp_path: Path) -> None:
    video = tmp_path / "made.mp4"
    pixels = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    write_mp4(video, [pixels], np.zeros(20_000, np.float32), fps=30, sample_rate=16_000)
    system = command(tmp_path, f"import shutil; shutil.copy({str(video)!r}, out / 'out.mp4')")
    chunks = list(system.stream(prompt(), seed=0))
    assert system.fps == 30
    assert sum(len(chunk.frames) for chunk in chunks) == 40
    assert sum(len(chunk.samples) for chunk in chunks) == round(40 / 30 * 16_000)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("chunk(0, spoken=[1, 2])", "cannot be read"),
        ("print('bad weights'); sys.exit(3)", "bad weights\ncommand: exit status 3 after 0 chunks"),
        ("chunk(0); sys.exit(1)", "exit status 1 after 1 chunks"),
        ("time.sleep(60)", "nothing new for 1 s"),
        ("pass", "neither chunk files nor out.mp4"),
        ("(out / 'chunk_00000.npz').write_bytes(b'PK half')", "chunk_00000.npz cannot be read"),
        ("chunk(0); chunk(2)", "chunk_00002.npz is there but chunk_00001.npz is not"),
        ("(out / 'out.mp4').write_bytes(b'half')", "out.mp4: cannot be decoded"),
        (
            "np.savez(out / 'a.npz', frames=np.zeros(3), samples=np.zeros(3))\n"
            "(out / 'a.npz').rename(out / 'chunk_00000.npz')",
            "uint8",
        ),
    ],
)
def test_every_failure_keeps_the_log_and_says_why(tmp_path: Path, body: str, message: str) -> None:
    system = command(tmp_path, body, timeout_s=1.0 if "sleep" in body else 30.0)
    with pytest.raises(CommandFailed) as error:
        list(system.stream(prompt(), seed=0))
    assert message in str(error.value)


def test_what_a_stopped_program_started_is_stopped_too(tmp_path: Path) -> None:
    body = (
        "import subprocess; child = subprocess.Popen(['sleep', '60'])\n"
        "print('child', child.pid, flush=True); time.sleep(60)"
    )
    system = command(tmp_path, body, timeout_s=2.0)
    with pytest.raises(CommandFailed) as error:
        list(system.stream(prompt(), seed=0))
    pid = int(str(error.value).split("child ")[1].split()[0])
    for _ in range(100):
        if not _is_running(pid):
            return
        time.sleep(0.05)
    pytest.fail("the child is still running")


def _is_running(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_program_that_does_not_exist_says_so() -> None:
    with pytest.raises(CommandFailed, match="cannot start 'no-such-program'"):
        list(Command("no-such-program {prompt}").stream(prompt(), seed=0))


def test_replay_gives_back_the_file_of_the_prompt(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    write_mp4(
        tmp_path / "a.mp4", [pixels], np.zeros(25_600, np.float32), fps=25, sample_rate=16_000
    )
    manifest = tmp_path / "m.jsonl"
    manifest.write_text(
        '{"sample_id": "p", "system": "real", "video_path": "a.mp4", "transcript": "one two"}'
    )
    assert problems_with(Replay(str(manifest)), prompt()) == []
    other = Prompt(prompt_id="q", transcript="", reference=prompt().reference)
    with pytest.raises(InputError, match="no sample 'q'"):
        list(Replay(str(manifest)).stream(other, seed=0))


DAEMON = """
import subprocess
body = "import os, sys, time; os.setsid()\\n"
body += "open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(60)"
note = Path(__file__).with_suffix(".pid")
ENV = dict(os.environ) if KEEPS_ENV else {}
middle = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', *sys.argv[1:]])"
subprocess.run([sys.executable, "-c", middle, body, str(note)], env=ENV)
while not note.is_file() or not note.read_text():
    time.sleep(0.01)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="orphans are found by Linux' means")
@pytest.mark.parametrize("keeps_env", [True, False])
@pytest.mark.parametrize("end", ["chunk(0)", "sys.exit(1)", "chunk(0); time.sleep(60)"])
def test_a_daemon_does_not_outlive_the_stream(tmp_path: Path, keeps_env: bool, end: str) -> None:
    system = command(tmp_path, DAEMON.replace("KEEPS_ENV", str(keeps_env)) + end)
    stream = system.stream(prompt(), seed=0)
    if end == "sys.exit(1)":
        with pytest.raises(CommandFailed):
            list(stream)
    else:
        next(stream)
        stream.close() if "sleep" in end else list(stream)  # type: ignore[attr-defined]
    assert not _is_running(int((tmp_path / "program.pid").read_text()))


def test_an_interrupt_stops_the_program_too(tmp_path: Path) -> None:
    system = command(tmp_path, "chunk(0); print(os.getpid()); time.sleep(60)")
    stream = system.stream(prompt(), seed=0)
    next(stream)
    with pytest.raises(KeyboardInterrupt):
        stream.throw(KeyboardInterrupt())  # type: ignore[attr-defined]
    assert list(stream) == []


def test_of_a_long_log_the_ends_are_kept(tmp_path: Path) -> None:
    body = "print('first'); sys.stdout.write('x' * 30_000_000); print('\\nlast'); sys.exit(4)"
    with pytest.raises(CommandFailed) as error:
        list(command(tmp_path, body).stream(prompt(), seed=0))
    message = str(error.value)
    assert "\nfirst\n" in message
    assert "\nlast\n" in message
    assert "exit status 4" in message
    assert len(message) < 100_000


@pytest.mark.parametrize(
    ("body", "settings", "message"),
    [
        ("for i in range(10_000): chunk(i, 1000)", {}, "the stream does not end"),
        (
            "for i in range(10_000): time.sleep(0.1); print(i)",
            {"total_s": 1},
            "not ended after 1 s",
        ),
        (
            "(out / 'x').write_bytes(os.urandom(3_000_000)); time.sleep(30)",
            {"disk_gb": 0.002},
            "output folder holds",
        ),
    ],
)
def test_what_does_not_end_is_stopped(
    tmp_path: Path, body: str, settings: dict[str, float], message: str
) -> None:
    system = command(tmp_path, body)
    system = Command(system.command, **settings)  # type: ignore[arg-type]
    with pytest.raises(CommandFailed, match=message):
        for _ in system.stream(prompt(), seed=0):
            pass


BOMB = """
import io, zipfile
head = io.BytesIO()
np.lib.format.write_array_header_1_0(head, dict(descr='|u1', fortran_order=False, shape=(SHAPE)))
with zipfile.ZipFile(out / "b", "w", zipfile.ZIP_DEFLATED) as archive:
    archive.writestr("frames.npy", head.getvalue() + bytes(1000))
    np.lib.format.write_array(sound := io.BytesIO(), np.zeros(3, np.float32))
    archive.writestr("samples.npy", sound.getvalue())
(out / "b").rename(out / "chunk_00000.npz")
"""


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("os.mkfifo(out / 'chunk_00000.npz'); time.sleep(30)", "no regular file"),
        ("(out / 'chunk_00000.npz').mkdir(); time.sleep(30)", "no regular file"),
        ("(out / 'chunk_00000.npz').symlink_to(sys.argv[1]); time.sleep(30)", "a link"),
        ("(out / 'out.mp4').symlink_to(sys.argv[1])", "out.mp4 cannot be read .a link"),
        ("os.mkfifo(out / 'out.mp4')", "no regular file"),
        (BOMB.replace("SHAPE", "10**6, 64, 64, 3"), "GiB, the limit is 4"),
        (BOMB.replace("SHAPE", "2**62, 2**62, 2**62, 3"), "GiB, the limit is 4"),
        (BOMB.replace("SHAPE", "-1, 8, 8, 3"), "chunk_00000.npz cannot be read"),
        (
            "np.savez(out / 'a.npz', frames=np.array([{}]), samples=np.zeros(3))\n"
            "(out / 'a.npz').rename(out / 'chunk_00000.npz')",
            "frames must be uint8",
        ),
        (
            "np.savez(out / 'a.npz', frames=np.zeros((1, 8, 8, 3), np.uint8),\n"
            "         samples=np.array(['a']))\n"
            "(out / 'a.npz').rename(out / 'chunk_00000.npz')",
            "samples must be float32",
        ),
    ],
)
def test_only_plain_files_of_a_sane_size_are_read(tmp_path: Path, body: str, message: str) -> None:
    with pytest.raises(CommandFailed, match=message):
        list(command(tmp_path, body).stream(prompt(), seed=0))


def test_a_chunk_is_removed_once_it_is_read(tmp_path: Path) -> None:
    body = "chunk(0)\nwhile (out / 'chunk_00000.npz').exists(): time.sleep(0.01)\nchunk(1)"
    assert len(list(command(tmp_path, body).stream(prompt(), seed=0))) == 2


@pytest.mark.parametrize(
    "settings", [{"timeout_s": 0}, {"total_s": float("nan")}, {"disk_gb": -1.0}]
)
def test_limits_are_numbers_above_0(settings: dict[str, float]) -> None:
    with pytest.raises(InputError, match="above 0"):
        Command("true", **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("words", ["", "  ", "a 'b"])
def test_a_command_that_is_none_is_refused_at_once(words: str) -> None:
    with pytest.raises(InputError, match="command"):
        Command(words)


SERVER = """
import json, os, sys, time
from pathlib import Path
import numpy as np
def chunk(out, i, level):
    np.savez(out / f".{i}.npz", frames=np.full((8, 16, 16, 3), level, np.uint8),
             samples=np.zeros(5120, np.float32))
    (out / f".{i}.npz").rename(out / f"chunk_{i:05d}.npz")
print("loading", flush=True)
print("ready", flush=True)
for served, line in enumerate(sys.stdin):
    request = json.loads(line); out = Path(request["out"]); i = 0
    BODY
    (out / "end").touch()
"""
THREE = "for i in range(3): chunk(out, i, served)"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Callable[..., Command]]:
    made: list[Command] = []

    def make(body: str, **settings: float) -> Command:
        program = tmp_path / "server.py"
        program.write_text(SERVER.replace("BODY", body))
        words = f"{sys.executable} {program}"
        made.append(Command(words, persistent=True, **settings))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for system in made:
        system.close()


def levels(system: Command) -> list[int]:
    """The grey of each chunk: how many requests the program had served before."""
    return [int(chunk.frames[0, 0, 0, 0]) for chunk in system.stream(prompt(), seed=0)]


def test_a_persistent_program_is_started_once(server: Callable[..., Command]) -> None:
    system = server(THREE)
    assert levels(system) == [0, 0, 0]
    assert levels(system) == [1, 1, 1]
    assert "started for each prompt" in Command("true").timing_note
    assert system.timing_note == ""


def test_a_stream_that_is_not_wanted_any_longer_leaves_the_program_ready(
    server: Callable[..., Command],
) -> None:
    waits = "\n    ".join([
        "while not (out / 'stop').exists() and i < 2000:",
        "    chunk(out, i, served); i += 1; time.sleep(0.01)",
        "if served: [chunk(out, i + n, served) for n in range(2)]",
    ])  # fmt: skip
    system = server(waits)
    stream = system.stream(prompt(), seed=0)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    second = system.stream(prompt(), seed=0)
    assert int(next(second).frames[0, 0, 0, 0]) == 1
    second.close()  # type: ignore[attr-defined]


def test_a_persistent_program_that_ends_is_started_again(server: Callable[..., Command]) -> None:
    system = server(THREE + "; served == 0 or sys.exit('weights lost')")
    assert levels(system) == [0, 0, 0]
    with pytest.raises(CommandFailed, match=r"(?s)weights lost.*in the middle of a stream"):
        levels(system)
    assert levels(system) == [0, 0, 0]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("echo not quite ready", "(?s)not quite ready.*ended before it printed 'ready'"),
        ("sleep 30", "has not printed 'ready' after 0.2 s"),
        ("no-such-program", "cannot start"),
    ],
)
def test_a_program_that_never_is_ready_is_a_failure(command: str, message: str) -> None:
    system = Command(command, persistent=True, timeout_s=0.2 if "sleep" in command else 30.0)
    with pytest.raises(CommandFailed, match=message):
        list(system.stream(prompt(), seed=0))


def test_a_persistent_program_that_does_not_read_is_a_failure() -> None:
    system = Command("sh -c 'echo ready; exec sleep 60'", persistent=True, timeout_s=1.5)
    long = Prompt(prompt_id="p", transcript="one " * 50_000, reference=prompt().reference)
    message = (
        r"takes no request: after 1.5 s it has not read [\d,]+ of 200,\d+ bytes; a program must"
    )
    with pytest.raises(CommandFailed, match=message):
        list(system.stream(long, seed=0))


def test_a_request_longer_than_a_pipe_arrives_whole(server: Callable[..., Command]) -> None:
    system = server("chunk(out, 0, len(request['transcript']) % 251)")
    long = Prompt(prompt_id="p", transcript="one " * 50_000, reference=prompt().reference)
    (only,) = system.stream(long, seed=0)
    assert int(only.frames[0, 0, 0, 0]) == 200_000 % 251


def test_a_persistent_program_is_not_given_paths_as_words() -> None:
    with pytest.raises(InputError, match="on its standard input"):
        Command("gen {prompt}", persistent=True)


def test_the_program_of_the_readme_keeps_the_contract(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "baselines" / "README.md").read_text()
    (block,) = re.findall(r"^```python\n# persistent\.py\n(.*?)^```$", text, re.M | re.S)
    assert len(block.splitlines()) <= 20
    (tmp_path / "persistent.py").write_text(block)
    system = Command(f"{sys.executable} {tmp_path / 'persistent.py'}", persistent=True)
    try:
        assert problems_with(system, prompt()) == []
    finally:
        system.close()
