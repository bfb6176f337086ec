"""SoulX-FlashTalk on one GPU, sound encoded as a stream."""

from collections.abc import Sequence
from pathlib import Path

from baselines.recipes.launcher import Request, serve, speech_of


def command_of(request: Request) -> Sequence[str | Path]:
    """Returns the command for one video."""
    return [
        request.python, "generate_video.py", "--ckpt_dir", "models/SoulX-FlashTalk-14B",
        "--wav2vec_dir", "models/chinese-wav2vec2-base", "--cond_image", request.reference,
        "--audio_path", speech_of(request), "--audio_encode_mode", "stream",
        "--base_seed", str(request.seed), "--save_file", request.video,
    ]  # fmt: skip


if __name__ == "__main__":
    serve(Path(__file__).parent, command_of)
