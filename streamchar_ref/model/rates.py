"""Measures what a device can do: the two ceilings of every other time."""

import os
import time
from collections.abc import Callable
from statistics import median

import torch

from streamchar_ref.model.count import DeviceRates

_SIDE = {"cuda": 8192, "cpu": 1024}
_COPY_BYTES = {"cuda": 2**31, "cpu": 2**27}


def measure_rates(
    device: str, dtype: torch.dtype, *, repeats: int = 10, side: int = 0, copy_bytes: int = 0
) -> DeviceRates:
    """Times a large product of matrices and a large copy.

    Args:
        device: Where.
        dtype: Of the matrices.
        repeats: The median counts; three more come before.
        side: Of the matrices; 0 takes one that fills the device.
        copy_bytes: Of what is copied; 0 takes more than any cache holds.

    Returns:
        Both rates.
    """
    kind = torch.device(device).type
    side, size = side or _SIDE[kind], copy_bytes or _COPY_BYTES[kind]
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    product, source = torch.empty_like(a), torch.zeros(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    product_s = _median_s(lambda: torch.mm(a, b, out=product), device, repeats)
    copy_s = _median_s(lambda: target.copy_(source), device, repeats)
    return DeviceRates(flop_per_s=2 * side**3 / product_s, bytes_per_s=2 * size / copy_s)


def memory_bytes(device: str) -> int:
    """Returns the memory of a device, used or not."""
    if torch.device(device).type == "cuda":
        return int(torch.cuda.mem_get_info(device)[1])
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def synchronize(device: str | torch.device) -> None:
    """Waits until a device has done what it was asked."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


def _median_s(work: Callable[[], object], device: str, repeats: int) -> float:
    seconds = []
    for _ in range(repeats + 3):
        synchronize(device)
        began = time.perf_counter()
        work()
        synchronize(device)
        seconds.append(time.perf_counter() - began)
    return median(seconds[3:])
