"""Well-formed graphs that crash interpreters: each kind was found by damaging real models."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest

from lesionlite_runtime.container import split_members
from lesionlite_runtime.flatbuffer import Malformed
from lesionlite_runtime.graph import read_graph
from lesionlite_runtime.operators import OPERATOR_NAMES
from lesionlite_runtime.soundness import check_sound

INT8, INT32, UINT8 = 9, 2, 3
CONVOLUTION = {"options_type": 1, "options": {"first": 0}}


def check(tiny: Any, spec: Any) -> None:
    """Read the FlatBuffer of ``spec``, which is well-formed, and check that it is sound."""
    data = tiny.flatbuffer(spec)
    check_sound(read_graph(data), data)


def refused(tiny: Any, spec: Any) -> str:
    """The words that the FlatBuffer of ``spec`` is refused with."""
    data = tiny.flatbuffer(spec)
    graph = read_graph(data)
    with pytest.raises(Malformed) as caught:
        check_sound(graph, data)
    return str(caught.value)


def one_operator(
    tiny: Any, name: str, operator: dict[str, Any], tensors: list[dict[str, Any]]
) -> dict[str, Any]:
    """A graph of the one operator ``name``, from its first to its last tensor.

    A tensor's ``data`` makes it a constant.
    """
    spec = tiny.spec()
    spec["operator_codes"] = [{"code": OPERATOR_NAMES.index(name)}]
    spec["buffers"] = [{}, *({"data": t["data"]} for t in tensors if "data" in t)]
    numbers = iter(range(1, len(tensors) + 1))
    made = [
        {"name": str(i), **{k: v for k, v in t.items() if k != "data"}}
        | ({"buffer": next(numbers)} if "data" in t else {})
        for i, t in enumerate(tensors)
    ]
    last = len(tensors) - 1
    spec["subgraphs"] = [
        {
            "tensors": made,
            "inputs": [0],
            "outputs": [last],
            "operators": [{"code": 0, "inputs": list(range(last)), "outputs": [last], **operator}],
        }
    ]
    spec["signatures"][0]["outputs"][0]["tensor"] = last
    return spec


def test_sound_models_pass(tiny_classifier: Any, tiny_regression: Any, shipped_model: Path) -> None:
    check(tiny_classifier, tiny_classifier.spec())
    check(tiny_regression, tiny_regression.spec())
    flatbuffer, _ = split_members(shipped_model.read_bytes())
    check_sound(read_graph(flatbuffer), flatbuffer)


@pytest.mark.parametrize(
    "name", ["CUSTOM", "DELEGATE", "WHILE", "IF", "CALL_ONCE", "VAR_HANDLE", "STABLEHLO_SORT"]
)
def test_an_operator_that_leaves_the_graph_is_refused(tiny_classifier: Any, name: str) -> None:
    spec = tiny_classifier.spec()
    spec["operator_codes"][3] = {"code": OPERATOR_NAMES.index(name)}
    assert f"lesionlite does not run the operator {name}" in refused(tiny_classifier, spec)


@pytest.mark.parametrize(
    ("number", "changes", "words"),
    [
        (1, {"inputs": [1]}, "MEAN has 1 inputs"),
        (1, {"inputs": [1, 2, 2]}, "MEAN has 3 inputs"),
        (2, {"inputs": [3]}, "FULLY_CONNECTED has 1 inputs"),
        (3, {"inputs": []}, "LOGISTIC has 0 inputs"),
        (3, {"outputs": [7, 7]}, "LOGISTIC has 1 inputs, 2 outputs"),
        (3, {"inputs": [7]}, "reads a tensor that nothing has written"),
        (0, {"inputs": [3]}, "reads a tensor that nothing has written"),
        (3, {"outputs": [6]}, "a tensor is written twice"),
        (3, {"outputs": [4]}, "a tensor is written twice"),
        (3, {"outputs": [0]}, "a tensor is written twice"),
    ],
)
def test_operators_out_of_order_are_refused(
    tiny_classifier: Any, number: int, changes: dict[str, Any], words: str
) -> None:
    spec = tiny_classifier.spec()
    spec["subgraphs"][0]["operators"][number] |= changes
    assert words in refused(tiny_classifier, spec)


def test_operators_in_another_order_are_refused(tiny_classifier: Any) -> None:
    spec = tiny_classifier.spec()
    spec["subgraphs"][0]["operators"].reverse()
    assert "reads a tensor that nothing has written" in refused(tiny_classifier, spec)


def test_an_output_that_is_not_computed_is_refused(tiny_classifier: Any) -> None:
    spec = tiny_classifier.spec()
    del spec["subgraphs"][0]["operators"][3]
    assert "an output of the graph is not computed" in refused(tiny_classifier, spec)


def test_a_constant_that_is_lost_is_refused(tiny_classifier: Any) -> None:
    spec = tiny_classifier.spec()
    spec["buffers"][2] = {}
    assert "reads a tensor that nothing has written" in refused(tiny_classifier, spec)


def test_a_shape_that_is_not_fixed_is_refused(tiny_classifier: Any) -> None:
    spec = tiny_classifier.spec()
    spec["subgraphs"][0]["tensors"][1]["shape_signature"] = [-1, 8, 6, 3]
    assert "a tensor's shape is not fixed" in refused(tiny_classifier, spec)


def pool(steps: dict[str, int]) -> dict[str, Any]:
    """The settings of a pooling operator."""
    return {"options_type": 5, "pool": {"w": 1, "h": 1, "width": 2, "height": 2, **steps}}


def pooling(tiny: Any, operator: dict[str, Any]) -> dict[str, Any]:
    """A graph of one pooling operator."""
    shapes = [{"shape": [1, 8, 6, 3]}, {"shape": [1, 7, 5, 3]}]
    return one_operator(tiny, "MAX_POOL_2D", operator, shapes)


@pytest.mark.parametrize("step", ["w", "h", "width", "height"])
@pytest.mark.parametrize("value", [0, -1, 2**31 - 1])
def test_a_step_of_nothing_is_refused(tiny_classifier: Any, step: str, value: int) -> None:
    check(tiny_classifier, pooling(tiny_classifier, pool({})))
    spec = pooling(tiny_classifier, pool({step: value}))
    assert "MAX_POOL_2D has a step or window out of range" in refused(tiny_classifier, spec)


@pytest.mark.parametrize("operator", [{}, {"options_type": 27, "options": {"first": 0}}])
def test_steps_that_are_not_there_are_refused(
    tiny_classifier: Any, operator: dict[str, Any]
) -> None:
    spec = pooling(tiny_classifier, operator)
    assert "MAX_POOL_2D lacks its settings" in refused(tiny_classifier, spec)


@pytest.mark.parametrize(("count", "fits"), [(1, True), (2, False), (0, False)])
def test_a_split_makes_as_many_tensors_as_it_says(
    tiny_classifier: Any, count: int, fits: bool
) -> None:
    axis = {"shape": [1], "type": INT32, "data": bytes(4)}
    operator = {"options_type": 35, "split": {"count": count}, "inputs": [1, 0]}
    tensors = [{"shape": [1, 4]}, axis, {"shape": [1, 4]}]
    spec = one_operator(tiny_classifier, "SPLIT", operator, tensors)
    if fits:
        check(tiny_classifier, spec)
    else:
        assert "SPLIT has 2 inputs, 1 outputs" in refused(tiny_classifier, spec)
    for lacking in ({}, {"options_type": 59, "split": {"count": 1}}):
        operator = {"inputs": [1, 0], **lacking}
        spec = one_operator(tiny_classifier, "SPLIT", operator, tensors)
        assert "SPLIT lacks its settings" in refused(tiny_classifier, spec)


def connected(
    tiny: Any, types: tuple[int, int, int], scales: tuple[float, float, float]
) -> dict[str, Any]:
    """A quantized FULLY_CONNECTED: types and scales of input, weights and output."""
    sizes = ([1, 2], [2, 2], [1, 2])
    tensors: list[dict[str, Any]] = [
        {"shape": shape, "type": type_, "quantization": {"scale": [scale], "zero_point": [0]}}
        for shape, type_, scale in zip(sizes, types, scales, strict=True)
    ]
    tensors[1]["data"] = bytes(4 if types[1] else 16)
    operator = {"options_type": 8, "options": {"first": 0}}
    return one_operator(tiny, "FULLY_CONNECTED", operator, tensors)


@pytest.mark.parametrize(
    ("types", "fits"),
    [
        ((INT8, INT8, INT8), True),
        ((0, INT8, 0), True),
        ((0, 0, 0), True),
        ((UINT8, INT8, UINT8), False),
        ((UINT8, INT8, INT8), False),
        ((INT8, 0, INT8), False),
        ((INT8, INT8, 0), False),
        ((0, UINT8, 0), False),
    ],
)
def test_weights_of_a_type_that_the_kernel_does_not_expect_are_refused(
    tiny_classifier: Any, types: tuple[int, int, int], fits: bool
) -> None:
    spec = connected(tiny_classifier, types, (0.5, 0.5, 0.5))
    if fits:
        check(tiny_classifier, spec)
    else:
        assert "an operator FULLY_CONNECTED takes" in refused(tiny_classifier, spec)


@pytest.mark.parametrize(
    ("scales", "fits"),
    [
        ((0.5, 0.5, 0.5), True),
        ((10.0, 12.0, 0.5), True),
        ((1e9, 1e-9, 1e-2), True),
        ((10.0, 13.0, 0.5), False),
        ((0.5, 0.5, 1e-20), False),
    ],
)
def test_scales_too_far_apart_are_refused(
    tiny_classifier: Any, scales: tuple[float, float, float], fits: bool
) -> None:
    spec = connected(tiny_classifier, (INT8, INT8, INT8), scales)
    if fits:
        check(tiny_classifier, spec)
    else:
        assert "the scales around an operator FULLY_CONNECTED" in refused(tiny_classifier, spec)


def elementwise(
    tiny: Any, name: str, types: tuple[int, int, int], scales: tuple[float | None, ...]
) -> dict[str, Any]:
    """An operator of two inputs of [1, 4]: types and scales of both and of the output."""
    tensors: list[dict[str, Any]] = [{"shape": [1, 4], "type": type_} for type_ in types]
    tensors[1]["data"] = bytes(4 if types[1] else 16)
    for tensor, scale in zip(tensors, scales, strict=True):
        if scale is not None:
            tensor["quantization"] = {"scale": [scale], "zero_point": [0]}
    return one_operator(tiny, name, {}, tensors)


@pytest.mark.parametrize(
    ("name", "types", "scales", "words"),
    [
        ("ADD", (INT8, INT8, INT8), (0.5, 0.5, 0.5), ""),
        ("ADD", (INT8, INT8, INT8), (200.0, 0.5, 0.5), ""),
        ("ADD", (INT8, INT8, INT8), (2e5, 0.5, 0.5), "the scales around an operator ADD"),
        ("ADD", (INT8, INT8, INT8), (0.5, 0.5, None), "a tensor of an operator ADD has no scale"),
        ("ADD", (INT8, INT8, INT8), (None, 0.5, 0.5), "a tensor of an operator ADD has no scale"),
        ("ADD", (INT8, INT8, 0), (0.5, 0.5, None), "an operator ADD takes int8, int8 to float32"),
        ("ADD", (INT8, 0, INT8), (0.5, None, 0.5), "an operator ADD takes int8, float32 to int8"),
        ("ADD", (0, 0, 0), (None, None, None), ""),
        ("MUL", (INT8, INT8, INT8), (2e5, 1e-6, 0.01), ""),
        ("MUL", (INT8, INT8, INT8), (2e5, 1e-6, 1e-4), "the scales around an operator MUL"),
        ("GREATER", (0, 0, 6), (None, None, None), ""),
        ("GREATER", (INT8, INT8, 6), (None, 0.5, None), "a tensor of an operator GREATER has no"),
    ],
)
def test_types_and_scales_go_together(
    tiny_classifier: Any,
    name: str,
    types: tuple[int, int, int],
    scales: tuple[float | None, ...],
    words: str,
) -> None:
    spec = elementwise(tiny_classifier, name, types, scales)
    if words:
        assert words in refused(tiny_classifier, spec)
    else:
        check(tiny_classifier, spec)


@pytest.mark.parametrize("name", ["CONV_2D", "DEPTHWISE_CONV_2D"])
def test_a_convolution_without_a_bias_is_refused(tiny_classifier: Any, name: str) -> None:
    tensors = [{"shape": [1, 8, 6, 3]}, {"shape": [3, 1, 1, 3], "data": bytes(36)}]
    spec = one_operator(tiny_classifier, name, CONVOLUTION, [*tensors, {"shape": [1, 8, 6, 3]}])
    assert f"{name} has 2 inputs" in refused(tiny_classifier, spec)


@pytest.mark.parametrize(
    ("name", "values", "made", "fits"),
    [
        ("PAD", [0, 0, 1, 2], [1, 7], True),
        ("PAD", [0, 0, 1, 2], [1, 8], False),
        ("PAD", [0, 0, 1, 2**31 - 1], [1, 7], False),
        ("PAD", [0, 0, -3, 6], [1, 7], False),
        ("PAD", [0, 0], [1, 7], False),
        ("TILE", [1, 3], [1, 12], True),
        ("TILE", [2**20, 3], [1, 12], False),
        ("BROADCAST_TO", [3, 4], [3, 4], True),
        ("BROADCAST_TO", [2**20, 4], [3, 4], False),
        ("TILE", [], [1, 4], False),
    ],
)
def test_an_operator_that_makes_more_than_it_says_is_refused(
    tiny_classifier: Any, name: str, values: list[int], made: list[int], fits: bool
) -> None:
    sizes = {
        "shape": [len(values)],
        "type": INT32,
        "data": struct.pack(f"<{len(values)}i", *values),
    }
    tensors = [{"shape": [1, 4]}, sizes, {"shape": made}]
    spec = one_operator(tiny_classifier, name, {}, tensors)
    if fits:
        check(tiny_classifier, spec)
    else:
        assert refused(tiny_classifier, spec).startswith(f"an operator {name} ")


def test_a_resize_makes_the_size_it_says(tiny_classifier: Any) -> None:
    sizes = {"shape": [2], "type": INT32, "data": struct.pack("<2i", 4, 5)}
    for made, fits in (([1, 4, 5, 3], True), ([1, 5, 4, 3], False), ([1, 4, 5, 4], False)):
        tensors = [{"shape": [1, 8, 6, 3]}, sizes, {"shape": made}]
        spec = one_operator(tiny_classifier, "RESIZE_BILINEAR", {}, tensors)
        if fits:
            check(tiny_classifier, spec)
        else:
            assert "makes another shape" in refused(tiny_classifier, spec)


def test_sizes_that_are_no_integers_are_refused(tiny_classifier: Any) -> None:
    tensors = [{"shape": [1, 4]}, {"shape": [2], "data": bytes(8)}, {"shape": [1, 4]}]
    spec = one_operator(tiny_classifier, "TILE", {}, tensors)
    assert "second input of an operator TILE is not in the file" in refused(tiny_classifier, spec)


@pytest.mark.parametrize(
    ("name", "axes", "fits"),
    [
        ("MEAN", [0, 1], True),
        ("MEAN", [-1], True),
        ("MEAN", [], True),
        ("MEAN", [2], False),
        ("MEAN", [-3], False),
        ("MEAN", [1, 1], False),
        ("MEAN", [1, -1], False),
        ("REVERSE_V2", [0], True),
        ("REVERSE_V2", [7], False),
        ("TRANSPOSE", [1, 0], True),
        ("TRANSPOSE", [1], False),
        ("TRANSPOSE", [1, 1], False),
        ("TRANSPOSE", [1, 2], False),
    ],
)
def test_axes_that_are_not_there_are_refused(
    tiny_classifier: Any, name: str, axes: list[int], fits: bool
) -> None:
    operand = {"shape": [len(axes)], "type": INT32, "data": struct.pack(f"<{len(axes)}i", *axes)}
    tensors = [{"shape": [4, 4]}, operand, {"shape": [4, 4]}]
    spec = one_operator(tiny_classifier, name, {}, tensors)
    if fits:
        check(tiny_classifier, spec)
    else:
        assert f"{name} runs along axes that its input does not" in refused(tiny_classifier, spec)


def test_axes_that_are_computed_are_refused(tiny_classifier: Any) -> None:
    spec = tiny_classifier.spec()
    tensors = [{"shape": [2, 2], "type": INT32}, {"shape": [1, 1], "type": INT32}]
    spec = one_operator(tiny_classifier, "MEAN", {"inputs": [0, 0]}, tensors)
    assert "second input of an operator MEAN is not in the file" in refused(tiny_classifier, spec)
