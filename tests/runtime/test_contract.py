"""The contract: the same bytes after every reading, and nothing doubtful gets through."""

from __future__ import annotations

import bisect
import copy
import dataclasses
import json
import types
import typing
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lesionlite_runtime import codec
from lesionlite_runtime.contract import (
    ClassifierContract,
    Contract,
    LabelsContract,
    RegressionContract,
    classifier_contract,
    image_contract,
    regression_contract,
    with_flatbuffer,
)
from lesionlite_runtime.contract_checks import (
    INTEGER_LEVELS,
    MAX_LABELS,
    MAX_REASON,
    dequantized,
    least_level,
)
from lesionlite_runtime.contract_fields import Interval, OperatingPoint, Quantization
from lesionlite_runtime.errors import UnusableInput

Path = tuple[str | int, ...]
KINDS = {
    "classifier": ClassifierContract,
    "labels": LabelsContract,
    "regression": RegressionContract,
}
WRONG: tuple[Any, ...] = (None, True, 1, 1.5, "text", [], {}, [None], {"a": None})


def inner_kinds(hint: Any, path: Path = ()) -> dict[Path, Any]:
    """The dataclasses in a type hint by their path in a value; the first item stands for a list."""
    if dataclasses.is_dataclass(hint):
        return {path: hint}
    step = (0,) if typing.get_origin(hint) is tuple else ()
    found = {}
    for inner in typing.get_args(hint):
        found |= inner_kinds(inner, (*path, *step))
    return found


def leaves(kind: Any, path: Path = ()) -> dict[Path, Any]:
    """Every field's path under the dataclass ``kind``, with its type; inner objects too."""
    found = {}
    for name, hint in typing.get_type_hints(kind).items():
        found[*path, name] = hint
        for place, inner in inner_kinds(hint).items():
            found |= leaves(inner, (*path, name, *place))
    return found


def dotted(path: Path) -> str:
    """A path as messages name it."""
    return "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in path).removeprefix(".")


def path_of(text: str) -> Path:
    """The path that messages name ``text``."""
    return tuple(0 if step == "0" else step for step in text.replace("[0]", ".0").split("."))


COMMON = ["provenance.views", "provenance.runs_on", "provenance.draft", "parity.reference"]
OPTIONAL = {
    (kind, path_of(text))
    for kind, texts in {
        "classifier": [
            *COMMON,
            "input.range",
            "output.units",
            "output.quantization",
            "threshold.table",
            "threshold.quantized",
            "site_threshold",
            "site_threshold.quantized",
            "views_thresholds",
            "views_thresholds[0].threshold.table",
            "views_thresholds[0].threshold.quantized",
        ],
        "labels": [*COMMON, "input.range", "output.quantization"],
        "regression": COMMON,
    }.items()
    for text in texts
}
MAY_BE_NULL = {
    "classifier": {
        "threshold.sensitivity",
        "threshold.specificity",
        "views_thresholds[0].threshold.sensitivity",
        "views_thresholds[0].threshold.specificity",
        "parity.auc_difference",
    },
    "labels": {"threshold"},
    "regression": set(),
}
FIELDS = [(name, path) for name, kind in KINDS.items() for path in leaves(kind)]


def takes(hint: Any, value: Any) -> bool:
    """Whether a field of type ``hint`` takes ``value``, said a second way than in the codec."""
    plain = {float: (int, float), types.NoneType: types.NoneType, Any: object}
    inner, origin = typing.get_args(hint), typing.get_origin(hint)
    if isinstance(hint, types.UnionType):
        return any(takes(one, value) for one in inner)
    if origin is tuple:
        return isinstance(value, list) and all(takes(inner[0], item) for item in value)
    if origin is not None:
        return isinstance(value, dict) and all(takes(inner[1], i) for i in value.values())
    kind = dict if dataclasses.is_dataclass(hint) else plain.get(hint, hint)
    return isinstance(value, kind) and (hint is Any or not isinstance(value, bool))


def with_every_field(body: dict[str, Any]) -> dict[str, Any]:
    """``body`` with every field that a contract may leave out."""
    body["provenance"] |= {
        "calibration": {"n": 1},
        "views": 4,
        "runs_on": {"minimum": "2.14"},
        "draft": {"values": "probability"},
    }
    body["parity"]["reference"] = "0123456789ab"
    if body["task"] == "regression":
        return body
    body["input"]["range"] = [0, 1]
    body["output"] |= {"dtype": "uint8", "quantization": {"scale": 1 / 256, "zero_point": 0}}
    if body["task"] == "multiclass_classification":
        values = dict.fromkeys(body["output"]["labels"], 0.5)
        return {**body, "threshold": {"values": values, "rule": "by hand"}}
    body["output"]["units"] = 2
    body["threshold"]["quantized"] = 128
    views = {"views": 4, "threshold": copy.deepcopy(body["threshold"])}
    site = {"value": 0.25, "reason": "few clinics", "quantized": 64}
    return {**body, "site_threshold": site, "views_thresholds": [views]}


