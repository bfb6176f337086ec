"""Every number a model depends on, as frozen dataclasses, and the presets that use them."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from streamchar_ref.core.config_values import override as override
from streamchar_ref.core.errors import InputError
from streamchar_ref.networks.dit import DitConfig
from streamchar_ref.networks.geometry import WindowGeometry
from streamchar_ref.networks.orchestrator import OrchestratorConfig
from streamchar_ref.networks.prompt import PromptConfig
from streamchar_ref.networks.vae.audio import AudioVaeConfig
from streamchar_ref.networks.vae.video import SPATIAL_STRIDE, VideoVaeConfig
from streamchar_ref.sampling.config import DEFAULT, SamplerConfig
from streamchar_ref.sampling.orders import JOINT, ORDERS


@dataclass(frozen=True, kw_only=True)
class StreamConfig:
    """How a stream is cut into chunks, and what a chunk may look back at.

    Attributes:
        fps: Video frames per second.
        size: Height and width of the picture.
        chunk_frames: Frames of a chunk.
        motion_latents: Video latents of the previous chunk that are seen; whole chunks where
            their keys and values are kept (``dit.cached_chunks``).
        motion_audio_latents: Audio latents before the chunk that are seen; likewise.
        sink_latents: Latents of the first chunk that are seen to the end.

    Raises:
        ValueError: If a number is out of its range.
    """

    fps: int
    size: int
    chunk_frames: int
    motion_latents: int
    motion_audio_latents: int
    sink_latents: int

    def __post_init__(self) -> None:
        for name in ("fps", "size", "chunk_frames"):
            if getattr(self, name) <= 0:
                raise ValueError(f"stream.{name} must be above 0, not {getattr(self, name)}")
        for name in ("motion_latents", "motion_audio_latents", "sink_latents"):
            if getattr(self, name) < 0:
                raise ValueError(f"stream.{name} cannot be {getattr(self, name)}")

    @property
    def chunk_s(self) -> float:
        """Playing time of a chunk: the budget for making the next one."""
        return self.chunk_frames / self.fps


@dataclass(frozen=True, kw_only=True)
class Config:
    """One model. Written as JSON beside its weights.

    Attributes:
        preset: Name of the preset that it started from.
        stream: Chunks and what they look back at.
        sampler: How chunks are sampled; training draws its noise levels with the same shift.
        video_vae: Pictures to latents.
        audio_vae: Sound to latents.
        prompt: Text to vectors.
        orchestrator: Transcript to audio condition.
        dit: Noise to latents.
        order: In which order picture and sound are denoised, in training and in streaming:
            ``joint``; of rivals ``sound_first`` or ``sound_given``, see `sampling.orders`.

    Raises:
        ValueError: If there is no such order, a chunk is not whole latents, or the parts do not fit
            each other.
    """

    preset: str
    stream: StreamConfig
    sampler: SamplerConfig
    video_vae: VideoVaeConfig
    audio_vae: AudioVaeConfig
    prompt: PromptConfig
    orchestrator: OrchestratorConfig
    dit: DitConfig
    order: str = JOINT

    def __post_init__(self) -> None:
        if self.order not in ORDERS:
            raise ValueError(f"order is one of {', '.join(ORDERS)}, not {self.order!r}")
        rate, step = self.audio_vae.sample_rate, self.audio_vae.latent_samples
        samples = self.stream.chunk_frames * rate
        if samples % (self.stream.fps * step):
            raise ValueError(
                f"a chunk of {self.stream.chunk_frames} frames at {self.stream.fps} fps is not "
                f"whole audio latents of {step} samples at {rate} Hz"
            )
        self.video_vae.num_latents(self.stream.chunk_frames)
        self._check_reader()
        self._check_cache()
        self._check_window()
        self._check_widths()

    @property
    def has_orchestrator(self) -> bool:
        """Whether an orchestrator reads the transcript, and not the DiT itself."""
        return self.orchestrator.mode != "none"

    @property
    def can_be_distilled(self) -> bool:
        """Whether there can be a student, who samples both together and moves on by a pointer."""
        return self.has_orchestrator and self.order == JOINT

    @property
    def chunk_samples(self) -> int:
        """Audio samples of a chunk."""
        return self.stream.chunk_frames * self.audio_vae.sample_rate // self.stream.fps

    @property
    def geometry(self) -> WindowGeometry:
        """Shapes and positions in the DiT's window."""
        cells, cached = self.stream.size // SPATIAL_STRIDE, self.dit.cached_chunks
        latents = self.video_vae.num_latents(self.stream.chunk_frames)
        audio_latents = self.chunk_samples // self.audio_vae.latent_samples
        return WindowGeometry(
            chunk_latents=latents,
            chunk_audio_latents=audio_latents,
            motion_latents=cached * latents or self.stream.motion_latents,
            motion_audio_latents=cached * audio_latents or self.stream.motion_audio_latents,
            sink_latents=self.stream.sink_latents,
            prompt_tokens=self.prompt.num_tokens,
            video_channels=self.video_vae.channels,
            video_cells=(cells, cells),
            audio_channels=self.audio_vae.channels,
            text_tokens=0 if self.has_orchestrator else self.orchestrator.window,
        )

    def _check_reader(self) -> None:
        if self.has_orchestrator == self.dit.reads_transcript:
            raise ValueError(
                "orchestrator.mode=none and dit.text_expansion above 0 go together: one of the two "
                f"reads the transcript, not mode={self.orchestrator.mode} and "
                f"text_expansion={self.dit.text_expansion}"
            )
        if self.has_orchestrator:
            return
        if self.orchestrator.text_behind:
            raise ValueError(
                "without an orchestrator the transcript is read from its beginning, so "
                f"orchestrator.text_behind is 0, not {self.orchestrator.text_behind}"
            )
        if self.order != JOINT:
            raise ValueError(f"without an orchestrator the order is joint, not {self.order}")

    def _check_cache(self) -> None:
        cached = self.dit.cached_chunks
        if cached < 0:
            raise ValueError(f"dit.cached_chunks cannot be {cached}")
        if cached and not self.can_be_distilled:
            raise ValueError(
                "dit.cached_chunks keeps keys and values of chunks whose picture and sound were "
                "made together: it goes with an orchestrator and order=joint"
            )

    def _check_window(self) -> None:
        token = SPATIAL_STRIDE * self.dit.patch
        if self.stream.size % token:
            raise ValueError(f"{self.stream.size} pixels are not whole tokens of {token} pixels")
        latents = self.geometry.chunk_latents
        seen = {"motion": self.stream.motion_latents, "sink": self.stream.sink_latents}
        for name, count in seen.items():
            if count > latents:
                raise ValueError(f"{name}_latents is {count}, but a chunk has {latents} latents")

    def _check_widths(self) -> None:
        prompt, orchestrator, dit = self.prompt, self.orchestrator, self.dit
        shared = {
            "prompt_tokens": {prompt.num_tokens, orchestrator.prompt_tokens},
            "prompt_width": {prompt.width, orchestrator.prompt_width, dit.prompt_width},
            "condition_width": {orchestrator.condition_width, dit.condition_width},
        }
        for name, values in shared.items():
            if len(values) > 1:
                raise ValueError(f"the parts differ in {name}: {sorted(values)}")


