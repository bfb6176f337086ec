"""Stage of the prompt encoder: what a prompt says is read from its vectors.

Shape letters: B batch, P prompt vectors, E their width, C classes of all attributes, V values.
"""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from streamchar_ref.loop.config import OptimConfig
from streamchar_ref.loop.stage import Draw, Stage
from streamchar_ref.networks.prompt import PromptEncoder
from streamchar_ref.train.clips import HELD_OUT_IDENTITIES, TRAINING_IDENTITIES
from streamchar_ref.train.phrases import ATTRIBUTES, Phrase, read_prompt, rewrite, said
from streamchar_ref.train.stages.spec import StageSpec, budgets
from streamchar_ref.world.character import draw_character
from streamchar_ref.world.palette import BACKGROUNDS, CLOTHES, EYES, HAIRS, SKINS, rgb
from streamchar_ref.world.voices import VOICES, prompt_of, voices_of

AS_IS = 0.3
"""Share of prompts that are worded as the model is trained with; the others are rewritten."""
NO_VOICE = 0.2
"""Share of prompts without a voice."""

_VOICE_NAMES = voices_of("piper")


class PromptStage(Stage):
    """Trains the encoder to keep everything that a prompt says.

    Names are classified; colours and voices are also placed by their values, so that similar
    ones are near each other. What a prompt does not say is a class of its own.

    Args:
        prompt: Network.
    """

    name = "prompt"

    def __init__(self, prompt: PromptEncoder) -> None:
        super().__init__()
        self.prompt = prompt
        features = prompt.queries.numel()
        self.names_head = nn.Linear(features, sum(map(len, ATTRIBUTES.values())))
        self.values_head = nn.Linear(features, sum(v.shape[1] for v in _VALUES.values()))

    def forward(self, draw: Draw) -> tuple[Tensor, dict[str, Tensor]]:
        """Returns the loss of a batch."""
        seed = int(torch.randint(2**62, (), generator=draw.generator()))
        rng = np.random.default_rng(seed)
        samples = [draw_prompt(rng, TRAINING_IDENTITIES) for _ in range(draw.batch)]
        says = [say for _, say in samples]
        gathered = self.prompt([text for text, _ in samples]).flatten(1)
        logits = self.names_head(gathered).float()
        parts = {
            "names": _names_loss(logits, says),
            "values": _values_loss(self.values_head(gathered).float(), says),
        }
        return torch.stack([*parts.values()]).sum(), parts

    @torch.no_grad()
    def read(self, texts: Sequence[str]) -> list[dict[str, str]]:
        """Returns what the vectors of texts say: to every attribute one of its `ATTRIBUTES`."""
        logits = _by_attribute(self.names_head(self.prompt(texts).flatten(1)))
        best = {name: each.argmax(dim=1).tolist() for name, each in logits.items()}
        return [
            {name: ATTRIBUTES[name][numbers[row]] for name, numbers in best.items()}
            for row in range(len(texts))
        ]

    def log_samples(self, folder: Path) -> None:
        """Writes the held-out accuracy of every attribute to ``prompt.csv``."""
        with (folder / "prompt.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["attribute", "accuracy"])
            writer.writerows((k, f"{v:.4f}") for k, v in held_out_accuracy(self).items())


def draw_prompt(
    rng: np.random.Generator, identities: range, *, as_is: float = AS_IS
) -> tuple[str, dict[str, str]]:
    """Draws a prompt: any of some characters with any painted voice.

    Args:
        rng: Of the draw.
        identities: Characters to draw from.
        as_is: Share of prompts that are not rewritten.

    Returns:
        The text, and what it says of every one of the `ATTRIBUTES`.
    """
    identity = identities[int(rng.integers(len(identities)))]
    voice = "" if rng.random() < NO_VOICE else str(rng.choice(_VOICE_NAMES))
    text = prompt_of(draw_character(identity).caption, voice)
    phrases: tuple[Phrase, ...] = read_prompt(text)
    if rng.random() >= as_is:
        text, phrases = rewrite(phrases, rng)
    return text, said(phrases)


def held_out_accuracy(stage: PromptStage) -> dict[str, float]:
    """Measures how often the vectors of unseen characters' prompts say what the prompts say.

    Args:
        stage: Trained.

    Returns:
        Shares by attribute, and their mean as ``all``, over prompts as the model is trained
        with; the mean over prompts that are rewritten as ``rewritten``.
    """
    rng = np.random.default_rng(0)
    written = [
        prompt_of(draw_character(seed).caption, _VOICE_NAMES[seed % len(_VOICE_NAMES)])
        for seed in HELD_OUT_IDENTITIES
    ]
    accuracy = _accuracy(stage, written, [said(read_prompt(text)) for text in written])
    rewritten = [draw_prompt(rng, HELD_OUT_IDENTITIES, as_is=0) for _ in HELD_OUT_IDENTITIES]
    other = _accuracy(stage, [text for text, _ in rewritten], [says for _, says in rewritten])
    return accuracy | {"all": _mean(accuracy), "rewritten": _mean(other)}


def _accuracy(
    stage: PromptStage, texts: list[str], truths: list[dict[str, str]]
) -> dict[str, float]:
    reads = [say for at in range(0, len(texts), 100) for say in stage.read(texts[at : at + 100])]
    pairs = list(zip(reads, truths, strict=True))
    return {n: float(np.mean([read[n] == truth[n] for read, truth in pairs])) for n in ATTRIBUTES}


def _mean(values: Mapping[str, float]) -> float:
    return sum(values.values()) / len(values)


def _by_attribute(logits: Float[Tensor, "B C"]) -> dict[str, Float[Tensor, "B _"]]:
    sizes = [len(names) for names in ATTRIBUTES.values()]
    return dict(zip(ATTRIBUTES, logits.split(sizes, dim=1), strict=True))


def _names_loss(logits: Float[Tensor, "B C"], says: list[dict[str, str]]) -> Float[Tensor, ""]:
    by_name = _by_attribute(logits)
    losses = [
        F.cross_entropy(by_name[name], _numbers(name, says).to(logits.device)) for name in by_name
    ]
    return torch.stack(losses).mean()


def _values_loss(values: Float[Tensor, "B V"], says: list[dict[str, str]]) -> Float[Tensor, ""]:
    """Averages the squared error over the attributes that the prompt names."""
    numbers = {name: _numbers(name, says) for name in _VALUES}
    true = torch.cat([_VALUES[name][numbers[name]] for name in _VALUES], dim=1).to(values)
    is_said = true.isfinite()
    return F.mse_loss(values[is_said], true[is_said]) if is_said.any() else 0 * values.sum()


def _numbers(attribute: str, says: list[dict[str, str]]) -> Int64[Tensor, " B"]:
    return torch.tensor([ATTRIBUTES[attribute].index(say[attribute]) for say in says])


def _rows(attribute: str, values: Mapping[str, Sequence[float]]) -> Float[Tensor, "_ _"]:
    """Returns standard scores of all names' values; NaN where the prompt names none."""
    table = torch.tensor([list(values[name]) for name in ATTRIBUTES[attribute] if name])
    scores = (table - table.mean(dim=0)) / table.std(dim=0)
    return torch.cat([torch.full_like(scores[:1], torch.nan), scores])


def _colours(named: Mapping[str, str]) -> dict[str, Sequence[float]]:
    return {name: rgb(code) for name, code in named.items()}


_VALUES = {
    "hair": _rows("hair", _colours(HAIRS)),
    "skin": _rows("skin", _colours(SKINS)),
    "eyes": _rows("eyes", _colours(EYES)),
    "hat": _rows("hat", _colours(CLOTHES)),
    "clothes": _rows("clothes", _colours(CLOTHES)),
    "scarf": _rows("scarf", _colours(CLOTHES)),
    "background": _rows("background", {k: rgb(a) + rgb(b) for k, (a, b) in BACKGROUNDS.items()}),
    "voice": _rows(
        "voice",
        {n: (np.log(v.pitch), np.log(v.formant), v.tilt_db / 4) for n, v in VOICES.items()},
    ),
}
"""Colours in RGB; voices by pitch, formant and tilt."""

SPEC = StageSpec(
    name=PromptStage.name,
    make=lambda model, data: PromptStage(model.prompt),
    hands_over=("prompt.",),
    budgets=budgets(
        OptimConfig(learning_rate=2e-3, batch=64, warmup_steps=30, ema_decay=0.99),
        micro_minutes=1.5,
        base_minutes=0.5,
        base_batch=256,
    ),
)
