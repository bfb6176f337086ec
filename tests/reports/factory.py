"""A made-up run that looks like a real one: 4 systems, 3 samples, every axis, failures and gaps."""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from evals.recording.recording import Arrival, Recording, Trace
from evals.scoring.results import ScoreRow, WindowRow, write_scores, write_windows
from evals.scoring.summary import MetricInfo, summarise, write_summary
from streamchar_ref.media.encode import write_mp4

INFOS = {
    "wer": MetricInfo("1", False),
    "cer": MetricInfo("1", False),
    "phoneme_error_rate": MetricInfo("1", False),
    "completion": MetricInfo("1", True),
    "loops": MetricInfo("count", False),
    "longest_skip_words": MetricInfo("words", False),
    "mesh_sync": MetricInfo("1", True),
    "mesh_sync_at_zero": MetricInfo("1", True),
    "mesh_offset_ms": MetricInfo("ms", None, zero_is_best=True),
    "sync_c": MetricInfo("1", True),
    "sync_d": MetricInfo("1", False),
    "id_distance": MetricInfo("1", False),
    "id_rank1": MetricInfo("1", True),
    "id_drift": MetricInfo("1", False),
    "id_slope_per_min": MetricInfo("1/min", False),
    "id_coverage": MetricInfo("1", True),
    "colour_drift": MetricInfo("dE", False),
    "exposure_drift": MetricInfo("1", None, zero_is_best=True),
    "sharpness_drift": MetricInfo("1", None, zero_is_best=True),
    "dynamic_degree": MetricInfo("px", None),
    "voice_similarity": MetricInfo("1", True),
    "voice_drift": MetricInfo("1", False),
    "dnsmos_ovrl": MetricInfo("MOS", True),
    "dnsmos_p808": MetricInfo("MOS", True),
    "fid_lite0": MetricInfo("1", False),
    "fvd": MetricInfo("1", False),
    "rtf": MetricInfo("1", False),
    "rtf_steady": MetricInfo("1", False),
    "first_chunk_s": MetricInfo("s", False),
    "chunk_p99_s": MetricInfo("s", False),
    "deadline_miss_rate": MetricInfo("1", False),
    "zero_stall_startup_s": MetricInfo("s", False),
}
SYSTEMS = ("ground_truth", "streamchar_base", "cascade_a", "static_portrait")
SAMPLES = ("dev_001", "dev_002", "dev_003")
# Typical values, one a system in the order of SYSTEMS.
LEVELS: dict[str, tuple[float, float, float, float]] = {
    "wer": (0.021, 0.036, 0.058, 1.0),
    "cer": (0.009, 0.017, 0.03, 1.0),
    "phoneme_error_rate": (0.05, 0.082, 0.11, 0.99),
    "completion": (1.0, 0.985, 0.96, 0.0),
    "loops": (0, 0.3, 1.4, 0),
    "longest_skip_words": (0.5, 1.5, 6, 84),
    "mesh_sync": (0.71, 0.62, 0.48, 0.02),
    "mesh_sync_at_zero": (0.70, 0.61, 0.36, 0.01),
    "mesh_offset_ms": (8, 21, 118, 3),
    "id_distance": (0.21, 0.29, 0.33, 0.004),
    "id_rank1": (1.0, 0.98, 0.91, 1.0),
    "id_drift": (0.004, 0.012, 0.071, 0.0),
    "id_slope_per_min": (0.001, 0.007, 0.042, 0.0),
    "id_coverage": (0.998, 0.99, 0.96, 1.0),
    "colour_drift": (0.6, 1.4, 5.2, 0.02),
    "exposure_drift": (0.008, 0.017, 0.06, 0.0001),
    "sharpness_drift": (0.02, 0.05, 0.21, 0.0001),
    "dynamic_degree": (3.4, 2.9, 2.2, 0.0),
    "voice_similarity": (0.91, 0.84, 0.88, 0.5),
    "voice_drift": (0.01, 0.02, 0.03, 0.0),
    "dnsmos_ovrl": (3.31, 3.12, 3.22, 1.1),
    "dnsmos_p808": (3.9, 3.7, 3.75, 2.2),
    "rtf": (0.04, 0.71, 1.12, 0.01),
    "rtf_steady": (0.04, 0.69, 1.1, 0.01),
    "first_chunk_s": (0.06, 0.94, 2.8, 0.02),
    "chunk_p99_s": (0.08, 1.21, 2.2, 0.03),
    "deadline_miss_rate": (0, 0.03, 0.62, 0),
    "zero_stall_startup_s": (0.06, 1.1, 11.0, 0.02),
}
WEIGHTS_MISSING = (
    "weights syncnet_v2 are not here; the licence asks you to fetch them yourself: "
    "streamchar weights pull syncnet_v2"
)
TRANSCRIPT = "The river <b>rose</b> & fell, and the old mill kept turning through the night."


