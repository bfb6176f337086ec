"""The device that measuring networks run on, chosen for a command and inherited by its workers."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from streamchar_ref.core.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor, nn

    NetworkT = TypeVar("NetworkT", bound=nn.Module)

VARIABLE = "STREAMCHAR_DEVICE"
CPU = "cpu"


def device_name() -> str:
    """Returns ``cpu``, ``cuda`` or ``cuda:N``."""
    return os.environ.get(VARIABLE) or CPU


def choose_device(name: str, *, is_here: bool = True) -> None:
    """Sets the device of this process and of the workers that it starts.

    Args:
        name: As torch names it; empty leaves what the variable says.
        is_here: Whether the work is done on this machine, whose devices are then looked at.

    Raises:
        InputError: If there is no such device.
    """
    chosen = name or device_name()
    kind, _, number = chosen.partition(":")
    if kind not in (CPU, "cuda") or (number and (kind == CPU or not number.isdecimal())):
        raise InputError(f"--device {chosen!r:.60} is none of cpu, cuda, cuda:N")
    if kind == "cuda" and is_here:
        check_cuda(chosen)
    if name:
        os.environ[VARIABLE] = name


def check_cuda(name: str) -> None:
    """Raises `InputError` if this process has no such CUDA device."""
    import torch

    if not torch.cuda.is_available():
        build = "is a build for CPUs" if torch.version.cuda is None else "finds no GPU"
        raise InputError(f"--device {name}: torch {torch.__version__} {build}; use --device cpu")
    if int(name.partition(":")[2] or 0) >= torch.cuda.device_count():
        raise InputError(f"--device {name}: there are {torch.cuda.device_count()} GPUs, from 0 on")


def has_bfloat16(name: str) -> bool:
    """Whether a device has instructions for bfloat16; emulated products take ten times as long.

    Args:
        name: As torch names it.

    Returns:
        False also for a CPU of which torch does not tell.
    """
    import torch

    if name.partition(":")[0] != CPU:
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if hasattr(torch.cpu, "get_capabilities"):
        known = torch.cpu.get_capabilities()
        return any(known.get(one) for one in ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16"))
    tells = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return tells is not None and tells()


def placed(network: "NetworkT") -> "NetworkT":
    """Moves a network to the device, in full float32: TF32 would round inputs to 10 bits."""
    if device_name() == CPU:
        return network
    import torch

    check_cuda(device_name())  # a worker elsewhere may have none
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    return network.to(device_name())


def run_placed(function: "Callable[..., Tensor]", *inputs: "Tensor", **options: Any) -> np.ndarray:
    """Calls a placed network.

    Args:
        function: The network or a method of it.
        *inputs: On the CPU; moved to the device.
        **options: Passed on.

    Returns:
        Its output, on the CPU.
    """
    device = device_name()
    output = function(*(tensor.to(device) for tensor in inputs), **options)
    found: np.ndarray = output.float().cpu().numpy()
    return found


def describe_gpu() -> str:
    """Names the GPU that networks run on; empty on the CPU, or where it cannot be asked."""
    if device_name() == CPU:
        return ""
    import torch

    return torch.cuda.get_device_name(device_name()) if torch.cuda.is_available() else "a GPU"
