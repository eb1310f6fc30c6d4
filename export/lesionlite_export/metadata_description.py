"""What the TFLite Metadata of a file say of its contract, field by field."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lesionlite_runtime.contract import (
    CONTRACT_MEMBER,
    AnyContract,
    ClassifierContract,
    ImageContract,
    LabelsContract,
    RegressionContract,
)
from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.graph import Graph, TensorInfo

LABELS_MEMBER = "labels.txt"
# Of the schema's history, every field here is older than its first entry (1.0.1); the threshold's
# ScoreThresholdingOptions, too.
MIN_PARSER_VERSION = "1.0.0"
_DISCLAIMER = (
    "Research software, no medical device: no decision says that a person has or has not a disease."
)


def describe(contract: AnyContract, graph: Graph) -> dict[str, Any]:
    """The ``ModelMetadata`` of a contract, as `encode_metadata` takes them.

    Raises:
        UnusableInput: when the graph is not the contract's.
    """
    if isinstance(contract, RegressionContract):
        kind, text = "regression", _regression_text(contract)
        tensors = _value_tensors(contract, graph)
    else:
        kind, text = "classifier", f"{_decision(contract)} {_DISCLAIMER}"
        tensors = (_image(contract, graph), _scores(contract, graph))
    return {
        "name": f"lesionlite {kind} ({contract.provenance.backbone})",
        "description": text,
        "version": f"network {contract.provenance.network_sha256[:12]}",
        "subgraph_metadata": [
            {"input_tensor_metadata": [tensors[0]], "output_tensor_metadata": [tensors[1]]}
        ],
        "associated_files": [
            {
                "name": CONTRACT_MEMBER,
                "description": (
                    "The contract: exact input, threshold with its figures, provenance, and what "
                    "the proof against the full model measured."
                ),
                "type": "DESCRIPTIONS",
            }
        ],
        "min_parser_version": MIN_PARSER_VERSION,
    }


def labels_of(contract: AnyContract, graph: Graph) -> tuple[str, ...]:
    """A label for each score that comes out; none for a regression.

    Raises:
        UnusableInput: when there are more or fewer, or one cannot stand on a line.
    """
    if isinstance(contract, RegressionContract):
        return ()
    shape, labels = (
        tensor_named(graph, "output", contract.output.name).shape,
        contract.output.labels,
    )
    shapes = [(1, len(labels))]
    if isinstance(contract, ClassifierContract):
        shapes.insert(0, (1, 1))
        labels = labels if shape == (1, 2) else (contract.output.score_of,)
    if shape not in shapes:
        raise UnusableInput(
            f"the output {contract.output.name} has the shape {list(shape)}, not "
            f"{' or '.join(str(list(wanted)) for wanted in shapes)}",
            "export the model anew",
        )
    for label in labels:
        if len(label.splitlines()) != 1 or label != label.strip():
            raise UnusableInput(
                f"the label {label!r} cannot stand on a line of {LABELS_MEMBER}",
                "train with labels that are words",
            )
    return tuple(labels)


def float32_threshold(threshold: float) -> float:
    """The least float32 that is not below ``threshold``.

    A float32 score is at least the one exactly where it is at least the other, so a client that
    compares in float32 decides as the contract does.
    """
    nearest = np.float32(threshold)
    if float(nearest) < threshold:
        nearest = np.nextafter(nearest, np.float32(math.inf))
    return float(nearest)


def tensor_named(graph: Graph, side: str, name: str) -> TensorInfo:
    """The one input or output of ``graph``, which the contract calls ``name``.

    Raises:
        UnusableInput: when the graph has others.
    """
    named = graph.inputs if side == "input" else graph.outputs
    if list(named) != [name]:
        raise UnusableInput(
            f"the model's {side} is named {', '.join(named)}, and {name} in its contract",
            "export the model anew",
        )
    return graph.tensors[named[name]]


def _image(contract: ImageContract, graph: Graph) -> dict[str, Any]:
    image, dtype = contract.input, tensor_named(graph, "input", contract.input.name).dtype
    upright = "turned upright by its EXIF orientation"
    return {
        "name": image.name,
        "description": (
            f"The whole photo in sRGB, {upright}, stretched to {image.height} rows and "
            f"{image.width} columns by {image.resize}, its proportions not kept. Channels in the "
            f"order R, G, B; {dtype} from 0 to 255, not scaled any further: the network's own "
            "scaling is inside the file."
        ),
        "content": {
            "content_properties_type": "ImageProperties",
            "content_properties": {
                "color_space": image.color,
                "default_size": {"width": image.width, "height": image.height},
            },
        },
        "process_units": [
            {
                "options_type": "NormalizationOptions",
                "options": {"mean": [0.0], "std": [1.0]},
            }
        ],
        "stats": {"max": [255.0], "min": [0.0]},
    }


def _scores(contract: ImageContract, graph: Graph) -> dict[str, Any]:
    labels = labels_of(contract, graph)
    found: dict[str, Any] = {
        "name": contract.output.name,
        "description": (
            f"{_listed(labels)}: a score from 0 to 1, not a probability. {_rule(contract)}"
        ),
        "content": _features(),
        "stats": {"max": [1.0], "min": [0.0]},
        "associated_files": [
            {
                "name": LABELS_MEMBER,
                "description": "A label for each score, in the order of the scores.",
                "type": "TENSOR_AXIS_LABELS",
            }
        ],
    }
    if isinstance(contract, ClassifierContract):
        threshold = float32_threshold(contract.threshold.value)
        found["process_units"] = [
            {
                "options_type": "ScoreThresholdingOptions",
                "options": {"global_score_threshold": threshold},
            }
        ]
    return found


def _value_tensors(
    contract: RegressionContract, graph: Graph
) -> tuple[dict[str, Any], dict[str, Any]]:
    x, y = contract.input, contract.output
    tensor_named(graph, "input", x.name)
    tensor_named(graph, "output", y.name)
    low, high = x.range
    return (
        {
            "name": x.name,
            "description": f"One number from {low:g} to {high:g}.",
            "content": _features(),
            "stats": {"max": [high], "min": [low]},
        },
        {
            "name": y.name,
            "description": f"One number{f' in {y.unit}' if y.unit else ''}.",
            "content": _features(),
        },
    )


def _regression_text(contract: RegressionContract) -> str:
    low, high = contract.input.range
    return (
        f"Gives {contract.output.name} for {contract.input.name} from {low:g} to {high:g}. "
        "Other numbers are outside what it was calibrated and proved for."
    )


def _decision(contract: ImageContract) -> str:
    labels = contract.output.labels
    between = (
        f"Decides between {_listed(labels)}" if len(labels) == 2 else f"One of {_listed(labels)}"
    )
    return f"{between} on a photo of a skin lesion. {_rule(contract)}"


def _rule(contract: ImageContract) -> str:
    if isinstance(contract, LabelsContract):
        if contract.threshold is None:
            return "The label with the highest score is the decision."
        needed = ", ".join(
            f"{name} {value:.6g}" for name, value in contract.threshold.values.items()
        )
        return (
            "The label with the highest score of those that reach theirs is the decision, and none "
            f"where none does: {needed} (by {contract.threshold.rule})."
        )
    threshold, label = contract.threshold, contract.output.score_of
    chosen_on = threshold.chosen_on
    figures = ", ".join(
        f"{name} {figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"
        for name, figure in (
            ("sensitivity", threshold.sensitivity),
            ("specificity", threshold.specificity),
        )
        if figure is not None
    )
    return (
        f"A score of {threshold.value:.6g} or more decides for {label}; the threshold was chosen "
        f"by {threshold.rule} on {chosen_on.n} scores ({chosen_on.kind}), {chosen_on.positives} of "
        f"them {label}{': ' if figures else ''}{figures}."
    )


def _features() -> dict[str, Any]:
    return {"content_properties_type": "FeatureProperties", "content_properties": {}}


def _listed(labels: tuple[str, ...]) -> str:
    *first, last = labels
    return f"{', '.join(first)} and {last}" if first else last
