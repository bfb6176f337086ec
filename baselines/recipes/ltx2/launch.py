"""LTX-2.5, distilled: picture and sound from text, with the reference as first frame, 24 fps."""

from collections.abc import Sequence
from pathlib import Path

from baselines.recipes.launcher import Request, serve


def command_of(request: Request) -> Sequence[str | Path]:
    """Returns the command for one video."""
    models = Path("models/ltx-2.5")
    prompt = f'{request.caption or "A person talks to the camera."} They say: "{request.text}"'
    return [
        request.python, "-m", "ltx_pipelines.distilled",
        "--transformer-path",
        models / "diffusion_models/ltx-2.5-22b-distilled-transformer-bf16.safetensors",
        "--text-encoder-path",
        models / "text_encoders/gemma4-12b-with-proj-ltx-2.5-bf16.safetensors",
        "--video-vae-path", models / "vae/ltx-2.5-video-vae-bf16.safetensors",
        "--audio-vae-path", models / "vae/ltx-2.5-audio-vae-bf16.safetensors",
        "--spatial-upsampler-path",
        models / "latent_upscale_models/ltx-2.5-latent-spatial-upscaler-x2-bf16-1.0.safetensors",
        "--image", request.reference, "0", "1.0", "--frame-rate", "24",
        "--num-frames", str(24 * request.seconds // 8 * 8 + 1),
        "--seed", str(request.seed), "--output-path", request.video, "--prompt", prompt,
    ]  # fmt: skip


if __name__ == "__main__":
    serve(Path(__file__).parent, command_of)
