"""Compiles the blocks that most of a training step is spent in."""

from torch import nn

from streamchar_ref.networks.layers import JointBlock
from streamchar_ref.networks.orchestrator import Orchestrator


def compile_blocks(stage: nn.Module) -> int:
    """Compiles the blocks of every DiT and language model of a stage, in place.

    Names of weights stay what they are. The first step takes minutes on a CPU.

    Args:
        stage: With its networks.

    Returns:
        How many blocks there are.
    """
    blocks: list[nn.Module] = []
    for module in stage.modules():
        if isinstance(module, JointBlock):
            blocks.append(module)
        elif isinstance(module, Orchestrator):
            blocks += module.backbone.layers
    for block in blocks:
        block.compile()
    return len(blocks)
