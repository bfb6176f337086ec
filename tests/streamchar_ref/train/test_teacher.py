"""What the teacher's loss looks at."""

import torch

from streamchar_ref.train.teacher import STILL, motion_weight
from tests.streamchar_ref.tiny import random


def test_cells_that_change_count_more_and_all_count_one_on_the_average() -> None:
    video = random(2, 1, 4, 8, 8).expand(-1, 6, -1, -1, -1).clone()
    video[:, :, :, 5, 3] += random(2, 6, 4, seed=1)
    weight = motion_weight(video)[:, 0, 0]
    torch.testing.assert_close(weight.mean(dim=(1, 2)), torch.ones(2))
    assert (weight[:, 5, 3] > 40).all()
    torch.testing.assert_close(weight[:, 0, 0], torch.full((2,), STILL))


def test_a_held_picture_still_counts() -> None:
    weight = motion_weight(random(1, 1, 4, 8, 8).expand(-1, 6, -1, -1, -1))
    torch.testing.assert_close(weight, torch.full((1, 1, 1, 8, 8), STILL))
