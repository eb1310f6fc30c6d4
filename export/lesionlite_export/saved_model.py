"""The door for SavedModels: a graph is read and checked before TensorFlow loads it.

A SavedModel is a program. Some of TensorFlow's operators read and write files, start processes or
call Python. What an image network needs is a short list, and a graph with any other operator is
refused by the operator's name. The list keeps a file from doing what it has no business with; it is
no sandbox against faults in TensorFlow's own kernels.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.files import MAX_MODEL_BYTES, read_file

GRAPH_FILE = "saved_model.pb"
MAX_GRAPH_BYTES = 64 << 20
MAX_PARAMETERS = 1 << 28

_FLOW = """
    NoOp Placeholder PlaceholderWithDefault Const Identity IdentityN StopGradient PreventGradient
    PartitionedCall StatefulPartitionedCall If StatelessIf Case StatelessCase While StatelessWhile
    Switch Merge Enter Exit NextIteration LoopCond Assert
    ReadVariableOp AssignVariableOp AssignAddVariableOp AssignSubVariableOp VariableShape
    VarIsInitializedOp DisableCopyOnRead
"""
_SHAPES = """
    Shape ShapeN Rank Size Reshape ExpandDims Squeeze Transpose Pack Unpack Concat ConcatV2 Split
    SplitV Slice StridedSlice Gather GatherV2 GatherNd Tile BroadcastTo BroadcastArgs
    BroadcastGradientArgs Fill ZerosLike OnesLike Range Pad PadV2 MirrorPad ReverseV2 Cast Where
    Select SelectV2 OneHot SpaceToBatchND BatchToSpaceND SpaceToDepth DepthToSpace EnsureShape
    InvertPermutation
"""
_MATHS = """
    Add AddV2 AddN BiasAdd Sub Mul MulNoNan Div RealDiv DivNoNan FloorDiv FloorMod Maximum Minimum
    Neg Abs Sign Square SquaredDifference Sqrt Rsqrt Inv Reciprocal Pow Exp Expm1 Log Log1p Sigmoid
    Tanh Erf Erfc Sin Cos Floor Ceil Round Rint ClipByValue Sum Mean Prod Max Min Any All ArgMax
    ArgMin Cumsum L2Loss MatMul BatchMatMul BatchMatMulV2 BatchMatMulV3 Einsum Equal NotEqual Less
    LessEqual Greater GreaterEqual LogicalAnd LogicalOr LogicalNot IsFinite IsNan IsInf
    RandomUniform RandomStandardNormal TruncatedNormal StatelessRandomUniform
    StatelessRandomUniformV2 StatelessRandomNormalV2 StatelessRandomGetKeyCounter
    StatelessRandomGetAlg
"""
_LAYERS = """
    Conv2D DepthwiseConv2dNative Conv2DBackpropInput FusedBatchNorm FusedBatchNormV2
    FusedBatchNormV3 MaxPool MaxPoolV2 AvgPool LRN Relu Relu6 LeakyRelu Elu Selu Softplus Softsign
    Softmax LogSoftmax Dilation2D ResizeBilinear ResizeNearestNeighbor ResizeBicubic ResizeArea
    FakeQuantWithMinMaxArgs FakeQuantWithMinMaxVars FakeQuantWithMinMaxVarsPerChannel
"""
_NUMBERS = ("FLOAT", "DOUBLE", "HALF", "BFLOAT16", "INT8", "UINT8", "INT32", "INT64", "BOOL")
ALLOWED_OPERATORS = frozenset(f"{_FLOW} {_SHAPES} {_MATHS} {_LAYERS}".split())
"""What the functions of a SavedModel may be made of."""

# TensorFlow writes into each SavedModel two functions that save and restore its variables. Python
# does not call them, so their operators are let pass where nothing else can call them either.
_SAVING = {
    "SaveV2",
    "RestoreV2",
    "MergeV2Checkpoints",
    "ShardedFilename",
    "StringJoin",
    "StaticRegexFullMatch",
}
# The main graph serves other runtimes: TensorFlow 2 loads the object graph, and does not run it.
_MAIN_GRAPH = ALLOWED_OPERATORS | _SAVING | {"VarHandleOp"}
_OBJECTS = {
    "user_object",
    "function",
    "bare_concrete_function",
    "variable",
    "constant",
    "captured_tensor",
}


def read_graph_file(folder: Path) -> bytes:
    """The bytes of ``saved_model.pb`` in ``folder``, checked by `check_graph`.

    Raises:
        UnusableInput: when there is no such file, or the check refuses it.
    """
    path = folder / GRAPH_FILE
    if not path.is_file():
        raise UnusableInput(
            f"this folder holds no SavedModel (no {GRAPH_FILE})",
            "unpack the model, and name the folder that holds that file",
            folder,
        )
    data = read_file(path, MAX_MODEL_BYTES)
    check_graph(data, str(path))
    return data


def saved_model_sha256(folder: Path) -> str:
    """The digest of a SavedModel's graph and variables: 64 lower-case hex digits."""
    digest = hashlib.sha256()
    for path in [folder / GRAPH_FILE, *sorted((folder / "variables").glob("*"))]:
        digest.update(hashlib.sha256(read_file(path)).digest())
    return digest.hexdigest()


