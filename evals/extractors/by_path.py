"""Networks that are had by path: files that their authors publish and nobody may pass on.

Such a file lies under its official name in the folder ``$STREAMCHAR_PUBLISHED``, or a variable of
its own names it. Its SHA-256 enters the protocol hash of every metric that reads it, so that
numbers by other weights never share a column.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from streamchar_ref.core.cache import file_hash
from streamchar_ref.weights import WeightsAltered, WeightsMissing

FOLDER = "STREAMCHAR_PUBLISHED"


@dataclass(frozen=True, kw_only=True)
class OwnFile:
    """A file that a user has.

    Attributes:
        file: Official name.
        origin: Where its authors publish it.
        licence: Of the weights.
        sha256_start: First digits of its SHA-256, where its authors state them.
        needed_for: Metrics.
    """

    file: str
    origin: str
    licence: str
    needed_for: str
    sha256_start: str = ""


OWN_FILES: dict[str, OwnFile] = {
    "inception": OwnFile(
        file="pt_inception-2015-12-05-6726825d.pth",
        origin="github.com/mseitzer/pytorch-fid, release fid_weights",
        licence="Apache-2.0",
        needed_for="fid, kid",
        sha256_start="6726825d",
    ),
    "alexnet": OwnFile(
        file="alexnet-owt-7be5be79.pth",
        origin="download.pytorch.org/models",
        licence="BSD-3-Clause (torchvision)",
        needed_for="lpips",
        sha256_start="7be5be79",
    ),
    "arcface": OwnFile(
        file="w600k_r50.onnx",
        origin="github.com/deepinsight/insightface, model zoo, buffalo_l.zip",
        licence="non-commercial research",
        needed_for="csim",
    ),
    "face18": OwnFile(
        file="resnet18_110.pth",
        origin="github.com/ronghuaiyang/arcface-pytorch; VBench-2.0 fetches it from the same place",
        licence="not stated",
        needed_for="human_identity",
    ),
    "dino": OwnFile(
        file="dino_vitbase16_pretrain.pth",
        origin="github.com/facebookresearch/dino, ViT-B/16, backbone only",
        licence="Apache-2.0",
        needed_for="subject_consistency, vde_subject",
    ),
    "utmos": OwnFile(
        file="utmos22_strong_step7459_v1.pt",
        origin="github.com/tarepan/SpeechMOS, release v1.0.0",
        licence="MIT",
        needed_for="utmos",
    ),
    "wavlm-sv": OwnFile(
        file="wavlm_large_finetune.pth",
        origin="github.com/microsoft/UniSpeech, downstreams/speaker_verification, WavLM large",
        licence="CC BY-SA 3.0 (UniSpeech)",
        needed_for="sim_o",
    ),
    "lpips-alex": OwnFile(
        file="alex.pth",
        origin="github.com/richzhang/PerceptualSimilarity, lpips/weights/v0.1/alex.pth",
        licence="BSD-2-Clause",
        needed_for="lpips",
    ),
}


def variable(name: str) -> str:
    """Returns the environment variable that may name one file, e.g. ``STREAMCHAR_INCEPTION``."""
    return f"STREAMCHAR_{name.upper().replace('-', '_')}"


def place(name: str) -> Path | None:
    """Returns where a file should be by the environment; ``None`` if nothing says."""
    if own := os.environ.get(variable(name)):
        return Path(own)
    folder = os.environ.get(FOLDER)
    return Path(folder) / OWN_FILES[name].file if folder else None


def own_weights(name: str) -> Path:
    """Returns a verified file.

    Args:
        name: In `OWN_FILES`.

    Returns:
        Its path.

    Raises:
        WeightsMissing: If it is not there; says how to name it and where it is had.
        WeightsAltered: If its SHA-256 does not begin as its authors say.
    """
    wanted, path = OWN_FILES[name], place(name)
    if path is None or not path.is_file():
        where = f"there is no file {path}" if path else "it is not named"
        raise WeightsMissing(
            f"{wanted.file}: {where}; put it ({wanted.origin}) into a folder and set "
            f"{FOLDER}=FOLDER, or {variable(name)}=FILE"
        )
    digest = file_hash(path)
    if not digest.startswith(wanted.sha256_start):
        raise WeightsAltered(
            f"{path.name}: sha256 is {digest}, that of {wanted.file} begins with "
            f"{wanted.sha256_start}"
        )
    return path


def own_digest(name: str) -> str:
    """Returns the SHA-256 of a file; empty if it is not there."""
    path = place(name)
    return file_hash(path) if path is not None and path.is_file() else ""


def listing() -> Iterator[str]:
    """Yields a line for each file: whether it is here, where it is had, and what for."""
    for name, own in OWN_FILES.items():
        state = "here" if own_digest(name) else "by hand"
        yield f"{own.file}: {state}; {own.origin} [{own.licence}], for {own.needed_for}"
    yield f"put files that are had by hand into a folder and set {FOLDER}=FOLDER"
