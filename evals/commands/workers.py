"""Options on where the work is done, the same for every command that has them."""

from typing import Annotated

import typer

from streamchar_ref.core.device import choose_device
from streamchar_ref.core.executors import LOCAL, check_executor

ExecutorOption = Annotated[
    str, typer.Option("--executor", help="local, ray, ray:ADDRESS or slurm.")
]
DeviceOption = Annotated[
    str, typer.Option("--device", help="Of PyTorch's networks: cpu, cuda or cuda:N.")
]


def check_workers(executor: str, device: str = "") -> None:
    """Looks before the work whether workers and device can be had; sets the device.

    Args:
        executor: See `check_executor`.
        device: See `choose_device`.

    Raises:
        InputError: If not.
    """
    check_executor(executor)
    choose_device(device, is_here=executor == LOCAL)