def micro() -> Config:
    """64 px, trained on two CPU cores; the default until `base` is trained."""
    return Config(
        preset="micro",
        stream=StreamConfig(
            fps=25,
            size=64,
            chunk_frames=32,
            motion_latents=2,
            motion_audio_latents=8,
            sink_latents=2,
        ),
        sampler=SamplerConfig(
            num_steps=8,
            shift=1.8,
            kind="ab2",
            guidance=3.0,
            picture_guidance=3.0,
            picture_temperature=0.5,
        ).over(DEFAULT),
        video_vae=VideoVaeConfig(channels=32, widths=(32, 64, 96)),
        audio_vae=AudioVaeConfig(encoder_width=128, encoder_blocks=2),
        prompt=PromptConfig(),
        orchestrator=OrchestratorConfig(),
        dit=DitConfig(width=192, num_blocks=6, num_heads=4, expansion=(3, 2)),
    )


def tiny() -> Config:
    """32 px, for tests."""
    return Config(
        preset="tiny",
        stream=StreamConfig(
            fps=25,
            size=32,
            chunk_frames=16,
            motion_latents=1,
            motion_audio_latents=4,
            sink_latents=1,
        ),
        sampler=SamplerConfig(num_steps=4).over(DEFAULT),
        video_vae=VideoVaeConfig(channels=4, widths=(8, 12, 16)),
        audio_vae=AudioVaeConfig(
            channels=16, width=48, num_blocks=2, encoder_width=32, encoder_blocks=1
        ),
        prompt=PromptConfig(width=32, num_layers=1, num_heads=2, feed_forward=64, num_tokens=4),
        orchestrator=OrchestratorConfig(
            width=48,
            num_layers=2,
            num_heads=2,
            feed_forward=96,
            text_behind=8,
            text_ahead=32,
            history_latents=16,
            prompt_tokens=4,
            prompt_width=32,
            condition_width=32,
        ),
        dit=DitConfig(width=64, num_blocks=2, num_heads=2, condition_width=32, prompt_width=32),
    )


