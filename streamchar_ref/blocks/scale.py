"""What ``bench scale`` measures and prints."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch

from streamchar_ref.core.errors import InputError
from streamchar_ref.model import config as presets
from streamchar_ref.model.config import Config
from streamchar_ref.model.count import DeviceRates
from streamchar_ref.model.random_weights import random_model
from streamchar_ref.model.rates import measure_rates, memory_bytes
from streamchar_ref.model.scale import scaled
from streamchar_ref.streaming.cost import ChunkCost, count_chunk, student_sampler
from streamchar_ref.streaming.timing import time_chunks

META_RATES = (770.0, 4.3)
"""TFLOP/s and TB/s that were measured on an H200, in bfloat16."""
NOT_MEASURED = "-"


def config_of(preset: str, scale: float, settings: Sequence[str]) -> Config:
    """Returns the config that is asked for.

    Args:
        preset: Its name; empty for a scale, or for `micro` without one.
        scale: See `scaled`; negative if there is none.
        settings: Changes, ``path=value``.

    Returns:
        The config.

    Raises:
        InputError: If both are given, or a value is wrong.
    """
    if preset and scale != -1:
        raise InputError("give --preset or --scale, not both")
    chosen = presets.preset(preset or "micro") if scale == -1 else scaled(scale)
    return presets.override(chosen, settings)


def bench_scale(
    config: Config,
    *,
    device: str,
    is_half: bool = True,
    num_steps: int = 4,
    guidance: float = 1.0,
    streams: int = 1,
    chunks: int = 5,
    tera: tuple[float, float] = (0.0, 0.0),
) -> dict[str, Any]:
    """Counts a chunk, and times it where there is a device.

    Args:
        config: Of the model.
        device: Where; ``meta`` counts only.
        is_half: bfloat16 rather than float32.
        num_steps: Of the sampler.
        guidance: Of the sampler.
        streams: In one batch.
        chunks: That are timed.
        tera: Matrix rate [TFLOP/s] and copy rate [TB/s]; 0 measures them.

    Returns:
        JSON values; ``None`` for what was not measured.

    Raises:
        InputError: If the model does not fit into the device's memory.
    """
    sampler = student_sampler(num_steps, guidance)
    dtype = torch.bfloat16 if is_half else torch.float32
    cost = count_chunk(config, sampler, batch=streams, number_bytes=dtype.itemsize)
    rates = _rates(device, dtype, tera)
    result = {
        "preset": config.preset,
        "device": _name(device),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "dtype": str(dtype).removeprefix("torch."),
        "steps": num_steps,
        "guidance": guidance,
        "streams": streams,
        "chunk_s": config.stream.chunk_s,
        "rates": asdict(rates),
        "weight_bytes": dict(cost.weight_bytes),
        "state_bytes": cost.state_bytes,
        "counted_memory_bytes": cost.memory_bytes,
        "flops": cost.total.flops,
        "bytes": cost.total.bytes,
        "floor_ms": 1000 * cost.floor_s(rates),
    }
    measured = None
    if device != "meta":
        _check_memory(cost, device)
        model = random_model(config, device=device, dtype=dtype)
        measured = time_chunks(model, sampler, batch=streams, num_chunks=chunks)
    part_ms = measured.part_ms if measured else {}
    result |= {
        "chunk_ms": measured and measured.median_ms,
        "chunks_ms": measured and list(measured.chunk_ms),
        "first_ms": measured and measured.first_ms,
        "rtf": measured and measured.median_ms / 1000 / config.stream.chunk_s,
        "peak_bytes": measured and measured.peak_bytes,
        "launches": measured and measured.launches,
        "launches_reason": measured.launches_reason if measured else "not measured on meta",
        "parts": [
            {"part": name, **asdict(work), "floor_ms": 1000 * rates.floor_s(work)}
            | {"ms": part_ms.get(name)}
            for name, work in cost.parts.items()
        ],
    }
    return result


def scale_lines(result: dict[str, Any]) -> list[str]:
    """Lays out a result for reading."""
    rates, weights = result["rates"], sum(result["weight_bytes"].values())
    lines = [
        f"{result['preset']} on {result['device']}, {result['dtype']}, {result['steps']} steps, "
        f"guidance {result['guidance']:g}, {result['streams']} in a batch",
        f"rates: {rates['flop_per_s'] / 1e12:.4g} TFLOP/s, {rates['bytes_per_s'] / 1e12:.4g} TB/s",
        f"{'part':<14}{'calls':>6}{'GFLOP':>12}{'weights MB':>12}{'cache MB':>10}"
        f"{'other MB':>11}{'floor ms':>11}{'ms':>10}",
    ]
    lines += [
        f"{part['part']:<14}{part['calls']:>6}{part['flops'] / 1e9:>12.3f}"
        f"{part['weight_bytes'] / 1e6:>12.1f}{part['cache_bytes'] / 1e6:>10.1f}"
        f"{part['activation_bytes'] / 1e6:>11.1f}{part['floor_ms']:>11.4f}"
        f"{_number(part['ms'], '.2f'):>10}"
        for part in result["parts"]
    ]
    lines += [
        f"{'chunk':<14}{'':>6}{result['flops'] / 1e9:>12.3f}{'':>33}{result['floor_ms']:>11.4f}"
        f"{_number(result['chunk_ms'], '.2f'):>10}",
        f"chunk of {1000 * result['chunk_s']:.0f} ms: floor {result['floor_ms']:.4g} ms, measured "
        f"{_number(result['chunk_ms'], '.4g')} ms, RTF {_number(result['rtf'], '.3g')}, "
        f"{_number(result['launches'], 'd')} kernel launches",
        f"memory: weights {weights / 1e9:.3g} GB, caches {result['state_bytes'] / 1e9:.3g} GB, all "
        f"at its highest {result['counted_memory_bytes'] / 1e9:.3g} GB counted, "
        f"{_number(_giga(result['peak_bytes']), '.3g')} GB measured",
    ]
    if result["chunk_ms"] is None:
        lines.append("times: not measured on meta")
    return lines


def _rates(device: str, dtype: torch.dtype, tera: tuple[float, float]) -> DeviceRates:
    flops, moved = tera
    if device == "meta":
        flops, moved = flops or META_RATES[0], moved or META_RATES[1]
    if flops and moved:
        return DeviceRates(flop_per_s=1e12 * flops, bytes_per_s=1e12 * moved)
    measured = measure_rates(device, dtype)
    return DeviceRates(
        flop_per_s=1e12 * flops or measured.flop_per_s,
        bytes_per_s=1e12 * moved or measured.bytes_per_s,
    )


def _check_memory(cost: ChunkCost, device: str) -> None:
    there = memory_bytes(device)
    if cost.memory_bytes > 0.9 * there:
        raise InputError(
            f"a chunk needs {cost.memory_bytes / 1e9:,.1f} GB, and {device} has {there / 1e9:,.1f} "
            "GB in all: give a smaller --scale, or count only with --device meta"
        )


def _name(device: str) -> str:
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device


def _giga(value: float | None) -> float | None:
    return None if value is None else value / 1e9


def _number(value: float | None, form: str) -> str:
    return NOT_MEASURED if value is None else format(value, form)
