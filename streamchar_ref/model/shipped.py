"""The checkpoints that come with the package."""

from pathlib import Path

from streamchar_ref.model.checkpoint import INDEX, CheckpointError

CHECKPOINTS = Path(__file__).parents[1] / "checkpoints"


def shipped_checkpoint(name: str = "micro") -> Path:
    """Finds a checkpoint that comes with the package.

    Args:
        name: Of its preset.

    Returns:
        Its folder, for `checkpoint.load_checkpoint`.

    Raises:
        CheckpointError: If none of that name is shipped.
    """
    folder = CHECKPOINTS / name
    if not (folder / INDEX).is_file():
        known = ", ".join(sorted(path.parent.name for path in CHECKPOINTS.glob(f"*/{INDEX}")))
        raise CheckpointError(
            f"no checkpoint {name!r} comes with the package (there is: {known or 'none'}); "
            "name a folder, or train one: streamchar train --help"
        )
    return folder
