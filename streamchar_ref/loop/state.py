"""The state from which training resumes as if it had not stopped.

The file holds its own digest, see `sealed`, and says of which stage, config and seed it is.
"""

import copy
import math
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor, nn

from streamchar_ref.core.errors import InputError
from streamchar_ref.core.files import replacing
from streamchar_ref.core.sealed import seal, verify_seal
from streamchar_ref.loop.optim import GroupOptimizer, averaged_weights
from streamchar_ref.loop.parallel import DistContext, distribute_like, gather_full

STATE = "state.pt"
Origin = Mapping[str, str | int]
"""Of a state: ``stage``, ``config`` and ``seed``."""


@dataclass(kw_only=True)
class TrainState:
    """Progress of a stage.

    Attributes:
        step: Steps done.
        num_steps: All steps; 0 until it is known.
        seconds: Spent in steps.
        flops_per_sample: Of a forward and a backward pass; ``None`` until it is measured.
        mean: Exponential moving average of the trained weights, by name; without those of groups
            that keep none.
    """

    step: int = 0
    num_steps: int = 0
    seconds: float = 0.0
    flops_per_sample: float | None = None
    mean: dict[str, Tensor] = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        """Whether all steps are done."""
        return 0 < self.num_steps <= self.step


def save_state(
    folder: Path,
    state: TrainState,
    stage: nn.Module,
    groups: Sequence[GroupOptimizer],
    *,
    origin: Origin,
) -> None:
    """Writes the state so that the old one stays until the new one is whole and on the disk.

    All processes must call it; the first one writes, the same file for any number of them.

    Args:
        folder: Where to.
        state: Progress and mean.
        stage: Weights and buffers.
        groups: Their moments, kept by the name of the group.
        origin: What `load_state` must be given again.

    Raises:
        OSError: If the disk is full; the old state is then still there.
    """
    content = {
        "origin": dict(origin),
        "state": copy.copy(state.__dict__),
        "stage": stage.state_dict(),
        "optimizers": {
            group.config.name: [each.state_dict() for each in group.optimizers] for group in groups
        },
    }
    is_first = DistContext.of_this_process().is_first
    content = gather_full(content, keep=is_first)
    if not is_first:
        return
    with replacing(folder / STATE, durable=True) as partial:
        with partial.open("wb") as file:  # torch's own writer has no OSError for a full disk
            _save(content, file)
        seal(partial)


def _save(content: Any, file: BinaryIO) -> None:
    """As `torch.save`, which buries the error of a full disk under one of its own."""
    try:
        torch.save(content, file)
    except RuntimeError as error:
        if isinstance(error.__context__, OSError):
            raise error.__context__ from error
        raise


def load_state(
    folder: Path,
    stage: nn.Module | None,
    groups: Sequence[GroupOptimizer],
    *,
    origin: Origin | None = None,
) -> TrainState | None:
    """Reads what `save_state` wrote, into stage and optimisers if given.

    Args:
        folder: Where from.
        stage: Gets weights and buffers.
        groups: Get the moments of their optimisers.
        origin: Whatever it says must be so in the file.

    Returns:
        The state; ``None`` if there is none.

    Raises:
        InputError: If the file was altered or cut, or is of another stage, config or seed, or of
            other optimisers; names it and says what to do.
    """
    path = folder / STATE
    if not path.exists():
        return None
    content = _content(path)
    _check_origin(path, content["origin"], origin or {})
    state = TrainState(**content["state"])
    moments = content["optimizers"]
    if groups and moments.keys() != {group.config.name for group in groups}:
        raise _of_other_optimizers(path)
    if stage is not None:
        _check_fit(path, content, stage, groups)
        stage.load_state_dict(_placed(content["stage"], stage.state_dict()))
        state.mean = _placed(state.mean, dict(stage.named_parameters()))
    for group in groups:
        try:
            for optimizer, saved in zip(group.optimizers, moments[group.config.name], strict=True):
                _load_moments(optimizer, saved)
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise _of_other_optimizers(path) from error
    return state


def state_digest(folder: Path) -> str:
    """Returns the digest of the state in a folder, which stands for it in a checkpoint."""
    return verify_seal(folder / STATE)


