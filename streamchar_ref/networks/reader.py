"""What stands in the orchestrator's place where the DiT reads the transcript itself.

Embeddings of the transcript, which are tokens in the DiT's context, and a head that reads off the
DiT's states whether all has been said. There is no language model, pointer or predicted time: where
in the transcript the speech is, the DiT has to find out from the sound before the chunk.

Shape letters: B batch, W rows of the transcript, A audio latents of a chunk, D width of the DiT.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from streamchar_ref.networks.orchestrator import (
    Orchestrator,
    OrchestratorConfig,
    OrchestratorInputs,
)
from streamchar_ref.networks.text import MARKS, NUM_TOKENS, STRESSES


class TranscriptReader(nn.Module):
    """Embeds the transcript for a DiT, and tells the end of the speech from its states.

    Args:
        config: How much of the transcript is read, from its beginning on.
        width: D.
    """

    def __init__(self, config: OrchestratorConfig, width: int) -> None:
        super().__init__()
        self.config = config
        self.text_in = nn.ModuleList(
            nn.Embedding(count, width) for count in (NUM_TOKENS, 2, len(STRESSES), len(MARKS))
        )
        self.over_out = nn.Linear(width, 1)

    def prefill(self, script: OrchestratorInputs) -> Float[Tensor, "B W D"]:
        """Embeds the transcript, once a chunk.

        Args:
            script: What is known of the stream; only the transcript is read.

        Returns:
            Tokens for `JointDiT.encode_context`.
        """
        columns = script.window.unbind(-1)
        embedded = [embed(column) for embed, column in zip(self.text_in, columns, strict=True)]
        return torch.stack(embedded).sum(dim=0)

    def is_over(self, states: Float[Tensor, "B A D"]) -> Float[Tensor, "B A"]:
        """Tells the end of the transcript.

        Args:
            states: Of the DiT for finished audio, from `JointDiT.hear`.

        Returns:
            Logits that it is finished.
        """
        logits: Tensor = self.over_out(states)
        return logits[..., 0]


def as_orchestrator(module: Orchestrator | TranscriptReader) -> Orchestrator:
    """Returns the orchestrator of a model whose config says that there is one."""
    assert isinstance(module, Orchestrator), "the DiT of this model reads the transcript itself"
    return module


def as_reader(module: Orchestrator | TranscriptReader) -> TranscriptReader:
    """Returns what stands in the place of an orchestrator where the config says so."""
    assert isinstance(module, TranscriptReader), "an orchestrator reads the transcript"
    return module
