"""Trains `sync_world` on the flat style: which sound belongs to which mouth?

A window of picture must find its window of sound among all of its own stretch, and the other way
round. Logits are minus the L2 distance that the scores are made of, so that a distance is in nats
and ``sync_c_world`` is the evidence a window gives for the best shift over a usual one.
"""

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from evals.extractors.networks.sync_world import MEL_FRAMES_A_FRAME, SyncWorld
from evals.extractors.networks.weights_file import save_weights
from evals.extractors.one_thread import one_thread
from evals.judges.schedule import Average, Say, Schedule
from evals.judges.sync_data import Batch, Mouths, draw_batch, speaking_mouths

STYLE = "flat"
DATE = "2026-11-22"
"""When this recipe was last changed; not the day of a run, which would change the bytes."""
SEED = 20
NUM_CLIPS = 240
NUM_STEPS = 1800
STRETCH_FRAMES = 40
STRETCHES = 14
PEAK_RATE = 2e-3
PREPARATION_SHARE = 0.45


@one_thread()
def train(out: Path, *, max_minutes: float, say: Say) -> dict[str, Any]:
    """Draws clips, trains on them, and writes the weights.

    Args:
        out: File to write.
        max_minutes: In all; see `evals.judges.schedule.Schedule`.
        say: Told how it goes.

    Returns:
        How it was made, as kept in the file.
    """
    schedule = Schedule(num_steps=NUM_STEPS, max_minutes=max_minutes, peak_rate=PEAK_RATE)
    mouths = collect(schedule, say)
    network, losses = fit(mouths, schedule, say)
    about = schedule.account(
        "sync_world",
        losses,
        is_prepared=len(mouths) == NUM_CLIPS,
        digits=2,
        style=STYLE,
        seed=SEED,
        date=DATE,
        clips=len(mouths),
        seconds=round(sum(len(clip.crops) for clip in mouths) / 25),
    )
    save_weights(out, network, about)
    return about


def collect(schedule: Schedule, say: Say) -> list[Mouths]:
    """Draws the training clips; fewer if the time for them is up."""
    mouths: list[Mouths] = []
    for clip in speaking_mouths(STYLE, seed=SEED):
        if _is_long_enough(clip):
            mouths.append(clip)
        if len(mouths) % 40 == 0:
            say(f"{len(mouths)} clips, {schedule.elapsed_minutes:.1f} min")
        is_late = schedule.elapsed_minutes > PREPARATION_SHARE * schedule.max_minutes
        if len(mouths) == NUM_CLIPS or (is_late and mouths):
            break
    return mouths


def _is_long_enough(clip: Mouths) -> bool:
    return len(clip.crops) >= STRETCH_FRAMES and len(clip.power) > (
        MEL_FRAMES_A_FRAME * STRETCH_FRAMES
    )


def fit(mouths: list[Mouths], schedule: Schedule, say: Say) -> tuple[SyncWorld, list[float]]:
    """Trains a new network; returns it, averaged over its last steps, and the losses."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        network = SyncWorld()
    generator = torch.Generator().manual_seed(SEED)
    optimizer = torch.optim.AdamW(network.parameters(), betas=(0.9, 0.98), weight_decay=0.02)
    average = Average(network)
    losses: list[float] = []
    network.train()
    for step in schedule.steps(optimizer):
        batch = draw_batch(mouths, generator, size=STRETCHES, num_frames=STRETCH_FRAMES)
        with torch.autocast("cpu", torch.bfloat16):
            visual, audio = network.embed_mouth(batch.crops), network.embed_sound(batch.features)
        loss = matching_loss(visual, audio)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0, error_if_nonfinite=True)
        optimizer.step()
        average.update(network)
        losses.append(loss.item())
        if step % 100 == 0:
            recent = losses[-100:]
            say(f"step {step}, loss {sum(recent) / len(recent):.3f}, "
                f"{schedule.elapsed_minutes:.1f} min")  # fmt: skip
    average.put_into(network)
    network.eval()
    place_outside(network, draw_batch(mouths, generator, size=32, num_frames=STRETCH_FRAMES))
    return network, losses


def matching_loss(
    visual: Float[Tensor, "B N E"], audio: Float[Tensor, "B N E"]
) -> Float[Tensor, ""]:
    """Cross entropy of each window's partner among all of the stretch, both ways."""
    logits = -torch.cdist(visual, audio, compute_mode="donot_use_mm_for_euclid_dist")
    target = torch.arange(logits.shape[1]).expand(len(logits), -1)
    forth = F.cross_entropy(logits.flatten(0, 1), target.flatten())
    back = F.cross_entropy(logits.transpose(1, 2).flatten(0, 1), target.flatten())
    return (forth + back) / 2


@torch.inference_mode()
def place_outside(network: SyncWorld, batch: Batch) -> None:
    """Sets the constant coordinate so that the zero vector is as far as a wrong sound."""
    visual, audio = network.embed_mouth(batch.crops), network.embed_sound(batch.features)
    wrong = torch.cdist(visual, audio.roll(1, dims=0)).mean()
    inside = visual[..., :-1].square().sum(-1).mean()
    network.outside.copy_((wrong**2 - inside).clamp_min(0).sqrt())
