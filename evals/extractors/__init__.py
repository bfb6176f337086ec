"""Networks that turn pictures and sound into arrays; one file a network.

This module only describes them and imports none, so that scoring from cached features is quick.
Shape letters: T frames at 25 fps, H and W pixels, S audio samples at 16 kHz.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from jaxtyping import Float32, UInt8

from evals.extractors.networks import judge_digest, judge_path
from evals.recording.rates import FPS as FPS
from evals.recording.rates import SAMPLE_RATE as SAMPLE_RATE
from streamchar_ref.core.cache import file_hash
from streamchar_ref.weights import locate, registry
from streamchar_ref.weights.packaged import verify_package


class FrameExtractor(Protocol):
    """Reads a video front to back, a batch of at most 32 frames at a time."""

    def update(
        self, frames: UInt8[np.ndarray, "T H W 3"], upstream: Mapping[str, Mapping[str, np.ndarray]]
    ) -> Mapping[str, np.ndarray]:
        """Takes the next RGB frames.

        Args:
            frames: RGB.
            upstream: For each extractor named in ``after``, what its `update` returned for
                the same frames; as ``source`` the ``scale`` of these frames, in pixels of the
                file as it came for one of theirs, at most 1.

        Returns:
            Arrays for extractors that come after, first axis the frames; may be empty.
        """
        ...

    def finish(self) -> Mapping[str, np.ndarray]:
        """Returns the features of the whole video; no object arrays."""
        ...


class AudioExtractor(Protocol):
    """Reads a whole waveform."""

    def extract(self, samples: Float32[np.ndarray, " S"]) -> Mapping[str, np.ndarray]:
        """Returns features, text as arrays of ``str``; there are 0 samples without sound."""
        ...


class ClipExtractor(Protocol):
    """Reads a video file as often as it likes, with the features it comes after."""

    def extract(
        self,
        path: Path,
        samples: Float32[np.ndarray, " S"],
        upstream: Mapping[str, Mapping[str, np.ndarray]],
    ) -> Mapping[str, np.ndarray]:
        """Returns features of the file at ``path``, whose sound is ``samples``."""
        ...


@dataclass(frozen=True, kw_only=True)
class ExtractorSpec:
    """How an extractor is found, made and told apart.

    Attributes:
        name: As metrics name it in ``needs``.
        track: ``frames``, ``audio`` or ``clip``: which of the protocols above it follows.
        implementation: ``module:Class``; the class takes ``params`` as keyword arguments.
        params: All its settings; part of every protocol hash that rests on it.
        weights: Names in the weights registry; their sha256 are part of the hash.
        judge: Name of the judge of the drawn world that it runs; its sha256 is part of the hash.
        version: Raised when its code changes what it returns.
        after: Extractors whose features it reads.
        package: Distribution that holds the network or decides what it returns; its version is
            part of the hash.
        weights_variable: Environment variable that names the user's own file of weights; the
            sha256 of that file is part of the hash.
        reads_sound: For track ``clip``: reads the sound from the file, too, not from ``samples``.
    """

    name: str
    track: Literal["frames", "audio", "clip"]
    implementation: str
    params: Mapping[str, Any] = field(default_factory=dict)
    weights: tuple[str, ...] = ()
    judge: str = ""
    version: int = 1
    after: tuple[str, ...] = ()
    package: str = ""
    weights_variable: str = ""
    reads_sound: bool = False

    def make(self) -> Any:
        """Imports the module and makes the extractor.

        Returns:
            An extractor that follows the protocol of `track`.

        Raises:
            WeightsMissing: If its weights are not on this machine, or are not the pinned ones.
            ImportError: If a package it needs is not installed.
        """
        self.verify_weights()  # before the import, which may cost seconds
        module, name = self.implementation.split(":")
        return getattr(import_module(module), name)(**self.params)

    def verify_weights(self) -> None:
        """Checks all files of weights that it reads, each once until it changes.

        Raises:
            WeightsMissing: If one is not on this machine.
            WeightsAltered: If one is not what was pinned, or installed with its package.
        """
        for weights in self.weights:
            locate(weights)
        if self.judge:
            judge_path(self.judge)
        if self.package:
            verify_package(self.package)

    def protocol(self) -> dict[str, Any]:
        """Everything that decides what it returns, as JSON values."""
        return {
            "name": self.name,
            "version": self.version,
            "params": dict(self.params),
            "weights": {name: registry()[name].digest for name in self.weights},
            "package": _versioned(self.package),
            **({"judge": judge_digest(self.judge)} if self.judge else {}),
            **_own_weights(self.weights_variable),
            "after": [EXTRACTORS[name].protocol() for name in self.after],
        }


@cache
def _versioned(package: str) -> str:
    """``name==version``; only the name where it is not installed."""
    try:
        return f"{package}=={version(package)}" if package else ""
    except PackageNotFoundError:
        return package


def _own_weights(variable: str) -> dict[str, str]:
    path = Path(os.environ.get(variable, ""))
    return {"own_weights": file_hash(path)} if path.is_file() else {}


SPECS: tuple[ExtractorSpec, ...] = (
    ExtractorSpec(
        name="face",
        track="frames",
        implementation="evals.extractors.face:FaceExtractor",
        params={
            "detect_every": 5,
            "search_every": 5,
            "sweep_every": 25,
            "min_mesh_score": 0.5,
            "max_faces": 8,
            "switch_ratio": 1.5,
        },
        weights=("mediapipe-face",),
        version=2,
    ),
    ExtractorSpec(
        name="identity",
        track="frames",
        implementation="evals.extractors.identity:IdentityExtractor",
        params={"min_face_px": 32.0},
        weights=("dlib-face",),
        version=2,
        after=("face",),
    ),
    ExtractorSpec(
        name="appearance",
        track="frames",
        implementation="evals.extractors.appearance:AppearanceExtractor",
        params={"max_duplicate_difference": 0.0002},
    ),
    ExtractorSpec(
        name="audio_envelope",
        track="audio",
        implementation="evals.extractors.audio_envelope:AudioEnvelope",
        params={"window_s": 0.04},
    ),
    ExtractorSpec(
        name="speech",
        track="audio",
        implementation="evals.extractors.speech:SpeechExtractor",
        params={"threshold": 0.5, "min_speech_s": 0.25, "min_pause_s": 0.3, "margin_s": 0.1},
        package="faster-whisper",
    ),
    ExtractorSpec(
        name="syncnet",
        track="clip",
        implementation="evals.extractors.syncnet:SyncNetExtractor",
        params={"crop": "mesh", "crop_scale": 0.40, "min_track_frames": 50, "min_face_px": 100},
        weights=("syncnet",),
        version=2,
        after=("face",),
    ),
    ExtractorSpec(
        name="syncnet-no-crop",
        track="clip",
        implementation="evals.extractors.syncnet:SyncNetExtractor",
        params={"crop": "none"},
        weights=("syncnet",),
        version=2,
    ),
    ExtractorSpec(
        name="syncnet_python",
        track="clip",
        implementation="evals.extractors.syncnet_python:SyncNetPython",
        weights=("syncnet", "s3fd"),
        package="syncnet-python",
        reads_sound=True,
    ),
    ExtractorSpec(
        name="i3d",
        track="frames",
        implementation="evals.extractors.i3d:I3dExtractor",
        params={"preprocess": "stylegan-v", "clip_frames": 16},
        weights=("i3d",),
    ),
    ExtractorSpec(
        name="i3d-common-metrics",
        track="frames",
        implementation="evals.extractors.i3d:I3dExtractor",
        params={"preprocess": "common-metrics", "clip_frames": 16},
        weights=("i3d",),
    ),
    ExtractorSpec(
        name="lite0",
        track="frames",
        implementation="evals.extractors.lite0:Lite0Extractor",
        params={"frames_per_s": 2.0},
        weights=("efficientnet-lite0",),
    ),
    ExtractorSpec(
        name="voice",
        track="audio",
        implementation="evals.extractors.voice:VoiceExtractor",
        params={"hop_s": 0.8, "range_db": 30.0, "floor_dbfs": -55.0, "min_speech": 0.5},
        weights=("resemblyzer",),
    ),
    ExtractorSpec(
        name="dnsmos",
        track="audio",
        implementation="evals.extractors.dnsmos:DnsmosExtractor",
        params={"windows": "covering", "hop_s": 5},
        weights=("dnsmos",),
    ),
    ExtractorSpec(
        name="dnsmos-published",
        track="audio",
        implementation="evals.extractors.dnsmos:DnsmosExtractor",
        params={"windows": "published"},
        weights=("dnsmos",),
    ),
    ExtractorSpec(
        name="asr_moonshine",
        track="audio",
        implementation="evals.extractors.asr:MoonshineTranscriber",
        params={"max_line_s": 15.0, "min_pause_s": 0.3, "margin_s": 0.2, "padding_s": 0.1},
        version=2,
        package="moonshine-voice",
    ),
    ExtractorSpec(
        name="asr_whisper",
        track="audio",
        implementation="evals.extractors.asr:WhisperTranscriber",
        params={
            "beam_size": 5,
            "compute_type": "int8",
            "speech_threshold": 0.1,
            "min_silence_s": 2.0,
        },
        weights=("whisper-base",),
        version=2,
        package="faster-whisper",
    ),
    ExtractorSpec(
        name="asr_openai_whisper",
        track="audio",
        implementation="evals.extractors.asr:OpenAIWhisperTranscriber",
        params={"beam_size": 5},
        version=2,
        package="openai-whisper",
        weights_variable="STREAMCHAR_OPENAI_WHISPER",
    ),
    ExtractorSpec(
        name="phonemes_hama",
        track="audio",
        implementation="evals.extractors.phonemes:HamaPhonemes",
        params={"window_s": 10, "margin_s": 1},
        package="hama",
        version=2,
    ),
    ExtractorSpec(
        name="sync_world",
        track="clip",
        implementation="evals.extractors.sync_world:SyncWorldExtractor",
        params={"min_track_frames": 49, "min_face_px": 64},
        judge="sync_world",
        version=2,
        after=("face",),
    ),
    ExtractorSpec(
        name="fvd_world",
        track="frames",
        implementation="evals.extractors.fvd_world:FvdWorldExtractor",
        params={"clip_frames": 16, "stride_frames": 8},
        judge="fvd_world",
    ),
    ExtractorSpec(
        name="identity_world",
        track="frames",
        implementation="evals.extractors.identity_world:IdentityWorldExtractor",
        params={"samples_per_s": 5, "min_face_px": 32.0},
        judge="identity_world",
        version=2,
        after=("face",),
    ),
    ExtractorSpec(
        name="align_world",
        track="audio",
        implementation="evals.extractors.align_world:AlignWorldExtractor",
        judge="align_world",
    ),
)
EXTRACTORS = {spec.name: spec for spec in SPECS}
