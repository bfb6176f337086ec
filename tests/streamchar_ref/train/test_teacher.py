"""What the teacher's loss looks at."""

import torch

from streamchar_ref.train.latent_losses import MOUTH, STILL, apply_pixel_metric, video_weight
from tests.streamchar_ref.tiny import random


def test_cells_that_change_count_more_and_all_count_one_on_the_average() -> None:
    video = random(2, 1, 4, 8, 8).expand(-1, 6, -1, -1, -1).clone()
    video[:, :, :, 5, 3] += random(2, 6, 4, seed=1)
    weight = video_weight(video, torch.zeros(2, 6, 8, 8))[:, 0, 0]
    torch.testing.assert_close(weight.mean(dim=(1, 2)), torch.ones(2))
    assert (weight[:, 5, 3] > 40).all()
    torch.testing.assert_close(weight[:, 0, 0], torch.full((2,), STILL))


def test_a_held_picture_still_counts() -> None:
    video = random(1, 1, 4, 8, 8).expand(-1, 6, -1, -1, -1)
    weight = video_weight(video, torch.zeros(1, 6, 8, 8))
    torch.testing.assert_close(weight, torch.full((1, 6, 1, 8, 8), STILL))


def test_a_cell_counts_more_while_the_mouth_is_in_it() -> None:
    video, mouth = random(1, 1, 4, 8, 8).expand(-1, 6, -1, -1, -1), torch.zeros(1, 6, 8, 8)
    mouth[0, 2, 5, 4] = 0.5
    weight = video_weight(video, mouth)[0, :, 0, 5, 4]
    assert weight[2] == STILL + MOUTH / 2
    assert (weight[[0, 1, 3, 4, 5]] == STILL).all()


def test_errors_are_weighed_in_full_precision() -> None:
    miss, sensitivity = random(2, 3, 4, 2, 2), random(4, 4, seed=1)
    with torch.autocast("cpu", torch.bfloat16):
        found = apply_pixel_metric(miss, sensitivity)
    expected = (miss.movedim(2, -1) @ sensitivity).movedim(-1, 2)
    torch.testing.assert_close(found, expected)
