"""The contract of an exported file: the model's own, with what recipe and form make of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lesionlite_export.make import PIXELS_AS_FLOATS, Form
from lesionlite_export.recipe import Recipe
from lesionlite_export.source import Source
from lesionlite_export.tools import tool_versions
from lesionlite_runtime.contract import (
    AnyContract,
    ClassifierContract,
    ImageContract,
    RegressionContract,
    with_flatbuffer,
)
from lesionlite_runtime.contract_fields import Quantization
from lesionlite_runtime.graph import read_graph
from lesionlite_runtime.integer_threshold import with_integer_output


def file_contract(
    source: Source,
    recipe: Recipe,
    form: Form,
    calibration: dict[str, Any] | None,
    flatbuffer: bytes,
) -> AnyContract:
    """The contract of ``flatbuffer``, before its proof.

    Raises:
        UnusableInput: when no level of an integer output reaches the threshold.
    """
    contract = source.contract
    tools = {**contract.provenance.tools, **tool_versions()}
    provenance = replace(
        contract.provenance, recipe=recipe.name, calibration=calibration, tools=tools, runs_on=None
    )
    plain = replace(contract, provenance=provenance, parity=None)
    if not isinstance(plain, RegressionContract):
        plain = _in_form(plain, recipe, form, flatbuffer)
    return with_flatbuffer(plain, flatbuffer)


def _in_form(
    contract: ImageContract, recipe: Recipe, form: Form, flatbuffer: bytes
) -> ImageContract:
    pixels = replace(contract.input, dtype="uint8", range=None)
    if form.io == "float32":
        pixels = replace(contract.input, dtype="float32", range=PIXELS_AS_FLOATS)
    contract = replace(contract, input=pixels)
    if isinstance(contract, ClassifierContract):
        # What a site has set is the site's: the gate compares decisions at the locked threshold.
        contract = replace(contract, views_thresholds=None, site_threshold=None)
    if recipe.output == "uint8":
        graph = read_graph(flatbuffer)
        tensor = graph.tensors[graph.outputs[contract.output.name]]
        quantization = Quantization(tensor.scales[0], tensor.zero_points[0])
        return with_integer_output(contract, recipe.output, quantization)
    if isinstance(contract, ClassifierContract):
        units = 2 if form.two_labels else contract.output.units
        contract = replace(contract, output=replace(contract.output, units=units))
    return contract
