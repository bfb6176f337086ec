"""Clips of the world for training: rendered once, kept as bytes, then encoded.

Shape letters: T frames, S samples, H and W pixels, R reference pictures, F latents, h and w cells.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float32, UInt8

from streamchar_ref.networks.text import PhonemeText, read_phonemes
from streamchar_ref.networks.vae.audio import AudioVae
from streamchar_ref.networks.vae.convert import to_square, to_tensor, to_uint8
from streamchar_ref.networks.vae.video import TEMPORAL_STRIDE, VideoVae
from streamchar_ref.train.latent_cache import LatentClip, timing_of
from streamchar_ref.world.canvas import Canvas
from streamchar_ref.world.clips import Clip, clip_of, own_scene
from streamchar_ref.world.corpus import Corpus
from streamchar_ref.world.mouth import mouth_area
from streamchar_ref.world.pose import Pose
from streamchar_ref.world.render import portrait
from streamchar_ref.world.speech import SAMPLE_RATE, Speech
from streamchar_ref.world.voices import prompt_of

TRAINING_IDENTITIES = range(8_500)
HELD_OUT_IDENTITIES = range(8_500, 9_000)
"""For previews in training; judges are held out above, suites from 10,000."""
NUM_REFERENCES = 3
REFERENCE_SIZE = 256
_MOUTH_PIXELS = 64
TAIL_S = 2.6
"""Longest silence after the last word, two chunks, from which the model learns to stop."""


@dataclass(frozen=True, kw_only=True)
class DrawnClip:
    """One utterance of a character as frames and audio.

    Attributes:
        clip: Speech, motion and labels.
        text: Phonemes of the transcript.
        prompt: What the character looks and sounds like.
        frames: RGB.
        references: Reference pictures, in other light and pose.
    """

    clip: Clip
    text: PhonemeText
    prompt: str
    frames: UInt8[np.ndarray, "T H W 3"]
    references: UInt8[np.ndarray, "R H W 3"]


def draw_clip(
    corpus: Corpus,
    index: int,
    *,
    size: int,
    fps: int,
    seed: int,
    identities: range = TRAINING_IDENTITIES,
    max_frames: int | None = None,
) -> DrawnClip:
    """Draws utterance ``index`` of a corpus; the same arguments give the same clip.

    Args:
        corpus: Speech.
        index: Any number; beyond the corpus its utterances come again with other characters.
        size: Width and height in pixels.
        fps: Frames per second.
        seed: Of characters, scenes and movement.
        identities: Characters to draw from.
        max_frames: Draw no more than these; with 0 there are no reference pictures either.

    Returns:
        The clip, a whole number of video latents long.
    """
    utterance = corpus[index % len(corpus)]
    rng = np.random.default_rng([seed, index, 0x7C])
    identity, take = identities[int(rng.integers(len(identities)))], int(rng.integers(2**31))
    speech = Speech(samples=utterance.samples, phonemes=utterance.phonemes, words=utterance.words)
    own = -(-len(speech.samples) * fps // SAMPLE_RATE)
    frames = own + int(TAIL_S * fps * rng.random())
    tail = -(-frames // TEMPORAL_STRIDE) * TEMPORAL_STRIDE - own
    clip = clip_of(
        speech,
        transcript=utterance.transcript,
        identity=identity,
        voice=utterance.voice,
        seed=take,
        fps=fps,
        tail_frames=tail,
        style="painted",
        scene=own_scene(identity, take),
    )
    drawn = _first_frames(clip, size, clip.num_frames if max_frames is None else max_frames)
    seeds = rng.integers(2**31, size=NUM_REFERENCES if max_frames != 0 else 0)
    pictures = [portrait(clip.character, size=REFERENCE_SIZE, seed=int(s)) for s in seeds]
    return DrawnClip(
        clip=clip,
        text=read_phonemes(utterance.transcript),
        prompt=prompt_of(clip.caption, utterance.voice),
        frames=drawn,
        references=np.array(
            [_as_model_sees(picture, size) for picture in pictures], np.uint8
        ).reshape(-1, size, size, 3),
    )


@torch.inference_mode()
def encode_clip(drawn: DrawnClip, video_vae: VideoVae | None, audio_vae: AudioVae) -> LatentClip:
    """Encodes a clip and its labels; without a video VAE, its audio alone."""
    clip, latent_s = drawn.clip, audio_vae.config.latent_samples / audio_vae.config.sample_rate
    audio = audio_vae.encode(torch.from_numpy(clip.samples)[None])[0]
    video, reference = (
        torch.zeros(clip.num_frames // TEMPORAL_STRIDE, 1, 1, 1),
        torch.zeros(1, 1, 1, 1),
    )
    if video_vae is not None:
        video = video_vae.encode(to_tensor(drawn.frames)[None])[0]
        reference = video_vae.encode_picture(to_tensor(drawn.references))[:, 0]
    timing = timing_of(clip.phonemes, num_latents=len(audio), latent_s=latent_s)
    middle = (np.arange(len(audio)) + 0.5) * latent_s * clip.fps - 0.5
    return LatentClip(
        prompt=drawn.prompt,
        identity=clip.character.seed,
        tokens=drawn.text.tokens.astype(np.int16),
        start=timing.start,
        end=timing.end,
        position=timing.position,
        row=timing.row,
        phone=timing.phone,
        gap=np.interp(middle, np.arange(len(clip.motion)), clip.motion.gap).astype(np.float32),
        mouth=mouth_cover(clip, video.shape[-2:]).astype(np.float16),
        video=video.numpy().astype(np.float16),
        audio=audio.numpy().astype(np.float16),
        reference=reference.numpy().astype(np.float16),
    )


def mouth_cover(clip: Clip, cells: Sequence[int]) -> Float32[np.ndarray, "F h w"]:
    """Computes the share of each latent cell that the mouth covers, in the middle of the latent.

    Args:
        clip: Of the painted style.
        cells: Of a latent: rows and columns.

    Returns:
        Shares.
    """
    motion = clip.motion[TEMPORAL_STRIDE // 2 : clip.num_frames : TEMPORAL_STRIDE]
    canvas = Canvas.blank(len(motion), _MOUTH_PIXELS, torch.device("cpu"), clip.scene)
    area = mouth_area(Pose.of(motion, canvas.rgb.device), canvas)
    return F.adaptive_avg_pool2d(area[:, None], (cells[0], cells[1]))[:, 0].numpy()


def _first_frames(clip: Clip, size: int, count: int) -> UInt8[np.ndarray, "T H W 3"]:
    drawn: list[np.ndarray] = [np.zeros((0, size, size, 3), np.uint8)]
    for batch in clip.frames(size=size) if count else ():
        drawn.append(batch)
        if sum(map(len, drawn)) >= count:
            break
    return np.concatenate(drawn)[:count]


def _as_model_sees(picture: UInt8[np.ndarray, "_ _ 3"], size: int) -> UInt8[np.ndarray, "H W 3"]:
    return to_uint8(to_square(picture, size)[None])[0]
