"""Wav2Lip on the still reference picture: only the lips move."""

from collections.abc import Sequence
from pathlib import Path

from baselines.recipes.launcher import Request, serve, speech_of


def command_of(request: Request) -> Sequence[str | Path]:
    """Returns the command for one video."""
    return [
        request.python, "inference.py", "--checkpoint_path", "checkpoints/wav2lip_gan.pth",
        "--face", request.reference, "--audio", speech_of(request), "--fps", "25",
        "--outfile", request.video,
    ]  # fmt: skip


if __name__ == "__main__":
    serve(Path(__file__).parent, command_of)
