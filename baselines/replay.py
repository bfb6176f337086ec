"""Finished recordings, played back as if they were generated.

Real recordings show what the metrics say of the real thing: the ceiling of a real suite.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from baselines.file_chunks import file_chunks
from evals.recording.manifest import load_manifest
from evals.recording.recording import Recording
from evals.recording.role import Role
from evals.recording.system import Prompt
from streamchar_ref.core.errors import InputError
from streamchar_ref.media import AVChunk
from streamchar_ref.media.decode import audio, frames, probe


class Replay:
    """Implements `evals.recording.system.System` by reading files.

    Args:
        manifest: JSONL manifest; a prompt is answered with the sample that has its id.
        chunk_frames: Video frames in a chunk.

    Raises:
        InputError: If the manifest breaks its format, or has several recordings of a sample.
    """

    name = "replay"
    role = Role.MODEL
    fps = 25
    sample_rate = 16_000

    def __init__(self, manifest: str, *, chunk_frames: int = 32) -> None:
        samples = load_manifest(Path(manifest))
        self._samples: dict[str, Recording] = {}
        for sample in samples:
            other = self._samples.setdefault(sample.sample_id, sample)
            if other is not sample:
                raise InputError(
                    f"{manifest} has both {other.recording_id} and {sample.recording_id}: replay "
                    "plays one recording of a sample; leave one system and one seed in it"
                )
        self.chunk_frames = chunk_frames

    def stream(self, prompt: Prompt, *, seed: int) -> Iterator[AVChunk]:
        """Yields the file's frames at 25 fps with their sound; ``seed`` is ignored."""
        if prompt.prompt_id not in self._samples:
            raise InputError(f"the manifest of replay has no sample {prompt.prompt_id!r}")
        sample = self._samples[prompt.prompt_id]
        samples = _sound(sample, self.sample_rate)
        batches = frames(sample.video_path, fps=self.fps, batch=self.chunk_frames)
        yield from file_chunks(batches, samples, fps=self.fps, sample_rate=self.sample_rate)


def _sound(sample: Recording, sample_rate: int) -> np.ndarray:
    if sample.audio_path is not None:
        return audio(sample.audio_path, sample_rate=sample_rate)
    if not probe(sample.video_path).audio_codec:
        return np.zeros(0, np.float32)
    return audio(sample.video_path, sample_rate=sample_rate)