@pytest.fixture(scope="session")
def kinds(tiny_classifier: Any, tiny_labels: Any, tiny_regression: Any) -> dict[str, Any]:
    """The tiny models by the names of `KINDS`, with every field in their contracts."""
    tinies = {"classifier": tiny_classifier, "labels": tiny_labels, "regression": tiny_regression}
    return {
        kind: dataclasses.replace(tiny, _body=with_every_field(tiny.body()))
        for kind, tiny in tinies.items()
    }


def at(body: Any, path: Path) -> Any:
    """The object in ``body`` that holds the last step of ``path``."""
    for step in path[:-1]:
        body = body[step]
    return body


def refusal(data: bytes) -> str:
    """The sentence that a contract is refused with."""
    with pytest.raises(UnusableInput) as caught:
        Contract.from_bytes(data, "model.tflite")
    assert caught.value.file == "model.tflite"
    assert "\n" not in str(caught.value)
    return str(caught.value)


ratios = st.sampled_from([0, 1]) | st.floats(0, 1)
numbers = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
free = st.dictionaries(
    st.text(max_size=5),
    st.recursive(
        st.none() | st.booleans() | numbers | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
        ),
        max_leaves=5,
    ),
    max_size=4,
)
digests = st.text("0123456789abcdef", min_size=64, max_size=64)
intervals = st.fixed_dictionaries({"value": ratios, "low": ratios, "high": ratios})
limits = st.dictionaries(st.text(max_size=5), st.none() | numbers, max_size=3)


