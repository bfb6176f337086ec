"""LLM orchestrator: prompt, transcript window and audio history in, audio condition out.

Its sequence is packed: a start token, the prompt's vectors, a window of the transcript around the
pointer, pooled audio history, and one position for each audio latent of the chunk, which carries
the noisy latent and its noise level. The outputs there are the frame-aligned audio condition. All
other positions are computed once a chunk.

Shape letters: B batch, P prompt vectors, E their width, W transcript window, R history latents,
C audio channels, A audio latents of a chunk, D width, L prefix length, K width of the condition.
"""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaModel, PreTrainedModel

from streamchar_ref.networks.durations import (
    DurationPredictor,
    FrameAlignment,
    length_regulate,
    phoneme_times,
)
from streamchar_ref.networks.layers import TimestepEmbedding
from streamchar_ref.networks.pointer import PointerOutput, ProgressPointer
from streamchar_ref.networks.prefix import PrefixCache, TranscriptEncoding, cache_argument
from streamchar_ref.networks.text import MARKS, NUM_TOKENS, PHONES, STRESSES


@dataclass(frozen=True, kw_only=True)
class OrchestratorConfig:
    """Size of the orchestrator, and how it works.

    Attributes:
        width: D.
        num_layers: Of the language model.
        num_heads: Attention heads.
        feed_forward: Width of its feed-forward layers.
        num_key_value_heads: Heads of keys and values; 0 is one for each attention head.
        text_behind: Phonemes of the transcript window before the pointer.
        text_ahead: Phonemes after it.
        history_latents: Audio latents of the history, before the chunk.
        history_pool: Latents of the history that become one token.
        prompt_tokens: P.
        prompt_width: E.
        condition_width: K.
        mode: ``in_loop`` runs at each step and sees the noisy sound, as the paper's seems to do;
            ``once`` runs once a chunk; ``none`` is no orchestrator, see `reader.TranscriptReader`.
        pointer: ``progress`` adds up steps that are never negative, ``soft_position`` reads the
            position off the attention to the transcript.
        timing: ``predicted`` fixes the times of phonemes before the chunk is sampled;
            ``emergent`` leaves it to the noisy sound, as the paper seems to do.

    Raises:
        ValueError: If a mode, pointer or timing is unknown, or the history is not whole tokens.
    """

    width: int = 160
    num_layers: int = 4
    num_heads: int = 4
    feed_forward: int = 448
    num_key_value_heads: int = 0
    text_behind: int = 16
    text_ahead: int = 64
    history_latents: int = 48
    history_pool: int = 2
    prompt_tokens: int = 8
    prompt_width: int = 128
    condition_width: int = 128
    mode: Literal["in_loop", "once", "none"] = "in_loop"
    pointer: Literal["progress", "soft_position"] = "progress"
    timing: Literal["predicted", "emergent"] = "predicted"

    def __post_init__(self) -> None:
        if self.mode not in ("in_loop", "once", "none"):
            raise ValueError(f"mode is in_loop, once or none, not {self.mode!r}")
        if self.pointer not in ("progress", "soft_position"):
            raise ValueError(f"pointer is progress or soft_position, not {self.pointer!r}")
        if self.timing not in ("predicted", "emergent"):
            raise ValueError(f"timing is predicted or emergent, not {self.timing!r}")
        if self.history_latents % self.history_pool:
            raise ValueError(
                f"history_latents={self.history_latents} is not whole tokens of "
                f"{self.history_pool} latents"
            )

    @property
    def window(self) -> int:
        """Phonemes in the transcript window."""
        return self.text_behind + self.text_ahead

    @property
    def prefix_length(self) -> int:
        """Tokens before those of the chunk."""
        return 1 + self.prompt_tokens + self.window + self.history_latents // self.history_pool


