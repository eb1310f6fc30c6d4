"""Node data for Model Explorer: by its documented format, and by the package where it is."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lesionlite_export.layers.compare import compare_layers
from lesionlite_export.layers.explorer import OVERLAYS, node_data
from lesionlite_export.layers.result import LayerReport
from lesionlite_export.tflite_model import TfliteModel, load_tflite

pytestmark = pytest.mark.tensorflow
# The fields of GraphNodeData, NodeDataResult and GradientItem in ai-edge-model-explorer 0.1.34
# (model_explorer/node_data_builder.py).
GRAPH_FIELDS = {
    "results",
    "name",
    "thresholds",
    "gradient",
    "hideInAggregatedStatsTable",
    "hideInChildrenStatsTable",
    "hideAggregatedStats",
    "showExpandedSummaryOnGroupNode",
    "showLabelCountColumnsInChildrenStatsTable",
}
RESULT_FIELDS = {"value", "bgColor", "textColor"}
GRADIENT_FIELDS = {"stop", "bgColor", "textColor"}


@pytest.fixture(scope="module")
def damaged_file(deep_files: dict[str, Path], damaged: Callable[..., Path]) -> Path:
    """An int8 file whose second depthwise layer is damaged."""
    return damaged(deep_files["int8"], 8, "weights", 0.1)


@pytest.fixture(scope="module")
def report(deep_float32: TfliteModel, damaged_file: Path, small_drawn: Path) -> LayerReport:
    """Its layers."""
    return compare_layers(deep_float32, damaged_file, small_drawn, images=2)


@pytest.fixture(scope="module")
def data(report: LayerReport) -> dict[str, Any]:
    """Its node data, as written and read again."""
    read: dict[str, Any] = json.loads(json.dumps(node_data(report)))
    return read


def test_the_format_is_the_documented_one(data: dict[str, Any]) -> None:
    assert tuple(data) == OVERLAYS
    for content in data.values():
        assert content.keys() <= GRAPH_FIELDS
        assert content["results"]
        for result in content["results"].values():
            assert result.keys() <= RESULT_FIELDS
            assert isinstance(result["value"], float)
        stops = [item["stop"] for item in content["gradient"]]
        assert (stops[0], stops[-1]) == (0, 1)
        assert stops == sorted(stops)
        for item in content["gradient"]:
            assert item.keys() <= GRADIENT_FIELDS
            assert re.fullmatch("#[0-9a-f]{6}", item["bgColor"])


def test_nodes_are_named_by_their_output_tensors(
    data: dict[str, Any], report: LayerReport, damaged_file: Path
) -> None:
    graph = load_tflite(damaged_file).opened.graph
    outputs = {graph.tensors[o.outputs[0]].name for o in graph.operators}
    values = {layer.tensor: (layer.added_snr_db, layer.snr_db) for layer in report.layers}
    for i, content in enumerate(data.values()):
        assert content["results"].keys() <= outputs
        for tensor, levels in values.items():
            result = content["results"].get(tensor)
            if levels[i] is None:
                assert result is None
            else:
                assert result["value"] == pytest.approx(levels[i], abs=0.006)


def test_a_damaged_layer_has_a_colour_of_its_own(data: dict[str, Any], report: LayerReport) -> None:
    tensor = next(layer.tensor for layer in report.layers if layer.layer == "second_dw")
    for content in data.values():
        coloured = [name for name, result in content["results"].items() if "bgColor" in result]
        assert coloured == [tensor]


def test_model_explorer_itself_takes_it(data: dict[str, Any], damaged_file: Path) -> None:
    builder = pytest.importorskip("model_explorer.node_data_builder")
    adapter = pytest.importorskip("ai_edge_model_explorer_adapter")
    text = adapter.ConvertFlatbufferDirectlyToJson(adapter.VisualizeConfig(), str(damaged_file))
    nodes = json.loads(text)[0]["subgraphs"][0]["nodes"]
    names = {
        attribute["value"]
        for node in nodes
        for output in node["outputsMetadata"]
        for attribute in output["attrs"]
        if attribute["key"] == "tensor_name"
    }
    for content in data.values():
        results = {key: builder.NodeDataResult(**r) for key, r in content["results"].items()}
        gradient = [builder.GradientItem(**item) for item in content["gradient"]]
        made = builder.GraphNodeData(**{**content, "results": results, "gradient": gradient})
        assert json.loads(made.to_json_string())["results"] == content["results"]
        assert content["results"].keys() <= names