def some_of(fields: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Any part of ``fields``."""
    names = st.sets(st.sampled_from(sorted(fields)))
    return names.map(lambda chosen: {name: fields[name] for name in fields if name in chosen})


@st.composite
def counts(draw: st.DrawFn) -> dict[str, int]:
    """A count, and how many of it are positive."""
    n = draw(st.integers(0, 10**6))
    return {"n": n, "positives": draw(st.integers(0, n))}


@st.composite
def heads(draw: st.DrawFn, task: str) -> dict[str, Any]:
    """What contracts of every kind hold."""
    exported = draw(st.booleans())
    optional = {"views": draw(st.integers()), "runs_on": draw(free), "draft": draw(free)}
    return {
        "schema": "lesionlite.contract/1",
        "task": task,
        "provenance": {
            "network_sha256": draw(digests),
            "backbone": draw(st.text()),
            "training": draw(free),
            "calibration": draw(st.none() | free),
            "recipe": draw(st.none() | st.text()),
            "tools": draw(st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3)),
            **draw(some_of(optional)),
        },
        "flatbuffer_sha256": draw(digests) if exported else None,
        "flatbuffer_bytes": draw(st.integers(0, 2**31)) if exported else None,
    }


@st.composite
def thresholds(draw: st.DrawFn) -> dict[str, Any]:
    """A threshold, with and without a table."""
    columns = [sorted(draw(st.sets(ratios, min_size=1, max_size=5)))]
    for descending in (True, False):
        column = draw(st.lists(ratios, min_size=len(columns[0]), max_size=len(columns[0])))
        columns.append(sorted(column, reverse=descending))
    table = [
        {
            "threshold": threshold,
            "sensitivity": {**draw(intervals), "value": sensitivity},
            "specificity": {**draw(intervals), "value": specificity},
        }
        for threshold, sensitivity, specificity in zip(*columns, strict=True)
    ]
    return {
        "value": draw(ratios),
        "rule": draw(st.text()),
        "chosen_on": {"kind": draw(st.text()), **draw(counts())},
        "sensitivity": draw(st.none() | intervals),
        "specificity": draw(st.none() | intervals),
        **draw(some_of({"table": table})),
    }


@st.composite
def images(draw: st.DrawFn) -> dict[str, Any]:
    """The input of an image classifier."""
    sides, ends = st.integers(1, 4096), st.integers(-(10**6), 10**6) | st.floats(-1e6, 1e6)
    dtype = draw(st.sampled_from(["uint8", "float32", "int8"]))
    given_range = {"range": sorted(draw(st.lists(ends, min_size=2, max_size=2, unique=True)))}
    return {
        "name": draw(st.text()),
        "shape": [1, draw(sides), draw(sides), 3],
        "dtype": dtype,
        "color": draw(st.sampled_from(["RGB", "BGR"])),
        "orientation": "exif",
        "resize": draw(st.sampled_from(["pillow-bilinear-v1", "tf-bilinear-v1"])),
        "fit": "stretch",
        **(draw(some_of(given_range)) if dtype == "uint8" else given_range),
    }


@st.composite
def score_types(draw: st.DrawFn) -> dict[str, Any]:
    """The type of an output, quantized so that its highest integer reaches 1."""
    dtype = draw(st.sampled_from(["float32", *INTEGER_LEVELS]))
    if dtype == "float32":
        return {"dtype": dtype}
    low, high = INTEGER_LEVELS[dtype]
    zero_point = draw(st.integers(low, high - 2))
    scale = draw(st.floats(1.01 / (high - zero_point), 1))
    return {"dtype": dtype, "quantization": {"scale": scale, "zero_point": zero_point}}


def in_levels(threshold: dict[str, Any], output: dict[str, Any]) -> dict[str, Any]:
    """``threshold`` with the integer that it is in ``output``, said a second way."""
    if "quantization" not in output:
        return threshold
    scale, zero_point = (output["quantization"][name] for name in ("scale", "zero_point"))
    low, high = INTEGER_LEVELS[output["dtype"]]
    scores = [min(max(scale * (q - zero_point), 0), 1) for q in range(low, high + 1)]
    return {**threshold, "quantized": low + bisect.bisect_left(scores, threshold["value"])}


references = st.text("0123456789abcdef", min_size=12, max_size=12)


@st.composite
def classifiers(draw: st.DrawFn) -> dict[str, Any]:
    """The JSON object of a classifier's contract, without its digest."""
    labels = draw(st.lists(st.text(), min_size=2, max_size=2, unique=True))
    parity = {
        **draw(counts()),
        "flips": draw(st.integers()),
        "newly_missed": draw(st.integers()),
        "auc_difference": draw(st.none() | numbers),
        "mean_score_error": draw(numbers),
        "max_score_error": draw(numbers),
        "limits": draw(limits),
        **draw(some_of({"reference": draw(references)})),
    }
    output = {
        "name": draw(st.text()),
        **draw(score_types()),
        "labels": labels,
        "score_of": labels[1],
        "classes": draw(st.dictionaries(st.text(), st.integers(0, 1), min_size=1, max_size=4)),
        **draw(some_of({"units": 2})),
    }
    reason = draw(st.text(min_size=1, max_size=MAX_REASON).filter(str.strip))
    views = {"views": draw(st.sampled_from([4, 8])), "threshold": draw(thresholds())}
    optional = {
        "site_threshold": in_levels({"value": draw(ratios), "reason": reason}, output),
        "views_thresholds": [{**views, "threshold": in_levels(views["threshold"], output)}],
    }
    return {
        **draw(heads("binary_classification")),
        "input": draw(images()),
        "output": output,
        "threshold": in_levels(draw(thresholds()), output),
        "parity": draw(st.sampled_from([None, parity])),
        **draw(some_of(optional)),
    }


@st.composite
def several_labels(draw: st.DrawFn) -> dict[str, Any]:
    """The JSON object of the contract of a classifier of several labels, without its digest."""
    labels = draw(st.lists(st.text(), min_size=3, max_size=6, unique=True))
    parity = {
        "n": draw(st.integers()),
        "flips": draw(st.integers()),
        "accuracy_difference": draw(numbers),
        "mean_score_error": draw(numbers),
        "max_score_error": draw(numbers),
        "limits": draw(limits),
        **draw(some_of({"reference": draw(references)})),
    }
    indices = st.integers(0, len(labels) - 1)
    threshold = {"values": {label: draw(ratios) for label in labels}, "rule": draw(st.text())}
    return {
        **draw(heads("multiclass_classification")),
        "input": draw(images()),
        "output": {
            "name": draw(st.text()),
            **draw(score_types()),
            "labels": labels,
            "classes": draw(st.dictionaries(st.text(), indices, max_size=4)),
        },
        "threshold": draw(st.sampled_from([None, threshold])),
        "parity": draw(st.sampled_from([None, parity])),
    }


@st.composite
def regressions(draw: st.DrawFn) -> dict[str, Any]:
    """The JSON object of a regression's contract, without its digest."""
    ends = st.integers(-(2**100), 2**100) | st.floats(-1e38, 1e38)
    errors = ("max_absolute", "mean_absolute", "max_relative", "mean_relative")
    parity = {
        "n": draw(st.integers()),
        **{f"{name}_error": draw(numbers) for name in errors},
        "limits": draw(limits),
        **draw(some_of({"reference": draw(references)})),
    }
    return {
        **draw(heads("regression")),
        "input": {
            "name": draw(st.text()),
            "shape": [1, 1],
            "dtype": "float32",
            "range": sorted(draw(st.lists(ends, min_size=2, max_size=2, unique=True))),
        },
        "output": {"name": draw(st.text()), "dtype": "float32", "unit": draw(st.text())},
        "threshold": None,
        "parity": draw(st.sampled_from([None, parity])),
    }


@given(body=classifiers() | several_labels() | regressions())
@settings(max_examples=200)
def test_a_contract_that_was_read_is_written_with_the_same_bytes(
    tiny_classifier: Any, body: dict[str, Any]
) -> None:
    data = tiny_classifier.contract_bytes(body)
    contract = Contract.from_bytes(data)
    assert contract.to_bytes() == data
    assert Contract.from_bytes(contract.to_bytes()) == contract
    assert contract.to_json() == json.loads(data)


def test_every_field_is_tried_below(kinds: dict[str, Any]) -> None:
    def paths(value: Any, kind: Any, path: Path = ()) -> set[Path]:
        hints = typing.get_type_hints(kind)
        found = set()
        for name, item in value.items():
            found.add((*path, name))
            for place, inner in inner_kinds(hints[name]).items():
                found |= paths(at(item, (*place, "")), inner, (*path, name, *place))
        return found

    for name, kind in KINDS.items():
        assert paths(kinds[name].body(), kind) == set(leaves(kind))
    assert len(FIELDS) > 60


REQUIRED = [(kind, path) for kind, path in FIELDS if (kind, path) not in OPTIONAL]


@pytest.mark.parametrize(("kind", "path"), REQUIRED, ids=str)
def test_a_missing_field_is_refused_by_its_path(
    kinds: dict[str, Any], kind: str, path: Path
) -> None:
    body = kinds[kind].body()
    del at(body, path)[path[-1]]
    message = refusal(kinds[kind].contract_bytes(body))
    if path not in (("schema",), ("task",)):  # these two say which contract it is to be
        assert f"the contract cannot be used: {dotted(path)} is missing;" in message


def test_an_optional_field_may_be_left_out_and_stays_out(tiny_classifier: Any) -> None:
    """Files from before there were these fields keep their digest."""
    body = tiny_classifier.body()
    del body["threshold"]["table"]
    data = tiny_classifier.contract_bytes(body)
    contract = Contract.from_bytes(data)
    assert isinstance(contract, ClassifierContract)
    assert contract.threshold.table is None
    assert contract.to_bytes() == data
    for path in ("threshold.table", "input.range", "site_threshold", "provenance.views"):
        body, steps = tiny_classifier.body(), path_of(path)
        at(body, steps)[steps[-1]] = None
        words = f"{path} must be left out rather than null"
        assert words in refusal(tiny_classifier.contract_bytes(body))


def test_the_optional_fields_are_those_that_say_so() -> None:
    def marked(kind: Any, path: Path = ()) -> set[Path]:
        hints, found = typing.get_type_hints(kind), set()
        for field in dataclasses.fields(kind):
            if field.metadata == codec.OPTIONAL:
                found.add((*path, field.name))
            for place, inner in inner_kinds(hints[field.name]).items():
                found |= marked(inner, (*path, field.name, *place))
        return found

    shown = {(name, path) for name, kind in KINDS.items() for path in marked(kind)}
    assert shown == OPTIONAL


def test_the_table_is_read_row_by_row(tiny_classifier: Any) -> None:
    contract = Contract.from_bytes(tiny_classifier.contract_bytes())
    assert isinstance(contract, ClassifierContract)
    assert contract.threshold.table == (
        OperatingPoint(0.25, Interval(1, 0.83, 1), Interval(0.2, 0.1, 0.3)),
        OperatingPoint(0.5, Interval(0.9, 0.7, 1), Interval(0.4, 0.3, 0.5)),
    )


def rows(*figures: tuple[float, float, float]) -> list[dict[str, Any]]:
    """A table of (threshold, sensitivity, specificity)."""
    return [
        {
            "threshold": threshold,
            "sensitivity": {"value": sensitivity, "low": 0, "high": 1},
            "specificity": {"value": specificity, "low": 0, "high": 1},
        }
        for threshold, sensitivity, specificity in figures
    ]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (rows(), "threshold.table must have 1 to 64 rows"),
        (rows(*((i / 100, 1, 0) for i in range(65))), "threshold.table must have 1 to 64 rows"),
        (rows((1.5, 1, 0)), "threshold.table[0].threshold must lie in 0 to 1"),
        (rows((0, 1, 0), (1, 1.1, 0)), "threshold.table[1].sensitivity.value must lie in 0 to 1"),
        (rows((0, 1, 0), (1, 1, -1)), "threshold.table[1].specificity.value must lie in 0 to 1"),
        (
            rows((0.2, 1, 0), (0.1, 1, 0)),
            "threshold.table[1].threshold must be over the row before",
        ),
        (
            rows((0.2, 1, 0), (0.2, 1, 0)),
            "threshold.table[1].threshold must be over the row before",
        ),
        (
            rows((0.1, 0.9, 0), (0.2, 0.91, 0)),
            "threshold.table[1].sensitivity.value must not be over the row before",
        ),
        (
            rows((0.1, 1, 0.2), (0.2, 1, 0.3), (0.3, 1, 0.1)),
            "threshold.table[2].specificity.value must not be under the row before",
        ),
    ],
)
def test_a_table_that_no_scores_give_is_refused(
    tiny_classifier: Any, table: list[dict[str, Any]], words: str
) -> None:
    body = tiny_classifier.body()
    body["threshold"]["table"] = table
    assert words in refusal(tiny_classifier.contract_bytes(body))


