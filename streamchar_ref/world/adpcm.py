"""IMA ADPCM, four bits per sample, in blocks that numpy decodes in parallel.

Shape letters: S samples, K blocks, C bytes of codes in a block.

Source:
    IMA Digital Audio Focus and Technical Working Groups, "Recommended practices for enhancing
    digital audio compatibility in multimedia systems", revision 3.00, 1992, section 6. The start
    of a block differs: its first sample, and an initial step that fits its first differences.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int16, Int64, UInt8

BLOCK_SAMPLES = 513  # the first one is stored in 16 bits, then two per byte
BLOCK_BYTES = (BLOCK_SAMPLES - 1) // 2
_FIRST_DIFFERENCES = 24
_FULL_SCALE = 32767
_STEPS = np.array([
    7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 19, 21, 23, 25, 28, 31, 34, 37, 41, 45, 50, 55, 60, 66, 73,
    80, 88, 97, 107, 118, 130, 143, 157, 173, 190, 209, 230, 253, 279, 307, 337, 371, 408, 449, 494,
    544, 598, 658, 724, 796, 876, 963, 1060, 1166, 1282, 1411, 1552, 1707, 1878, 2066, 2272, 2499,
    2749, 3024, 3327, 3660, 4026, 4428, 4871, 5358, 5894, 6484, 7132, 7845, 8630, 9493, 10442,
    11487, 12635, 13899, 15289, 16818, 18500, 20350, 22385, 24623, 27086, 29794, 32767,
])  # fmt: skip
_MOVES = np.array([-1, -1, -1, -1, 2, 4, 6, 8])


@dataclass(frozen=True, kw_only=True)
class Packed:
    """Encoded blocks of sound.

    Attributes:
        first: First sample of each block.
        step: Index of the first step of each block.
        codes: Two samples a byte, the earlier in the lower half.
    """

    first: Int16[np.ndarray, " K"]
    step: UInt8[np.ndarray, " K"]
    codes: UInt8[np.ndarray, "K C"]


def encode(samples: Float32[np.ndarray, " S"]) -> Packed:
    """Encodes sound in [-1, 1]; the last block is padded with its last sample."""
    integers = np.round(np.clip(samples, -1, 1) * _FULL_SCALE).astype(np.int64)
    blocks = np.pad(integers, (0, -len(integers) % BLOCK_SAMPLES), mode="edge")
    blocks = blocks.reshape(-1, BLOCK_SAMPLES)
    first, step = blocks[:, 0], _first_step(blocks)
    value, index = first.copy(), step.copy()
    nibbles = np.empty((BLOCK_SAMPLES - 1, len(blocks)), np.uint8)
    for position, target in enumerate(np.ascontiguousarray(blocks.T[1:])):
        size = _STEPS[index]
        difference = target - value
        magnitude = np.minimum((np.abs(difference) << 2) // size, 7)
        code = magnitude | ((difference < 0) << 3)
        value, index = _next(value, index, code)
        nibbles[position] = code
    codes = (nibbles[0::2] | (nibbles[1::2] << 4)).T.copy()
    return Packed(first=first.astype(np.int16), step=step.astype(np.uint8), codes=codes)


def decode(packed: Packed, num_samples: int) -> Float32[np.ndarray, " S"]:
    """Decodes the first samples."""
    value, index = packed.first.astype(np.int64), packed.step.astype(np.int64)
    blocks = np.empty((BLOCK_SAMPLES, len(value)), np.float32)
    blocks[0] = value
    codes = np.ascontiguousarray(packed.codes.T)
    for position in range(BLOCK_SAMPLES - 1):
        code = (codes[position // 2] >> (4 * (position % 2))) & 15
        value, index = _next(value, index, code.astype(np.int64))
        blocks[position + 1] = value
    return (blocks.T.reshape(-1) / np.float32(_FULL_SCALE))[:num_samples]


def _next(
    value: Int64[np.ndarray, " K"], index: Int64[np.ndarray, " K"], code: Int64[np.ndarray, " K"]
) -> tuple[Int64[np.ndarray, " K"], Int64[np.ndarray, " K"]]:
    """Updates value and step index; encoder and decoder share it, in integers."""
    size, magnitude = _STEPS[index], code & 7
    change = ((2 * magnitude + 1) * size) >> 3
    value = np.clip(np.where(code & 8, value - change, value + change), -32768, _FULL_SCALE)
    return value, np.clip(index + _MOVES[magnitude], 0, len(_STEPS) - 1)


def _first_step(blocks: Int64[np.ndarray, "K B"]) -> Int64[np.ndarray, " K"]:
    differences = np.abs(np.diff(blocks[:, : _FIRST_DIFFERENCES + 1], axis=1)).mean(axis=1)
    return np.searchsorted(_STEPS[:-1], differences).astype(np.int64)
