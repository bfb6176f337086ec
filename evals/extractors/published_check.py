"""Checks a folder of published weights: is each file what it should be, and does its network work?

A file is compared with its SHA-256 where one is pinned or its authors state its start, loaded into
the network, and asked something whose answer is known: equal pictures have LPIPS 0, I3D gives the
same for 8-bit pixels and for the same pixels mapped to [-1, 1].
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evals.extractors.by_path import OWN_FILES
from streamchar_ref.core.cache import file_hash
from streamchar_ref.weights import registry

SetOfFiles = Mapping[str, Path]


@dataclass(frozen=True, kw_only=True)
class FileState:
    """What was found of one file.

    Attributes:
        file: Official name.
        state: ``here``, ``missing`` or ``altered``.
        answer: What the network's test says; empty where it could not run.
        origin: Where it is had.
    """

    file: str
    state: str
    answer: str
    origin: str


def check_folder(folder: Path) -> list[FileState]:
    """Checks every published file that lies in a folder under its official name.

    Args:
        folder: Of the files.

    Returns:
        A line for each file that any metric can read; the test of a network that needs several
        files is in the line of the first.
    """
    wanted = {own.file: (own.sha256_start, own.origin) for own in OWN_FILES.values()}
    for weights in registry().values():
        if weights.profile == "published":
            wanted |= {file.name: (file.sha256, weights.origin) for file in weights.files}
    states = {file: _state(folder / file, start) for file, (start, _) in wanted.items()}
    return [
        FileState(
            file=file,
            state=states[file],
            answer=_answer(file, folder, states),
            origin=origin,
        )
        for file, (_, origin) in wanted.items()
    ]


def _state(path: Path, sha256_start: str) -> str:
    if not path.is_file():
        return "missing"
    return "here" if file_hash(path).startswith(sha256_start) else "altered"


def _answer(file: str, folder: Path, states: Mapping[str, str]) -> str:
    """Runs the test of the network that reads this file first."""
    if file not in TESTS:
        return ""
    needed, test = TESTS[file]
    if any(states[name] != "here" for name in needed):
        return ""
    try:
        return test({name: folder / name for name in needed})
    except Exception as error:  # a file that is something else may fail in any way
        return f"fails: {type(error).__name__}: {str(error).splitlines()[0]:.120}"


def _pixels(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def _judge(passed: bool, what: str) -> str:
    return f"{'passes' if passed else 'fails'}: {what}"


def ask_inception(files: SetOfFiles) -> str:
    """Loads by key; features are means of rectified maps, so none is negative."""
    from evals.extractors.networks.inception import embed_pictures, load_inception

    network = load_inception(str(next(iter(files.values()))))
    found = embed_pictures(network, _pixels(1, 96, 96, 3), "pytorch-fid")
    is_good = bool(np.isfinite(found).all() and (found >= 0).all() and found.std() > 0)
    return _judge(is_good, "2048 features, none negative")


def ask_lpips(files: SetOfFiles) -> str:
    """Equal pictures are at distance 0; a negative picture is far."""
    from evals.extractors.networks.lpips import load_lpips, lpips_distance

    network = load_lpips(*(str(path) for path in files.values()))
    picture = _pixels(64, 64, 3)
    same, other = (lpips_distance(network, picture, x) for x in (picture, 255 - picture))
    return _judge(same == 0 < other, f"equal pictures {same:g}, a negative {other:.2f}")


def ask_dino(files: SetOfFiles) -> str:
    """Loads by key; a picture is like itself and less like its mirror image upside down."""
    from evals.extractors.networks.dino import embed_picture, load_dino

    network = load_dino(str(next(iter(files.values()))))
    picture = _pixels(64, 64, 3)
    same, other = (
        float(embed_picture(network, picture) @ embed_picture(network, x))
        for x in (picture, picture[::-1, ::-1])
    )
    return _judge(abs(same - 1) < 1e-4 and other < same, f"itself {same:.3f}, turned {other:.3f}")


def ask_face18(files: SetOfFiles) -> str:
    """Loads by key; a face is like its mirror image, whose embedding holds the same halves."""
    from evals.extractors.networks.face18 import embed_face, load_face18

    network = load_face18(str(next(iter(files.values()))))
    face = _pixels(96, 96, 3)
    found, turned = embed_face(network, face), embed_face(network, face[:, ::-1])
    gap = float(np.abs(found - np.roll(turned, len(found) // 2)).max())
    return _judge(
        gap < 1e-4 and found.std() > 0, f"halves of a mirror image change places: {gap:.1e}"
    )


def ask_s3fd(files: SetOfFiles) -> str:
    """Loads by key; finds no face in noise."""
    from evals.extractors.networks.s3fd import detect, load_s3fd

    network = load_s3fd(str(next(iter(files.values()))))
    found = detect(network, _pixels(128, 128, 3), scale=1.0, min_score=0.9)
    return _judge(len(found) == 0, f"{len(found)} faces in noise")


def ask_syncnet(files: SetOfFiles) -> str:
    """Loads by key; embeds a window."""
    from evals.extractors.networks.syncnet import CROP_SIZE, WINDOW_FRAMES, load_syncnet
    from evals.extractors.syncnet import mouth_embedder

    mouth = mouth_embedder(load_syncnet(str(next(iter(files.values())))))
    for frame in _pixels(WINDOW_FRAMES, CROP_SIZE, CROP_SIZE, 3):
        mouth.push(frame)
    found = mouth.finish()
    return _judge(found.shape == (1, 1024) and bool(np.isfinite(found).all()), "1024 numbers")


def ask_i3d(files: SetOfFiles) -> str:
    """Gives the same for 8-bit pixels that it maps itself and for mapped ones."""
    import torch

    network: Any = torch.jit.load(str(next(iter(files.values()))), map_location="cpu").eval()
    clip = torch.from_numpy(_pixels(1, 3, 16, 224, 224))
    with torch.inference_mode():
        raw = network(clip, rescale=True, resize=False, return_features=True)
        mapped = network(2 * clip.float() / 255 - 1, return_features=True)
    gap = float((raw - mapped).abs().max())
    return _judge(raw.shape == (1, 400) and gap < 1e-3, f"8-bit against [-1, 1]: {gap:.1e}")


def ask_utmos(files: SetOfFiles) -> str:
    """Loads by key; silence and hiss, which nobody takes for speech, stay in the lower half."""
    from evals.extractors.networks.utmos import load_utmos, rate_sound

    network = load_utmos(str(next(iter(files.values()))))
    hiss = np.random.default_rng(0).normal(0, 0.1, 32_000).clip(-1, 1).astype(np.float32)
    found = rate_sound(network, hiss, 16_000)
    return _judge(0 < found < 3, f"hiss has {found:.2f} of 5")


def ask_wavlm_sv(files: SetOfFiles) -> str:
    """Loads by key; a sound is like itself at half the level, which is standardised away."""
    from evals.extractors.networks.speaker_wavlm import embed_sound, load_speaker_wavlm

    network = load_speaker_wavlm(str(next(iter(files.values()))))
    hiss = np.random.default_rng(0).normal(0, 0.1, 32_000).clip(-1, 1).astype(np.float32)
    same = float(embed_sound(network, hiss, 16_000) @ embed_sound(network, hiss / 2, 16_000))
    return _judge(same > 0.99, f"itself at half the level {same:.3f}")


TESTS: dict[str, tuple[tuple[str, ...], Callable[[SetOfFiles], str]]] = {
    "pt_inception-2015-12-05-6726825d.pth": (
        ("pt_inception-2015-12-05-6726825d.pth",),
        ask_inception,
    ),
    "alexnet-owt-7be5be79.pth": (("alexnet-owt-7be5be79.pth", "alex.pth"), ask_lpips),
    "dino_vitbase16_pretrain.pth": (("dino_vitbase16_pretrain.pth",), ask_dino),
    "resnet18_110.pth": (("resnet18_110.pth",), ask_face18),
    "utmos22_strong_step7459_v1.pt": (("utmos22_strong_step7459_v1.pt",), ask_utmos),
    "wavlm_large_finetune.pth": (("wavlm_large_finetune.pth",), ask_wavlm_sv),
    "sfd_face.pth": (("sfd_face.pth",), ask_s3fd),
    "syncnet_v2.model": (("syncnet_v2.model",), ask_syncnet),
    "i3d_torchscript.pt": (("i3d_torchscript.pt",), ask_i3d),
}
"""First file of a network -> all its files, and its test."""