def test_a_table_of_64_rows_is_taken(tiny_classifier: Any) -> None:
    body = tiny_classifier.body()
    body["threshold"]["table"] = rows(*((i / 100, 1 - i / 100, i / 100) for i in range(64)))
    data = tiny_classifier.contract_bytes(body)
    assert Contract.from_bytes(data).to_bytes() == data


@pytest.mark.parametrize(("kind", "path"), FIELDS, ids=str)
def test_an_ill_typed_field_is_refused_by_its_path(
    kinds: dict[str, Any], kind: str, path: Path
) -> None:
    hint = leaves(KINDS[kind])[path]
    tried = [value for value in WRONG if not takes(hint, value)]
    assert tried
    for value in tried:
        body = kinds[kind].body()
        at(body, path)[path[-1]] = value
        message = refusal(kinds[kind].contract_bytes(body))
        assert f"the contract cannot be used: {dotted(path)}" in message


@pytest.mark.parametrize(("kind", "path"), FIELDS, ids=str)
def test_an_unknown_field_is_refused_by_its_path(
    kinds: dict[str, Any], kind: str, path: Path
) -> None:
    body = kinds[kind].body()
    at(body, path)[f"{path[-1]}_2"] = 0
    message = refusal(kinds[kind].contract_bytes(body))
    assert f"{dotted(path)}_2 is no field of this schema" in message


