"""Speed of the numerics against other libraries, as ratios taken in one run."""

import time
from collections.abc import Callable
from typing import Any

import jiwer
import numpy as np
import scipy.linalg

from evals.numerics.frechet import frechet_distance
from evals.text.align import align

REPEATS = 3


def bench_numerics() -> list[dict[str, Any]]:
    """Times our Frechet distance against the matrix square root, and our alignment against jiwer.

    Returns:
        Rows with sizes, milliseconds of both, their ratio and the relative difference in value.
    """
    rng = np.random.default_rng(0)
    rows = []
    for count, width in ((256, 400), (256, 2048), (2048, 400)):
        first, second = rng.normal(size=(2, count, width)) + np.array([0.0, 0.1])[:, None, None]
        ours_ms, ours = _timed(lambda a=first, b=second: frechet_distance(a, b))  # type: ignore[misc]
        sqrtm_ms, theirs = _timed(lambda a=first, b=second: _sqrtm_distance(a, b))  # type: ignore[misc]
        rows.append(
            {
                "what": f"frechet {count}x{width}",
                "ours_ms": round(ours_ms, 1),
                "other": "scipy sqrtm",
                "other_ms": round(sqrtm_ms, 1),
                "ratio": round(sqrtm_ms / ours_ms, 1),
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
    return rows


def _timed(run: Callable[[], float]) -> tuple[float, float]:
    best, value = np.inf, np.nan
    for _ in range(REPEATS):
        start = time.process_time()
        value = run()
        best = min(best, time.process_time() - start)
    return 1000 * best, float(value)


def _sqrtm_distance(first: np.ndarray, second: np.ndarray) -> float:
    covariances = [np.cov(features, rowvar=False) for features in (first, second)]
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1])
    shift = first.mean(0) - second.mean(0)
    return float(shift @ shift + np.trace(covariances[0] + covariances[1] - 2 * np.real(root)))
