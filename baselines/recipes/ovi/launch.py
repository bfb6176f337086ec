"""Ovi makes picture and sound of 10 s from text and picture; longer texts are cut by the model."""

import csv
import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from baselines.recipes.launcher import Request, serve


def command_of(request: Request) -> Sequence[str | Path]:
    """Returns the command for one video."""
    settings = Path("ovi/configs/inference/inference_fusion.yaml")
    prompt = f"{request.caption or 'A person talks to the camera.'} <S>{request.text}<E>"
    rows = request.work / "prompts.csv"
    with rows.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(
            [["text_prompt", "image_path"], [prompt, str(request.reference)]]
        )
    own = {
        "mode": "i2v", "text_prompt": str(rows), "output_dir": str(request.work / "out"),
        "seed": request.seed, "each_example_n_times": 1,
    }  # fmt: skip
    # A dialect of YAML in which JSON is valid; later keys of the merge win.
    merge = (
        "import json,sys; from omegaconf import OmegaConf as O; "
        "O.save(O.merge(O.load(sys.argv[1]), O.create(json.loads(sys.argv[2]))), sys.argv[3])"
    )
    config = request.work / "config.yaml"
    chain = [
        [request.python, "-c", merge, str(settings), json.dumps(own), str(config)],
        [request.python, "inference.py", "--config-file", str(config)],
    ]
    return ["sh", "-c", " && ".join(map(shlex.join, chain))]


if __name__ == "__main__":
    serve(Path(__file__).parent, command_of)