@pytest.mark.parametrize("kind", KINDS)
def test_null_is_taken_where_the_schema_says_so_and_nowhere_else(
    kinds: dict[str, Any], kind: str
) -> None:
    taken = set()
    for path in leaves(KINDS[kind]):
        body = kinds[kind].body()
        if at(body, path)[path[-1]] is None:
            continue
        at(body, path)[path[-1]] = None
        try:
            Contract.from_bytes(kinds[kind].contract_bytes(body))
        except UnusableInput:
            continue
        taken.add(dotted(path))
    always = {"provenance.recipe", "provenance.calibration", "parity"}
    assert taken == always | MAY_BE_NULL[kind]


def test_a_nested_path_is_named_in_full(tiny_classifier: Any) -> None:
    body = tiny_classifier.body()
    body["threshold"]["sensitivity"]["low"] = "0.7"
    message = refusal(tiny_classifier.contract_bytes(body))
    assert message == (
        "model.tflite: the contract cannot be used: threshold.sensitivity.low must be a number, "
        "not a string; train or export the model anew with this version of lesionlite"
    )


@pytest.mark.parametrize("schema", ["lesionlite.contract/2", "lesionlite.contract/0", "", 1, None])
def test_another_version_of_the_schema_is_refused_by_name(
    tiny_classifier: Any, schema: Any
) -> None:
    body = {**tiny_classifier.body(), "schema": schema, "field_of_version_2": 1}
    message = refusal(tiny_classifier.contract_bytes(body))
    assert f"schema is {schema!r}, and this version reads 'lesionlite.contract/1' alone" in message


@pytest.mark.parametrize("task", ["multi_class", "", None, [], {"a": 1}])
def test_an_unknown_task_is_refused_by_name(tiny_classifier: Any, task: Any) -> None:
    message = refusal(tiny_classifier.contract_bytes({**tiny_classifier.body(), "task": task}))
    known = "binary_classification, multiclass_classification, regression"
    assert f"task is {task!r}, and must be one of {known}" in message


