"""Compiles the blocks that most of a training step is spent in."""

from streamchar_ref.loop.stage import Stage
from streamchar_ref.networks.layers import JointBlock
from streamchar_ref.networks.orchestrator import Orchestrator


def compile_blocks(stage: Stage, *, backend: str = "inductor") -> Stage:
    """Compiles the blocks of every DiT and language model of a stage, in place.

    Names of weights stay what they are. The first steps take minutes on a CPU, for no gain there.

    Args:
        stage: With its networks.
        backend: Of `torch.compile`.

    Returns:
        The stage.
    """
    for module in stage.modules():
        if isinstance(module, JointBlock):
            module.compile(backend=backend)
        elif isinstance(module, Orchestrator):
            for layer in module.backbone.layers:
                layer.compile(backend=backend)
    return stage
