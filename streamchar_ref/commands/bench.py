"""Benchmarks of the reference model, which ``streamchar bench`` lists beside the harness's.

Where nothing can be installed: ``python -m streamchar_ref.commands.bench``.
"""

import json
from dataclasses import asdict
from enum import Enum
from typing import Annotated

import typer

from streamchar_ref.commands.train import find_device
from streamchar_ref.commands.verb import Verb

app = Verb(__doc__, no_args_is_help=True)
META = "meta"


class Precision(Enum):
    """Of weights and products."""

    BF16 = "bf16"
    FP32 = "fp32"


@app.command()
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


@app.command()
def scale(
    preset: Annotated[str, typer.Option(help="See: streamchar ls presets")] = "",
    at: Annotated[
        float, typer.Option("--scale", help="Instead of a preset: 0 is micro, 1 is paper.")
    ] = -1.0,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="Part of the config, such as dit.width=192.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, max=1000, help="Of the sampler.")] = 4,
    guidance: Annotated[
        float, typer.Option(min=0, help="1 costs one pass a step, else two.")
    ] = 1.0,
    streams: Annotated[int, typer.Option(min=1, max=10**4, help="In one batch.")] = 1,
    chunks: Annotated[int, typer.Option(min=1, max=10**6, help="That are timed.")] = 5,
    device: Annotated[
        str, typer.Option(help="cpu, cuda; meta counts only; empty takes cuda if there is.")
    ] = "",
    dtype: Annotated[Precision, typer.Option(help="Of weights and products.")] = Precision.BF16,
    tflops: Annotated[
        float, typer.Option(min=0, help="Matrix rate [TFLOP/s]; 0 measures it; meta: 770, an H200.")
    ] = 0.0,
    tbps: Annotated[
        float, typer.Option(min=0, help="Copy rate [TB/s]; 0 measures it; meta: 4.3, an H200.")
    ] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Time of a chunk by part beside its counted floor, with random weights of any size.

    Chunks of the plain path, as the engine is not used, with decoders. The floor of a part is the
    larger of its operations over the matrix rate and its bytes over the copy rate.
    Example: streamchar bench scale --preset paper --device meta
    """
    from streamchar_ref.commands.bench_scale import bench_scale, config_of, scale_lines

    config = config_of(preset, at, setting or [])
    place = device if device == META else find_device(device)
    result = bench_scale(
        config,
        device=place,
        is_half=dtype is Precision.BF16,
        num_steps=steps,
        guidance=guidance,
        streams=streams,
        chunks=chunks,
        tera=(tflops, tbps),
    )
    typer.echo(json.dumps(result, indent=1) if as_json else "\n".join(scale_lines(result)))


if __name__ == "__main__":
    app()
