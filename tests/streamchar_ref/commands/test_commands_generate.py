"""`streamchar generate`: what it makes, and what it says of input that it cannot use."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from streamchar_ref.commands.generate import app
from streamchar_ref.media.decode import audio, probe
from streamchar_ref.model.checkpoint import save_checkpoint
from streamchar_ref.sampling.config import SamplerConfig
from streamchar_ref.world.styles import STYLES
from tests.streamchar_ref.streaming.test_stream import talkative

TEXT = "Hello there."


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that ends after its first chunk."""
    folder = tmp_path_factory.mktemp("checkpoint") / "tiny"
    model = talkative(is_over=True)
    save_checkpoint(folder, model.state_dict(), model.config, origin={}, storage="float32")
    return folder


def run(checkpoint: Path, out: Path, *arguments: str, text: str = TEXT) -> Result:
    said = ["--text", text] if text else []
    return CliRunner().invoke(
        app, ["--out", str(out), "--checkpoint", str(checkpoint), *said, *arguments]
    )


def test_it_writes_picture_with_sound_and_says_what_it_did(
    checkpoint: Path, tmp_path: Path
) -> None:
    out = tmp_path / "a.mp4"
    done = run(checkpoint, out, "--json", "--steps", "2", "--character", "7")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    found = probe(out)
    assert (found.width, found.height, found.fps) == (32, 32, 25)
    assert told["length_s"] == 0.64
    assert len(audio(out, sample_rate=16_000)) == pytest.approx(10_240, abs=2048)
    assert told["chunks"] == 2  # the first comes in two pieces
    assert 0 < told["phonemes_said"] <= told["phonemes"] == 7
    assert told["checkpoint"].startswith("tiny sha256:")
    assert 0 < told["first_chunk_s"] <= told["took_s"]
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_the_same_seed_gives_the_same_file_and_settings_change_it(
    checkpoint: Path, tmp_path: Path
) -> None:
    def made(name: str, *arguments: str) -> bytes:
        out = tmp_path / name
        done = run(checkpoint, out, *arguments)
        assert done.exit_code == 0, done.output
        assert " of 7 phonemes said, 2 chunks" in done.stdout
        return out.read_bytes()

    plain = made("a.mp4")
    assert made("b.mp4") == plain
    assert made("c.mp4", "--seed", "1") != plain
    assert made("d.mp4", "--set", "sampler.shift=3.0") != plain
    assert made("e.mp4", "--set", "sampler.num_steps=3") == made("f.mp4", "--steps", "3") != plain
    assert made("g.mp4", "--voice", "ben") != made("h.mp4", "--voice", "elsa")


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_a_picture_without_a_face_is_refused_unless_it_is_asked_for(
    checkpoint: Path, tmp_path: Path, mode: str
) -> None:
    picture = tmp_path / "wide.png"
    pixels = np.random.default_rng(0).integers(0, 256, (37, 90, 4), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(picture)
    out, who = tmp_path / "out" / "a.mp4", ("--character", str(picture))
    out.parent.mkdir()
    check_refused(run(checkpoint, out, *who), out, "no face", "wide.png", "--any-picture")
    done = run(checkpoint, out, *who, "--any-picture")
    assert done.exit_code == 0, done.output
    assert "drawn people" in done.stderr


def test_a_picture_with_a_face_is_taken(checkpoint: Path, tmp_path: Path) -> None:
    style = STYLES["painted"]
    portrait = style.portrait(style.draw_character(3), size=256, seed=0)
    Image.fromarray(portrait).save(tmp_path / "face.png")
    done = run(checkpoint, tmp_path / "a.mp4", "--character", str(tmp_path / "face.png"))
    assert done.exit_code == 0, done.output


def test_it_says_when_nothing_can_look_for_a_face(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = tmp_path / "grey.png"
    Image.new("RGB", (64, 64), (128, 128, 128)).save(picture)
    monkeypatch.setenv("STREAMCHAR_WEIGHTS", str(tmp_path / "nowhere"))
    done = run(checkpoint, tmp_path / "a.mp4", "--character", str(picture))
    assert done.exit_code == 0, done.output
    assert "nobody has looked" in done.stderr


def test_text_comes_from_a_file_too(checkpoint: Path, tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text(f"\ufeff{TEXT}\n", encoding="utf-8")
    one, other = tmp_path / "a.mp4", tmp_path / "b.mp4"
    assert run(checkpoint, one, "--text-file", str(file), text="").exit_code == 0
    assert run(checkpoint, other).exit_code == 0
    assert one.read_bytes() == other.read_bytes()


def check_refused(done: Result, out: Path, *words: str) -> None:
    assert done.exit_code == 2, done.output
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("note:")]
    assert line.startswith("error: ")
    for word in words:
        assert word in line
    assert not [path for path in out.parent.glob("*") if "mp4" in path.name]


@pytest.mark.parametrize(
    ("text", "arguments", "words"),
    [
        ("", (), ("--text",)),
        (TEXT, ("--text-file", "x.txt"), ("either",)),
        ("", ("--text-file", "none.txt"), ("none.txt",)),
        ("   ...  ", (), ("say",)),
        ("Привет", (), ("only English",)),
        ("very " * 10_000, (), ("--max-minutes",)),
        (TEXT * 40, ("--max-minutes", "0.2"), ("--max-minutes",)),
        ("1234567 " * 8, ("--max-minutes", "0.1"), ("minutes to say", "--max-minutes")),
        ("", ("--text-file", "/dev/zero"), ("characters", "--max-minutes")),
        (TEXT, ("--character", "nobody.png"), ("nobody.png",)),
        (TEXT, ("--character", __file__), ("picture",)),
        (TEXT, ("--voice", "darth"), ("darth", "joe")),
        (TEXT, ("--preset", "micro"), ("tiny", "micro")),
        (TEXT, ("--checkpoint", "nowhere"), ("no checkpoint",)),
        ("caf\udce9", (), ("--text is not UTF-8",)),
        (TEXT, ("--set", "stream.size"), ("path=value",)),
        (TEXT, ("--set", "sampler.num_steps=0"), ("num_steps is a whole number",)),
        (TEXT, ("--set", "stream.speed=2"), ("speed",)),
        (TEXT, ("--set", "dit.width=96"), ("fit",)),
        (TEXT, ("--set", "context.visible=none"), ("context",)),
        (TEXT, ("--device", "warp"), ("warp",)),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_cannot_be_used_is_one_line_and_no_file(
    checkpoint: Path, tmp_path: Path, text: str, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    out = tmp_path / "a.mp4"
    check_refused(run(checkpoint, out, *arguments, text=text), out, *words)


@pytest.mark.parametrize("name", ["a.avi", "nowhere/a.mp4"])
def test_a_place_that_no_video_can_have_is_said_before_any_work(
    checkpoint: Path, tmp_path: Path, name: str
) -> None:
    done = run(checkpoint / "missing", tmp_path / name)
    assert done.exit_code == 2
    assert "checkpoint" not in done.stderr


@pytest.mark.parametrize("damage", ["missing", "altered"])
def test_a_damaged_checkpoint_is_named(checkpoint: Path, tmp_path: Path, damage: str) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(checkpoint, copy)
    shard = copy / "weights-00.safetensors"
    if damage == "missing":
        shard.unlink()
    else:
        shard.write_bytes(shard.read_bytes()[:-1] + b"?")
    out = tmp_path / "out" / "a.mp4"
    out.parent.mkdir()
    check_refused(run(copy, out), out, "weights-00.safetensors")


def test_the_student_speaks_unless_the_teacher_is_named(tmp_path: Path) -> None:
    model, folder = talkative(is_over=True), tmp_path / "two"
    dit = {f"student.dit.{name}": weight for name, weight in model.dit.state_dict().items()}
    save_checkpoint(
        folder,
        model.state_dict() | dit,
        model.config,
        origin={},
        samplers={"student": SamplerConfig(kind="renoise", num_steps=1)},
        storage="float32",
    )
    named = {
        name: run(folder, tmp_path / f"a{name}.mp4", "--network", name)
        for name in ("", "student", "plain", "critic")
    }
    assert [named[name].exit_code for name in ("", "student", "plain")] == [0, 0, 0]
    files = [(tmp_path / f"a{name}.mp4").read_bytes() for name in ("", "student", "plain")]
    assert files[0] == files[1] != files[2]
    error = " ".join(named["critic"].output.split())
    assert "no network 'critic'; it has plain, student" in error
