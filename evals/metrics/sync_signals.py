"""What the mouth should do: from phonemes, or from loudness.

Shape letters: T frames at 25 fps, R rows, P phonemes.
"""

import unicodedata
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float

from evals.numerics.windows import FPS

OPENNESS = {
    phoneme: openness
    for openness, phonemes in (
        (1.0, "a ɑ æ ɐ aɪ aʊ"),
        (0.8, "ɛ eɪ ʌ"),
        (0.7, "ɔ ɒ ɔɪ"),
        (0.55, "ə e h"),
        (0.5, "ɪ i j"),
        (0.45, "o oʊ l k g ɡ ŋ"),
        (0.4, "ɝ ɚ ɜ n t d ɾ ʔ x ʊ"),
        (0.35, "θ ð ʃ ʒ tʃ dʒ ts"),
        (0.3, "s z ɹ r"),
        (0.2, "u"),
        (0.15, "w ʍ"),
        (0.05, "f v"),
        (0.0, "p b m"),
    )
    for phoneme in phonemes.split()
}
"""Gap between the lips, 0 closed to 1 wide. Ranks, not measures: of vowels by the lips and not by
the tongue, so that the rounded ones are nearly closed, after the lip heights of Montgomery and
Jackson, "Physical characteristics of the lips underlying vowel lipreading performance", 1983."""
SPREADING = {
    phoneme: spreading
    for spreading, phonemes in (
        (0.6, "i j eɪ"),
        (0.4, "ɪ e ɛ æ s z"),
        (0.2, "t d n aɪ"),
        (0.0, "a ɑ ʌ ə ɐ aʊ k g ɡ ŋ h l θ ð ɾ ʔ x p b m f v ts"),
        (-0.3, "ɒ"),
        (-0.6, "ʃ ʒ tʃ dʒ ɹ r ɝ ɚ ɜ"),
        (-0.8, "ɔ ɔɪ o"),
        (-1.0, "u w ʍ ʊ oʊ"),
    )
    for phoneme in phonemes.split()
}
"""Width of the mouth, -1 rounded to 1 spread; ranks after the lip widths of the same source."""
REST = {"openness": 0.2, "spreading": 0.0}
"""Of a silent mouth: closed to slightly open, neither rounded nor spread."""
SMOOTHING_S = {"openness": 0.04, "spreading": 0.06}
"""Standard deviation of the coarticulation kernel: rounding reaches further than closing."""
REST_MASS = 0.1
"""A mouth is at rest where the phonemes heard nearby weigh less than this posterior."""
PAUSE_S = 0.35
"""The last sound before a pause lasts no longer than this."""
SPEECH_MARGIN_S = 0.15
"""The mouth belongs to speech this long before and after a phoneme."""
LOUDNESS_RANGE_DB = 20.0
"""Speech is louder than its 95th percentile minus this; what is quieter is cut off."""
SIGNAL_PARAMS = {
    "openness": OPENNESS,
    "spreading": SPREADING,
    "rest": REST,
    "rest_mass": REST_MASS,
    "smoothing_s": SMOOTHING_S,
    "pause_s": PAUSE_S,
    "speech_margin_s": SPEECH_MARGIN_S,
    "loudness_range_db": LOUDNESS_RANGE_DB,
}
"""All of the above, as part of a metric's protocol."""
_TABLES = {"openness": OPENNESS, "spreading": SPREADING}
_STEPS_PER_FRAME = 8


def shape_of(phoneme: str) -> tuple[float, float] | None:
    """Returns openness and spreading of an IPA symbol; None for what is not in the tables.

    Length, stress and tie marks are ignored; of an unknown diphthong the first vowel counts.
    """
    bare = "".join(
        sign
        for sign in unicodedata.normalize("NFD", phoneme)
        if sign not in "ːˑˈˌ‿" and not unicodedata.combining(sign)
    )
    vowel = bare if bare in OPENNESS else bare[:1]
    return (OPENNESS[vowel], SPREADING[vowel]) if vowel in OPENNESS else None


def shape_tracks(
    symbols: Sequence[str],
    times_s: Float[np.ndarray, " R"],
    posteriors: Float[np.ndarray, " R"],
    *,
    num_frames: int,
    lead_s: float,
) -> Float[np.ndarray, "2 T"]:
    """Draws what the mouth should do, from everything a recogniser thinks it may have heard.

    Each frame takes the mean shape of the sounds around it, weighted by their posterior and by a
    bell in time; the rest position has a small weight everywhere, and so has what is silent.

    Args:
        symbols: IPA; those that are not in the tables are left out.
        times_s: When each is heard.
        posteriors: How surely, in [0, 1]; 1 for phonemes that are known.
        num_frames: Of the video; a frame shows the middle of its time.
        lead_s: By how much the mouth is ahead of the sound.

    Returns:
        In each frame, openness (0 closed to 1 wide), and spreading (-1 rounded to 1 spread).
    """
    shapes = {symbol: shape_of(symbol) for symbol in set(symbols)}
    shape_pairs = np.array([shapes[symbol] or (np.nan, np.nan) for symbol in symbols]).reshape(
        -1, 2
    )
    has_shape = np.isfinite(shape_pairs[:, 0])
    times, weights = times_s[has_shape] - lead_s, posteriors[has_shape]
    return np.stack(
        [
            _weighted_mean(
                times, shape_pairs[has_shape, index], weights, name=name, num_frames=num_frames
            )
            for index, name in enumerate(_TABLES)
        ]
    )


def _weighted_mean(
    times_s: np.ndarray, values: np.ndarray, weights: np.ndarray, *, name: str, num_frames: int
) -> Float[np.ndarray, " T"]:
    """Returns the mean of values near each frame, with `REST` among them."""
    rate = FPS * _STEPS_PER_FRAME
    reach = round(4 * SMOOTHING_S[name] * rate)
    bell = np.exp(-0.5 * (np.arange(-reach, reach + 1) / rate / SMOOTHING_S[name]) ** 2)
    num_steps = num_frames * _STEPS_PER_FRAME + 2 * reach
    place = times_s * rate + reach
    inside = (place >= 0) & (place < num_steps - 1)
    left = np.floor(place[inside]).astype(int)
    share = place[inside] - left

    def spread(amounts: np.ndarray) -> np.ndarray:
        before = np.bincount(left, amounts[inside] * (1 - share), num_steps)
        after = np.bincount(left + 1, amounts[inside] * share, num_steps)
        return np.convolve(before + after, bell, mode="valid")

    above, below = spread(weights * values), spread(weights)
    mean = (above + REST_MASS * REST[name]) / (below + REST_MASS)
    return mean[_STEPS_PER_FRAME // 2 :: _STEPS_PER_FRAME][:num_frames]


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
    level_s = (np.arange(len(levels)) + 0.5) / FPS
    times = (np.arange(num_frames) + 0.5) / FPS + lead_s
    track = np.interp(times, level_s, np.maximum(levels, floor), right=floor)
    loud = np.interp(times, level_s, (levels > floor).astype(float), right=0.0) > 0
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