def score_rows(num_samples: int = 3, seed: int = 0) -> list[ScoreRow]:
    """Rows of a whole run."""
    rng = np.random.default_rng(seed)
    samples = [f"dev_{index + 1:03d}" for index in range(num_samples)]
    rows = []
    for place, system in enumerate(SYSTEMS):
        for sample in samples:
            effect = rng.normal()
            for metric, levels in LEVELS.items():
                level = levels[place]
                value = level * (1 + 0.06 * effect + 0.05 * rng.normal())
                value = min(value, 1.0) if metric in {"completion", "id_rank1"} else value
                rows.append(score_row(system, sample, metric, value))
            rows += [score_row(system, sample, metric, None) for metric in ("sync_c", "sync_d")]
        rows += set_rows(system, place)
    return rows


def score_row(system: str, sample: str, metric: str, value: float | None) -> ScoreRow:
    """One row; some are failures, by system and metric."""
    status: Any = "computed"
    reason = ""
    if metric in {"sync_c", "sync_d"}:
        status, reason = "unavailable", WEIGHTS_MISSING
    elif system == "cascade_a" and sample == "dev_002":
        status, reason = "generation_failure", "CUDA out of memory. Tried to allocate <2.00 GiB>"
    elif system == "static_portrait" and metric in {"voice_similarity", "voice_drift", "mesh_sync"}:
        status, reason = "not_applicable", "no speech in the recording"
    elif system == "streamchar_base" and sample == "dev_003" and metric == "id_rank1":
        status, reason = "evaluator_failure", "dlib: RuntimeError: bad allocation"
    return ScoreRow(
        sample_id=sample,
        system=system,
        suite="long_horizon_dev",
        seed=0,
        metric=metric,
        protocol=f"{metric}/default@1",
        protocol_hash=f"{abs(hash_of(metric)):012x}"[:12],
        domain="world",
        value=value if status == "computed" else None,
        weight=84.0 if metric in {"wer", "cer"} else 1.0,
        status=status,
        reason=reason,
        components=components(system, sample) if metric == "wer" and status == "computed" else {},
    )


def set_rows(system: str, place: int) -> list[ScoreRow]:
    """Rows of metrics on a whole set."""
    row = score_row(system, "*", "fid_lite0", (0.0, 18.2, 27.4, 61.0)[place])
    fid = {"ci_low": 0.93 * (row.value or 0), "ci_high": 1.07 * (row.value or 0)}
    na: Any = {"value": None, "status": "not_applicable", "reason": "this is the reference set"}
    change = na if system == "ground_truth" else {"components": fid}
    gone: Any = {"value": None, "status": "unavailable"}
    gone |= {
        "protocol_hash": "0" * 12,
        "metric": "fvd",
        "protocol": "fvd/stylegan-v@1",
        "reason": WEIGHTS_MISSING,
    }
    return [ScoreRow(**(vars(row) | change)), ScoreRow(**(vars(row) | gone))]


def components(system: str, sample: str) -> dict[str, Any]:
    """What became of 84 words over five minutes."""
    rng = np.random.default_rng(hash_of(system + sample))
    wrong = {"ground_truth": 0.02, "streamchar_base": 0.04, "cascade_a": 0.1, "static_portrait": 1}
    p = wrong[system]
    times = np.sort(rng.uniform(0, 300, 240)).round(2).tolist()
    operations = rng.choice(["equal", "sub", "del", "ins"], 240, p=[1 - p, p / 3, p / 3, p / 3])
    return {"alignment": [list(word) for word in zip(times, operations.tolist(), strict=True)]}


def hash_of(text: str) -> int:
    """A small number that stands for a text, the same in every process."""
    return sum((index + 1) * 7919 * byte for index, byte in enumerate(text.encode()))


def window_rows(samples: Sequence[str] = SAMPLES) -> list[WindowRow]:
    """Curves of three metrics over five minutes."""
    rng = np.random.default_rng(1)
    drift = {"ground_truth": 0.0, "streamchar_base": 0.03, "cascade_a": 0.25, "static_portrait": 0}
    levels = {"wer": 0.03, "id_distance": 0.25, "mesh_sync": 0.6}
    rows = []
    for system, slope in drift.items():
        for sample in samples:
            for metric, level in levels.items():
                for start in range(0, 300, 15):
                    noise = 0.05 * level * rng.normal()
                    sign = -1 if metric == "mesh_sync" else 1
                    value = level + sign * slope * start / 300 + noise
                    rows.append(
                        WindowRow(
                            sample_id=sample,
                            system=system,
                            suite="long_horizon_dev",
                            seed=0,
                            metric=metric,
                            protocol=f"{metric}/default@1",
                            t0_s=float(start),
                            t1_s=float(start + 15),
                            value=None if start == 60 and system == "cascade_a" else value,
                        )
                    )
    return rows


