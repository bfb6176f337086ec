"""Examples for `sync_world`: mouths of drawn people who speak, and their sound.

Faces are found by the extractor ``face``, as they will be when the judge is used, so that its
crops come with the same habits and errors.

Shape letters: T frames, B stretches, H mel frames, M mel bands.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

from evals.extractors import SAMPLE_RATE
from evals.extractors.face import FaceExtractor
from evals.extractors.face_crop import TrackRule, face_tracks
from evals.extractors.mouth_crop import LUMA, cut_mouth, mouth_squares
from evals.extractors.networks.sound import damaged, log_mel, mel_power
from evals.extractors.networks.sync_world import (
    CROP_PX,
    MEL_FRAMES_A_FRAME,
    NUM_MELS,
    WINDOW_FRAMES,
    WINDOW_MEL_FRAMES,
)
from evals.judges.damage import jpeg
from streamchar_ref.world.clips import Clip, make_clip
from streamchar_ref.world.room import draw_room
from streamchar_ref.world.script import write_script
from streamchar_ref.world.styles import STYLES

MARGIN = 1 / 3
STORED_PX = 64  # CROP_PX and the margin, from which crops of other places and sizes are taken
SIZES_PX = (112, 128, 160)
FACE_EVERY = 5
WORDS_A_CLIP = 10
SHARE_OF_ROOMS = 0.4
MAX_CLIP_FRAMES = 200
MOUTH_LEAD_S = {"flat": 0.025, "painted": 0.0}
"""By how much the lips of a style are ahead of the sound, on the average, as it draws them: those
of the flat style by 0 to 40 ms, and 40 ms more where they round. It is taken out, so that offset 0
means lips that are at their target in the middle of a sound, as for the mesh metrics."""
_RULE = TrackRule(min_track_frames=49, min_face_px=20)


@dataclass(frozen=True, kw_only=True)
class Mouths:
    """A stretch of one person speaking.

    Attributes:
        crops: Grey mouths with a margin.
        power: Mel power of the sound from the first frame on.
    """

    crops: UInt8[np.ndarray, "T 64 64"]
    power: Float32[np.ndarray, "H M"]


def speaking_mouths(style: str, *, seed: int) -> Iterator[Mouths]:
    """Yields random people and texts without end, in the voices of a style in turn."""
    rng = np.random.default_rng([seed, 0x57])
    voices = STYLES[style].voices
    number = 0
    while True:
        clip = make_clip(
            write_script(int(rng.integers(2**31)), num_words=WORDS_A_CLIP),
            identity=int(rng.integers(2**31)),
            voice=voices[number % len(voices)],
            seed=int(rng.integers(2**31)),
            style=style,
            rate_wpm=float(rng.uniform(120, 200)),
            room=draw_room(int(rng.integers(2**31))) if rng.random() < SHARE_OF_ROOMS else None,
        )
        number += 1
        mouths = track_mouth(clip, rng)
        if mouths is not None:
            yield mouths


def track_mouth(clip: Clip, rng: np.random.Generator) -> Mouths | None:
    """Renders a clip and crops its mouth along the longest face track; ``None`` without a track."""
    size = int(rng.choice(SIZES_PX))
    frames = np.concatenate(list(clip.frames(size=size)))[:MAX_CLIP_FRAMES]
    if rng.random() < 0.6:
        quality = int(rng.integers(25, 90))
        frames = np.stack([jpeg(frame, quality) for frame in frames])
    face = FaceExtractor().update(frames[::FACE_EVERY], {})
    box = np.repeat(face["box"], FACE_EVERY, axis=0)[: len(frames)]
    num_faces = np.repeat(face["has_mesh"].astype(np.int64), FACE_EVERY)[: len(frames)]
    tracks = face_tracks(box, num_faces, _RULE)
    if not tracks:
        return None
    track = max(tracks, key=lambda track: len(track.box))
    share = rng.dirichlet(20 * np.array(LUMA))
    weights = (float(share[0]), float(share[1]), float(share[2]))
    squares = mouth_squares(track.box, margin=MARGIN)
    shown = frames[track.start_frame : track.stop_frame]
    crops = [
        cut_mouth(frame, square, size=STORED_PX, weights=weights)
        for frame, square in zip(shown, squares, strict=True)
    ]
    lead = round(MOUTH_LEAD_S[clip.style] * SAMPLE_RATE)
    sound = clip.samples[track.start_frame * clip.frame_samples + lead :]
    power = mel_power(sound, num_mels=NUM_MELS)
    return Mouths(crops=np.stack(crops), power=power[: MEL_FRAMES_A_FRAME * len(crops) + 1])


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Stretches of equal length, picture and sound in step.

    Attributes:
        crops: Grey in [0, 1].
        features: Log-mel.
    """

    crops: Float[Tensor, "B T 48 48"]
    features: Float[Tensor, "B H M"]


