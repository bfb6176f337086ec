"""How far the mouth should be open: from phonemes, or from loudness.

Shape letters: T frames at 25 fps, P phonemes.
"""

import unicodedata
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float

from evals.metrics.windows import FPS

OPENNESS = {
    phoneme: openness
    for openness, phonemes in (
        (1.0, "a ɑ æ ɐ aɪ aʊ"),
        (0.85, "ɔ ʌ ɔɪ"),
        (0.75, "ɛ eɪ ɒ"),
        (0.6, "ə ɝ ɚ ɜ o oʊ e"),
        (0.5, "ɪ ʊ i"),
        (0.4, "u h j l"),
        (0.35, "k g ɡ ŋ θ ð n t d ɾ ʔ x"),
        (0.3, "s z ɹ r ʃ ʒ tʃ dʒ ts"),
        (0.2, "w ʍ"),
        (0.1, "f v"),
        (0.0, "p b m"),
    )
    for phoneme in phonemes.split()
}
"""Mouth opening of a phoneme, 0 closed to 1 wide: vowels by height, then how lips and jaw let a
consonant through. Ranks of textbook phonetics, not fitted to any video."""
REST = 0.2
"""Openness of a silent mouth: closed to slightly open."""
SMOOTHING_S = 0.03
"""Standard deviation of the coarticulation kernel."""
PAUSE_S = 0.35
"""Phoneme centres further apart have rest between them."""
SPEECH_MARGIN_S = 0.15
"""The mouth belongs to speech this long before and after a phoneme."""
LOUDNESS_RANGE_DB = 20.0
"""Speech is louder than its 95th percentile minus this; what is quieter is cut off."""
SIGNAL_PARAMS = {
    "openness": OPENNESS,
    "rest": REST,
    "smoothing_s": SMOOTHING_S,
    "pause_s": PAUSE_S,
    "speech_margin_s": SPEECH_MARGIN_S,
    "loudness_range_db": LOUDNESS_RANGE_DB,
}
"""All of the above, as part of a metric's protocol."""
_STEPS_PER_FRAME = 8


def openness_of(phoneme: str) -> float | None:
    """Returns the openness of an IPA symbol; None for what is not in the table.

    Length, stress and tie marks are ignored; of an unknown diphthong the first vowel counts.
    """
    bare = "".join(
        sign
        for sign in unicodedata.normalize("NFD", phoneme)
        if sign not in "ːˑˈˌ‿" and not unicodedata.combining(sign)
    )
    return OPENNESS.get(bare, OPENNESS.get(bare[:1]))


def openness_track(
    phonemes: Sequence[str],
    centres_s: Float[np.ndarray, " P"],
    *,
    num_frames: int,
    lead_s: float,
) -> Float[np.ndarray, " T"]:
    """Draws how far the mouth should be open.

    Args:
        phonemes: IPA; symbols that are not in the table are left out.
        centres_s: When each phoneme is at its middle, in order.
        num_frames: Of the video; a frame shows the middle of its time.
        lead_s: By how much the mouth is ahead of the sound.

    Returns:
        Openness in each frame, 0 closed to 1 wide.
    """
    times, values = _targets(phonemes, centres_s)
    if not times:
        return np.full(num_frames, REST)
    rate = FPS * _STEPS_PER_FRAME
    reach = round(4 * SMOOTHING_S * rate)
    grid = np.arange(-reach, num_frames * _STEPS_PER_FRAME + reach) / rate
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / rate / SMOOTHING_S) ** 2)
    fine = np.interp(grid + lead_s, times, values)
    smooth = np.convolve(fine, kernel / kernel.sum(), mode="valid")
    return smooth[_STEPS_PER_FRAME // 2 :: _STEPS_PER_FRAME][:num_frames]


def _targets(phonemes: Sequence[str], centres_s: np.ndarray) -> tuple[list[float], list[float]]:
    """Returns the corners of the track: phonemes, and rest in each pause and at both ends."""
    times: list[float] = []
    values: list[float] = []
    known = [
        (float(centre), openness)
        for phoneme, centre in zip(phonemes, centres_s, strict=True)
        if (openness := openness_of(phoneme)) is not None
    ]
    for centre, openness in known:
        if not times or centre - times[-1] > PAUSE_S:
            times += [times[-1] + PAUSE_S / 3] if times else []
            times += [centre - PAUSE_S / 3]
            values += [REST] * (len(times) - len(values))
        times.append(max(centre, times[-1]))
        values.append(openness)
    return times + [time + PAUSE_S / 3 for time in times[-1:]], values + [REST] * bool(values)


def speech_frames(
    starts_s: Float[np.ndarray, " P"],
    ends_s: Float[np.ndarray, " P"],
    *,
    num_frames: int,
    lead_s: float,
) -> Bool[np.ndarray, " T"]:
    """Returns which frames show speech: those near a phoneme."""
    times = (np.arange(num_frames) + 0.5) / FPS + lead_s
    low, high = starts_s - SPEECH_MARGIN_S, ends_s + SPEECH_MARGIN_S
    near = (times[:, None] >= low) & (times[:, None] <= high)
    return np.asarray(near.any(axis=1))


def loudness_track(
    envelope: Mapping[str, np.ndarray], *, num_frames: int, lead_s: float
) -> tuple[Float[np.ndarray, " T"], Bool[np.ndarray, " T"]]:
    """Brings loudness onto the frames of a video.

    Args:
        envelope: Features of the extractor ``audio_envelope``.
        num_frames: Of the video; frames after the sound are silent.
        lead_s: By how much the mouth is ahead of the sound.

    Returns:
        Level of each frame in dB, and which frames show speech.
    """
    levels = envelope["speech_db"].astype(float)
    if not len(levels):
        return np.zeros(num_frames), np.zeros(num_frames, bool)
    floor = max(float(np.percentile(levels, 95)) - LOUDNESS_RANGE_DB, -60.0)
    known = (np.arange(len(levels)) + 0.5) / FPS
    times = (np.arange(num_frames) + 0.5) / FPS + lead_s
    track = np.interp(times, known, np.maximum(levels, floor), right=floor)
    loud = np.interp(times, known, (levels > floor).astype(float), right=0.0) > 0
    reach = round(SPEECH_MARGIN_S * FPS)
    return track, np.convolve(loud, np.ones(2 * reach + 1), mode="same")[:num_frames] > 0


def bandpass(
    values: Float[np.ndarray, " T"], band_hz: tuple[float, float]
) -> Float[np.ndarray, " T"]:
    """Keeps what varies at the rates of speech, without shifting it in time.

    The straight line through the values goes first, and the signal is mirrored at its end, so
    that the ends do not ring; the filter is that of a fourth-order Butterworth, applied forwards
    and backwards.

    Args:
        values: One a frame.
        band_hz: Slower is mood and pose, faster is noise of the mesh.

    Returns:
        The values that vary at these rates, around 0.
    """
    num = len(values)
    if num < 3:
        return np.zeros(num)
    frames = np.arange(num)
    flat = values - np.polyval(np.polyfit(frames, values, 1), frames)
    spectrum = np.fft.rfft(np.concatenate([flat, flat[::-1]]))
    rates = np.maximum(np.fft.rfftfreq(2 * num, 1 / FPS), 1e-9)
    gain = 1 / (1 + (band_hz[0] / rates) ** 8) / (1 + (rates / band_hz[1]) ** 8)
    return np.fft.irfft(spectrum * gain, 2 * num)[:num]