def test_an_endless_name_does_not_flood_the_message(tiny_classifier: Any) -> None:
    body = {**tiny_classifier.body(), "schema": "x" * 100_000}
    assert len(refusal(tiny_classifier.contract_bytes(body))) < 300


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("input.shape", [1, 8, 6, 1], "input.shape must be [1, H, W, 3]"),
        ("input.shape", [2, 8, 6, 3], "input.shape must be [1, H, W, 3]"),
        ("input.shape", [1, 0, 6, 3], "input.shape must be [1, H, W, 3]"),
        ("input.shape", [1, 8, 4097, 3], "input.shape must be [1, H, W, 3]"),
        ("input.shape", [], "input.shape must be [1, H, W, 3]"),
        ("input.dtype", "int16", "dtype is 'int16', and must be uint8 or float32 or int8"),
        ("input.dtype", "float32", "input.range is missing, and uint8 alone needs none"),
        ("input.dtype", "int8", "input.range is missing, and uint8 alone needs none"),
        ("input.color", "rgb", "input.color is 'rgb', and must be RGB or BGR"),
        ("input.range", [0], "input.range must be [low, high], both within 1e+06"),
        ("input.range", [0, 0], "input.range must be [low, high], both within 1e+06"),
        ("input.range", [1, -1], "input.range must be [low, high], both within 1e+06"),
        ("input.range", [0, 1, 2], "input.range must be [low, high], both within 1e+06"),
        ("input.range", [0, 1e7], "input.range must be [low, high], both within 1e+06"),
        ("input.orientation", "none", "input.orientation is 'none', and must be exif"),
        ("input.resize", "nearest", "input.resize is 'nearest', and must be pillow-bilinear-v1"),
        ("input.fit", "crop", "input.fit is 'crop', and must be stretch"),
        ("output.dtype", "int16", "dtype is 'int16', and must be float32 or uint8 or int8"),
        ("output.dtype", "int8", "output.quantization must be there for an integer output"),
        ("output.quantization", {"scale": 1, "zero_point": 0}, "output.quantization must be there"),
        ("output.units", 1, "output.units must be 2, or not be there"),
        ("output.units", 3, "output.units must be 2, or not be there"),
        ("output.labels", ["a", "a"], "output.labels must be two different labels"),
        ("output.labels", ["a", "b", "c"], "output.labels must be two different labels"),
        ("output.score_of", "benign", "output.score_of must be the second of the labels"),
        ("output.classes", {}, "output.classes must map each class to 0 or 1"),
        ("output.classes", {"a": 2}, "output.classes must map each class to 0 or 1"),
        ("threshold.value", 1.5, "threshold.value must lie in 0 to 1"),
        ("threshold.value", -0.1, "threshold.value must lie in 0 to 1"),
        ("threshold.quantized", 128, "threshold.quantized must be there for an integer output"),
        ("site_threshold", {"value": 2, "reason": "x"}, "site_threshold.value must lie in 0 to 1"),
        ("site_threshold", {"value": 0, "reason": " "}, "site_threshold.reason must say why"),
        ("site_threshold", {"value": 0, "reason": "x" * 501}, "in 500 characters at most"),
        (
            "site_threshold",
            {"value": 0, "reason": "x", "quantized": 0},
            "site_threshold.quantized must be there for an integer output, and for no other",
        ),
        ("threshold.sensitivity.high", 90, "threshold.sensitivity.high must lie in 0 to 1"),
        ("threshold.specificity.low", -1, "threshold.specificity.low must lie in 0 to 1"),
        ("threshold.chosen_on.positives", 101, "threshold.chosen_on.positives must lie in 0 to n"),
        ("parity.positives", -1, "parity.positives must lie in 0 to n"),
        ("provenance.network_sha256", "AB" * 32, "must be 64 lower-case hex digits"),
        ("provenance.network_sha256", "ab" * 32 + "\n", "must be 64 lower-case hex digits"),
        ("flatbuffer_sha256", "ab" * 31, "flatbuffer_sha256 must be 64 lower-case hex digits"),
        ("flatbuffer_sha256", None, "flatbuffer_bytes and flatbuffer_sha256 must both be given"),
        ("flatbuffer_bytes", None, "flatbuffer_bytes and flatbuffer_sha256 must both be given"),
        ("task", "regression", "is no field of this schema"),
    ],
)
def test_a_value_that_no_classifier_has_is_refused(
    tiny_classifier: Any, path: str, value: Any, words: str
) -> None:
    body, steps = tiny_classifier.body(), tuple(path.split("."))
    at(body, steps)[steps[-1]] = value
    assert words in refusal(tiny_classifier.contract_bytes(body))


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("output.quantization.scale", 0, "output.quantization.scale must lie in 0 to 1"),
        ("output.quantization.scale", 1.5, "output.quantization.scale must lie in 0 to 1"),
        ("output.quantization.zero_point", -1, "zero_point must lie in 0 to 255"),
        ("output.quantization.zero_point", 256, "zero_point must lie in 0 to 255"),
        ("output.dtype", "float32", "output.quantization must be there for an integer output"),
        ("threshold.quantized", 127, "threshold.quantized is not the least integer that reaches"),
        ("threshold.quantized", 129, "threshold.quantized is not the least integer that reaches"),
        ("threshold.value", 1, "threshold.quantized is not the least integer that reaches"),
        ("site_threshold.quantized", 65, "site_threshold.quantized is not the least integer"),
        ("site_threshold.value", 0.2, "site_threshold.quantized is not the least integer"),
        ("views_thresholds[0].views", 1, "views_thresholds[0].views must be one of (4, 8)"),
        (
            "views_thresholds[0].threshold.value",
            -0.5,
            "views_thresholds[0].threshold.value must lie in 0 to 1",
        ),
        (
            "views_thresholds[0].threshold.quantized",
            1,
            "views_thresholds[0].threshold.quantized is not the least integer",
        ),
        (
            "views_thresholds[0].threshold.table",
            [],
            "views_thresholds[0].threshold.table must have 1 to 64 rows",
        ),
    ],
)
def test_a_value_that_no_classifier_of_integers_has_is_refused(
    kinds: dict[str, Any], path: str, value: Any, words: str
) -> None:
    body, steps = kinds["classifier"].body(), path_of(path)
    at(body, steps)[steps[-1]] = value
    assert words in refusal(kinds["classifier"].contract_bytes(body))


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("output.labels", ["a", "b"], "output.labels must be 3 to 1000 different labels"),
        ("output.labels", ["a", "b", "b"], "output.labels must be 3 to 1000 different labels"),
        (
            "output.labels",
            [str(i) for i in range(MAX_LABELS + 1)],
            "output.labels must be 3 to 1000 different labels",
        ),
        ("output.classes", {"rubor": 3}, "output.classes must map each class to the index"),
        ("output.classes", {"rubor": -1}, "output.classes must map each class to the index"),
        ("output.dtype", "int16", "dtype is 'int16', and must be float32 or uint8 or int8"),
        ("threshold.values", {"red": 0.5}, "threshold.values must have every label"),
        (
            "threshold.values",
            {"red": 0.5, "green": 0.5, "blue": 0.5, "grey": 0.5},
            "threshold.values must have every label",
        ),
        (
            "threshold.values",
            {"red": 0.5, "green": 1.5, "blue": 0.5},
            "threshold.values.green must lie in 0 to 1",
        ),
        ("input.color", "grey", "input.color is 'grey', and must be RGB or BGR"),
        ("input.range", [0, 0], "input.range must be [low, high], both within 1e+06"),
        ("task", "binary_classification", "output.score_of is missing"),
    ],
)
def test_a_value_that_no_classifier_of_several_labels_has_is_refused(
    kinds: dict[str, Any], path: str, value: Any, words: str
) -> None:
    body, steps = kinds["labels"].body(), path_of(path)
    at(body, steps)[steps[-1]] = value
    assert words in refusal(kinds["labels"].contract_bytes(body))


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("input.shape", [1], "input.shape must be [1, 1]"),
        ("input.dtype", "uint8", "input.dtype is 'uint8', and must be float32"),
        ("output.dtype", "int8", "output.dtype is 'int8', and must be float32"),
        ("input.range", [1], "input.range must be [low, high]"),
        ("input.range", [1, 1], "input.range must be [low, high]"),
        ("input.range", [2, 1], "input.range must be [low, high]"),
        ("input.range", [0, 1, 2], "input.range must be [low, high]"),
        ("input.range", [0, 10**400], "input.range must be [low, high]"),
        ("input.range", [-1e39, 0], "input.range must be [low, high]"),
        ("threshold", {"value": 0.5}, "threshold must be null, not an object"),
        ("task", "binary_classification", "input.color is missing"),
    ],
)
def test_a_value_that_no_regression_has_is_refused(
    tiny_regression: Any, path: str, value: Any, words: str
) -> None:
    body, steps = tiny_regression.body(), tuple(path.split("."))
    at(body, steps)[steps[-1]] = value
    assert words in refusal(tiny_regression.contract_bytes(body))


