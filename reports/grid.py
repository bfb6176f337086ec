"""One video of a prompt's systems side by side, each under its name.

Shape letters: T frames, H, W pixels.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from evals.extractors import FPS, SAMPLE_RATE
from evals.features.canonical import canonical
from evals.recording.recording import Recording
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.names import short, visible
from streamchar_ref.media.decode import audio, frames, probe
from streamchar_ref.media.encode import write_mp4

TILE = 256
LABEL = 24
MAX_S = 60
_BATCH = 32
_MAX_ACROSS = 4
_PAPER, _INK = (255, 255, 255), (26, 26, 26)


def write_grid(path: Path, recordings: Sequence[Recording], *, sound_of: str = "") -> Path:
    """Writes the first minute of some recordings as one mp4; one that has ended holds its frame.

    Args:
        path: The mp4.
        recordings: Of one prompt, from left to right and down; those without a picture are left
            out.
        sound_of: System whose sound is heard; the first one that has some by default.

    Returns:
        ``path``.

    Raises:
        InputError: If no recording has a picture.
    """
    shown = [one for one in recordings if not one.error and probe(one.video_path).video_codec]
    if not shown:
        raise InputError("no recording of this prompt has a picture")
    sources = [canonical(one) for one in shown]
    tiles = [_tiles(source) for source in sources]
    names = [one.system for one in shown]
    sound = _sound(sources, names, sound_of)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_mp4(path, _batches(_grids(names, tiles)), sound, fps=FPS, sample_rate=SAMPLE_RATE, crf=23)
    return path


def _tiles(source: Path) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
    for batch in frames(source, fps=FPS, short_side=TILE):
        yield from (_square(frame) for frame in batch)


def _square(frame: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "H W 3"]:
    """Fits a frame into a tile, on white."""
    height, width = frame.shape[:2]
    if (height, width) == (TILE, TILE):
        return frame
    picture = Image.fromarray(frame)
    picture.thumbnail((TILE, TILE))
    whole = Image.new("RGB", (TILE, TILE), _PAPER)
    whole.paste(picture, ((TILE - picture.width) // 2, (TILE - picture.height) // 2))
    return np.asarray(whole)


def _grids(
    names: Sequence[str], tiles: Sequence[Iterator[np.ndarray]]
) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
    across = min(len(names), _MAX_ACROSS)
    down = math.ceil(len(names) / across)
    page = np.array(_titles(names, across, down))
    for _ in range(MAX_S * FPS):
        found = [next(own, None) for own in tiles]
        if all(frame is None for frame in found):
            return
        for place, frame in enumerate(found):
            if frame is not None:  # else the last one stays
                top, left = (TILE + LABEL) * (place // across) + LABEL, TILE * (place % across)
                page[top : top + TILE, left : left + TILE] = frame
        yield page.copy()


def _titles(names: Sequence[str], across: int, down: int) -> Image.Image:
    page = Image.new("RGB", (across * TILE, down * (TILE + LABEL)), _PAPER)
    pen = ImageDraw.Draw(page)
    font = ImageFont.load_default(size=14)
    for place, name in enumerate(names):
        at = TILE * (place % across) + 6, (TILE + LABEL) * (place // across) + 4
        plain = visible(name).encode("latin-1", "backslashreplace").decode("latin-1")
        pen.text(at, short(plain, 30), fill=_INK, font=font)
    return page


def _batches(pictures: Iterator[np.ndarray]) -> Iterator[UInt8[np.ndarray, "T H W 3"]]:
    batch: list[np.ndarray] = []
    for picture in pictures:
        batch.append(picture)
        if len(batch) == _BATCH:
            yield np.stack(batch)
            batch = []
    if batch:
        yield np.stack(batch)


def _sound(sources: Sequence[Path], names: Sequence[str], wanted: str) -> np.ndarray | None:
    order = sorted(range(len(names)), key=lambda place: names[place] != wanted)
    for place in order:
        if probe(sources[place]).audio_codec:
            return audio(sources[place], sample_rate=SAMPLE_RATE)[: MAX_S * SAMPLE_RATE]
    return None
