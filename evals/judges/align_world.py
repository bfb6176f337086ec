"""Trains `align_world` on the painted style's voices: which phonemes are spoken, and when?

CTC, whose emissions are held to the exact times of the world: a phoneme may be emitted only
within its span and a little around it, so that the recogniser's peaks do not drift late. A second
head, which is not kept, names the phoneme that sounds in each frame: that is learned sooner.
"""

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from evals.extractors.networks.align_world import NUM_CLASSES, WIDTH, AlignWorld
from evals.extractors.networks.weights_file import save_weights
from evals.extractors.one_thread import one_thread
from evals.judges.align_data import Batch, Sentence, draw_batch, spoken_sentences
from evals.judges.schedule import Average, Say, Schedule

STYLE = "painted"
DATE = "2026-11-22"
"""When this recipe was last changed; not the day of a run, which would change the bytes."""
SEED = 30
NUM_SENTENCES = 420
NUM_STEPS = 2600
STRETCH_MEL_FRAMES = 400
STRETCHES = 16
PEAK_RATE = 2e-3
PREPARATION_SHARE = 0.4
NAMING = 2.0  # a phoneme lasts some four frames
_FORBIDDEN = -30.0


@one_thread()
def train(out: Path, *, max_minutes: float, say: Say) -> dict[str, Any]:
    """Makes speech, trains on it, and writes the weights.

    Args:
        out: File to write.
        max_minutes: In all; see `evals.judges.schedule.Schedule`.
        say: Told how it goes.

    Returns:
        How it was made, as kept in the file.
    """
    schedule = Schedule(num_steps=NUM_STEPS, max_minutes=max_minutes, peak_rate=PEAK_RATE)
    sentences = collect(schedule, say)
    network, losses = fit(sentences, schedule, say)
    about = schedule.account(
        "align_world",
        losses,
        is_prepared=len(sentences) == NUM_SENTENCES,
        digits=2,
        style=STYLE,
        seed=SEED,
        date=DATE,
        sentences=len(sentences),
        seconds=round(sum(len(sentence.power) for sentence in sentences) / 100),
    )
    save_weights(out, network, about)
    return about


def collect(schedule: Schedule, say: Say) -> list[Sentence]:
    """Makes the training speech; less if the time for it is up."""
    sentences: list[Sentence] = []
    for sentence in spoken_sentences(STYLE, seed=SEED):
        sentences.append(sentence)
        if len(sentences) % 120 == 0:
            say(f"{len(sentences)} sentences, {schedule.elapsed_minutes:.1f} min")
        is_late = schedule.elapsed_minutes > PREPARATION_SHARE * schedule.max_minutes
        if len(sentences) == NUM_SENTENCES or is_late:
            break
    return sentences


def fit(sentences: list[Sentence], schedule: Schedule, say: Say) -> tuple[AlignWorld, list[float]]:
    """Trains a new network; returns it, averaged over its last steps, and the losses."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        network = AlignWorld()
        naming = nn.Linear(WIDTH, NUM_CLASSES)
    generator = torch.Generator().manual_seed(SEED)
    weights = [*network.parameters(), *naming.parameters()]
    optimizer = torch.optim.AdamW(weights, betas=(0.9, 0.98), weight_decay=0.01)
    average = Average(network)
    losses: list[float] = []
    network.train()
    for step in schedule.steps(optimizer):
        batch = draw_batch(sentences, generator, size=STRETCHES, num_mel_frames=STRETCH_MEL_FRAMES)
        with torch.autocast("cpu", torch.bfloat16):
            hidden = network.hear(batch.features)
            log_probs, named = network.emit(hidden), naming(hidden).float()
        loss = held_ctc_loss(log_probs, batch)
        loss = loss + NAMING * F.cross_entropy(named.flatten(0, 1), batch.sounding.flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0, error_if_nonfinite=True)
        optimizer.step()
        average.update(network)
        losses.append(loss.item())
        if step % 100 == 0:
            recent = losses[-100:]
            say(f"step {step}, loss {sum(recent) / len(recent):.3f}, "
                f"{schedule.elapsed_minutes:.1f} min")  # fmt: skip
    average.put_into(network)
    return network.eval(), losses


def held_ctc_loss(log_probs: Float[Tensor, "B T C"], batch: Batch) -> Float[Tensor, ""]:
    """CTC over the alignments that keep to the phonemes' own times, a phoneme."""
    held = log_probs.masked_fill(~batch.may_emit, _FORBIDDEN)
    lengths = torch.full((len(held),), held.shape[1])
    total = F.ctc_loss(
        held.transpose(0, 1),
        batch.phones,
        lengths,
        batch.num_phones,
        reduction="sum",
        zero_infinity=True,
    )
    return total / batch.num_phones.sum().clamp_min(1)