def test_an_altered_contract_does_not_fit_its_digest(tiny_classifier: Any) -> None:
    data = tiny_classifier.contract_bytes()
    altered = data.replace(b'"value":0.5', b'"value":0.1')
    assert altered != data
    assert "digest does not fit the rest of the contract" in refusal(altered)


@pytest.mark.parametrize("digest", ["", "0" * 64, None, 0, ["0" * 64]])
def test_a_wrong_digest_is_refused(tiny_classifier: Any, digest: Any) -> None:
    body = json.loads(tiny_classifier.contract_bytes())
    assert "digest does not fit" in refusal(json.dumps({**body, "digest": digest}).encode())


def test_a_missing_digest_is_refused(tiny_classifier: Any) -> None:
    assert "digest is missing" in refusal(json.dumps(tiny_classifier.body()).encode())


def test_a_key_that_stands_twice_is_refused(tiny_classifier: Any) -> None:
    data = tiny_classifier.contract_bytes().replace(b'"value":0.5', b'"value":0.5,"value":0.5')
    assert "the key 'value' stands there twice" in refusal(data)


@pytest.mark.parametrize("word", [b"NaN", b"Infinity", b"-Infinity", b"1e999"])
def test_a_threshold_that_is_no_number_is_refused(tiny_classifier: Any, word: bytes) -> None:
    data = tiny_classifier.contract_bytes().replace(b'"value":0.5', b'"value":' + word)
    assert "no valid JSON" in refusal(data)


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"null", b"\xff\xfe", b"lesionlite"])
def test_what_is_no_contract_at_all_is_refused(data: bytes) -> None:
    refusal(data)


