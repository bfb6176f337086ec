"""What a worker of the calibration does: makes a clip, and measures one fault in it."""

import math
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from evals.calibration.faults import BESIDE, FAULTS, FLOORS
from evals.calibration.faults.base import FPS, PICTURE, SAMPLE_RATE, SOUND
from evals.calibration.faults.takes import (
    open_take,
    recording_of,
    write_file_take,
    write_world_take,
)
from evals.calibration.units import CLEAN, Unit
from evals.extractors import EXTRACTORS
from evals.features.cache import TrackKeys
from evals.features.canonical import encode_path
from evals.features.extraction import with_upstream
from evals.features.jobs import Sent
from evals.features.missing import Missing
from evals.features.store import FeatureStore
from evals.protocols.base import Unscored
from evals.recording.recording import Recording
from evals.recording.system import Prompt
from streamchar_ref.core.files import partial_path
from streamchar_ref.core.swap import replacing_folder
from streamchar_ref.media import MediaError
from streamchar_ref.media.encode import write_lossless
from streamchar_ref.media.wav import write_wav

STORE = FeatureStore(native=False)


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a worker brings back.

    Attributes:
        realised: The dose that the clip got.
        keys: Where the features are kept, by track.
        failed: Extractors whose failure is not kept.
        sent: Features, from a worker on another machine.
        error: Why the clip cannot have the fault.
        files: Encodes that nobody needs once the clip is done.
    """

    realised: float = math.nan
    keys: TrackKeys = field(default_factory=dict)
    failed: Mapping[str, Missing] = field(default_factory=dict)
    sent: Sent = field(default_factory=Sent)
    error: str = ""
    files: tuple[Path, ...] = ()


def measure_unit(out: Path, unit: Unit, names: Sequence[str], sends: bool = False) -> Found:
    """Makes one faulted clip, runs extractors on what is new in it, and removes it again.

    Args:
        out: Folder of the calibration.
        unit: Which clip, fault and dose.
        names: Extractors.
        sends: Whether to return the features, too.

    Returns:
        Where the features are kept; or why there are none.
    """
    clip = out / "clips" / unit.clip
    if unit.fault == CLEAN:
        return _extracted(recording_of(clip), names, realised=0.0, new=(), sends=sends)
    scratch = partial_path(out / "scratch" / "unit")
    scratch.mkdir(parents=True)
    try:
        faulted = (FAULTS | FLOORS | BESIDE)[unit.fault].apply(open_take(clip), unit.dose)
        read = tracks_read(names)
        tracks: dict[str, Path] = {}
        if faulted.frames is not None and PICTURE in read:  # drawing costs more than all else
            tracks["video_path"] = scratch / "video.mkv"
            write_lossless(tracks["video_path"], faulted.frames, fps=FPS)
        if faulted.samples is not None and SOUND in read:
            tracks["audio_path"] = scratch / "audio.wav"
            write_wav(tracks["audio_path"], faulted.samples, sample_rate=SAMPLE_RATE)
        return _extracted(
            recording_of(clip, **tracks), names,
            realised=faulted.dose, new=tuple(tracks), sends=sends,
        )  # fmt: skip
    except Unscored as why:
        return Found(error=why.reason)
    except MediaError as error:
        return Found(error=str(error))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _extracted(
    recording: Recording,
    names: Sequence[str],
    *,
    realised: float,
    new: Sequence[str],
    sends: bool,
) -> Found:
    found = STORE.measured(recording, names)
    return Found(
        realised=realised,
        keys=STORE.keys(recording),
        sent=Sent.of(found, names) if sends else Sent(),
        failed={n: f for n, f in found.items() if isinstance(f, Missing) and n in names},
        files=tuple(
            encode_path(recording, "frames" if path == "video_path" else "audio") for path in new
        ),
    )


def make_clip(
    folder: Path, source: Prompt | Recording, suite: str, seconds: float | None, other: str
) -> None:
    """Writes a clean clip.

    Args:
        folder: Of the clip.
        source: Prompt of the world, or a user's own recording.
        suite: Of the prompt.
        seconds: Longest clip; whole if None.
        other: Clip of another identity; empty if there is none.
    """
    with replacing_folder(folder) as partial:
        if isinstance(source, Prompt):
            write_world_take(partial, source, suite=suite, seconds=seconds)
        else:
            write_file_take(partial, source, seconds=seconds, other=other)


def tracks_read(names: Iterable[str]) -> frozenset[str]:
    """Which tracks some extractors read, with those they come after."""
    read = {
        "frames": {PICTURE}, "audio": {SOUND}, "spoken": {SOUND}, "clip": {PICTURE, SOUND},
        "pair": {PICTURE}, "other": set(),
    }  # fmt: skip
    known = with_upstream([name for name in names if name in EXTRACTORS])
    return frozenset(track for name in known for track in read[EXTRACTORS[name].track])
