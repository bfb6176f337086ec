import io

import numpy as np
import pytest
from PIL import Image

from streamchar_ref.media import AVChunk
from streamchar_ref.serve.wire import (
    HEADER,
    IS_LAST,
    SKIPS_WAIT,
    ChunkTimes,
    pack_chunk,
    stamp_sent,
)

TIMES = ChunkTimes(start_s=2.56, made_s=12.5, took_s=0.25)


def chunk_of(frames: np.ndarray, spoken: float | None = 7.5) -> AVChunk:
    samples = np.array([0.0, 0.5, -1.0, 1.0, 2.0], np.float32)
    return AVChunk(index=2, frames=frames, samples=samples, spoken=spoken)


def test_the_header_says_what_the_chunk_is() -> None:
    frames = np.zeros((5, 8, 16, 3), np.uint8)
    packed = pack_chunk(
        chunk_of(frames), TIMES, stream=3, fps=25, sample_rate=16_000, flags=IS_LAST | SKIPS_WAIT
    )
    assert HEADER.size == 66
    assert HEADER.unpack_from(stamp_sent(packed, 13.0)) == pytest.approx(
        (b"AVC1", 3, 3, 3, 2, 16_000, 25, 5, 5, 16, 8, 7.5, 2.56, 12.5, 0.25, 13.0)
    )


def test_sound_is_16_bit_and_clipped() -> None:
    packed = pack_chunk(
        chunk_of(np.zeros((1, 8, 8, 3), np.uint8)), TIMES, stream=1, fps=25, sample_rate=16_000
    )
    pcm = np.frombuffer(bytes(packed[66:76]), "<i2")
    assert pcm.tolist() == [0, 16384, -32767, 32767, 32767]


def test_a_system_without_pointer_says_minus_one() -> None:
    chunk = chunk_of(np.zeros((1, 8, 8, 3), np.uint8), spoken=None)
    packed = pack_chunk(chunk, TIMES, stream=1, fps=25, sample_rate=16_000)
    assert HEADER.unpack_from(packed)[11] == -1


@pytest.mark.parametrize("count", [1, 2, 7, 9])
def test_every_picture_is_in_its_cell(count: int) -> None:
    shades = np.linspace(20, 230, count).astype(np.uint8)
    frames = np.broadcast_to(shades[:, None, None, None], (count, 16, 16, 3)).copy()
    packed = pack_chunk(chunk_of(frames), TIMES, stream=1, fps=25, sample_rate=16_000)
    columns = HEADER.unpack_from(packed)[2]
    sheet = np.asarray(Image.open(io.BytesIO(packed[76:])))
    cells = [
        sheet[16 * (n // columns) :, 16 * (n % columns) :][:16, :16].mean() for n in range(count)
    ]
    np.testing.assert_allclose(cells, shades, atol=1)
