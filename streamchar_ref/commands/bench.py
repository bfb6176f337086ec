"""Benchmarks of the reference model, which ``streamchar bench`` lists beside the harness's."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from streamchar_ref.commands.train import find_device


def training(
    preset: Annotated[str, typer.Option(help="tiny, micro, base; see: streamchar ls presets")] = (
        "micro"
    ),
    batch: Annotated[int, typer.Option(min=1, max=10**6, help="Windows of a step.")] = 32,
    steps: Annotated[int, typer.Option(min=1, max=10**6, help="Steps that are timed.")] = 5,
    device: Annotated[str, typer.Option(help="cpu or cuda; empty takes cuda if there is.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Training windows per second, time of a step, and its share that is spent on data.

    Example: streamchar bench training --preset tiny
    """
    from streamchar_ref.model import config
    from streamchar_ref.train.bench import bench_training

    place = find_device(device)
    costs = bench_training(config.preset(preset), batch=batch, device=place, num_steps=steps)
    if as_json:
        rows = [asdict(cost) for cost in costs]
        typer.echo(json.dumps({"preset": preset, "device": place, "rows": rows}, indent=1))
        return
    typer.echo(f"{preset} on {place}, batch {batch}")
    for cost in costs:
        typer.echo(
            f"{cost.stage:<8} {cost.windows_per_s:>9,.0f} windows/s  data {cost.data_ms:.2f} ms  "
            f"step {cost.step_ms:.1f} ms  share on data {cost.data_share:.1%}"
        )
