import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from typer.testing import CliRunner

from evals.commands.ls import app as ls_command
from evals.suites import load_suite, suite_names, summarise_suite
from streamchar_ref.core.errors import InputError
from streamchar_ref.world.speech import VOICES, speak

WORLD = {"prompt_id": "a", "transcript": "Hello there.", "character": 3}


def suite(folder: Path, *entries: dict[str, Any] | str) -> Path:
    lines = [entry if isinstance(entry, str) else json.dumps(entry) for entry in entries]
    path = folder / "own.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def save_png(path: Path, picture: np.ndarray) -> None:
    with av.open(str(path), "w", format="image2") as container:
        stream = container.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = picture.shape[1], picture.shape[0], "rgb24"
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        for packet in [*stream.encode(frame), *stream.encode()]:
            container.mux(packet)


def test_the_smoke_suite_has_three_short_prompts_of_different_characters() -> None:
    assert "smoke" in suite_names()
    prompts = load_suite("smoke")
    assert len({prompt.groups["identity"] for prompt in prompts}) == len(prompts) == 3
    for prompt in prompts:
        assert prompt.groups["domain"] == "world"
        assert prompt.voice in VOICES
        assert prompt.reference.shape == (256, 256, 3)
        assert len(prompt.caption.split()) > 8
        spoken = speak(prompt.transcript, voice=prompt.voice, seed=prompt.seed)
        assert 3 < len(spoken.samples) / 16_000 < 6


def test_prompts_of_one_character_have_its_picture_and_caption(tmp_path: Path) -> None:
    entries = [WORLD, WORLD | {"prompt_id": "b"}, WORLD | {"prompt_id": "c", "character": 4}]
    first, second, other = load_suite(suite(tmp_path, *entries))
    assert np.array_equal(first.reference, second.reference)
    assert not np.shares_memory(first.reference, second.reference)
    assert first.caption == second.caption != other.caption
    assert not np.array_equal(first.reference, other.reference)


def test_a_suite_is_counted_without_drawing(tmp_path: Path) -> None:
    pieces = [{"t_s": 0, "text": "First this,"}, {"t_s": 1.5, "text": "then that."}]
    entries = [WORLD, WORLD | {"prompt_id": "b", "transcript": pieces}]
    summary = summarise_suite(suite(tmp_path, *entries))
    assert asdict(summary) == {
        "name": "own", "split": "test", "prompts": 2, "identities": 1, "words": 6,
    }  # fmt: skip
    assert summarise_suite("smoke_dev").split == "dev"


def test_ls_prints_the_counts_of_every_suite() -> None:
    printed = CliRunner().invoke(ls_command, ["suites"])
    assert printed.exit_code == 0
    assert [line.split()[0] for line in printed.output.splitlines()] == suite_names()
    assert re.search(r"^smoke +test +3 prompts +3 identities +38 words$", printed.output, re.M)
    rows = json.loads(CliRunner().invoke(ls_command, ["suites", "--json"]).output)
    assert {row["name"]: row["prompts"] for row in rows}["short_clip"] == 150


def test_a_transcript_in_pieces_is_joined(tmp_path: Path) -> None:
    pieces = [{"t_s": 0, "text": "First this,"}, {"t_s": 1.5, "text": "then that."}]
    (prompt,) = load_suite(suite(tmp_path, WORLD | {"transcript": pieces, "groups": {"set": 1}}))
    assert prompt.transcript == "First this, then that."
    assert [(piece.t_s, piece.text) for piece in prompt.pieces] == [
        (0.0, "First this,"),
        (1.5, "then that."),
    ]
    assert prompt.groups == {"set": "1", "domain": "world", "identity": "character-3"}


def test_a_whole_transcript_is_one_piece_at_the_start(tmp_path: Path) -> None:
    (prompt,) = load_suite(suite(tmp_path, WORLD))
    assert [(piece.t_s, piece.text) for piece in prompt.pieces] == [(0.0, "Hello there.")]


def test_a_picture_beside_the_suite_is_read(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (40, 24, 3), dtype=np.uint8)
    save_png(tmp_path / "face.png", picture)
    entry = {"prompt_id": "a", "transcript": "Hi.", "reference_path": "face.png"}
    (prompt,) = load_suite(suite(tmp_path, entry))
    assert np.array_equal(prompt.reference, picture)
    assert prompt.groups == {}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (WORLD | {"transkript": "x"}, r"own.jsonl:2.*'transkript'.*did you mean 'transcript'"),
        ({"transcript": "x", "character": 1}, "own.jsonl:2.*prompt_id"),
        (WORLD | {"transcript": ""}, "own.jsonl:2.*transcript"),
        (WORLD | {"reference_path": "a.png"}, "own.jsonl:2.*either"),
        ({"prompt_id": "b", "transcript": "x"}, "own.jsonl:2.*either"),
        (WORLD | {"character": "seven"}, "own.jsonl:2.*character"),
        (WORLD | {"character": True}, "own.jsonl:2.*character"),
        (WORLD | {"character": -1}, "own.jsonl:2.*at least 0"),
        (WORLD | {"prompt_id": "../b"}, "own.jsonl:2.*folder"),
        (WORLD | {"prompt_id": "*"}, "own.jsonl:2.*folder"),
        (WORLD | {"prompt_id": "a\nb"}, "own.jsonl:2.*folder"),
        (WORLD | {"transcript": [{"t_s": 0, "txt": "x"}]}, "own.jsonl:2.*'txt'"),
        (WORLD | {"transcript": ["x"]}, "own.jsonl:2.*a list of objects"),
        (
            WORLD | {"transcript": [{"t_s": 2, "text": "x"}, {"t_s": 1, "text": "y"}]},
            "own.jsonl:2.*rise",
        ),
        ("not json", "own.jsonl:2.*not JSON"),
        ("[1]", "own.jsonl:2"),
        ({"prompt_id": "b", "transcript": "x", "reference_path": "../a.png"}, "own.jsonl:2"),
        (
            {"prompt_id": "b", "transcript": "x", "reference_path": "gone.png"},
            "own.jsonl:2.*cannot read the picture",
        ),
        (WORLD | {"prompt_id": "first"}, "own.jsonl:2.*'first'"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_wrong_line_is_named(tmp_path: Path, entry: dict[str, Any] | str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_suite(suite(tmp_path, WORLD | {"prompt_id": "first"}, entry))


def test_an_unknown_suite_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="smoke"):
        load_suite("smok")
    with pytest.raises(InputError, match="no such file"):
        load_suite(tmp_path / "none.jsonl")
    with pytest.raises(InputError, match="no prompts"):
        load_suite(suite(tmp_path, ""))
