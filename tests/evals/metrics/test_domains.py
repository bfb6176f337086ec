"""A recording of either domain has all numbers that need no judge of the other one."""

from pathlib import Path

import numpy as np
import pytest

from evals.recording.recording import Recording
from evals.scoring.choice import choose_metrics
from evals.scoring.score import Options, score
from streamchar_ref.media.encode import write_mp4
from streamchar_ref.world.clips import make_clip
from streamchar_ref.world.take import EngineMissing

TEXT = "The kettle sings before the rain, and we wait for the morning."
OF_FACES_AND_VOICES = (
    "mesh_sync", "mesh_sync_at_zero", "envelope_sync", "id_coverage", "dnsmos_ovrl", "wer",
    "phoneme_error_rate",
)  # fmt: skip


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        clip = make_clip(TEXT, identity=9, seed=1)
    except EngineMissing as error:
        pytest.skip(str(error))
    path = tmp_path_factory.mktemp("drawn") / "clip.mp4"
    frames = list(clip.frames(size=192, chunk_frames=32))
    write_mp4(path, frames, clip.samples.astype(np.float32), fps=25, sample_rate=16_000)
    return path


@pytest.mark.parametrize("domain", ["real", "world"])
def test_lips_voice_and_words_are_measured_in_either_domain(drawn: Path, domain: str) -> None:
    recording = Recording(
        sample_id="a", system="s", suite="u", transcript=TEXT, video_path=drawn,
        groups={"domain": domain},
    )  # fmt: skip
    chosen, _ = choose_metrics(OF_FACES_AND_VOICES, "default")
    rows = score([recording], metrics=chosen, options=Options()).rows
    assert {row.metric for row in rows} == set(OF_FACES_AND_VOICES)
    unscored = {row.protocol: row.reason for row in rows if row.status != "computed"}
    assert not {name: why for name, why in unscored.items() if "not installed" not in why}