def base() -> Config:
    """96 px, sized for one H100; not trained yet."""
    small = micro()
    return replace(
        small,
        preset="base",
        stream=replace(small.stream, size=96),
        sampler=replace(small.sampler, shift=1.4),
        video_vae=VideoVaeConfig(channels=32, widths=(40, 80, 160)),
        audio_vae=AudioVaeConfig(width=256, encoder_width=192),
        orchestrator=OrchestratorConfig(
            width=256, num_layers=8, num_heads=4, feed_forward=704, text_ahead=80
        ),
        dit=DitConfig(width=320, num_blocks=8, num_heads=5),
    )


def paper_faithful() -> Config:
    """`micro` with the paper's motion and sink of a whole chunk, soft pointer, emergent timing.

    The transcript stays phonemes; the README's ledger says what else is not the paper's.
    """
    small = micro()
    geometry = small.geometry
    return replace(
        small,
        preset="paper_faithful",
        stream=replace(
            small.stream,
            motion_latents=geometry.chunk_latents,
            motion_audio_latents=geometry.chunk_audio_latents,
            sink_latents=geometry.chunk_latents,
        ),
        orchestrator=replace(
            small.orchestrator, mode="in_loop", pointer="soft_position", timing="emergent"
        ),
    )


def without_orchestrator(config: Config) -> Config:
    """Returns a config of equal size and cost whose DiT reads the transcript itself.

    It has no language model, pointer or predicted time. The transcript is a part of the DiT's
    context, from its beginning on, with feed-forward layers of its own that have about as many
    weights as the orchestrator had. More of the sound before the chunk is seen, for where in the
    transcript the speech is can be found out from that alone.

    Args:
        config: With an orchestrator.

    Returns:
        The rival's config; longer transcripts than ``short_clip`` has are refused.
    """
    stream, dit = config.stream, config.dit
    return replace(
        config,
        stream=replace(stream, motion_audio_latents=3 * stream.motion_audio_latents),
        orchestrator=replace(config.orchestrator, mode="none", text_behind=0, text_ahead=144),
        dit=replace(dit, text_expansion=4),
    )


def monolithic() -> Config:
    """`micro` without an orchestrator."""
    return replace(without_orchestrator(micro()), preset="monolithic")


def paper() -> Config:
    """The shapes that are reported for the paper's model; for its speed, with random weights.

    24 fps and 33 frames a chunk; a whole chunk as motion and as sink; 15 s of audio history. The
    DiT has the width, depth and heads of Wan2.2-5B, its tokens of 32 x 32 pixels and its 192
    numbers a token; feed-forward layers of 5 widths (Wan: 4.7), with others for audio; no
    cross-attention, since the prompt is in the context. The orchestrator has the shape of
    Qwen2.5-3B, the prompt that of UMT5-XXL, whose weights load by path. The video decoder is as
    wide as Wan2.2's with a sixth of its layers, the cost of one that was pruned for streaming.
    """
    return Config(
        preset="paper",
        stream=StreamConfig(
            fps=24,
            size=512,
            chunk_frames=33,
            motion_latents=9,
            motion_audio_latents=44,
            sink_latents=9,
        ),
        sampler=SamplerConfig(shift=5.0).over(DEFAULT),
        video_vae=VideoVaeConfig(channels=12, widths=(256, 512, 1024), first_latent_frames=1),
        audio_vae=AudioVaeConfig(channels=64, width=512, num_blocks=8, hop=125),
        prompt=PromptConfig(
            width=4096, num_layers=24, num_heads=64, feed_forward=10_240, num_tokens=64
        ),
        orchestrator=OrchestratorConfig(
            width=2048,
            num_layers=36,
            num_heads=16,
            num_key_value_heads=2,
            feed_forward=11_008,
            text_behind=64,
            text_ahead=256,
            history_latents=480,
            history_pool=4,
            prompt_tokens=64,
            prompt_width=4096,
            condition_width=1024,
            pointer="soft_position",
            timing="emergent",
        ),
        dit=DitConfig(
            width=3072,
            num_blocks=30,
            num_heads=24,
            expansion=(5, 2),
            patch=4,
            condition_width=1024,
            prompt_width=4096,
        ),
    )


PRESETS: dict[str, Callable[[], Config]] = {
    preset.__name__: preset for preset in (tiny, micro, base, paper_faithful, monolithic, paper)
}


def preset(name: str) -> Config:
    """Returns a preset.

    Args:
        name: One of `PRESETS`.

    Returns:
        Its config.

    Raises:
        InputError: If there is none of that name.
    """
    if name not in PRESETS:
        raise InputError(f"no preset {name!r:.60}; known: {', '.join(PRESETS)}")
    return PRESETS[name]()
