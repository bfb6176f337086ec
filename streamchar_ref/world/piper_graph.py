"""Cuts Piper's graph into two that ONNX Runtime runs one after the other; done once a machine."""

from pathlib import Path
from typing import Any

from streamchar_ref.world.take import EngineMissing

LATENT_CHANNELS = 192


def cut_graph(path: Path, reader: Path, sounder: Path) -> None:
    """Cuts the graph where it rounds durations, and turns both noises into inputs.

    The reader gives ``raw_durations`` in frames before rounding, then what the sounder needs; the
    sounder is given that, ``durations`` and ``frame_noise``, and gives ``output``.

    Args:
        path: The voice.
        reader: Where to write the first half.
        sounder: Where to write the second half.

    Raises:
        EngineMissing: If the package onnx is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        message = "Piper needs the package onnx; pip install 'streamchar[world]'"
        raise EngineMissing(message) from error
    model = onnx.load(str(path))
    _open_up(model.graph)
    handed = _handed_over(model.graph)
    given: dict[str, list[int | str]] = {
        "durations": [1, 1, "symbols"],
        "frame_noise": [1, LATENT_CHANNELS, "frames"],
    }
    noise = [*model.graph.input, _value("duration_noise", [1, 2, "symbols"])]
    inputs = [_value(name, shape) for name, shape in given.items()]
    handed_values = [_value(name, None) for name in handed]
    raw = _value("raw_durations", None)
    onnx.save(_part(model, noise, [raw, *handed_values]), str(reader))
    onnx.save(_part(model, [*handed_values, *inputs], list(model.graph.output)), str(sounder))


def _open_up(graph: Any) -> None:
    """Removes the nodes that round and that draw noise; what they gave gets a name of its own."""
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


def _handed_over(graph: Any) -> list[str]:
    """Finds what depends on the text alone and is used where durations or noise come in."""
    late = _downstream(graph, {"durations", "frame_noise"})
    early = _downstream(graph, {value.name for value in graph.input} | {"duration_noise"}) - late
    needed = _upstream(graph, {"output"}, set())
    used = {name for node in graph.node if late & needed & set(node.output) for name in node.input}
    return sorted(used & early)


def _downstream(graph: Any, names: set[str]) -> set[str]:
    """Returns all values that depend on these; nodes are in order of execution."""
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

    graph, given = model.graph, {value.name for value in inputs}
    needed = _upstream(graph, {value.name for value in outputs}, given)
    nodes = [node for node in graph.node if (needed - given) & set(node.output)]
    used = {name for node in nodes for name in node.input}
    weights = [weight for weight in graph.initializer if weight.name in used]
    kept = [value for value in inputs if value.name in used]
    part = helper.make_graph(nodes, graph.name, kept, outputs, weights)
    made = helper.make_model(part, opset_imports=model.opset_import)
    made.ir_version = model.ir_version
    return made


def _value(name: str, shape: list[int | str] | None) -> Any:
    from onnx import TensorProto, helper

    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
