"""Speed of the numerics: ratios against other libraries taken in one run, and a whole table."""

import time
from collections.abc import Callable
from typing import Any

import jiwer
import numpy as np
import scipy.linalg
import scipy.stats
import torch

from evals.numerics.frechet import frechet_distance
from evals.numerics.statistics import paired_difference
from evals.protocols.info import MetricInfo
from evals.scoring.compare import compare
from evals.scoring.results import ScoreRow
from evals.scoring.summary import summarise
from evals.text.align import align

REPEATS = 3
DRAWS = 10_000


def bench_numerics() -> list[dict[str, Any]]:
    """Times Frechet distances against torchmetrics and a matrix root, and alignment against jiwer.

    Returns:
        Rows with sizes, milliseconds of both, their ratio and the relative difference in value; the
        last one is a whole table of results, which nothing else makes.
    """
    rng = np.random.default_rng(0)
    rows = []
    for count, width in ((256, 400), (256, 2048), (2048, 400)):
        first, second = rng.normal(size=(2, count, width)) + np.array([0.0, 0.1])[:, None, None]
        ours_ms, ours = _timed(lambda a=first, b=second: frechet_distance(a, b))  # type: ignore[misc]
        for name, other in (("scipy sqrtm", _sqrtm_distance), ("torchmetrics", _torchmetrics)):
            other_ms, theirs = _timed(lambda a=first, b=second, f=other: f(a, b))  # type: ignore[misc]
            rows.append(
                {
                    "what": f"frechet {count}x{width}",
                    "ours_ms": round(ours_ms, 1),
                    "other": name,
                    "other_ms": round(other_ms, 1),
                    "ratio": round(other_ms / ours_ms, 1),
                    "difference": f"{abs(ours - theirs) / theirs:.1e}",
                }
            )
    words = [f"w{n}" for n in rng.integers(0, 500, 4500)]
    heard = [word for word in words if rng.random() > 0.08]
    ours_ms, errors = _timed(lambda: float(align(words, heard).num_errors))
    jiwer_ms, rate = _timed(lambda: jiwer.wer(" ".join(words), " ".join(heard)))
    rows.append(
        {
            "what": "aligned errors, 4500 words",
            "ours_ms": round(ours_ms, 1),
            "other": "jiwer wer",
            "other_ms": round(jiwer_ms, 1),
            "ratio": round(jiwer_ms / ours_ms, 1),
            "difference": f"{abs(errors / len(words) - rate) / rate:.1e}",
        }
    )
    return [*rows, _paired_row(rng), _table_row(rng)]


def _paired_row(rng: np.random.Generator) -> dict[str, Any]:
    """One paired difference, interval and p-value, against scipy's resampling."""
    first, second = rng.normal(size=160) + 0.1, rng.normal(size=160)
    ours_ms, ours = _timed(lambda: paired_difference(first, second, draws=DRAWS).delta)
    scipy_ms, theirs = _timed(lambda: _scipy_difference(first - second), repeats=1)
    return {
        "what": f"paired difference, 160 pairs, {DRAWS} draws",
        "ours_ms": round(ours_ms, 1),
        "other": "scipy bootstrap + permutation",
        "other_ms": round(scipy_ms, 1),
        "ratio": round(scipy_ms / ours_ms, 1),
        "difference": f"{abs(ours - theirs) / abs(theirs):.1e}",
    }


def _table_row(rng: np.random.Generator) -> dict[str, Any]:
    """Means and all pairs of 5 systems x 160 prompts x 10 metrics, intervals, p, Holm, effects."""
    names = [f"m{number}" for number in range(10)]
    infos = {name: MetricInfo("1", True) for name in names}
    rows = [
        ScoreRow(
            sample_id=f"s{prompt:03d}", system=system, suite="bench", seed=0, metric=name,
            protocol=f"{name}/x@1", protocol_hash="0" * 12, domain="real",
            value=float(rng.normal()), weight=1.0, status="computed", reason="",
        )
        for system in "abcde" for name in names for prompt in range(160)
    ]  # fmt: skip

    def whole_table() -> float:
        compared = compare(rows, infos, draws=DRAWS)
        return float(len(compared) + len(summarise(rows, infos, draws=DRAWS)))

    ours_ms, _ = _timed(whole_table, repeats=1)
    return {
        "what": f"5 systems x 160 prompts x 10 metrics, {DRAWS} draws",
        "ours_ms": round(ours_ms, 1),
        "other": "none",
        "other_ms": "",
        "ratio": "",
        "difference": "",
    }


def _scipy_difference(differences: np.ndarray) -> float:
    scipy.stats.bootstrap(
        (differences,), np.mean, n_resamples=DRAWS, method="percentile", vectorized=True
    )
    test = scipy.stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=DRAWS, vectorized=True
    )
    return float(test.statistic)


def _timed(run: Callable[[], float], *, repeats: int = REPEATS) -> tuple[float, float]:
    best, value = np.inf, np.nan
    for _ in range(repeats):
        start = time.process_time()
        value = run()
        best = min(best, time.process_time() - start)
    return 1000 * best, float(value)


def _torchmetrics(first: np.ndarray, second: np.ndarray) -> float:
    """Distance of features by torchmetrics, whose network is replaced by none; NaN without it."""
    try:
        from torchmetrics.image.fid import FrechetInceptionDistance
    except ImportError:  # a package for tests
        return float("nan")
    metric = FrechetInceptionDistance(feature=_Unchanged(first.shape[1])).set_dtype(torch.float64)
    for features, is_real in ((first, True), (second, False)):
        metric.update(torch.from_numpy(features), real=is_real)
    return float(metric.compute())


class _Unchanged(torch.nn.Identity):
    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features


def _sqrtm_distance(first: np.ndarray, second: np.ndarray) -> float:
    covariances = [np.cov(features, rowvar=False) for features in (first, second)]
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1])
    shift = first.mean(0) - second.mean(0)
    return float(shift @ shift + np.trace(covariances[0] + covariances[1] - 2 * np.real(root)))
