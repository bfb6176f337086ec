"""Every place that opens a picture or a video sees it as a viewer does."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from evals import extractors
from evals.calibration.faults import takes
from evals.extractors import ExtractorSpec
from evals.features.extraction import reference_features
from evals.features.missing import Missing
from evals.suites import load_suite
from streamchar_ref.commands.generate import _picture as character_picture
from streamchar_ref.core.errors import InputError
from tests.evals.real_clips import recording
from tests.streamchar_ref.media_files import numbered, tone, write

ROOT = Path(__file__).resolve().parents[3]
UPRIGHT = np.repeat(np.linspace(0, 250, 48).astype(np.uint8)[:, None], 32, axis=1)
"""Taller than wide, and darker above."""


class Rows:
    """Mean of the upper and of the lower half."""

    def update(self, frames: np.ndarray, upstream: Mapping[str, Any]) -> dict[str, np.ndarray]:
        half = frames.shape[1] // 2
        self.means = np.array([frames[:, :half].mean(), frames[:, half:].mean()])
        return {}

    def finish(self) -> dict[str, np.ndarray]:
        return {"means": self.means}


@pytest.fixture
def turned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A picture as a phone keeps it: lying on its side, with the orientation in its EXIF data."""
    monkeypatch.setenv("STREAMCHAR_CACHE", str(tmp_path / "cache"))
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = np.rot90(np.repeat(UPRIGHT[..., None], 3, axis=2), 1)
    path = tmp_path / "face.jpg"
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif, quality=95)
    return path


def of_suite(path: Path) -> np.ndarray:
    line = {"prompt_id": "a", "transcript": "Hi.", "reference_path": path.name}
    path.with_name("own.jsonl").write_text(json.dumps(line))
    return load_suite(path.with_name("own.jsonl"))[0].reference


def of_character(path: Path) -> np.ndarray:
    return character_picture(str(path))


def of_calibration(path: Path) -> np.ndarray:
    video = write(path.with_name("a.mp4"), numbered(25), tone(1.0))
    subject = recording(video_path=video, reference_path=path, transcript="one")
    takes.write_file_take(path.with_name("take"), subject, seconds=None, other="")
    return np.asarray(Image.open(path.with_name("take") / "reference.png"))


@pytest.mark.parametrize("reader", [of_suite, of_character, of_calibration])
def test_a_reference_is_upright_wherever_it_is_read(
    turned: Path, monkeypatch: pytest.MonkeyPatch, reader: Callable[[Path], np.ndarray]
) -> None:
    monkeypatch.setattr(takes, "_recognised_words", lambda _: [])
    seen = reader(turned)
    assert seen.shape == (48, 32, 3)
    assert np.abs(seen[..., 0].astype(int) - UPRIGHT).mean() < 3


def test_extractors_see_the_reference_upright(
    turned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = ExtractorSpec(name="rows", track="frames", implementation=f"{__name__}:Rows")
    monkeypatch.setitem(extractors.EXTRACTORS, "rows", spec)
    found = reference_features(turned, ["rows"])["rows"]
    assert not isinstance(found, Missing)
    above, below = found["means"]
    assert below - above > 100


def test_what_is_no_picture_is_one_line_everywhere(tmp_path: Path) -> None:
    path = tmp_path / "face.png"
    path.write_text("no picture")
    with pytest.raises(InputError, match=r"own\.jsonl:1: cannot read the picture: face\.png"):
        of_suite(path)
    with pytest.raises(InputError, match=r"cannot be read as a picture: face\.png: not a picture"):
        of_character(path)


@pytest.mark.parametrize(
    ("call", "allowed"),
    [
        (r"\bImage\.open\(", {"streamchar_ref/media/picture.py"}),
        (r"\bimread\(", set()),
        (r"\bav\.open\(", {"streamchar_ref/media/source.py", "streamchar_ref/media/encode.py"}),
    ],
)  # fmt: skip
def test_files_are_opened_in_one_place(call: str, allowed: set[str]) -> None:
    packages = ("streamchar_ref", "evals", "baselines", "reports")
    sources = [path for name in packages for path in (ROOT / name).rglob("*.py")]
    users = {str(p.relative_to(ROOT)) for p in sources if re.search(call, p.read_text())}
    assert users == allowed
