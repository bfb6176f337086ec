"""A run folder with scores of one metric, written without measuring anything."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evals.metrics import EVERY_METRIC
from evals.protocols.base import protocol_hash
from evals.recording.run_folder import write_run
from evals.scoring.persist import summaries_of
from evals.scoring.results import ScoreRow, write_scores, write_windows
from evals.scoring.score import Options, params_of
from evals.scoring.summary import write_summary


def settings_of(protocol: str) -> dict[str, Any]:
    """Everything that decides a number of an installed protocol."""
    (metric,) = [metric for metric in EVERY_METRIC if metric.protocol == protocol]
    return params_of(metric, Options())


def write_scored(
    run: Path, protocol: str, values: Sequence[float | None], params: Mapping[str, Any] = {}
) -> list[ScoreRow]:
    """Writes scores of a system; a missing value is a failure of the evaluator."""
    settings = dict(params) or settings_of(protocol)
    digest = protocol_hash(settings)
    rows = [
        ScoreRow(
            sample_id=f"clip{at}", system="mine", suite="toys", seed=0,
            metric=protocol.partition("/")[0], protocol=protocol, protocol_hash=digest,
            domain="real", value=value, weight=float(value is not None),
            status="evaluator_failure" if value is None else "computed",
            reason="no words" if value is None else "",
        )
        for at, value in enumerate(values)
    ]  # fmt: skip
    run.mkdir(parents=True, exist_ok=True)
    write_scores(run / "scores.jsonl", rows)
    write_windows(run / "windows.csv", [])
    write_summary(run / "summary.json", summaries_of(rows, {}))
    told = {"git": "abc123", "device": "a machine", "versions": {"python": "3.13.0"}}
    write_run(run / "run.json", {**told, "protocols": {digest: settings}})
    return rows