def trace(system: str, num_chunks: int = 120) -> Trace:
    """Arrivals: steady, with one hiccup, or slower than playing."""
    rng = np.random.default_rng(hash_of(system))
    pace = {"ground_truth": 0.3, "streamchar_base": 0.9, "cascade_a": 1.4, "static_portrait": 0.02}
    wait = pace[system] * np.exp(0.12 * rng.normal(size=num_chunks))
    if system == "streamchar_base":
        wait[70] += 4.0
    return Trace(
        arrivals=tuple(
            Arrival(t_s=float(t_s), num_frames=32, num_samples=20_480) for t_s in np.cumsum(wait)
        ),
        fps=25.0,
        sample_rate=16_000,
        device="NVIDIA H100 80GB HBM3",
    )


def recordings(folder: Path) -> list[Recording]:
    """Three recordings a system; their video files are not there."""
    return [
        Recording(
            sample_id=sample,
            system=system,
            suite="long_horizon_dev",
            transcript=TRANSCRIPT,
            video_path=folder / f"{system}-{sample}.mkv",
            trace=trace(system),
            groups={"domain": "world", "identity": f"face_{index}"},
            error="CUDA out of memory. Tried to allocate <2.00 GiB>"
            if (system, sample) == ("cascade_a", "dev_002")
            else "",
        )
        for system in SYSTEMS
        for index, sample in enumerate(SAMPLES)
    ]


def run_json() -> dict[str, Any]:
    """Provenance as the harness writes it."""
    protocols = {}
    for row in score_rows():
        protocols[row.protocol_hash] = {
            "metric": row.metric,
            "protocol": row.protocol,
            "params": {"window_s": 15, "pad_s": 0.5},
            "input": {"name": "canonical@2", "fps": 25, "short_side": 512},
        }
    return {
        "schema_version": 1,
        "versions": {"python": "3.11.2", "streamchar": "0.1.0", "torch": "2.13.0+cpu"},
        "git": "93f6ac9c2a1b4d5e6f708192a3b4c5d6e7f80910+changes",
        "device": "AMD EPYC 9R14, 2 cores, Linux",
        "record": {"suite": "long_horizon_dev", "seed": 0, "limit": 3},
        "protocols": protocols,
        "notes": {"cascade_a/long_horizon_dev/dev_001/0": ["30 fps, converted to 25"]},
    }


def make_run(folder: Path, num_samples: int = 3) -> Path:
    """Writes a run folder without recordings."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = score_rows(num_samples)
    samples = sorted({row.sample_id for row in rows} - {"*"})
    write_scores(folder / "scores.jsonl", rows)
    write_windows(folder / "windows.csv", window_rows(samples))
    write_summary(folder / "summary.json", summarise(rows, INFOS))
    (folder / "run.json").write_text(json.dumps(run_json(), sort_keys=True), encoding="utf-8")
    return folder


def face(system: str, mouth: float, size: int = 128) -> Image.Image:
    """A friendly disc whose mouth opens."""
    shade = {"ground_truth": 0, "streamchar_base": 8, "cascade_a": 30, "static_portrait": 4}[system]
    picture = Image.new("RGB", (size, size), (214 - shade, 226 - shade, 236))
    pen = ImageDraw.Draw(picture)
    pen.ellipse([24, 14, 104, 118], fill=(236, 196 - shade, 166))
    for x in (48, 80):
        pen.ellipse([x - 5, 50, x + 5, 60], fill=(40, 40, 50))
    pen.ellipse([50, 84 - 8 * mouth, 78, 86 + 10 * mouth], fill=(150, 50, 60))
    return picture


def strip(recording: Recording) -> list[tuple[float, bytes]]:
    """Eight pictures of a recording."""
    pictures = []
    for index in range(8):
        buffer = io.BytesIO()
        face(recording.system, (index * 0.37) % 1).save(buffer, format="png")
        pictures.append((index * 42.8, buffer.getvalue()))
    return pictures


def player(recording: Recording) -> bytes | None:
    """A second of video; nothing for recordings that failed."""
    if recording.error:
        return None
    path = recording.video_path.with_suffix(".mp4")
    frames = np.stack([np.asarray(face(recording.system, (t * 0.13) % 1)) for t in range(25)])
    tone = 0.1 * np.sin(np.arange(16_000) * 2 * np.pi * 220 / 16_000)
    write_mp4(path, [frames], tone.astype(np.float32), fps=25, sample_rate=16_000)
    return path.read_bytes()
