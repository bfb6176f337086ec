"""Benchmarks of the reference model, which ``streamchar bench`` lists beside the harness's.

Where nothing can be installed: ``python -m streamchar_ref.commands.bench``.
"""

import json
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from streamchar_ref.commands.common import AsJson, Device, Preset
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
    preset: Preset = "micro",
    stages: Annotated[
        str, typer.Option(help="Comma-separated; all takes all ten, in their order.")
    ] = "speech,teacher",
    batch: Annotated[
        int, typer.Option(min=0, max=10**6, help="Samples of a step; 0 takes the stage's own.")
    ] = 0,
    steps: Annotated[
        int, typer.Option(min=0, max=10**6, help="Steps that are timed; 0 fills the seconds.")
    ] = 5,
    seconds: Annotated[float, typer.Option(min=0, help="Of a stage, with --steps 0.")] = 15.0,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Compile the blocks of DiT and language model.")
    ] = False,
    tflops: Annotated[
        float, typer.Option(min=0, help="Matrix rate [TFLOP/s]; 0 measures it.")
    ] = 0.0,
    device: Device = "",
    as_json: AsJson = False,
) -> None:
    """Samples per second of training, share of a step spent on data, share of the matrix rate.

    Stages train as `streamchar train` does, with random weights on random data.
    Example: streamchar bench training --preset tiny --stages all
    """
    import torch

    from streamchar_ref.blocks.blocks import table
    from streamchar_ref.blocks.runner import Record
    from streamchar_ref.model import config
    from streamchar_ref.model.rates import measure_rates
    from streamchar_ref.train.bench import bench_training, stage_names

    place, chosen = find_device(device), config.preset(preset)
    rate = 1e12 * tflops or measure_rates(place, torch.bfloat16).flop_per_s
    rows = []
    for stage in stage_names() if stages == "all" else stages.split(","):
        cost = bench_training(
            chosen,
            stage.strip(),
            device=place,
            batch=batch,
            num_steps=steps,
            seconds=seconds,
            is_compiled=compiled,
        )
        rows.append(asdict(cost) | {"rate_share": cost.flop_per_s / rate})
    if as_json:
        about = {"preset": preset, "device": place, "flop_per_s": rate, "compiled": compiled}
        typer.echo(json.dumps({**about, "rows": rows}, indent=1))
        return
    typer.echo(f"{preset} on {place}, {rate / 1e12:.4g} TFLOP/s in bfloat16")
    measured = [Record(part=r["stage"], status="done", wall_s=0.0, result=r) for r in rows]
    typer.echo("\n".join(table(measured, flop_per_s=rate)))


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
    as_json: AsJson = False,
) -> None:
    """Time of a chunk by part beside its counted floor, with random weights of any size.

    Chunks of the plain path, as the engine is not used, with decoders. The floor of a part is the
    larger of its operations over the matrix rate and its bytes over the copy rate.
    Example: streamchar bench scale --preset paper --device meta
    """
    from streamchar_ref.blocks.scale import bench_scale, config_of, scale_lines

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


@app.command()
def block(
    name: Annotated[str, typer.Argument(help="g0 probes all, g2 distils, g3 streams.")],
    out: Annotated[Path, typer.Option(help="Folder for results, log and table.")],
    preset: Annotated[
        list[str] | None, typer.Option(help="Instead of the block's own; may be repeated.")
    ] = None,
    device: Device = "",
    limit_s: Annotated[float, typer.Option(min=1, help="Time limit of all parts [s].")] = 360.0,
) -> None:
    """Measurements on a machine that is there for minutes, each in its own process.

    A part that crashes or hangs leaves its traceback in block.log, and the next one runs; what is
    finished is in results.jsonl at once, and the table is printed last.
    Example: streamchar bench block g0 --out runs/g0 --device cpu --preset tiny --limit-s 300
    """
    from streamchar_ref.blocks.blocks import BLOCKS, table
    from streamchar_ref.blocks.runner import LOG, RESULTS, TABLE, run_parts
    from streamchar_ref.core.errors import InputError
    from streamchar_ref.model import config

    if name not in BLOCKS:
        raise InputError(f"unknown block {name!r:.60}; known: {', '.join(BLOCKS)}")
    for each in preset or []:
        config.preset(each)
    taken = [file for file in (RESULTS, LOG, TABLE) if (out / file).exists()]
    if taken:
        raise InputError(f"{out / taken[0]} is there already; give another --out")
    parts = BLOCKS[name](preset or [], out, find_device(device), limit_s)
    records = run_parts(parts, out, limit_s=limit_s, tell=lambda line: typer.echo(line, err=True))
    lines = table(records)
    (out / TABLE).write_text("\n".join(lines) + "\n", encoding="utf-8")
    typer.echo("\n".join(lines))
    if all(record.status != "done" for record in records):
        raise typer.Exit(code=1)


if __name__ == "__main__":
    app()