def _content(path: Path) -> dict[str, Any]:
    """Reads a state that is as it was written, and has the fields that are read here."""
    if not path.is_file():
        raise InputError(f"{path} is not a file; move it away")
    try:
        verify_seal(path)
        content = torch.load(path, weights_only=True, map_location="cpu")
        wrong = _wrong_fields(content)
    except InputError as error:
        raise _damaged(path, str(error).removeprefix(f"{path} ")) from error
    except (RuntimeError, pickle.UnpicklingError, ValueError, LookupError, EOFError) as error:
        raise _damaged(path, "is no state of a stage") from error
    if wrong:
        raise _damaged(path, wrong)
    if isinstance(content["optimizers"], list):  # from before there were groups
        content["optimizers"] = {"": content["optimizers"]}
    state: dict[str, Any] = content
    return state


def _damaged(path: Path, why: str) -> InputError:
    return InputError(
        f"{path} {why}; delete it and train the stage again (weights in "
        f"{path.parent / 'checkpoint'}, if any, can be kept: --from)"
    )


def _of_other_optimizers(path: Path) -> InputError:
    return InputError(
        f"{path} was written with other optimisers; start from the weights beside it, with "
        "--from, in another folder"
    )


def _wrong_fields(content: Any) -> str:
    """Says what a state lacks or has of another kind; empty if nothing."""
    kinds: dict[str, Any] = {"origin": dict, "state": dict, "stage": dict}
    kinds["optimizers"] = (dict, list)
    if not isinstance(content, dict) or content.keys() != kinds.keys():
        return "has other fields than a state"
    for name, kind in kinds.items():
        if not isinstance(content[name], kind):
            return f"has {content[name]!r:.40} as {name}"
    state = content["state"]
    if state.keys() != {each.name for each in fields(TrainState)}:
        return "says other things of its progress than a state"
    for name in ("step", "num_steps"):
        if type(state[name]) is not int or state[name] < 0:
            return f"says that {name} is {state[name]!r:.60}"
    for name in ("seconds", "flops_per_sample"):
        number = 0 if name == "flops_per_sample" and state[name] is None else state[name]
        if type(number) not in (int, float) or not (0 <= number < math.inf):
            return f"says that {name} is {state[name]!r:.60}"
    if not isinstance(state["mean"], dict):
        return "has no mean of the weights"
    return ""


def _check_origin(path: Path, origin: Origin, wanted: Origin) -> None:
    remedies = {
        "stage": "delete it and train the stage again",
        "config": "give the same --preset and --set values, or another --out folder",
        "options": "give the same --set distill.* and sampler.* values, or another --out folder",
        "seed": "give the same --seed and --from, or another --out folder",
    }
    for name, value in wanted.items():
        if origin.get(name) != value:
            raise InputError(f"{path} was trained with another {name}: {remedies[name]}")


def _check_fit(
    path: Path, content: Mapping[str, Any], stage: nn.Module, groups: Sequence[GroupOptimizer]
) -> None:
    """Refuses a state whose weights are not those of the stage, or are no numbers."""
    trained = {name: each for name, each in stage.named_parameters() if each.requires_grad}
    averaged = averaged_weights(groups) if groups else trained
    both = ((content["stage"], stage.state_dict()), (content["state"]["mean"], averaged))
    for saved, wanted in both:
        if {name: _kind(each) for name, each in saved.items()} != {
            name: _kind(each) for name, each in wanted.items()
        }:
            raise InputError(
                f"{path} was trained with other networks: give the same --preset and --set values, "
                "or another --out folder"
            )
        if not all(bool(torch.isfinite(each).all()) for each in saved.values()):
            raise _damaged(path, "has weights that are no numbers")


def _kind(tensor: Any) -> tuple[Any, ...]:
    if not isinstance(tensor, Tensor):
        return (type(tensor),)
    return tuple(tensor.shape), tensor.dtype


def _placed(tensors: dict[str, Tensor], models: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name: distribute_like(tensor, models[name]) if name in models else tensor
        for name, tensor in tensors.items()
    }


def _load_moments(optimizer: torch.optim.Optimizer, saved: dict[str, Any]) -> None:
    """Gives an optimiser its moments back; a `ValueError` says that one does not fit its weight."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    moments = saved["state"]
    for number, each in moments.items():
        moments[number] = _moments_placed(each, weights[number])
    optimizer.load_state_dict(saved)


def _moments_placed(saved: dict[str, Any], weight: Tensor) -> dict[str, Any]:
    """Spreads the moments as their weight is; the count of steps has no shape to spread."""
    placed = {}
    for name, value in saved.items():
        if (value.ndim and value.shape != weight.shape) or not torch.isfinite(value).all():
            raise ValueError(f"{name} is not one of its weight")
        placed[name] = distribute_like(value, weight) if value.shape == weight.shape else value
    return placed
