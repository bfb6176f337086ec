"""Extractors that run on request only: published protocols, and comparisons with other files."""

from collections.abc import Callable, Sequence
from typing import TypeVar

SpecT = TypeVar("SpecT")

_S3FD = {
    "syncnet-s3fd-100": ("mpeg4 qscale 2", 100),
    "syncnet-s3fd-50": ("mpeg4 qscale 2", 50),
    "syncnet-s3fd-50-h264": ("h264 crf 23", 50),
}
_I3D = {
    "i3d-stylegan-v-one-clip": ("stylegan-v-256", "one at random"),
    "i3d-cd-fvd": ("cd-fvd", "one at random"),
    "i3d-tf-original": ("tf-original", "disjoint"),
}
_INCEPTION = {
    "inception-torch-fidelity": ("torch-fidelity", 25.0),
    "inception-pytorch-fid": ("pytorch-fid", 25.0),
    "inception-2fps": ("torch-fidelity", 2.0),
}
_SOUNDS = {
    "utmos": ("UtmosExtractor", "utmos"),
    "wavlm_sv": ("SpeakerWavLMExtractor", "wavlm-sv"),
}
_OTHERS = {
    "truth_face": ("face", "ground_truth_path"),
    "voice_reference": ("voice", "voice_reference_path"),
    "speech_reference": ("speech", "voice_reference_path"),
    "wavlm_sv_reference": ("wavlm_sv", "voice_reference_path"),
}


def published_specs(spec: Callable[..., SpecT]) -> Sequence[SpecT]:
    """Makes the specs.

    Args:
        spec: The class `ExtractorSpec`, whose module imports this one.

    Returns:
        In the order in which metrics list them.
    """
    sync = [
        spec(
            name=name,
            track="clip",
            implementation="evals.extractors.syncnet_s3fd:SyncNetS3fd",
            params={"encode": encode, "min_track_frames": min_frames},
            weights=("syncnet", "s3fd"),
            reads_original=True,
        )
        for name, (encode, min_frames) in _S3FD.items()
    ]
    clips = [
        spec(
            name=name,
            track="frames",
            implementation="evals.extractors.i3d:I3dExtractor",
            params={"preprocess": preprocess, "clip_frames": 16, "clips": choice},
            weights=("i3d",),
        )
        for name, (preprocess, choice) in _I3D.items()
    ]
    pictures = [
        spec(
            name=name,
            track="frames",
            implementation="evals.extractors.inception:InceptionExtractor",
            params={"resize": resize, "frames_per_s": rate},
            own=("inception",),
        )
        for name, (resize, rate) in _INCEPTION.items()
    ]
    sounds = [
        spec(
            name=name,
            track="audio",
            implementation=f"evals.extractors.opinion:{made}",
            params={"longest_s": 30.0},
            own=(weights,),
            package="transformers",
        )
        for name, (made, weights) in _SOUNDS.items()
    ]
    others = [
        spec(name=name, track="other", after=(extractor,), companion=companion)
        for name, (extractor, companion) in _OTHERS.items()
    ]
    pairs = [
        spec(
            name="full_reference",
            track="pair",
            implementation="evals.extractors.full_reference:FullReference",
            params={"ssim": "gaussian 11 px of deviation 1.5, per colour", "cap_db": 100.0},
            companion="ground_truth_path",
        ),
        spec(
            name="lpips_alex",
            track="pair",
            implementation="evals.extractors.full_reference:Lpips",
            own=("alexnet", "lpips-alex"),
            companion="ground_truth_path",
        ),
    ]
    faces = [
        spec(
            name="arcface",
            track="frames",
            implementation="evals.extractors.arcface:ArcFaceExtractor",
            params={"samples_per_s": 5, "min_face_px": 32.0},
            after=("face",),
            own=("arcface",),
        ),
        spec(
            name="face18",
            track="frames",
            implementation="evals.extractors.face18:Face18Extractor",
            after=("face",),
            own=("face18",),
        ),
    ]
    subjects = [
        spec(
            name="dino",
            track="frames",
            implementation="evals.extractors.dino:DinoExtractor",
            own=("dino",),
        )
    ]
    return [*sync, *clips, *pictures, *faces, *subjects, *sounds, *others, *pairs]
