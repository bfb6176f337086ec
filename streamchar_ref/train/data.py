"""Training data of a run: corpus, pools and latents, each made on first use."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from hashlib import sha256
from pathlib import Path

import torch
from torch import Tensor

from streamchar_ref.model.checkpoint import (
    CheckpointError,
    load_checkpoint,
    part_of,
    save_checkpoint,
)
from streamchar_ref.model.config import Config
from streamchar_ref.networks.vae.audio import AudioVae
from streamchar_ref.networks.vae.video import VideoVae
from streamchar_ref.train.clips import (
    HELD_OUT_IDENTITIES,
    TRAINING_IDENTITIES,
    draw_clip,
    encode_clip,
)
from streamchar_ref.train.data_size import DataSize
from streamchar_ref.train.latent_cache import (
    STACKED,
    LatentClip,
    is_latent_file,
    load_latents,
    save_latents,
)
from streamchar_ref.train.pool import HELD_OUT, SoundPool, VideoPool, each_of, video_pool
from streamchar_ref.world.corpus import INDEX, Corpus, open_corpus
from streamchar_ref.world.corpus_build import CorpusPlan, build_corpus

CLIPS_A_FILE = 48
VAES = "vaes"
LatentFile = tuple[Path, list[int], str]
"""Path, numbers of the clips, and digest of all inputs."""


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """Data that the stages of a run are trained on.

    Attributes:
        folder: Where corpus and latents are kept.
        config: Of the model.
        data_size: How much of everything.
        seed: Of everything.
        jobs: Processes.
        progress: Told what is being made.
    """

    folder: Path
    config: Config
    data_size: DataSize
    seed: int = 0
    jobs: int = 1
    progress: Callable[[str], None] = lambda line: None

    @cached_property
    def corpus(self) -> Corpus:
        """Dry speech in the voices of the painted style."""
        folder = self.folder / "corpus"
        if (folder / INDEX).is_file():
            return open_corpus(folder)
        plan = CorpusPlan(seed=self.seed, rooms=0.0)
        return build_corpus(
            folder,
            plan,
            hours=self.data_size.hours,
            max_mb=self.data_size.max_mb,
            jobs=self.jobs,
            progress=lambda what, done, total: self.progress(f"{what} {done}/{total}"),
        )

    @property
    def speech_hours(self) -> float:
        """Length of the corpus; until it is made, what is asked for."""
        if not (self.folder / "corpus" / INDEX).is_file():
            return self.data_size.hours
        return round(self.corpus.duration_s / 3600, 3)

    @property
    def training(self) -> range:
        """Numbers of the utterances for training; the last ones are held out."""
        return range(len(self.corpus) - min(HELD_OUT, len(self.corpus) // 5))

    @property
    def held_out(self) -> range:
        """Numbers of the others."""
        return range(len(self.training), len(self.corpus))

    def video_pool(self, device: torch.device | str = "cpu") -> VideoPool:
        """Draws frames of many characters, which are kept on a device."""
        numbers = range(self.data_size.pool_clips)
        self.progress(f"drawing {len(numbers)} characters")
        corpus = self.corpus
        return video_pool(
            corpus.folder,
            [self._clip_number(number) for number in numbers],
            self.config,
            seed=self.seed,
            jobs=self.jobs,
            device=device,
        )

    def sound_pool(self, device: torch.device | str = "cpu") -> SoundPool:
        """Reads the audio of the corpus, which is kept on a device."""
        return SoundPool((self.corpus[number].samples for number in self.training), device)

    def latents(self, vaes: Mapping[str, Tensor], *, held_out: bool = False) -> list[LatentClip]:
        """Reads the latents of all clips under these VAEs; encodes what is missing.

        Args:
            vaes: Weights by name in `StreamChar`; without a video VAE nothing is drawn.
            held_out: Utterances and characters that are not trained on.

        Returns:
            The clips.
        """
        folder = self.folder / f"bank-{self._digest(vaes)[:8]}"
        folder.mkdir(parents=True, exist_ok=True)
        if not self._has_vaes(folder / VAES, vaes):
            save_checkpoint(folder / VAES, vaes, self.config, origin={}, storage="float32")
        kind, numbers = ("held_out", list(self.held_out)) if held_out else ("clips", self._all)
        parts = [numbers[at : at + CLIPS_A_FILE] for at in range(0, len(numbers), CLIPS_A_FILE)]
        files = [
            (folder / f"{kind}-{number:04d}.npz", part, self._made_of(vaes, kind, part))
            for number, part in enumerate(parts)
        ]
        missing = [file for file in files if not is_latent_file(file[0], made_of=file[2])]
        self._encode(folder, kind, missing)
        return load_latents(path for path, _, _ in files)

    def _has_vaes(self, folder: Path, vaes: Mapping[str, Tensor]) -> bool:
        """Whether the weights that clips are encoded with are stored and intact."""
        try:
            stored = load_checkpoint(folder)
        except CheckpointError:
            return False  # they are written anew
        return stored.config == self.config and self._digest(stored.tensors) == self._digest(vaes)

    def _made_of(self, vaes: Mapping[str, Tensor], kind: str, numbers: list[int]) -> str:
        """Returns a digest of everything that a file of clips depends on."""
        parts = [self._digest(vaes), self.corpus.digest, self.seed, kind, numbers]
        return sha256(json.dumps(parts).encode()).hexdigest()

    @property
    def _all(self) -> list[int]:
        return [self._clip_number(n) for n in range(self.data_size.passes * len(self.training))]

    def _clip_number(self, number: int) -> int:
        """Number for `draw_clip`: one utterance after the other, never one that is held out."""
        again, utterance = divmod(number, len(self.training))
        return again * len(self.corpus) + utterance

    def _encode(self, folder: Path, kind: str, missing: Sequence[LatentFile]) -> None:
        work = partial(
            _encode_file,
            self.corpus.folder,
            folder / VAES,
            self.seed,
            HELD_OUT_IDENTITIES if kind == "held_out" else TRAINING_IDENTITIES,
        )
        for done, _ in enumerate(each_of(work, missing, jobs=self.jobs), 1):
            self.progress(f"latents {done}/{len(missing)}")

    def _digest(self, vaes: Mapping[str, Tensor]) -> str:
        stream = self.config.stream
        digest = sha256(json.dumps([stream.fps, stream.size, *STACKED]).encode())
        for name in sorted(vaes):
            if ".decoder." in name:
                continue
            digest.update(name.encode() + vaes[name].detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()


def _encode_file(
    corpus_folder: Path, vaes: Path, seed: int, identities: range, file: LatentFile
) -> None:
    path, numbers, made_of = file
    corpus, loaded = open_corpus(corpus_folder), load_checkpoint(vaes)
    config = loaded.config
    has_pictures = any(name.startswith("video_vae.") for name in loaded.tensors)
    video_vae = VideoVae(config.video_vae) if has_pictures else None
    audio_vae = AudioVae(config.audio_vae)
    for prefix, vae in (("video_vae.", video_vae), ("audio_vae.", audio_vae)):
        if vae is not None:
            vae.load_state_dict(part_of(loaded.tensors, prefix, strip=True))
    size, fps = config.stream.size, config.stream.fps
    drawn = (
        draw_clip(
            corpus,
            number,
            size=size,
            fps=fps,
            seed=seed,
            identities=identities,
            max_frames=None if has_pictures else 0,
        )
        for number in numbers
    )
    clips = [encode_clip(clip, video_vae, audio_vae) for clip in drawn]
    save_latents(path, clips, made_of=made_of)
