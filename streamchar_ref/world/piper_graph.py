"""Splits Piper's ONNX graph into two that run one after the other; done once per machine."""

from pathlib import Path
from typing import Any

from streamchar_ref.world.take import EngineMissing

LATENT_CHANNELS = 192


def cut_graph(path: Path, reader: Path, sounder: Path) -> None:
    """Splits the graph where it rounds durations, and turns both noises into inputs.

    The reader outputs ``raw_durations`` in frames before rounding, and intermediate values; the
    sounder takes these, ``durations`` and ``frame_noise``, and outputs ``output``.

    Args:
        path: The voice.
        reader: Output path of the first half.
        sounder: Output path of the second half.

    Raises:
        EngineMissing: If the package onnx is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        message = "Piper needs the package onnx; pip install 'streamchar[world]'"
        raise EngineMissing(message) from error
    model = onnx.load(str(path))
    _expose_noise(model.graph)
    shared = _shared_values(model.graph)
    shapes: dict[str, list[int | str]] = {
        "durations": [1, 1, "symbols"],
        "frame_noise": [1, LATENT_CHANNELS, "frames"],
    }
    noise = [*model.graph.input, _value("duration_noise", [1, 2, "symbols"])]
    inputs = [_value(name, shape) for name, shape in shapes.items()]
    shared_values = [_value(name, None) for name in shared]
    raw = _value("raw_durations", None)
    onnx.save(_part(model, noise, [raw, *shared_values]), str(reader))
    onnx.save(_part(model, [*shared_values, *inputs], list(model.graph.output)), str(sounder))


def _expose_noise(graph: Any) -> None:
    """Removes the rounding and noise nodes and renames their values."""
    rounding = next(node for node in graph.node if node.op_type == "Ceil")
    renamed = {rounding.input[0]: "raw_durations", rounding.output[0]: "durations"}
    noises = [node for node in graph.node if node.op_type == "RandomNormalLike"]
    for node in noises:
        is_duration = node.name.startswith("/dp/")
        renamed[node.output[0]] = "duration_noise" if is_duration else "frame_noise"
    for node in [rounding, *noises]:
        graph.node.remove(node)
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]


def _shared_values(graph: Any) -> list[str]:
    """Finds values that depend on the text alone and are used after the split."""
    late = _downstream(graph, {"durations", "frame_noise"})
    early = _downstream(graph, {value.name for value in graph.input} | {"duration_noise"}) - late
    needed = _upstream(graph, {"output"}, set())
    used = {name for node in graph.node if late & needed & set(node.output) for name in node.input}
    return sorted(used & early)


def _downstream(graph: Any, names: set[str]) -> set[str]:
    """Returns all values that depend on the named ones; nodes are in order of execution."""
    reached = set(names)
    for node in graph.node:
        if reached & set(node.input):
            reached |= set(node.output)
    return reached


def _upstream(graph: Any, names: set[str], stops: set[str]) -> set[str]:
    reached = set(names)
    for node in reversed(graph.node):
        if (reached - stops) & set(node.output):
            reached |= set(node.input)
    return reached


def _part(model: Any, inputs: list[Any], outputs: list[Any]) -> Any:
    """Returns the model with only the nodes that lead from these inputs to these outputs."""
    from onnx import helper

    graph, input_names = model.graph, {value.name for value in inputs}
    needed = _upstream(graph, {value.name for value in outputs}, input_names)
    nodes = [node for node in graph.node if (needed - input_names) & set(node.output)]
    used = {name for node in nodes for name in node.input}
    weights = [weight for weight in graph.initializer if weight.name in used]
    used_inputs = [value for value in inputs if value.name in used]
    part = helper.make_graph(nodes, graph.name, used_inputs, outputs, weights)
    part_model = helper.make_model(part, opset_imports=model.opset_import)
    part_model.ir_version = model.ir_version
    return part_model


def _value(name: str, shape: list[int | str] | None) -> Any:
    from onnx import TensorProto, helper

    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
