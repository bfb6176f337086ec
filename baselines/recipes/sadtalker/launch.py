"""SadTalker on the whole picture (``--preprocess full --still``), without an enhancer."""

from collections.abc import Sequence
from pathlib import Path

from baselines.recipes.launcher import Request, serve, speech_of


def command_of(request: Request) -> Sequence[str | Path]:
    """Returns the command for one video."""
    return [
        request.python, "inference.py", "--driven_audio", speech_of(request),
        "--source_image", request.reference, "--result_dir", request.work / "results",
        "--still", "--preprocess", "full",
    ]  # fmt: skip


if __name__ == "__main__":
    serve(Path(__file__).parent, command_of)
