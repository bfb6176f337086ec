"""FVD as published code takes it, KVD and KID beside it, and FID: all on request.

What differs is in the extractors (`evals.extractors.published`): which clips, which pixels, which
range. A network of another kind never bears these names.
"""

from evals.metrics.video import FrechetMetric, KernelMetric
from evals.protocols.info import Level

MOST_PICTURES = 50_000
"""As many as published FIDs use."""


def _fvd(protocol: str, extractor: str, ddof: int) -> FrechetMetric:
    return FrechetMetric(
        name="fvd",
        label="FVD",
        level=Level.HEADLINE,
        protocol=f"fvd/{protocol}@1",
        extractor=extractor,
        counted="clip",
        ddof=ddof,
        is_default=False,
    )


def _kvd(protocol: str, extractor: str) -> KernelMetric:
    return KernelMetric(
        name="kvd",
        label="KVD",
        protocol=f"kvd/{protocol}@1",
        extractor=extractor,
        counted="clip",
        is_default=False,
    )


def _fid(protocol: str, extractor: str) -> FrechetMetric:
    return FrechetMetric(
        name="fid",
        label="FID",
        protocol=f"fid/{protocol}@1",
        extractor=extractor,
        counted="frame",
        ddof=1,
        is_default=False,
        max_features=MOST_PICTURES,
    )


VIDEO_PROTOCOLS = (
    _fvd("stylegan-v-one-clip", "i3d-stylegan-v-one-clip", 0),
    _fvd("cd-fvd", "i3d-cd-fvd", 0),
    _fvd("tf-original", "i3d-tf-original", 1),
    _kvd("stylegan-v", "i3d"),
    _kvd("common-metrics", "i3d-common-metrics"),
    KernelMetric(
        name="kvd_world",
        label="KVD-world",
        is_project_specific=True,
        protocol="kvd_world/16-frames@1",
        extractor="fvd_world",
        counted="clip",
        domain="world",
        is_default=False,
    ),
    _fid("torch-fidelity", "inception-torch-fidelity"),
    _fid("pytorch-fid", "inception-pytorch-fid"),
    _fid("torch-fidelity-2fps", "inception-2fps"),
    KernelMetric(
        name="kid",
        label="KID",
        protocol="kid/torch-fidelity-2fps@1",
        extractor="inception-2fps",
        counted="frame",
        is_default=False,
    ),
)
