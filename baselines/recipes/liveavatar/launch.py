"""LiveAvatar on one GPU with the settings of its script: 4 steps, no guidance, 704 x 384 pixels."""

from collections.abc import Sequence
from pathlib import Path

from baselines.recipes.launcher import Request, serve, speech_of


def command_of(request: Request) -> Sequence[str | Path]:
    """Returns the command for one video."""
    launch = [request.python, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=1"]
    return [
        *launch, "minimal_inference/s2v_streaming_interact.py", "--ulysses_size", "1",
        "--task", "s2v-14B", "--size", "704*384", "--base_seed", str(request.seed),
        "--training_config", "liveavatar/configs/s2v_causal_sft.yaml", "--offload_model", "True",
        "--convert_model_dtype", "--prompt", request.caption or "A person talks to the camera.",
        "--image", request.reference, "--audio", speech_of(request), "--infer_frames", "48",
        "--load_lora", "--lora_path_dmd", "ckpt/LiveAvatar", "--sample_steps", "4",
        "--sample_guide_scale", "0", "--num_clip", "10000", "--num_gpus_dit", "1",
        "--sample_solver", "euler", "--single_gpu", "--ckpt_dir", "ckpt/Wan2.2-S2V-14B/",
        "--save_file", request.video,
    ]  # fmt: skip


if __name__ == "__main__":
    serve(Path(__file__).parent, command_of)
