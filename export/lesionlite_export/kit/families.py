"""Families of backends: whose scores may lie how far from those that were recorded.

docs/conformance.md has the measurements that the figures come from.
"""

from __future__ import annotations

from lesionlite_export.kit.manifest import BUILTIN, XNNPACK, Family, PixelTolerance
from lesionlite_export.kit.photo import JPEG, PROFILE
from lesionlite_runtime.contract_fields import ScoreOutput
from lesionlite_runtime.graph import Graph
from lesionlite_runtime.operators import WITH_WEIGHTS

SAME, OTHER = "xnnpack", "other"
_SAME_BACKENDS = ("litert", "litert.js", "mediapipe", "tasks-vision", "tensorflow")
_BUILTIN_BACKENDS = ("litert-builtin", "tflite-runtime")
_OTHER_BACKENDS = ("nnapi", "gpu", "webgpu", "metal", "coreml", "hexagon", "qnn", "npu", "edgetpu")
# Float arithmetic of another build or another processor, rounded elsewhere.
_ROUNDING = 2e-5
# Integer kernels of two makers.
KERNELS, _KERNELS_MEAN = 0.06, 0.03

TOLERANCES = {JPEG: PixelTolerance(mean=1.5, max=10), PROFILE: PixelTolerance(mean=0.5, max=3)}
"""What another JPEG decoder, and another colour management, may make of the pixels."""
DECODER_FACTOR = 2.0
"""How many times `KitImage.one_level` a score may differ where their pixels may.

One factor for both: integers answer to a hundredth of the pixels as they do to half of them.
"""


def families(graph: Graph, output: ScoreOutput) -> tuple[Family, ...]:
    """The families for a file; the last one takes every backend."""
    level = 0.0 if output.quantization is None else output.quantization.scale
    rounding, mean = max(_ROUNDING, level), max(_ROUNDING, level)
    if _quantizes_on_the_fly(graph):  # so that rounding elsewhere becomes another integer
        rounding, mean = KERNELS, _KERNELS_MEAN
    return (
        Family(
            SAME,
            "LiteRT, and whatever else runs XNNPACK's kernels",
            (*_SAME_BACKENDS, "tflite-runtime"),
            XNNPACK,
            rounding,
            mean,
        ),
        Family(
            BUILTIN,
            "TensorFlow Lite's built-in kernels, without delegates",
            _BUILTIN_BACKENDS,
            BUILTIN,
            rounding,
            mean,
        ),
        Family(
            OTHER,
            "other kernels and delegates: GPU, DSP, NPU",
            _OTHER_BACKENDS,
            XNNPACK,
            KERNELS,
            _KERNELS_MEAN,
        ),
    )


def _quantizes_on_the_fly(graph: Graph) -> bool:
    """Whether float32 activations meet int8 weights: the recipe ``dynamic``."""
    return any(
        graph.tensors[operator.inputs[0]].dtype == "float32"
        and graph.tensors[operator.inputs[1]].dtype == "int8"
        for operator in graph.operators
        if operator.name in WITH_WEIGHTS
    )
