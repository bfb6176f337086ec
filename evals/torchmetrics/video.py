"""Lip-sync and Frechet scores as torchmetrics classes, for training loops.

Their state is torchmetrics', so it is reduced over processes; they compute with the functions of
the harness.
Shape letters: L windows (one per video frame), E and D dimensions, N features.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from evals.numerics.frechet import frechet_distance
from evals.numerics.syncnet import mean_curve, read_curve, shifted_distances


class SyncScores(Metric):
    """SyncNet scores of several recordings, each weighted by its windows.

    ``compute`` returns ``sync_c``, ``sync_d`` and ``abs_av_offset_frames``, the mean absolute
    offset, since signed offsets would cancel.

    Args:
        **kwargs: Of ``torchmetrics.Metric``.
    """

    full_state_update = False
    is_differentiable = False
    totals: Tensor
    num_windows: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        zeros = torch.zeros(3, dtype=torch.float64)
        self.add_state("totals", default=zeros, dist_reduce_fx="sum")
        count = torch.tensor(0, dtype=torch.int64)
        self.add_state("num_windows", default=count, dist_reduce_fx="sum")

    def update(self, visual: Float[Tensor, "L E"], audio: Float[Tensor, "_L E"]) -> None:
        """Adds the embeddings of one recording; raises ``ValueError`` if they are unlike."""
        if visual.shape != audio.shape:
            sizes = f"{tuple(visual.shape)} and {tuple(audio.shape)}"
            raise ValueError(f"mouth and sound have an embedding for each frame, not {sizes}")
        distance = shifted_distances(
            visual.detach().float().cpu().numpy(), audio.detach().float().cpu().numpy()
        )
        score = read_curve(mean_curve(distance))
        values = [score.sync_c, score.sync_d, float(abs(score.offset_frames))]
        self.totals += len(visual) * torch.tensor(values, dtype=torch.float64).to(self.totals)
        self.num_windows += len(visual)

    def compute(self) -> dict[str, Tensor]:
        """Returns the means over all windows so far; NaN before the first."""
        sync_c, sync_d, offset = self.totals / self.num_windows
        return {"sync_c": sync_c, "sync_d": sync_d, "abs_av_offset_frames": offset}


class FrechetDistance(Metric):
    """Frechet distance between features of real and generated videos or pictures.

    Args:
        ddof: 1 for the sample covariance, 0 for 1/N.
        **kwargs: Of ``torchmetrics.Metric``.
    """

    full_state_update = False
    is_differentiable = False
    higher_is_better = False
    real_features: list[Tensor]
    fake_features: list[Tensor]

    def __init__(self, *, ddof: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._ddof = ddof
        self.add_state("real_features", default=[], dist_reduce_fx="cat")
        self.add_state("fake_features", default=[], dist_reduce_fx="cat")

    def update(self, features: Float[Tensor, "N D"], *, real: bool) -> None:
        """Adds real or generated features."""
        (self.real_features if real else self.fake_features).append(features.detach())

    def compute(self) -> Tensor:
        """Returns the distance of all features so far; raises with fewer than two of a kind."""
        for features in (self.real_features, self.fake_features):
            if not len(features):
                raise ValueError("both real and generated features are needed")
        real, fake = (
            dim_zero_cat(features).double().cpu().numpy()
            for features in (self.real_features, self.fake_features)
        )
        value = frechet_distance(real, fake, ddof=self._ddof)
        return torch.tensor(value, dtype=torch.float64, device=self.device)
