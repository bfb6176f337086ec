"""What a device reaches at best: rate of matrix products and of copies, measured here and now."""

import time
from dataclasses import dataclass

SIDES = {"cpu": 1024, "cuda": 8192}
"""Of the square matrices, by kind of device."""
COPY_MB = {"cpu": 256, "cuda": 4096}
"""Beyond any cache."""
_REPEATS = 5


@dataclass(frozen=True, kw_only=True)
class ComputeRates:
    """The ceilings of a device; the best of several tries.

    Attributes:
        device: As torch names it.
        precision: Of the matrix product.
        flops_per_s: Of a square matrix product, two operations for each multiplication.
        bytes_per_s: Of a copy, bytes read and bytes written.
    """

    device: str
    precision: str
    flops_per_s: float
    bytes_per_s: float


def compute_rates(device: str, precision: str) -> ComputeRates:
    """Measures both rates with the threads that torch has.

    Args:
        device: As torch names it.
        precision: ``float32`` or ``bfloat16``; for ``fp8`` the rate of ``bfloat16``, in which all
            but some products are computed.

    Returns:
        The rates.
    """
    import torch

    precision = "bfloat16" if precision == "fp8" else precision
    kind = torch.device(device).type
    side = SIDES.get(kind, SIDES["cpu"])
    matrix = torch.ones(side, side, device=device, dtype=getattr(torch, precision))
    source = torch.ones(COPY_MB.get(kind, COPY_MB["cpu"]) * 2**18, device=device)
    target = torch.empty_like(source)

    def best_s(work: object) -> float:
        seconds = []
        for _ in range(_REPEATS + 1):  # the first is slow
            if kind == "cuda":
                torch.cuda.synchronize(device)
            start = time.perf_counter()
            work()  # type: ignore[operator]
            if kind == "cuda":
                torch.cuda.synchronize(device)
            seconds.append(time.perf_counter() - start)
        return min(seconds[1:])

    return ComputeRates(
        device=device,
        precision=precision,
        flops_per_s=2 * side**3 / best_s(lambda: matrix @ matrix),
        bytes_per_s=2 * source.nbytes / best_s(lambda: target.copy_(source)),
    )
