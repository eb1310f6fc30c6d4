"""The layers as node data for Google's Model Explorer, which colours a graph's nodes by it.

The format is that of ``GraphNodeData`` in the package ai-edge-model-explorer 0.1: a value for each
node, by the name of its output tensor, with a gradient of colours from the least value to the
greatest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lesionlite_export.layers.result import Layer, LayerReport

OVERLAYS = ("added.json", "total.json")
_GRADIENT = [
    {"stop": 0, "bgColor": "#d73027", "textColor": "#ffffff"},
    {"stop": 0.5, "bgColor": "#fee08b", "textColor": "#000000"},
    {"stop": 1, "bgColor": "#1a9850", "textColor": "#ffffff"},
]
_DAMAGE = {"bgColor": "#54278f", "textColor": "#ffffff"}


def node_data(report: LayerReport) -> dict[str, dict[str, Any]]:
    """Node data by the name of the file that it is for, one of `OVERLAYS`.

    Signal-to-noise in dB: ``added`` of the error that each operator adds, ``total`` of its output
    in the file's own run. Nodes without an error have no value; damaged ones a colour of their own.
    """
    kinds: tuple[tuple[str, Callable[[Layer], float | None]], ...] = (
        ("SNR of the error added (dB)", lambda layer: layer.added_snr_db),
        ("SNR of the output (dB)", lambda layer: layer.snr_db),
    )
    damaged = {named.layer.operator for named in report.named if named.damage}
    return {
        file: {
            "name": name,
            "results": {
                layer.tensor: {
                    "value": round(value, 2),
                    **(_DAMAGE if layer.operator in damaged else {}),
                }
                for layer in report.layers
                if (value := value_of(layer)) is not None
            },
            "gradient": _GRADIENT,
            "hideAggregatedStats": ["sum"],
        }
        for file, (name, value_of) in zip(OVERLAYS, kinds, strict=True)
    }
