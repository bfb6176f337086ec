"""Windows of recordings arranged as curves over playing time, system by system.

Shape letters: R recordings, K windows.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float


@dataclass(frozen=True, kw_only=True)
class DriftCurve:
    """One metric over the recordings of one system.

    Attributes:
        system: Legend label.
        metric: Name of the metric.
        protocol: Name and version of its parameters.
        quantity: What the values are of: the metric's name, unless its curve is of something else.
        unit: Of the values; empty if not known.
        places: Suite, sample_id and seed of the recordings, one a row.
        times_s: Centres of the windows, in seconds from the start.
        starts_s: Their starts.
        ends_s: Ends of each recording's own windows: its last one may be short; NaN where it has
            none.
        values: One row a recording; NaN where nothing was measured or the recording has ended.
    """

    system: str
    metric: str
    protocol: str
    quantity: str
    unit: str = ""
    places: tuple[tuple[str, str, int], ...] = ()
    times_s: Float[np.ndarray, " K"]
    starts_s: Float[np.ndarray, " K"]
    ends_s: Float[np.ndarray, "R K"]
    values: Float[np.ndarray, "R K"]

    @property
    def samples(self) -> tuple[str, ...]:
        """Names of the recordings, one a row."""
        return tuple(" / ".join(map(str, place)) for place in self.places)


def drift_curves(windows: pd.DataFrame, metric: str, protocol: str = "") -> list[DriftCurve]:
    """Arranges windows as curves.

    Args:
        windows: Columns of `evals.scoring.results.WindowRow`; a missing value is NaN.
        metric: Which.
        protocol: Which, if the metric has several; the first by default.

    Returns:
        One curve a system, by name; empty if the metric has no windows.
    """
    chosen = windows[windows["metric"] == metric]
    if chosen.empty:
        return []
    protocol = protocol or str(chosen["protocol"].min())
    chosen = chosen[chosen["protocol"] == protocol]
    quantity = str(chosen["quantity"].iloc[0])
    chosen = chosen[chosen["quantity"] == quantity]
    # Windows are matched by their start: the last one of a recording may be short.
    starts = chosen["t0_s"].round(3)
    ends = chosen.groupby(starts)["t1_s"].max()
    curves = []
    for system, rows in chosen.assign(start_s=starts).groupby("system", sort=True):
        both = rows.pivot_table(
            index=["suite", "sample_id", "seed"],
            columns="start_s",
            values=["value", "t1_s"],
            dropna=False,
        )
        grid = both["value"].dropna(axis="index", how="all")
        centres = (grid.columns + ends[grid.columns].to_numpy()) / 2
        curves.append(
            DriftCurve(
                system=str(system),
                metric=metric,
                protocol=protocol,
                quantity=quantity,
                unit=str(rows["unit"].iloc[0]),
                places=tuple((str(a), str(b), int(c)) for a, b, c in grid.index),
                times_s=np.asarray(centres, dtype=np.float64),
                starts_s=np.asarray(grid.columns, dtype=np.float64),
                ends_s=both["t1_s"].loc[grid.index, grid.columns].to_numpy(dtype=np.float64),
                values=grid.to_numpy(dtype=np.float64),
            )
        )
    return [curve for curve in curves if len(curve.values)]
