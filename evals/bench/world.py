"""How fast the world is drawn, and how well real face models see its faces and lips.

Frames are brought to a short side of 512 before a face model looks, as the canonical encode
does; they are not compressed here.
"""

import time
from collections.abc import Iterator
from typing import Any

import av
import numpy as np
from jaxtyping import UInt8

from evals.extractors import EXTRACTORS
from evals.features.canonical import SHORT_SIDE
from streamchar_ref.core.executor import WorkerProcesses

SENTENCES = (
    "My brother would move the heavy blue box at home.",
    "A warm wind blew five paper boats over the pond.",
    "Why should the old farmer pay for both maps?",
    "She put a small apple beside the open window.",
)
SPEED_S = 4.0
_BLOCK_FRAMES = 50


def bench_speed(
    *, sizes: tuple[int, ...] = (64, 96, 256), processes: int = 2, style: str = "painted"
) -> list[dict[str, Any]]:
    """Draws for some seconds in several processes of one thread each.

    Args:
        sizes: Widths in pixels.
        processes: How many at once.
        style: One of ``styles.STYLES``.

    Returns:
        A row for each size, with frames per second of all processes together.
    """
    rows = []
    with WorkerProcesses(processes) as executor:
        for size in sizes:
            jobs = [executor.submit(_frames_per_s, size, style, 100 * n) for n in range(processes)]
            rate = sum(job.result() for job in jobs)
            rows.append({"size": size, "processes": processes, "frames_per_s": round(rate, 1)})
    return rows


def _frames_per_s(size: int, style: str, first: int) -> float:
    """Draws scenes of many characters, blocks of two seconds each."""
    import torch

    torch.set_num_threads(1)
    _draw_block(first, size, style)
    start, blocks = time.perf_counter(), 0
    while (passed := time.perf_counter() - start) < SPEED_S:
        blocks += 1
        _draw_block(first + blocks, size, style)
    return blocks * _BLOCK_FRAMES / passed


def _draw_block(
    identity: int, size: int, style: str, num_frames: int = _BLOCK_FRAMES
) -> UInt8[np.ndarray, "T H W 3"]:
    from streamchar_ref.world.clips import own_scene
    from streamchar_ref.world.scene import resting
    from streamchar_ref.world.styles import STYLES

    drawn, scene = STYLES[style], own_scene(identity, 0)
    motion = resting(drawn.move([], num_frames=num_frames, seed=identity), scene)
    character = drawn.draw_character(identity)
    return np.concatenate(list(drawn.render_batches(character, motion, size=size, scene=scene)))


def bench_faces(
    num_identities: int, *, size: int = 96, every: int = 25, style: str = "painted"
) -> dict[str, Any]:
    """Looks for the face in single frames, each on its own.

    Args:
        num_identities: Characters, each in the scene of its stream.
        size: At which they are drawn.
        every: Frames from one look to the next, in four seconds of each.
        style: One of ``styles.STYLES``.

    Returns:
        Counts and the share found, by the detector on the picture as a whole, and of mesh.
    """
    found, meshed, total, missed = 0, 0, 0, []
    for identity in range(num_identities):
        frames = upscaled(_draw_block(identity, size, style, 100)[::every])
        for frame in frames:
            extractor = EXTRACTORS["face"].make()
            row = extractor.update(frame[None], {})
            total += 1
            found += int(row["num_faces"][0] > 0)
            meshed += int(row["has_mesh"][0])
            missed += [identity] * (not row["has_mesh"][0])
    return {
        "size": size,
        "identities": num_identities,
        "frames": total,
        "found": round(found / total, 4),
        "with_mesh": round(meshed / total, 4),
        "missed_identities": ",".join(map(str, sorted(set(missed)))),
    }


def bench_lips(
    num_clips: int, *, sizes: tuple[int, ...] = (256, 96, 64), style: str = "painted"
) -> list[dict[str, Any]]:
    """Correlates the lip aperture of the mesh with the true lip gap within each clip.

    Args:
        num_clips: Each of another identity, in the scene of its stream.
        sizes: At which they are drawn.
        style: One of ``styles.STYLES``.

    Returns:
        A row for each size: median and 10th percentile over clips.
    """
    rows = []
    for size in sizes:
        values = np.array([_lip_correlation(n, size, style) for n in range(num_clips)])
        known = values[np.isfinite(values)]
        rows.append(
            {
                "size": size,
                "clips": num_clips,
                "without_face": int(len(values) - len(known)),
                "median": round(float(np.median(known)), 3),
                "p10": round(float(np.quantile(known, 0.1)), 3),
            }
        )
    return rows


def _lip_correlation(identity: int, size: int, style: str) -> float:
    from streamchar_ref.world.clips import make_clip

    text = SENTENCES[identity % len(SENTENCES)]
    clip = make_clip(text, identity=identity, seed=0, style=style)
    extractor = EXTRACTORS["face"].make()
    for frames in clip.frames(size=size):
        extractor.update(upscaled(frames), {})
    aperture = extractor.finish()["lip_aperture"]
    seen = np.isfinite(aperture)
    if seen.sum() < 0.8 * len(aperture):
        return float("nan")
    return float(np.corrcoef(aperture[seen], clip.motion.gap[seen])[0, 1])


def upscaled(frames: UInt8[np.ndarray, "T h w 3"]) -> UInt8[np.ndarray, "T H W 3"]:
    """Brings square frames to the side of the canonical encode, bicubic."""
    return np.stack(list(_upscaled(frames)))


def _upscaled(frames: UInt8[np.ndarray, "T h w 3"]) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
    for frame in frames:
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
        larger = picture.reformat(width=SHORT_SIDE, height=SHORT_SIDE, interpolation="BICUBIC")
        yield larger.to_ndarray(format="rgb24")
