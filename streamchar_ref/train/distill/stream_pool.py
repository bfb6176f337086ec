"""Streams that go on from one update to the next, each with the past that the student has made.

Everything about them is in buffers, so training resumes with them.

Shape letters: B streams, N phonemes of the longest text.
"""

from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor, nn

from streamchar_ref.model.streamchar import Conditioning, StreamChar
from streamchar_ref.sampling.noise import NoiseSource
from streamchar_ref.streaming.context import ContextOptions
from streamchar_ref.streaming.rollout import rollout_chunk
from streamchar_ref.streaming.state import StreamState, encoded_past, initial_state
from streamchar_ref.streaming.transcript import TranscriptBatch
from streamchar_ref.train.distill.config import DistillConfig
from streamchar_ref.train.latent_store import LatentStore

_NOT_TENSORS = ("conditioning", "noise")
_TENSORS = tuple(each.name for each in fields(StreamState) if each.name not in _NOT_TENSORS)


@dataclass(frozen=True, kw_only=True)
class Rollouts:
    """Streams before their next chunk.

    Attributes:
        state: Of the streams.
        text: Their whole transcripts.
        limit: Chunks after which each begins anew if its text has not ended before, [B].
    """

    state: StreamState
    text: TranscriptBatch
    limit: Tensor


class StreamPool(nn.Module):
    """Persistent streams of a student.

    Args:
        model: Teacher of the students.
        store: People and texts: a stream has prompt and reference of one clip, and says the texts
            of several.
        config: Of distillation.
        seed: Of people, texts and noise; another one for each process.
    """

    def __init__(
        self, model: StreamChar, store: LatentStore, config: DistillConfig, *, seed: int
    ) -> None:
        super().__init__()
        self._store, self._config, self._seed = store, config, seed
        self._chunk_s = model.config.stream.chunk_s
        self.options = ContextOptions(visible=config.visible)
        longest = config.max_chunks * self._chunk_s * config.phonemes_per_s
        self._num_phonemes = int(1.5 * longest) + store.tokens.shape[1]
        self.register_buffer("step", torch.zeros((), dtype=torch.long))
        for name, value in _flat(self._fresh(0, model)).items():
            self.register_buffer(name, value, persistent=value.numel() > 0)

    def rollouts(self) -> Rollouts:
        """Returns the streams before their next chunk."""
        lengths = self.get_buffer("lengths")
        rows = self.get_buffer("noise_states").cpu().unbind()
        states = tuple(row.clone() for row in rows)  # torch reads a generator's state from offset 0
        noise = NoiseSource(
            states=states, num_chunks=tuple(self.get_buffer("noise_chunks").tolist())
        )
        return Rollouts(
            state=StreamState(
                conditioning=Conditioning(
                    prompt=self.get_buffer("prompt"), reference=self.get_buffer("reference")
                ),
                noise=noise,
                **{name: self.get_buffer(name) for name in _TENSORS},
            ),
            text=TranscriptBatch(
                tokens=self.get_buffer("tokens"),
                lengths=lengths,
                is_final=torch.ones_like(lengths, dtype=torch.bool),
            ),
            limit=self.get_buffer("limit"),
        )

    @torch.no_grad()
    def advance(self, student: StreamChar, step: int) -> None:
        """Lets the student make the next chunk of each stream, once for each step of training.

        A stream whose text is over, or that is as long as it may be, is replaced by a new one.

        Args:
            student: The networks.
            step: Of training; nothing happens twice in a step.
        """
        if not step:  # the pool was made before the student had its weights
            self.get_buffer("cache").copy_(encoded_past(student, self.rollouts().state))
        if step == int(self.get_buffer("step")):
            return
        before = self.rollouts()
        chunk = rollout_chunk(
            student,
            before.state,
            before.text,
            student.config.sampler,
            options=self.options,
            is_exact=False,
        )
        state = self._moved(before, chunk.state)
        after = _flat(replace(before, state=state))
        is_over = state.has_ended | (state.num_chunks >= before.limit)
        if bool(is_over.any()):
            fresh = _flat(self._fresh(step, student))
            after = {name: _where(is_over, fresh[name], old) for name, old in after.items()}
        for name, value in after.items():
            self.get_buffer(name).copy_(value)
        self.get_buffer("step").fill_(step)

    def _moved(self, before: Rollouts, state: StreamState) -> StreamState:
        """Moves the transcript windows on by the pointer of the rollouts."""
        if self._config.pointer == "own":
            return state
        step = self._config.phonemes_per_s * self._chunk_s
        position = torch.minimum(before.state.position + step, before.text.lengths.float())
        return replace(state, position=position)

    def _fresh(self, step: int, model: StreamChar) -> Rollouts:
        """Returns as many streams that have not begun."""
        store, count = self._store, self._config.num_streams
        rng = np.random.default_rng([self._seed, step, 0x706F])
        clips = rng.integers(len(store.table), size=count)
        references = store.table.first_reference[clips]
        references = references + rng.integers(store.table.num_references[clips])
        device = store.device
        conditioning = Conditioning(
            prompt=store.prompt[torch.from_numpy(clips).to(device)],
            reference=store.video[torch.from_numpy(references).to(device)][:, None].float(),
        )
        seeds = [int(seed) for seed in rng.integers(2**62, size=count)]
        limit = rng.integers(1, self._config.longest_rollout(step) + 1, size=count)
        return Rollouts(
            state=initial_state(model, conditioning, seeds),
            text=self._texts(count, rng),
            limit=torch.from_numpy(limit).to(device),
        )

    def _texts(self, count: int, rng: np.random.Generator) -> TranscriptBatch:
        """Draws texts: those of some clips one after the other, from one to as many as fit."""
        store = self._store
        tokens = torch.zeros((count, self._num_phonemes, 4), dtype=torch.long)
        lengths = torch.zeros(count, dtype=torch.long)
        table = store.tokens.cpu().long()
        for row in range(count):
            pieces: list[Tensor] = []
            wanted = int(rng.integers(1, max(2, self._num_phonemes - table.shape[1] + 1)))
            while sum(len(piece) for piece in pieces) < wanted:
                clip = int(rng.integers(len(store.table)))
                pieces.append(table[clip, : int(store.table.num_tokens[clip])])
            text = torch.cat(pieces)
            tokens[row, : len(text)], lengths[row] = text, len(text)
        return TranscriptBatch(
            tokens=tokens.to(store.device),
            lengths=lengths.to(store.device),
            is_final=torch.ones(count, dtype=torch.bool, device=store.device),
        )


def _flat(rollouts: Rollouts) -> dict[str, Tensor]:
    """Returns everything about streams as tensors by name, each with a row a stream."""
    state, text = rollouts.state, rollouts.text
    return {
        **{name: getattr(state, name).clone() for name in _TENSORS},
        "prompt": state.conditioning.prompt,
        "reference": state.conditioning.reference,
        "noise_states": torch.stack(state.noise.states),
        "noise_chunks": torch.tensor(state.noise.num_chunks),
        "tokens": text.tokens,
        "lengths": text.lengths,
        "limit": rollouts.limit,
    }


def _where(mask: Tensor, new: Tensor, old: Tensor) -> Tensor:
    return torch.where(mask.to(new.device).reshape(-1, *(1,) * (new.ndim - 1)), new, old.to(new))
