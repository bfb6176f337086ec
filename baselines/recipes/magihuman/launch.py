"""daVinci-MagiHuman, distilled, 448 x 256. Prompts are plain, not rewritten."""

from collections.abc import Sequence
from pathlib import Path

from baselines.recipes.launcher import Request, serve


def command_of(request: Request) -> Sequence[str | Path]:
    """Returns the command for one video."""
    prompt = f'{request.caption or "A person talks to the camera."} They say: "{request.text}"'
    launch = [request.python, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=1"]
    return [
        "env", "PYTHONPATH=.", *launch, "inference/pipeline/entry.py",
        "--config-load-path", "example/distill/config.json", "--prompt", prompt,
        "--image_path", request.reference, "--seconds", str(request.seconds),
        "--seed", str(request.seed), "--br_width", "448", "--br_height", "256",
        "--output_path", request.work / "result",
    ]  # fmt: skip


if __name__ == "__main__":
    serve(Path(__file__).parent, command_of)
