"""A file against the network that it was made from, operator by operator."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import numpy as np

from lesionlite_export.layers.constants import stored_constants
from lesionlite_export.layers.effect import Effect, effect_of
from lesionlite_export.layers.findings import Finding, findings
from lesionlite_export.layers.inputs import Values, feed_for, values_for
from lesionlite_export.layers.interpreter import kernels
from lesionlite_export.layers.measure import Comparison, Measured
from lesionlite_export.layers.network import Network
from lesionlite_export.layers.pairing import Pair, pair_graphs
from lesionlite_export.layers.reference import checked_reference, float_network, same_views
from lesionlite_export.layers.result import LayerReport
from lesionlite_export.layers.table import layer_row, named_layer
from lesionlite_export.progress import Reporter, Silent
from lesionlite_export.source import Source
from lesionlite_runtime.contract import AnyContract
from lesionlite_runtime.door import open_model
from lesionlite_runtime.errors import UnusableInput, UsageError, printable
from lesionlite_runtime.operators import WITH_WEIGHTS

DEFAULT_IMAGES = 32
MOST_EFFECTS = 16
"""Layers, from the first named on, whose effect on the score is measured."""
# One damaged layer is a finding; that most are is another network.
_MOST_CHANGED = 0.5


def compare_layers(
    source: Source,
    tflite: str | os.PathLike[str],
    data: str | os.PathLike[str] | None,
    *,
    images: int = DEFAULT_IMAGES,
    seed: int = 0,
    classes: Mapping[str, int] | None = None,
    report: Reporter | None = None,
) -> LayerReport:
    """Find the layers of the file ``tflite`` in which its error to ``source`` starts.

    Images are run one at a time, in LiteRT on one thread; memory does not grow with their number.

    Args:
        source: the Keras model, or the float32 ``.tflite``, that the file was made from.
        tflite: path of the file.
        data: manifest CSV, or a folder in the ISIC layout, whose ``valid`` is taken; None for a
            regression, which is run on even points of its range.
        images: size of the stratified sample.
        seed: of the sample.
        classes: label of each class folder; by default those of the file's contract.
        report: who is told of the progress.

    Raises:
        UnusableInput: when the file is refused at the door, its operators cannot be paired with the
            float network's, its weights are another network's, or no image can be used.
        UsageError: when a classifier is given no data, or fewer than one image is asked for.
    """
    report = report or Silent()
    if images < 1:
        raise UsageError(f"{images} images are too few to compare layers on", "take 1 or more")
    opened = open_model(tflite)
    contract = opened.contract
    values = values_for(contract, data, images, seed, classes)
    source = same_views(source, contract)
    reference = float_network(source, contract, report)
    feed = feed_for(contract, opened.graph)
    network = Network(opened.flatbuffer, opened.graph, contract.input.name, feed, opened.path)
    pairs = pair_graphs(reference.graph, network.graph, network.file)
    method = _method(contract)
    compared = _compared(reference, network, pairs, values, report)
    origin = checked_reference(source, values, np.array(compared.outputs), report)
    found = findings(compared.rows, network.graph, compared.input.ratio, method)
    effects = _effects(reference, network, compared.rows, found, values, report)
    layers = [layer_row(row, reference.graph, network.graph) for row in compared.rows]
    named = [
        named_layer(
            finding, layers[finding.row], compared.rows[finding.row], network.graph, method, effects
        )
        for finding in found
    ]
    return LayerReport(
        file=opened.path,
        model_id=contract.model_id,
        reference=origin,
        kernels=kernels(),
        inputs=values.facts(),
        layers=tuple(layers),
        named=tuple(named),
        unusable=values.unusable,
    )


def _compared(
    reference: Network, network: Network, pairs: Sequence[Pair], values: Values, report: Reporter
) -> Comparison:
    constants = [
        stored_constants(
            reference.flatbuffer, reference.graph, network.flatbuffer, network.graph, pair
        )
        for pair in pairs
    ]
    operators = network.graph.operators
    weights = [
        held.weights
        for pair, held in zip(pairs, constants, strict=True)
        if held.weights is not None and operators[pair.operator].name in WITH_WEIGHTS
    ]
    changed = sum(w.changed > 0 for w in weights)
    if changed > max(1, _MOST_CHANGED * len(weights)):
        raise UnusableInput(
            f"the weights of {changed} of its {len(weights)} layers with weights are not those of "
            f"{printable(reference.file)}: it was made from another network",
            "compare it with the model that it was made from",
            network.file,
        )
    comparison = Comparison(reference, network, pairs, constants)
    for value in report.track(values, "Comparing layers", len(values)):
        comparison.add(value)
    return comparison


def _method(contract: AnyContract) -> str | None:
    """How the ranges of a file's activations were found, where it was calibrated."""
    calibration = contract.provenance.calibration or {}
    method = calibration.get("method")
    return method if isinstance(method, str) else None


def _effects(
    reference: Network,
    network: Network,
    rows: Sequence[Measured],
    found: Sequence[Finding],
    values: Values,
    report: Reporter,
) -> dict[int, Effect]:
    """By row, what its own error does to the score: of the first findings, and where felt."""
    first = {row for finding in found[:MOST_EFFECTS] for row in (finding.row, finding.felt_at)}
    tracked = report.track(sorted(first), "Each named layer's effect on the score", len(first))
    return {
        number: effect_of(reference, network, rows[number].pair, rows[number].constants, values)
        for number in tracked
    }
