"""Which parts each block has, and the table that it ends with."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from streamchar_ref.blocks.runner import Part, Record

_HERE = "streamchar_ref.blocks.parts"
_STREAMED = ("micro", "base", "paper")
_TRAINED = ("micro", "base")


def probe(presets: Sequence[str], out: Path, device: str, limit_s: float) -> list[Part]:
    """G0: the two ceilings, a chunk of the plain path, and every stage of training for a moment.

    Args:
        presets: Models; empty takes `micro` and `base`, and `paper` for its chunk.
        out: Not used: everything is in the results.
        device: Where.
        limit_s: Time limit of the block, which the stages share.

    Returns:
        The parts, the quickest to tell most first.
    """
    from streamchar_ref.train.bench import stage_names

    trained = [name for name in presets or _TRAINED if name != "paper"]
    fixed_s, compiled_s = 0.25 * limit_s, 0.2 * limit_s
    stages = [(preset, stage) for preset in trained for stage in stage_names()]
    share_s = 0.95 * (limit_s - fixed_s - compiled_s) / max(1, len(stages))
    return [
        *_first_parts(presets, device, fixed_s, chunks=5),
        *(
            Part(
                name=f"{stage} {preset}",
                call=f"{_HERE}:training",
                arguments={"preset": preset, "stage": stage, "device": device},
                limit_s=share_s,
                takes_limit="limit_s",
            )
            for preset, stage in stages
        ),
        *(
            Part(
                name=f"teacher {preset} compiled",
                call=f"{_HERE}:compiled",
                arguments={"preset": preset, "stage": "teacher", "device": device},
                limit_s=compiled_s,
            )
            for preset in trained[-1:]
        ),
    ]


def distillation(presets: Sequence[str], out: Path, device: str, limit_s: float) -> list[Part]:
    """G2: regression, Stage I and Stage II of a model whose teacher is trained.

    Args:
        presets: One; empty takes `base`.
        out: Its subfolder ``base`` is the run: teacher, corpus and latents lie there already.
        device: Where.
        limit_s: Time limit of the block.

    Returns:
        A part a stage.
    """
    shares = {"distill_regress": 0.3, "dmd_chunk": 0.3, "dmd_rollout": 0.35}
    parts = []
    for preset in presets or ("base",):
        for stage, share in shares.items():
            own_s = share * limit_s / max(1, len(presets))
            minutes = 0.75 * own_s / 60
            options = ["--preset", preset, "--device", device, "--out", str(out / preset)]
            arguments = ["train", stage, *options, "--max-minutes", f"{minutes:.2f}", "--resume"]
            parts.append(_command(f"{stage} {preset}", arguments, own_s))
    return parts


def real_time(presets: Sequence[str], out: Path, device: str, limit_s: float) -> list[Part]:
    """G3: a chunk of the plain path of every size, and ``bench realtime`` of the engine.

    Args:
        presets: Models; empty takes `micro` and `base`, and `paper` for its chunk: a checkpoint of
            its size takes longer to write and read than the block has.
        out: ``bench realtime`` writes into a subfolder a model.
        device: Where.
        limit_s: Time limit of the block.

    Returns:
        The parts.
    """
    streamed = [name for name in presets or _TRAINED if name != "paper"]
    own_s = 0.55 * limit_s / max(1, len(streamed))
    options = ["--streams", "1,4,16", "--limit", "1", "--turns", "2", "--json"]
    return [
        *_first_parts(presets, device, 0.4 * limit_s, chunks=20),
        *(
            Part(
                name=f"realtime {preset}",
                call=f"{_HERE}:realtime",
                arguments={
                    "preset": preset,
                    "device": device,
                    "arguments": [*options, "--out", str(out / f"realtime-{preset}")],
                },
                limit_s=own_s,
            )
            for preset in streamed
        ),
    ]


BLOCKS: Mapping[str, Callable[[Sequence[str], Path, str, float], list[Part]]] = {
    "g0": probe,
    "g2": distillation,
    "g3": real_time,
}


def _first_parts(presets: Sequence[str], device: str, limit_s: float, *, chunks: int) -> list[Part]:
    """The two ceilings, and a chunk of every model."""
    return [
        Part(
            name="rates",
            call=f"{_HERE}:rates",
            arguments={"device": device},
            limit_s=limit_s / 3,
        ),
        *(
            Part(
                name=f"chunk {preset}",
                call=f"{_HERE}:chunk",
                arguments={"preset": preset, "device": device, "chunks": chunks},
                limit_s=limit_s,
            )
            for preset in presets or _STREAMED
        ),
    ]


def _command(name: str, arguments: Sequence[str], limit_s: float) -> Part:
    return Part(
        name=name,
        call=f"{_HERE}:command",
        arguments={"arguments": list(arguments)},
        limit_s=limit_s,
    )


def table(records: Sequence[Record], *, flop_per_s: float | None = None) -> list[str]:
    """Lays out what became of the parts of a block.

    Args:
        records: In order.
        flop_per_s: Matrix rate, where no part has measured it.

    Returns:
        Lines: the ceilings, chunks beside their floor, stages of training, and what is missing.
    """
    results = {record.part: record.result for record in records if record.status == "done"}
    peak = results.get("rates", {}).get("flop_per_s", flop_per_s)
    lines: list[str] = []
    if "rates" in results:
        found = results["rates"]
        lines.append(
            f"{found['device']}, torch {found['torch']}: {found['flop_per_s'] / 1e12:.4g} TFLOP/s, "
            f"{found['bytes_per_s'] / 1e12:.4g} TB/s"
        )
    chunks = [found for found in results.values() if "floor_ms" in found]
    if chunks:
        lines.append(
            f"{'chunk':<22}{'ms':>10}{'RTF':>8}{'floor ms':>10}{'first ms':>10}{'launches':>10}"
            f"{'GB':>8}{'DiT ms':>10}{'decode ms':>10}"
        )
    lines += [_chunk_line(found) for found in chunks]
    stages = {name: found for name, found in results.items() if "step_ms" in found}
    if stages:
        lines.append(
            f"{'stage':<24}{'batch':>6}{'steps':>7}{'samples/s':>11}{'step ms':>9}{'data %':>8}"
            f"{'TFLOP/s':>9}{'of peak %':>10}{'GB':>8}{'first s':>9}{'loss':>9}"
        )
    lines += [_stage_line(name, found, peak) for name, found in stages.items()]
    lines += [line for found in results.values() for line in found.get("printed", [])[-12:]]
    lines += [
        f"NOT MEASURED {record.part}: {record.status} {record.error}".rstrip()
        for record in records
        if record.status != "done"
    ]
    return lines


def _chunk_line(found: Mapping[str, Any]) -> str:
    parts = {part["part"]: part["ms"] for part in found["parts"]}
    decode = parts["video_decode"] + parts["audio_decode"]
    return (
        f"{found['preset']:<22}{found['chunk_ms']:>10.2f}{found['rtf']:>8.3f}"
        f"{found['floor_ms']:>10.3f}{found['first_ms']:>10.0f}{_or(found['launches'], 'd'):>10}"
        f"{_or(_giga(found['peak_bytes']), '.2f'):>8}{parts['dit']:>10.2f}{decode:>10.2f}"
    )


def _stage_line(name: str, found: Mapping[str, Any], peak: float | None) -> str:
    share = 100 * found["flop_per_s"] / peak if peak else None
    data = None if found["data_share"] is None else 100 * found["data_share"]
    return (
        f"{name:<24}{found['batch']:>6}{found['steps']:>7}{found['samples_per_s']:>11.1f}"
        f"{found['step_ms']:>9.1f}{_or(data, '.1f'):>8}{found['flop_per_s'] / 1e12:>9.3g}"
        f"{_or(share, '.1f'):>10}{_or(_giga(found['peak_bytes']), '.2f'):>8}"
        f"{found['first_s']:>9.1f}{found['loss']:>9.3f}"
    )


def _giga(value: float | None) -> float | None:
    return None if value is None else value / 1e9


def _or(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
