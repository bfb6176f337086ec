"""LatentSync edits a video, here the still reference picture at 25 fps."""

from collections.abc import Sequence
from pathlib import Path

from baselines.recipes.launcher import Request, serve, speech_of


def command_of(request: Request) -> Sequence[str | Path]:
    """Returns the command for one video."""
    return [
        request.python, "-m", "scripts.inference",
        "--unet_config_path", "configs/unet/stage2_512.yaml",
        "--inference_ckpt_path", "checkpoints/latentsync_unet.pt",
        "--inference_steps", "20", "--guidance_scale", "1.5", "--enable_deepcache",
        "--video_path", request.still(), "--audio_path", speech_of(request),
        "--video_out_path", request.video, "--temp_dir", request.work / "temp",
        "--seed", str(request.seed),
    ]  # fmt: skip


if __name__ == "__main__":
    serve(Path(__file__).parent, command_of)
