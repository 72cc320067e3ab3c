"""The calls between the inputs and the outputs of a functional model, in Keras's order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from .._engine import Builder
from .._structure import flatten, map_leaves
from ..layers.operation import KerasTensor, Node, Operation
from ..layers.own import Arguments

Key = tuple[int, int, int]


class Call(NamedTuple):
    """Call `number` of an operation."""

    operation: Operation
    number: int

    @property
    def node(self) -> Node:
        """Its inputs and outputs."""
        return self.operation.nodes[self.number]

    @property
    def key(self) -> tuple[int, int]:
        """Equal for the same call."""
        return id(self.operation), self.number


class Graph(NamedTuple):
    """What lies between inputs and outputs.

    Attributes:
        calls: in an order in which they can be computed, inputs first.
        operations: in the order of Keras's `model.layers`: by their distance from the outputs, the farthest first.
        depths: of each operation in that order.
    """

    calls: list[Call]
    operations: list[Operation]
    depths: list[int]


def call_of(tensor: KerasTensor) -> Call:
    """The call that a tensor is an output of."""
    operation, number, _ = tensor._keras_history
    return Call(operation, number)


def trace(inputs: Sequence[KerasTensor], outputs: Sequence[KerasTensor]) -> Graph:
    """The graph from inputs to outputs.

    Raises:
        ValueError: an output that needs an Input which is not among the inputs, or two operations of one name.
    """
    given = {tensor.key for tensor in inputs}
    starts = {key[:2] for key in given}
    ordered, first_seen = _in_order(given, outputs)
    depth: dict[tuple[int, int], int] = {}
    operation_depth: dict[int, int] = {}
    members = {call.key for call in ordered}
    for call in reversed(ordered):
        at = max(depth.setdefault(call.key, 0), operation_depth.get(id(call.operation), 0))
        operation_depth[id(call.operation)] = depth[call.key] = at
        if call.key in starts:
            continue
        for tensor in call.node.inputs:
            parent = call_of(tensor).key
            if parent in members:
                depth[parent] = max(at + 1, depth.get(parent, 0))
    operations = {id(call.operation): call.operation for call in ordered}
    for tensor in inputs:  # those that no output needs
        call = call_of(tensor)
        if id(call.operation) not in operations:
            operations[id(call.operation)] = call.operation
            operation_depth[id(call.operation)], first_seen[id(call.operation)] = 0, -1
            ordered.append(call)
            depth[call.key] = 0
    listed = sorted(operations.values(), key=lambda o: (-operation_depth[id(o)], first_seen[id(o)]))
    for name, count in Counter(operation.name for operation in listed).items():
        if count > 1:
            raise ValueError(f"name: two layers of the model are called {name!r}; give one of them another name=")
    calls = sorted(ordered, key=lambda call: -depth[call.key])
    _check_connected(given, calls)
    return Graph(calls, listed, [operation_depth[id(operation)] for operation in listed])


def _in_order(given: set[Key], outputs: Sequence[KerasTensor]) -> tuple[list[Call], dict[int, int]]:
    """(calls, each after those it needs; when each operation was first seen), depth first from the outputs."""
    done: set[tuple[int, int]] = set()
    ordered: list[Call] = []
    seen: dict[int, int] = {}
    for output in outputs:
        stack = [(output, False)]
        while stack:
            tensor, finished = stack.pop()
            call = call_of(tensor)
            if finished:
                if call.key not in done:
                    done.add(call.key)
                    ordered.append(call)
                continue
            if call.key in done:
                continue
            seen.setdefault(id(call.operation), len(seen))
            stack.append((tensor, True))
            if tensor.key not in given:
                stack.extend((parent, False) for parent in reversed(call.node.inputs))
    return ordered, seen


def _check_connected(given: set[Key], calls: Sequence[Call]) -> None:
    known = set(given)
    for call in calls:
        for tensor in call.node.inputs:
            if tensor.key not in known and not any((*call.key, i) in given for i in range(len(call.node.shapes))):
                raise ValueError(
                    f"inputs: {call.operation.name!r} needs {tensor.name!r}, which no given input leads to; add the "
                    "Input it comes from to inputs="
                )
        if not call.node.inputs and (*call.key, 0) not in given:
            raise ValueError(
                f"inputs: the outputs depend on the Input {call.operation.name!r}, which is not among inputs="
            )
        known.update((*call.key, i) for i in range(len(call.node.shapes)))


def write(
    graph: Graph, inputs: Sequence[KerasTensor], outputs: Sequence[KerasTensor], builder: Builder, values: Sequence[int]
) -> list[int]:
    """Write the operations of all calls on the values of the inputs; returns the values of the outputs."""
    known: dict[Key, int] = dict(zip((tensor.key for tensor in inputs), values, strict=True))
    counted = _counted(graph, outputs)
    for call in graph.calls:
        if call.node.inputs and (*call.key, 0) not in known:
            builder.for_ids = not any((*call.key, i) in counted for i in range(len(call.node.shapes)))
            with builder.in_mode(call.node.training):
                found = call.operation.write_all(builder, [known[tensor.key] for tensor in call.node.inputs])
            known.update({(*call.key, i): value for i, value in enumerate(found)})
    return [known[tensor.key] for tensor in outputs]


def _counted(graph: Graph, outputs: Sequence[KerasTensor]) -> set[Key]:
    """The tensors that something else reads than layers which look ids up, moved or not: their values count."""
    counted = {tensor.key for tensor in outputs}
    for call in reversed(graph.calls):
        layer: Any = call.operation
        moved = not any((*call.key, i) in counted for i in range(len(call.node.shapes)))
        model = not hasattr(layer, "reads_ids")
        if model or not (layer.reads_ids or (layer.moves_ids and moved)):
            counted.update(tensor.key for tensor in call.node.inputs)
    return counted


def run(
    graph: Graph, inputs: Sequence[KerasTensor], outputs: Sequence[KerasTensor], values: Sequence[Any], training: bool
) -> list[Any]:
    """Call the operations on arrays; returns those of the outputs."""
    known: dict[Key, Any] = dict(zip((tensor.key for tensor in inputs), values, strict=True))
    for call in graph.calls:
        operation: Any = call.operation
        node = call.node
        if node.inputs and (*call.key, 0) not in known:
            given = map_leaves(lambda tensor: known[tensor.key], node.arguments)
            given = given if isinstance(node.arguments, Arguments) else (given,)
            found = operation(*given, training=training if node.training is None else node.training)
            known.update({(*call.key, i): value for i, value in enumerate(flatten(found))})
    return [known[tensor.key] for tensor in outputs]
