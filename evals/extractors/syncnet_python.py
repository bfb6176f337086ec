"""SyncNet as the package ``syncnet-python`` runs it: the second back end of ``sync_c``.

It brings its own face detector, tracker and crops, and calls the program ffmpeg. It needs
torchvision, so it is an extra: ``pip install 'streamchar[syncnet]'``.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from syncnet_python import SyncNetPipeline

from evals.protocols.base import Unscored
from streamchar_ref.weights import locate


class SyncNetPython:
    """Runs the package's pipeline on a file.

    Features: ``offset_frames``, ``confidence`` and ``distance``, one value per face track.

    Raises:
        Unscored: If the program ffmpeg is not installed.
    """

    def __init__(self) -> None:
        if shutil.which("ffmpeg") is None:
            raise Unscored("syncnet-python calls ffmpeg, which is not there", "unavailable")
        settings = {
            "s3fd_weights": str(locate("s3fd") / "sfd_face.pth"),
            "syncnet_weights": str(locate("syncnet") / "syncnet_v2.model"),
        }
        self._pipeline = SyncNetPipeline(settings, device="cpu")

    def extract(
        self,
        path: Path,
        samples: Float32[np.ndarray, " S"],
        upstream: Mapping[str, Mapping[str, np.ndarray]],
    ) -> Mapping[str, np.ndarray]:
        """Returns features of the file at ``path``; its sound is read from there, too."""
        offsets, confidences, distances, *_ = self._pipeline.inference(str(path))
        return {
            "offset_frames": np.asarray(offsets, np.int64),
            "confidence": np.asarray(confidences, np.float64),
            "distance": np.asarray(distances, np.float64),
        }