@dataclass(frozen=True, kw_only=True)
class OrchestratorInputs:
    """What the orchestrator reads before a chunk.

    Attributes:
        prompt: Text vectors, [B, P, E].
        has_prompt: [B].
        window: Transcript around the pointer, see `text.PhonemeText.window`, [B, W, 4].
        fraction: How far the phoneme at the pointer has been spoken, in [0, 1), [B].
        history: Audio latents before the chunk, [B, R, C].
        num_history: How many of them there are, the last ones, [B].
    """

    prompt: Float[Tensor, "B P E"]
    has_prompt: Bool[Tensor, " B"]
    window: Int64[Tensor, "B W 4"]
    fraction: Float[Tensor, " B"]
    history: Float[Tensor, "B R C"]
    num_history: Int64[Tensor, " B"]


@dataclass(frozen=True, kw_only=True)
class OrchestratorOutput:
    """What the orchestrator says of a chunk.

    Attributes:
        condition: Audio condition of each audio latent, [B, A, K].
        progress: Where in the transcript each audio latent is.
        phones: Logits of the sound of each audio latent, silence first, [B, A, 40].
        is_over: Logits that the transcript is finished, [B, A].
        durations: Pause and length of each phoneme, see `DurationPredictor`, [B, W, 2].
        states: Of the language model, with what the transcript says there, [B, A, D].
    """

    condition: Float[Tensor, "B A K"]
    progress: PointerOutput
    phones: Float[Tensor, "B A phones"]
    is_over: Float[Tensor, "B A"]
    durations: Float[Tensor, "B W 2"]
    states: Float[Tensor, "B A D"]