def draw_batch(
    mouths: Sequence[Mouths],
    generator: torch.Generator,
    *,
    size: int,
    num_frames: int,
    is_damaged: bool = True,
) -> Batch:
    """Draws stretches of clips and damages picture and sound, each stretch in its own way.

    Args:
        mouths: Each at least ``num_frames`` long.
        generator: Of all random draws.
        size: Stretches.
        num_frames: Of each.
        is_damaged: Whether to change them at all.

    Returns:
        A batch.
    """
    num_mel = MEL_FRAMES_A_FRAME * (num_frames - WINDOW_FRAMES) + WINDOW_MEL_FRAMES
    crops, power = [], []
    for index in torch.randint(len(mouths), (size,), generator=generator).tolist():
        clip = mouths[index]
        last = min(len(clip.crops), (len(clip.power) - num_mel) // MEL_FRAMES_A_FRAME + num_frames)
        start = int(torch.randint(last - num_frames + 1, (1,), generator=generator))
        crops.append(clip.crops[start : start + num_frames])
        power.append(clip.power[MEL_FRAMES_A_FRAME * start :][:num_mel])
    picture = torch.from_numpy(np.stack(crops)).float() / 255
    sound = torch.from_numpy(np.stack(power))
    if not is_damaged:
        edge = (STORED_PX - CROP_PX) // 2
        inside = slice(edge, edge + CROP_PX)
        return Batch(crops=picture[:, :, inside, inside], features=log_mel(sound))
    return Batch(
        crops=_damaged_picture(picture, generator), features=log_mel(damaged(sound, generator))
    )


def _damaged_picture(
    crops: Float[Tensor, "B T 64 64"], generator: torch.Generator
) -> Float[Tensor, "B T 48 48"]:
    """Another place, size, turn, side, light, sharpness and grain."""
    size = len(crops)

    def drawn(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(size, 1, 1, 1, generator=generator)

    crops = F.grid_sample(crops, _places(size, generator), align_corners=False, mode="bilinear",
                          padding_mode="border")  # fmt: skip
    crops = torch.where(drawn(0, 1) < 0.4, _blurred(crops), crops)
    crops = crops.clamp_min(1e-4) ** drawn(0.6, 1.6)
    crops = (crops - 0.5) * drawn(0.5, 1.3) + 0.5 + drawn(-0.15, 0.15)
    grain = torch.randn(crops.shape, generator=generator) * drawn(0, 0.03)
    return torch.where(drawn(0, 1) < 0.07, 1 - crops, crops) + grain


def _places(size: int, generator: torch.Generator) -> Float[Tensor, "B 48 48 2"]:
    def drawn(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(size, generator=generator)

    angle = drawn(-0.14, 0.14)
    across = CROP_PX / STORED_PX * drawn(0.82, 1.22)
    down = across * drawn(0.9, 1.1)
    side = torch.where(drawn(0, 1) < 0.5, -1.0, 1.0)
    rows = [
        torch.stack([side * across * angle.cos(), -down * angle.sin(), drawn(-0.12, 0.12)], 1),
        torch.stack([side * across * angle.sin(), down * angle.cos(), drawn(-0.12, 0.12)], 1),
    ]
    return F.affine_grid(torch.stack(rows, 1), [size, 1, CROP_PX, CROP_PX], align_corners=False)


def _blurred(crops: Tensor) -> Tensor:
    small = F.avg_pool2d(crops, 2)
    return F.interpolate(small, size=crops.shape[-1], mode="bilinear", align_corners=False)