def test_integers_stay_integers_where_numbers_are_expected(tiny_classifier: Any) -> None:
    body = tiny_classifier.body()
    body["threshold"]["value"] = 1
    data = tiny_classifier.contract_bytes(body)
    assert b'"value":1}' in data
    assert Contract.from_bytes(data).to_bytes() == data


def test_the_model_id_is_of_the_flatbuffer_or_else_of_the_network(tiny_classifier: Any) -> None:
    contract = Contract.from_bytes(tiny_classifier.contract_bytes())
    assert contract.model_id == "cd" * 6
    body = {**tiny_classifier.body(), "flatbuffer_sha256": None, "flatbuffer_bytes": None}
    assert Contract.from_bytes(tiny_classifier.contract_bytes(body)).model_id == "ab" * 6


def test_a_contract_takes_on_the_flatbuffer_it_travels_with(tiny_classifier: Any) -> None:
    contract = Contract.from_bytes(tiny_classifier.contract_bytes())
    taken = with_flatbuffer(contract, b"abc")
    assert taken.flatbuffer_bytes == 3
    assert taken.flatbuffer_sha256 == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
    assert taken.digest != contract.digest
    assert Contract.from_bytes(taken.to_bytes()) == taken


def test_each_kind_is_told_from_the_others(
    tiny_classifier: Any, tiny_labels: Any, tiny_regression: Any
) -> None:
    tinies = (tiny_classifier, tiny_labels, tiny_regression)
    two, several, regression = (Contract.from_bytes(t.contract_bytes()) for t in tinies)
    assert classifier_contract(two) is two
    assert image_contract(two) is two
    assert image_contract(several) is several
    assert regression_contract(regression) is regression
    for other, task in ((several, "multiclass_classification"), (regression, "regression")):
        with pytest.raises(UnusableInput, match=f"a model for {task}, not an image classifier of"):
            classifier_contract(other, "line.tflite")
    with pytest.raises(UnusableInput, match="`lesionlite predict` runs a regression"):
        image_contract(regression, "line.tflite")
    for other in (two, several):
        with pytest.raises(UnusableInput, match="`lesionlite classify` runs an image classifier"):
            regression_contract(other, "tiny.tflite")


def test_the_site_s_threshold_decides_where_there_is_one(tiny_classifier: Any) -> None:
    body = tiny_classifier.body()
    for changes, deciding in (({}, 0.5), ({"site_threshold": {"value": 0, "reason": "all"}}, 0)):
        contract = Contract.from_bytes(tiny_classifier.contract_bytes({**body, **changes}))
        assert isinstance(contract, ClassifierContract)
        assert contract.decision_threshold == deciding
        assert contract.threshold.value == 0.5


@given(
    threshold=ratios,
    dtype=st.sampled_from(sorted(INTEGER_LEVELS)),
    scale=st.floats(1e-4, 1),
    zero=st.integers(0, 255),
)
def test_the_least_level_decides_as_the_threshold_does(
    threshold: float, dtype: str, scale: float, zero: int
) -> None:
    low, high = INTEGER_LEVELS[dtype]
    quantization = Quantization(scale, low + zero)
    least = least_level(threshold, dtype, quantization)
    for level in range(low, high + 1):
        score = min(max(dequantized(level, quantization), 0), 1)
        assert (score >= threshold) is (least is not None and level >= least)


def test_the_least_level_by_hand() -> None:
    halves = Quantization(0.25, -128)
    assert [least_level(t, "int8", halves) for t in (0, 0.25, 0.26, 1)] == [-128, -127, -126, -124]
    full = Quantization(1 / 256, 0)
    assert [least_level(t, "uint8", full) for t in (0.5, 255 / 256, 0.997, 1)] == [
        128,
        255,
        None,
        None,
    ]
    shifted = Quantization(1 / 256, 10)  # the levels below 10 are scores of 0, too
    assert [least_level(t, "uint8", shifted) for t in (0, 1e-9, 0.5)] == [0, 11, 138]