class Orchestrator(nn.Module):
    """Language model over the packed sequence, with heads on the chunk's positions.

    Args:
        config: Its size.
        audio_channels: C.
        chunk_audio_latents: A.
        backbone: A causal language model of ``transformers`` whose hidden size is the config's
            width; one with fresh weights by default.

    Raises:
        ValueError: If the backbone has another width.
    """

    def __init__(
        self,
        config: OrchestratorConfig,
        *,
        audio_channels: int,
        chunk_audio_latents: int,
        backbone: PreTrainedModel | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.backbone: Any = backbone if backbone is not None else _llama(config)
        backbone_width = self.backbone.get_input_embeddings().embedding_dim
        if backbone_width != config.width:
            raise ValueError(
                f"the backbone is {backbone_width} wide, the config says {config.width}"
            )
        width, pool = config.width, config.history_pool
        self.start = nn.Parameter(torch.randn(width) * 0.02)
        self.prompt_in = nn.Linear(config.prompt_width, width)
        self.no_prompt = nn.Parameter(torch.randn(width) * 0.02)
        self.text_in = nn.ModuleList(
            nn.Embedding(count, width) for count in (NUM_TOKENS, 2, len(STRESSES), len(MARKS))
        )
        self.fraction_in = nn.Linear(1, width)
        self.history_in = nn.Linear(audio_channels * pool, width)
        self.no_history = nn.Parameter(torch.randn(width) * 0.02)
        self.place = nn.Parameter(torch.randn(config.prefix_length, width) * 0.02)
        self.query = nn.Parameter(torch.randn(chunk_audio_latents, width) * 0.02)
        self.noisy_in = nn.Linear(audio_channels, width)
        self.noise_level = TimestepEmbedding(width)
        self.no_noisy = nn.Parameter(torch.randn(width) * 0.02)
        self.durations = DurationPredictor(width)
        self.layout_in = nn.Linear(width + 2, width)
        self.pause = nn.Parameter(torch.randn(width) * 0.02)
        self.no_layout = nn.Parameter(torch.randn(width) * 0.02)
        self.condition_out = nn.Linear(width, config.condition_width)
        self.pointer = ProgressPointer(width, kind=config.pointer, behind=config.text_behind)
        self.phones_out = nn.Linear(width, 1 + len(PHONES))
        self.over_out = nn.Linear(width, 1)

    def prefill(self, script: OrchestratorInputs) -> PrefixCache:
        """Computes the keys and values of prompt, transcript and history, once a chunk."""
        cache, (prefix, rows) = PrefixCache(), self._prefix(script)
        states = self.backbone(
            inputs_embeds=prefix,
            attention_mask=_mask(prefix, num_prefix=prefix.shape[1]),
            position_ids=torch.arange(prefix.shape[1], device=prefix.device)[None],
            use_cache=True,
            **{cache_argument(self.backbone): cache},
        ).last_hidden_state
        encoding = self._encode_transcript(script, rows, states)
        return cache.close(encoding, self._predicted_alignment(script, encoding))

    def decode(
        self,
        prefix: PrefixCache,
        noisy: Float[Tensor, "B A C"] | None,
        sigma: Float[Tensor, " B"] | None,
        *,
        infer_alignment: bool = False,
    ) -> OrchestratorOutput:
        """Computes the audio condition of a chunk, and what else it says of it.

        Args:
            prefix: From `prefill`.
            noisy: Audio latents at this step of the sampler; ``None`` in the mode ``once``.
            sigma: Their noise level.
            infer_alignment: Ignore the predicted durations; infer the alignment from the audio.

        Returns:
            The output.
        """
        frame_alignment = None if infer_alignment else prefix.frame_alignment
        queries = self._queries(prefix.encoding.rows, noisy, sigma, frame_alignment)
        length = prefix.get_seq_length()
        count = queries.shape[1]
        places = torch.arange(length, length + count, device=queries.device)[None]
        states = self.backbone(
            inputs_embeds=queries,
            attention_mask=queries.new_zeros(1, 1, count, length + count),
            position_ids=places,
            use_cache=True,
            **{cache_argument(self.backbone): prefix},
        ).last_hidden_state
        return self._heads(states, prefix.encoding, frame_alignment)

    def forward(
        self,
        script: OrchestratorInputs,
        noisy: Float[Tensor, "B A C"] | None,
        sigma: Float[Tensor, " B"] | None,
        *,
        is_audio_dropped: Bool[Tensor, " B"] | None = None,
        frame_alignment: FrameAlignment | None = None,
        is_teacher_forced: Bool[Tensor, " B"] | None = None,
    ) -> OrchestratorOutput:
        """Runs prefix and chunk in one pass, for training.

        Args:
            script: What is read.
            noisy: Noisy audio latents of the chunk.
            sigma: Their noise level.
            is_audio_dropped: Samples that run without the noisy latents, as the mode ``once``.
            frame_alignment: The true times.
            is_teacher_forced: Samples that may look at it; all by default.

        Returns:
            The output.
        """
        prefix, rows = self._prefix(script)
        queries = self._queries(
            rows,
            noisy,
            sigma,
            frame_alignment,
            is_audio_dropped=is_audio_dropped,
            is_teacher_forced=is_teacher_forced,
        )
        x = torch.cat([prefix, queries], dim=1)
        length = prefix.shape[1]
        mask = _mask(x, num_prefix=length)
        states = self.backbone(inputs_embeds=x, attention_mask=mask).last_hidden_state
        encoding = self._encode_transcript(script, rows, states)
        return self._heads(states[:, length:], encoding, frame_alignment, is_teacher_forced)

    def _encode_transcript(
        self,
        script: OrchestratorInputs,
        rows: Float[Tensor, "B W D"],
        states: Float[Tensor, "B L D"],
    ) -> TranscriptEncoding:
        start = 1 + self.config.prompt_tokens
        text = states[:, start : start + self.config.window]
        return TranscriptEncoding(
            rows=rows, states=text, durations=self.durations(text), fraction=script.fraction
        )

    def _predicted_alignment(
        self, script: OrchestratorInputs, encoding: TranscriptEncoding
    ) -> FrameAlignment | None:
        if self.config.timing == "emergent":
            return None
        tokens = script.window[..., 0]
        times = phoneme_times(encoding.durations, tokens, behind=self.config.text_behind)
        return length_regulate(times, num_latents=len(self.query))

    def _prefix(
        self, script: OrchestratorInputs
    ) -> tuple[Float[Tensor, "B L D"], Float[Tensor, "B W D"]]:
        """Returns the whole prefix, and what the rows of the transcript say."""
        prompt = torch.where(
            script.has_prompt[:, None, None], self.prompt_in(script.prompt), self.no_prompt
        )
        columns = script.window.unbind(-1)
        embedded = [embed(column) for embed, column in zip(self.text_in, columns, strict=True)]
        rows = torch.stack(embedded).sum(dim=0)
        row = torch.arange(self.config.window, device=rows.device)
        here = (row == self.config.text_behind).to(rows.dtype)
        text = rows + here[:, None] * self.fraction_in(script.fraction[:, None, None])
        pool = self.config.history_pool
        history = self.history_in(script.history.unflatten(1, (-1, pool)).flatten(2))
        age = torch.arange(history.shape[1], 0, -1, device=history.device) * pool
        has_sound = age[None] <= script.num_history[:, None]
        history = torch.where(has_sound[..., None], history, self.no_history)
        start = self.start.expand(len(prompt), 1, -1)
        return torch.cat([start, prompt, text, history], dim=1) + self.place, rows

    def _queries(
        self,
        rows: Float[Tensor, "B W D"],
        noisy: Tensor | None,
        sigma: Tensor | None,
        frame_alignment: FrameAlignment | None,
        *,
        is_audio_dropped: Tensor | None = None,
        is_teacher_forced: Tensor | None = None,
    ) -> Float[Tensor, "B A D"]:
        x = self.no_noisy.expand(len(rows), 1, -1)
        if noisy is not None and sigma is not None:
            seeing = self.noisy_in(noisy) + self.noise_level(sigma)[:, None]
            x = (
                seeing
                if is_audio_dropped is None
                else torch.where(is_audio_dropped[:, None, None], x, seeing)
            )
        when = self.no_layout.expand(len(rows), 1, -1)
        if frame_alignment is not None:
            pause = self.pause.expand(len(rows), 1, -1)
            text = frame_alignment.shares.to(rows.dtype) @ torch.cat([pause, rows], dim=1)
            aligned = self.layout_in(
                torch.cat([text, frame_alignment.phase.to(text.dtype)], dim=-1)
            )
            when = (
                aligned
                if is_teacher_forced is None
                else torch.where(is_teacher_forced[:, None, None], aligned, when)
            )
        return self.query + x + when

    def _heads(
        self,
        states: Float[Tensor, "B A D"],
        encoding: TranscriptEncoding,
        frame_alignment: FrameAlignment | None,
        is_teacher_forced: Bool[Tensor, " B"] | None = None,
    ) -> OrchestratorOutput:
        progress = self.pointer(states, encoding.states, encoding.fraction)
        text = progress.text
        if frame_alignment is not None:
            aligned = self.pointer.gather(frame_alignment.shares, encoding.states)
            text = (
                aligned
                if is_teacher_forced is None
                else torch.where(is_teacher_forced[:, None, None], aligned, text)
            )
        states = states + text
        return OrchestratorOutput(
            condition=self.condition_out(states),
            progress=progress,
            phones=self.phones_out(states),
            is_over=self.over_out(states)[..., 0],
            durations=encoding.durations,
            states=states,
        )


def _mask(x: Float[Tensor, "B L D"], *, num_prefix: int) -> Float[Tensor, "1 1 L L"]:
    """The prefix sees all of itself; what comes after it looks at everything."""
    mask = torch.zeros(x.shape[1], x.shape[1], device=x.device, dtype=x.dtype)
    mask[:num_prefix, num_prefix:].fill_(torch.finfo(x.dtype).min)
    return mask[None, None]


def _llama(config: OrchestratorConfig) -> LlamaModel:
    return LlamaModel(
        LlamaConfig(
            vocab_size=3,  # it is fed vectors, never tokens
            hidden_size=config.width,
            num_hidden_layers=config.num_layers,
            num_attention_heads=config.num_heads,
            num_key_value_heads=config.num_key_value_heads or config.num_heads,
            intermediate_size=config.feed_forward,
            max_position_embeddings=4096,
        )
    )