def check_graph(data: bytes, file: str | None = None) -> None:
    """Refuse a SavedModel that is more than an image network.

    Args:
        data: the bytes of a ``saved_model.pb``.
        file: its name, for the error.

    Raises:
        UnusableInput: when it is damaged, too large, in TensorFlow 1's format, holds tables, other
            files or variables that are no numbers, or an operator that is not in
            `ALLOWED_OPERATORS`.
    """
    meta_graph = _meta_graph(data, file)
    nodes = meta_graph.object_graph_def.nodes
    kinds = {node.WhichOneof("kind") for node in nodes} - _OBJECTS
    if meta_graph.asset_file_def or kinds:
        raise UnusableInput(
            "this SavedModel holds tables or other files "
            f"({', '.join(sorted(str(kind) for kind in kinds)) or 'assets'})",
            "pass the SavedModel of a plain image network",
            file,
        )
    _check_variables([n.variable for n in nodes if n.WhichOneof("kind") == "variable"], file)
    refused = sorted(set(_refused_operators(meta_graph)))
    if refused:
        raise UnusableInput(
            f"this SavedModel holds operators that no image network needs ({', '.join(refused)})",
            "pass the SavedModel of a plain image network",
            file,
        )


def _check_variables(variables: Sequence[Any], file: str | None) -> None:
    from tensorflow.core.framework import types_pb2

    numbers = {getattr(types_pb2, f"DT_{name}") for name in _NUMBERS}
    sizes = [math.prod(dim.size for dim in variable.shape.dim) for variable in variables]
    if any(v.dtype not in numbers or v.shape.unknown_rank for v in variables) or min([0, *sizes]):
        raise UnusableInput(
            "this SavedModel has variables that are no numbers, or of no fixed shape",
            "pass the SavedModel of a plain image network",
            file,
        )
    if sum(sizes) > MAX_PARAMETERS:
        raise UnusableInput(
            f"this SavedModel has {sum(sizes):,} parameters, over {MAX_PARAMETERS:,}",
            "pass a smaller network",
            file,
        )


def _meta_graph(data: bytes, file: str | None) -> Any:
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from tensorflow.core.protobuf import saved_model_pb2

    if len(data) > MAX_GRAPH_BYTES:
        raise UnusableInput(
            f"the graph of this SavedModel is over {MAX_GRAPH_BYTES:,} bytes",
            "save the network with its weights in variables, not in the graph",
            file,
        )
    try:
        saved_model = saved_model_pb2.SavedModel.FromString(data)
    except DecodeError as error:
        raise UnusableInput(
            "this is no SavedModel, or a damaged one", "copy or download it anew", file
        ) from error
    graphs = saved_model.meta_graphs
    if len(graphs) != 1 or not graphs[0].object_graph_def.nodes:
        raise UnusableInput(
            "this SavedModel is not in TensorFlow 2's format",
            "pass one that tf.saved_model.save or Keras' model.export wrote",
            file,
        )
    return graphs[0]


def _refused_operators(meta_graph: Any) -> Iterator[str]:
    functions = list(meta_graph.graph_def.library.function)
    names = {function.signature.name for function in functions}
    called = set(_called(meta_graph, functions))
    yield from _others(meta_graph.graph_def.node, _MAIN_GRAPH | names)
    for function in functions:
        # The optimizer may swap functions that say that they implement the same interface.
        alone = function.signature.name not in called and "api_implements" not in function.attr
        allowed = ALLOWED_OPERATORS | _SAVING if alone else ALLOWED_OPERATORS
        yield from _others(function.node_def, allowed | names)


def _others(nodes: Iterable[Any], allowed: AbstractSet[str]) -> Iterator[str]:
    return (node.op for node in nodes if node.op not in allowed)


def _called(meta_graph: Any, functions: Iterable[Any]) -> Iterator[str]:
    """The names of all functions that Python or another function could call."""
    yield from meta_graph.object_graph_def.concrete_functions
    library = meta_graph.graph_def.library
    for gradient in library.gradient:
        yield from (gradient.function_name, gradient.gradient_func)
    for registered in library.registered_gradients:
        yield registered.gradient_func
    for function in functions:
        yield from _named_in(function.attr.values())
        for node in function.node_def:
            yield node.op
            yield from _named_in(node.attr.values())


def _named_in(values: Iterable[Any]) -> Iterator[str]:
    """The strings and function names in attributes, at any depth."""
    for value in values:
        kind = value.WhichOneof("value")
        if kind == "s":
            yield value.s.decode("utf-8", "replace")
        elif kind == "func":
            yield value.func.name
            yield from _named_in(value.func.attr.values())
        elif kind == "list":
            yield from (text.decode("utf-8", "replace") for text in value.list.s)
            for function in value.list.func:
                yield function.name
                yield from _named_in(function.attr.values())
