"""The harness's metrics as torchmetrics classes, for training loops and other evaluators."""

from collections.abc import Sequence

import torch
from torchmetrics import Metric

from evals.text.align import align
from evals.text.comparison import compare_texts
from evals.text.normalise import NORMALISERS, SPOKEN
from evals.torchmetrics.video import FrechetDistance, SyncScores

__all__ = ["FrechetDistance", "SyncScores", "WordErrors"]


class WordErrors(Metric):
    """Corpus word error rate under a named normaliser: all errors / all reference words.

    Args:
        normaliser: A key of `evals.text.normalise.NORMALISERS`.
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False
    errors: torch.Tensor
    reference_words: torch.Tensor
    normaliser_number: torch.Tensor

    def __init__(self, normaliser: str = SPOKEN) -> None:
        super().__init__()
        self.normaliser = normaliser
        # A `MetricCollection` updates only one of the metrics whose states were once equal.
        number = torch.tensor(list(NORMALISERS).index(normaliser))
        self.add_state("normaliser_number", number, dist_reduce_fx="max")
        for name in ("errors", "reference_words"):
            self.add_state(name, torch.tensor(0, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, preds: str | Sequence[str], target: str | Sequence[str]) -> None:
        """Adds recordings.

        Args:
            preds: Recognised text of each recording, or of a single one.
            target: Transcript of each recording, or of a single one.

        Raises:
            ValueError: If their numbers differ.
        """
        preds, target = ([texts] if isinstance(texts, str) else texts for texts in (preds, target))
        for heard, transcript in zip(preds, target, strict=True):
            reference, words = compare_texts(transcript, heard, self.normaliser)
            self.errors += align(reference, words).num_errors
            self.reference_words += len(reference)

    def compute(self) -> torch.Tensor:
        """Returns the rate so far; NaN or infinite without reference words."""
        return self.errors.double() / self.reference_words
