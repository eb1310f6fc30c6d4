"""A finished file against its recipe's own list of operators and types.

Converters ignore settings without a word: an unknown node name in a deny-list, a quantizer that
falls back to float. What a file is, only the file itself can say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from lesionlite_export.recipe import Recipe
from lesionlite_runtime.contract import AnyContract
from lesionlite_runtime.contract_fields import ImageInput
from lesionlite_runtime.door import check_interface, checked_graph
from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.graph import Graph, OperatorInfo

WITH_WEIGHTS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"})


def check_recipe(flatbuffer: bytes, recipe: Recipe, contract: AnyContract, file: str) -> Graph:
    """The graph in ``flatbuffer``, if it is what ``recipe`` and ``contract`` promise.

    Raises:
        UnusableInput: when names, shapes or types of input or output differ, an operator is not
            in the recipe's list or computes in another type, an image input is quantized, or
            integer weights of a convolution are not quantized per channel.
    """
    graph = checked_graph(flatbuffer, file)
    check_interface(graph, contract, file)
    allowed = recipe.operators_for(contract)
    if allowed is None:
        raise UnusableInput(
            f"the recipe {recipe.name} is not for {contract.task}", "choose another", file
        )
    faults = Counter(
        f"{operator.name} in {kind}"
        for operator, kind in operator_kinds(graph)
        if kind not in allowed.get(operator.name, ())
    )
    if faults:
        found = ", ".join(f"{n} x {fault}" for fault, n in sorted(faults.items()))
        raise UnusableInput(
            f"the converter made what the recipe {recipe.name} does not allow ({found})",
            "choose another recipe, or add the operator to a recipe of your own",
            file,
        )
    if "head" in recipe.float_parts:
        _check_float_output(graph, file)
    if recipe.pixels == "scaled":
        _check_input_quantization(graph, contract, file)
    _check_per_channel(graph, file)
    return graph


def operator_kinds(graph: Graph) -> Iterator[tuple[OperatorInfo, str]]:
    """Each operator with the types that it computes in (see `Recipe.operators`)."""
    origin = {output: o for o in graph.operators for output in o.outputs}
    for operator in graph.operators:
        if operator.name not in WITH_WEIGHTS:
            yield operator, graph.tensors[operator.outputs[0]].dtype
            continue
        weights = operator.inputs[1]
        source = origin.get(weights)
        # float16 weights are stored as such and widened by a DEQUANTIZE in front of the operator.
        if source is not None and source.name == "DEQUANTIZE":
            weights = source.inputs[0]
        types = (graph.tensors[operator.inputs[0]].dtype, graph.tensors[weights].dtype)
        yield operator, "*".join(types)


def _check_input_quantization(graph: Graph, contract: AnyContract, file: str) -> None:
    """Raw pixels must mean themselves: a scale on the input would change what a client feeds."""
    (index,) = graph.inputs.values()
    if isinstance(contract.input, ImageInput) and graph.tensors[index].scales:
        raise UnusableInput(
            "the file's input is quantized, so that pixels would not mean themselves",
            "export with a recipe that keeps the pixel scaling in float",
            file,
        )


def _check_float_output(graph: Graph, file: str) -> None:
    """A head in float ends in a float operator, and not in integers that are widened."""
    (index,) = graph.outputs.values()
    if any(o.name == "DEQUANTIZE" and index in o.outputs for o in graph.operators):
        raise UnusableInput(
            "the score is computed in integers, and the recipe keeps the head in float",
            "choose another recipe, or end the network in a fully connected layer",
            file,
        )


def _check_per_channel(graph: Graph, file: str) -> None:
    for operator in graph.operators:
        if operator.name not in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            continue
        weights = graph.tensors[operator.inputs[1]]
        channels = weights.shape[0 if operator.name == "CONV_2D" else 3]
        if weights.dtype == "int8" and len(weights.scales) != channels:
            raise UnusableInput(
                f"the weights {weights.name} are not quantized per channel",
                "convert with a per-channel quantizer",
                file,
            )
