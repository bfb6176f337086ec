"""The registry of extractors, which turn video and audio into feature arrays.

This module imports no extractor, so that scoring from cached features is fast.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal

from evals.extractors.by_path import own_digest, own_weights
from evals.extractors.identified import named_weights, versioned
from evals.extractors.networks import judge_digest, judge_path
from evals.extractors.published import published_specs
from evals.recording.rates import FPS as FPS
from evals.recording.rates import SAMPLE_RATE as SAMPLE_RATE
from streamchar_ref.core.device import CPU, device_name
from streamchar_ref.weights import locate, registry
from streamchar_ref.weights.packaged import verify_package

Track = Literal["frames", "audio", "spoken", "clip", "pair", "other"]
SOUND_TRACKS: frozenset[Track] = frozenset(["audio", "spoken"])
"""Tracks that read the sound alone."""


OWN_RECOGNISERS = {
    "faster-whisper": "OwnFasterWhisper",
    "transformers": "OwnTransformers",
    "openai-whisper": "OwnOpenAIWhisper",
}
"""Package -> class of the recogniser for weights that the user names with ``--asr``."""
_MULTILINGUAL: Mapping[str, Any] = {
    "beam_size": 5,
    "compute_type": "int8",
    "speech_threshold": 0.1,
    "min_silence_s": 2.0,
    "language": "that of the transcript",
    "figures": "suppressed where the transcript has none",
    "no_repeat": 4,
    "prompt": {"zh": "以下是普通话的句子。", "zh-hant": "以下是普通話的句子。"},
}
_OWN_SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "faster-whisper": _MULTILINGUAL,
    "transformers": {
        "num_beams": 1,
        "do_sample": False,
        "temperature": 0.0,
        "condition_on_prev_tokens": False,
    },
    "openai-whisper": {"beam_size": 5},
}


@dataclass(frozen=True, kw_only=True)
class ExtractorSpec:
    """Name, implementation and identity of an extractor.

    Attributes:
        name: Used by metrics in ``needs``.
        track: ``frames``, ``audio``, ``spoken``, ``clip`` or ``pair``: the protocol of `kinds` that
            it follows; ``other``: the features of the extractor in ``after``, but of another file
            of the sample, see `companion`.
        implementation: ``module:Class``; the class takes ``params`` as keyword arguments.
        params: All settings; part of the protocol hash.
        weights: Names in the weights registry; their sha256 are part of the hash.
        judge: Name of the judge network (trained on the world) that it runs; its sha256 is part
            of the hash.
        version: Incremented when a change of code changes the features.
        after: Upstream extractors.
        package: Distribution that contains the network or affects the features; its version is
            part of the hash.
        companion: Of the tracks ``pair`` and ``other``: the field of `Recording` with the other
            file.
        own: Names in `evals.extractors.by_path.OWN_FILES` of weights that a user has; their sha256
            are part of the hash.
        weights_variable: Environment variable with the path of user-provided weights, a file or a
            folder; its sha256 is part of the hash.
        but_english: For track ``spoken``: whether English is left to other extractors.
        reads_sound: For track ``clip``: whether the sound is read from the file, not from
            ``samples``.
        reads_original: For track ``clip``: whether it reads the file as it came, because its
            published protocol has an encode of its own.
    """

    name: str
    track: Track
    implementation: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    weights: tuple[str, ...] = ()
    judge: str = ""
    version: int = 1
    after: tuple[str, ...] = ()
    package: str = ""
    companion: str = ""
    own: tuple[str, ...] = ()
    weights_variable: str = ""
    but_english: bool = False
    reads_sound: bool = False
    reads_original: bool = False

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
        for name in self.own:
            own_weights(name)
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
            "package": versioned(self.package),
            **({"judge": judge_digest(self.judge)} if self.judge else {}),
            **({"own": {name: own_digest(name) for name in self.own}} if self.own else {}),
            **named_weights(self.weights_variable),
            **({"of": self.companion} if self.companion else {}),
            **({"reads": "original file"} if self.reads_original else {}),
            **_device_of(self.implementation),
            "after": [EXTRACTORS[name].protocol() for name in self.after],
        }


ON_DEVICE = frozenset(
    f"evals.extractors.{name}" for name in ("i3d", "lite0", "syncnet", "syncnet_s3fd", "voice")
)
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
        name="asr_whisper_multilingual",
        track="spoken",
        implementation="evals.extractors.asr_languages:MultilingualTranscriber",
        params=_MULTILINGUAL,
        weights=("whisper-base",),
        package="faster-whisper",
        but_english=True,
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
    *(
        ExtractorSpec(
            name=f"asr_own_{package}",
            track="spoken",
            implementation=f"evals.extractors.asr_own:{implementation}",
            params={
                "language": "that of the transcript",
                "variable": "STREAMCHAR_ASR",
                **_OWN_SETTINGS[package],
            },
            version=2,
            package=package,
            weights_variable="STREAMCHAR_ASR",
        )
        for package, implementation in OWN_RECOGNISERS.items()
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
EXTRACTORS = {spec.name: spec for spec in (*SPECS, *published_specs(ExtractorSpec))}
