"""The registry of extractors, which turn video and audio into feature arrays.

This module imports no extractor, so that scoring from cached features is fast.
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
from streamchar_ref.core.device import CPU, device_name
from streamchar_ref.weights import locate, registry
from streamchar_ref.weights.packaged import verify_package


class FrameExtractor(Protocol):
    """Processes a video in order, in batches of at most 32 frames."""

    def update(
        self, frames: UInt8[np.ndarray, "T H W 3"], upstream: Mapping[str, Mapping[str, np.ndarray]]
    ) -> Mapping[str, np.ndarray]:
        """Processes the next frames.

        Args:
            frames: RGB.
            upstream: Result of `update` of each extractor named in ``after`` for the same frames;
                under ``source`` the ``scale`` of the frames: pixels of the original file per
                pixel, at most 1.

        Returns:
            Arrays for later extractors, with frames as first axis; may be empty.
        """
        ...

    def finish(self) -> Mapping[str, np.ndarray]:
        """Returns the features of the whole video; no object arrays."""
        ...


class AudioExtractor(Protocol):
    """Processes a complete waveform."""

    def extract(self, samples: Float32[np.ndarray, " S"]) -> Mapping[str, np.ndarray]:
        """Returns features, text as arrays of ``str``; silent videos have 0 samples."""
        ...


class ClipExtractor(Protocol):
    """Processes a video file and upstream features."""

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
    """Name, implementation and identity of an extractor.

    Attributes:
        name: Used by metrics in ``needs``.
        track: ``frames``, ``audio`` or ``clip``: the protocol above that it follows.
        implementation: ``module:Class``; the class takes ``params`` as keyword arguments.
        params: All settings; part of the protocol hash.
        weights: Names in the weights registry; their sha256 are part of the hash.
        judge: Name of the judge network (trained on the world) that it runs; its sha256 is part
            of the hash.
        version: Incremented when a change of code changes the features.
        after: Upstream extractors.
        package: Distribution that contains the network or affects the features; its version is
            part of the hash.
        weights_variable: Environment variable with the path of user-provided weights; the sha256
            of that file is part of the hash.
        reads_sound: For track ``clip``: whether the sound is read from the file, not from
            ``samples``.
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
        """Imports and instantiates the extractor.

        Returns:
            An extractor that follows the protocol of `track`.

        Raises:
            WeightsMissing: If its weights are not on this machine, or are not the pinned ones.
            ImportError: If a package it needs is not installed.
        """
        self.verify_weights()  # before the import, which may take seconds
        module, name = self.implementation.split(":")
        return getattr(import_module(module), name)(**self.params)

    def verify_weights(self) -> None:
        """Verifies all weights files that it reads.

        Raises:
            WeightsMissing: If one is not on this machine.
            WeightsAltered: If one differs from the pinned or the installed file.
        """
        for weights in self.weights:
            locate(weights)
        if self.judge:
            judge_path(self.judge)
        if self.package:
            verify_package(self.package)

    def protocol(self) -> dict[str, Any]:
        """Everything that determines the features, as JSON values; the input of protocol hashes."""
        return {
            "name": self.name,
            "version": self.version,
            "params": dict(self.params),
            "weights": {name: registry()[name].digest for name in self.weights},
            "package": _versioned(self.package),
            **({"judge": judge_digest(self.judge)} if self.judge else {}),
            **_own_weights(self.weights_variable),
            **_device_of(self.implementation),
            "after": [EXTRACTORS[name].protocol() for name in self.after],
        }


@cache
def _versioned(package: str) -> str:
    """``name==version``; only the name of a package that is not installed."""
    try:
        return f"{package}=={version(package)}" if package else ""
    except PackageNotFoundError:
        return package


def _own_weights(variable: str) -> dict[str, str]:
    path = Path(os.environ.get(variable, ""))
    return {"own_weights": file_hash(path)} if path.is_file() else {}


ON_DEVICE = frozenset(f"evals.extractors.{name}" for name in ("i3d", "lite0", "syncnet", "voice"))
"""Modules of extractors whose network runs on ``--device``; the others run on the CPU."""


def _device_of(implementation: str) -> dict[str, str]:
    """The kind of device unless it is the CPU: others round otherwise, so hashes differ."""
    kind, module = device_name().partition(":")[0], implementation.partition(":")[0]
    return {"device": kind} if module in ON_DEVICE and kind != CPU else {}


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
        name="pitch",
        track="audio",
        implementation="evals.extractors.pitch:PitchExtractor",
        params={"lowest_hz": 60, "highest_hz": 500, "min_strength": 0.5, "octave_cost": 0.02},
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
