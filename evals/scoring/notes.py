"""What a reader of the scores should know about a file."""

from evals.extractors import FPS
from evals.features.canonical import SHORT_SIDE
from evals.recording.lengths import info_of, lengths_of
from evals.recording.recording import Recording, Trace
from streamchar_ref.media import MediaError
from streamchar_ref.media.decode import MediaInfo
from streamchar_ref.media.lengths import Lengths

LEAST_OFFSET_S = 0.02
LEAST_DIFFERENCE_S = 0.1
_LEAST_HOLD = 1.5  # average frames: a frame that stays longer makes a varying rate


def notes_on(recording: Recording) -> list[str]:
    """Says what a reader of the scores should know about a file.

    Args:
        recording: The file as it came, not its canonical encode.

    Returns:
        Sentences on frame rate, start and length of the tracks, their number, how the picture is
        turned and scaled, holes in the sound, and a trace that does not fit.
    """
    try:
        info, lengths = info_of(recording.video_path), lengths_of(recording.video_path)
        notes = [f"the file {lengths.cut}"] if lengths.cut else []
        notes += _on_picture(info, lengths) if info.video_codec else []
        return notes + _on_sound(recording, info, lengths)
    except MediaError as error:
        return [str(error)]
    except Exception as error:  # a file that is gone costs its notes, not those of the others
        return [f"nobody could look at the file ({type(error).__name__}: {error})"]


def _on_picture(info: MediaInfo, lengths: Lengths) -> list[str]:
    notes = []
    if lengths.num_frames > 1 and lengths.longest_frame_s * lengths.fps > _LEAST_HOLD:
        notes.append(
            f"varying frame rate, {lengths.fps:.4g} fps on the average, a frame stays up to "
            f"{lengths.longest_frame_s:.2f} s; shown as a player does at {FPS} fps"
        )
    elif abs(lengths.fps - FPS) > 0.01:
        notes.append(f"{lengths.fps:.4g} fps, converted to {FPS}")
    if str(info.display):
        notes.append(f"picture {info.display}, as a player shows it")
    notes += [f"picture is {oddity}" for oddity in info.oddities]
    if lengths.num_damaged:
        notes.append(
            f"{lengths.num_damaged} of {lengths.num_frames} frames are damaged; a player shows "
            "them patched or not at all"
        )
    if info.video_tracks > 1:
        notes.append(f"{info.video_tracks} picture tracks; the default one is scored")
    if min(info.width, info.height) < SHORT_SIDE:
        notes.append(f"{info.width}x{info.height}, scaled up to shorter side {SHORT_SIDE}")
    return notes


def _on_sound(recording: Recording, info: MediaInfo, lengths: Lengths) -> list[str]:
    if recording.audio_path is not None:
        heard, tracks = lengths_of(recording.audio_path), info_of(recording.audio_path).audio_tracks
    else:
        heard, tracks = lengths, info.audio_tracks
    notes = []
    if not tracks:
        notes.append("the file has no sound")
    elif not heard.sound_s and not heard.cut:
        notes.append("the file has a sound track with nothing in it")
    if tracks > 1:
        notes.append(f"{tracks} sound tracks; the default one is scored")
    if recording.audio_path is None and abs(info.start_offset_s) > LEAST_OFFSET_S:
        word = "after" if info.start_offset_s > 0 else "before"
        notes.append(f"sound starts {abs(info.start_offset_s):.3f} s {word} the picture")
    if heard.hole_s > LEAST_OFFSET_S:
        count = "a hole" if heard.num_holes == 1 else f"{heard.num_holes} holes"
        notes.append(f"the sound has {count} of {heard.hole_s:.2f} s in all, filled with silence")
    if heard.heard_channel is not None:
        notes.append(
            f"the sound channels cancel each other; channel {heard.heard_channel + 1} is heard "
            "alone"
        )
    if recording.audio_path is not None and heard.cut:
        notes.append(f"the sound file {heard.cut}")
    pair = lengths.picture_s, heard.sound_s
    if min(pair) > 0 and abs(pair[0] - pair[1]) > LEAST_DIFFERENCE_S:
        notes.append(f"{pair[0]:.2f} s of picture, {pair[1]:.2f} s of sound")
    if recording.trace is not None:
        notes += trace_differences(recording.trace, picture_s=pair[0], sound_s=pair[1])
    return notes


def trace_differences(trace: Trace, *, picture_s: float, sound_s: float) -> list[str]:
    """Compares how much arrived with how much a file holds.

    Args:
        trace: Of the recording.
        picture_s: Length of the picture in the file.
        sound_s: Length of the sound.

    Returns:
        A sentence for each track whose lengths differ; none for a track that is on one side only.
    """
    frames = sum(arrival.num_frames for arrival in trace.arrivals)
    samples = sum(arrival.num_samples for arrival in trace.arrivals)
    return [
        f"the trace holds {arrived_s:.2f} s of {name}, the file {held_s:.2f} s"
        for name, arrived_s, held_s in (
            ("picture", frames / trace.fps, picture_s),
            ("sound", samples / trace.sample_rate, sound_s),
        )
        if min(arrived_s, held_s) > 0 and abs(arrived_s - held_s) > LEAST_DIFFERENCE_S
    ]
