"""Draws overview.png: frames of the demo's recordings beside the scores published here.

Run from the repository: .venv/bin/python reports/published/2026-11-28/overview.py runs/demo
"""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from reports.figures.style import BAD, STYLE
from streamchar_ref.media.decode import frames

HERE = Path(__file__).parent
PROMPT, FIRST_FRAME, STEP, NUM_FRAMES, SIDE = "smoke-kitchen", 12, 5, 5, 88
SYSTEMS = {
    "ground_truth": "ground_truth\nceiling",
    "streamchar_ref": "streamchar_ref\nreference model",
    "cascade_oracle": "cascade_oracle\nlips of reordered words",
    "shuffled_audio": "shuffled_audio\nwords spoken reordered",
    "shifted_sound": "shifted_sound\nsound 8 frames late",
    "frozen_picture": "frozen_picture\nfirst frame held",
    "static_portrait": "static_portrait\nsilent still, floor",
}
COLUMNS = {  # protocol -> heading, factor, decimals
    "wer/whisper-base@2": ("WER ↓ [%]\n(Whisper)", 100, 0),
    "mesh_sync_at_zero/facemesh-hama@2": ("lip-sync ↑\n(zero shift)", 1, 2),
    "av_offset_world/mesh-crop@1": ("A/V offset →0\n[frames]", 1, 1),
    "id_world_distance/identity_world@1": ("identity\ndistance ↓", 1, 2),
    "fvd_world/16-frames@1": ("FVD-world ↓", 1, 0),
    "dynamic_degree/dis-128px@1": ("motion\n[%/s]", 1, 2),
}
TARGETS = {  # what a control is there to degrade: columns, counted from 0
    "cascade_oracle": (1, 2),
    "shuffled_audio": (0, 1, 2),
    "shifted_sound": (1, 2),
    "frozen_picture": (1, 2, 4, 5),
    "static_portrait": (0, 1, 2, 4, 5),
}


def main(run: Path) -> None:
    """Writes the picture beside this file.

    Args:
        run: Run folder of the demo, with its recordings.
    """
    rows = json.loads((HERE / "demo" / "summary.json").read_text())["rows"]
    values = {(row["system"], row["protocol"]): row["value"] for row in rows}
    style: dict[str, Any] = {
        **STYLE,
        "figure.constrained_layout.use": False,
        "axes.grid": False,
        "font.size": 9,
    }
    with plt.rc_context(style):  # type: ignore[arg-type]  # its keys are a literal type
        figure, axis = plt.subplots(figsize=(9.6, 5.0))
        axis.set_position((0, 0, 1, 1))
        axis.set(xlim=(0, 9.6), ylim=(5.0, 0))
        axis.axis("off")
        lefts = 5.45 + 0.77 * np.arange(len(COLUMNS))
        for left, (heading, _, _) in zip(lefts, COLUMNS.values(), strict=True):
            axis.text(left, 0.32, heading, ha="center", va="center", fontsize=7.8, weight="bold")
        for index, (system, label) in enumerate(SYSTEMS.items()):
            top = 0.62 + 0.61 * index
            axis.text(0.1, top + 0.29, label, va="center", weight="bold" if index < 2 else "normal")
            axis.imshow(strip(run, system), extent=(2.05, 5.0, top + 0.59, top), aspect="auto")
            for column, (protocol, (_, factor, decimals)) in enumerate(COLUMNS.items()):
                value = values[system, protocol]
                text = "–" if value is None else f"{value * factor:.{decimals}f}"
                target = column in TARGETS.get(system, ())
                look: dict[str, Any] = (
                    {"color": BAD, "weight": "bold"} if target else {"color": "#222222"}
                )
                axis.text(lefts[column], top + 0.29, text, ha="center", va="center", **look)
        axis.set(xlim=(0, 9.6), ylim=(5.0, 0))
        figure.set_dpi(140)
        figure.canvas.draw()
        rgb = np.asarray(figure.canvas.buffer_rgba())[..., :3]  # type: ignore[attr-defined]
    Image.fromarray(rgb).quantize(192).save(HERE / "overview.png", optimize=True)


def strip(run: Path, system: str) -> np.ndarray:
    """Returns a few frames of a recording side by side, uint8 [H, W, 3]."""
    video = run / "recordings" / system / "smoke" / PROMPT / "0" / "video.mkv"
    clip = np.concatenate(list(frames(video, fps=25, short_side=SIDE)))
    return np.concatenate(list(clip[FIRST_FRAME::STEP][:NUM_FRAMES]), axis=1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
