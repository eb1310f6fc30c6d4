"""The float32 network that stands for the model, operator by operator."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.layers.inputs import Values, feed_for
from lesionlite_export.layers.network import Network
from lesionlite_export.layers.result import Reference
from lesionlite_export.make import Form, make_tflite
from lesionlite_export.progress import Reporter
from lesionlite_export.recipe import load_recipe
from lesionlite_export.source import Source, chunks_of, outputs_of
from lesionlite_export.tflite_model import TfliteModel, refuse_quantized
from lesionlite_export.views import views_network
from lesionlite_runtime.contract import AnyContract
from lesionlite_runtime.contract_fields import ScoreOutput
from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.graph import read_graph

# Of the largest output. TensorFlow's float32 file keeps within 2e-6 of Keras here.
MOST_FROM_KERAS = 1e-4


def same_views(source: Source, contract: AnyContract) -> Source:
    """``source`` with as many views of each image as a file with ``contract`` has, if Keras."""
    wanted = contract.provenance.views or 1
    if isinstance(source, TfliteModel) or (source.contract.provenance.views or 1) == wanted:
        return source
    return replace(source, network=views_network(source.network, wanted))


def float_network(source: Source, contract: AnyContract, report: Reporter) -> Network:
    """The float32 network of ``source``, in the form of the file with ``contract``.

    Of a Keras model it is what the recipe ``float32`` makes: one operator for each of the file's,
    where Keras has several layers that are folded together.

    Raises:
        UnusableInput: when a ``.tflite`` is quantized already, or the conversion fails.
    """
    if isinstance(source, TfliteModel):
        try:
            refuse_quantized(source)
        except UnusableInput as fault:
            raise UnusableInput(
                fault.problem,
                "compare layers with the .keras or the float32 .tflite that both were made from",
                source.path,
            ) from fault
        flatbuffer = source.flatbuffer
    else:
        output = contract.output
        form = Form(two_labels=isinstance(output, ScoreOutput) and output.units == 2)
        flatbuffer = make_tflite(source, load_recipe("float32"), [], form, report)
    graph = read_graph(flatbuffer)
    feed = feed_for(source.contract, graph)
    return Network(flatbuffer, graph, source.contract.input.name, feed, source.path)


def checked_reference(
    source: Source, values: Values, outputs: NDArray[np.float64], report: Reporter
) -> Reference:
    """What stands for the model, if it gives Keras' own outputs.

    Args:
        source: the model.
        values: the inputs.
        outputs: what the float32 network made of them, ``[n, units]``.
        report: who is told of the progress.

    Raises:
        UnusableInput: when an output of the float32 network is not Keras'.
    """
    if isinstance(source, TfliteModel):
        return Reference(source.path, "tflite", None)
    steps = chunks_of(source, len(values))
    chunks = report.track(outputs_of(source, values), "Scoring with Keras", steps)
    keras = np.concatenate([np.asarray(c).reshape(len(c), -1) for c in chunks])
    # Where the file gives both labels and Keras one, that one is the last.
    apart = float(np.abs(outputs[:, -keras.shape[1] :] - keras).max())
    if not apart <= MOST_FROM_KERAS * max(1.0, float(np.abs(keras).max())):
        raise UnusableInput(
            f"its float32 form gives other outputs than Keras, by up to {apart:.2g}, so that it "
            "cannot stand for the model layer by layer",
            "export it with the recipe float32 and see whether that file passes",
            source.path,
        )
    return Reference(source.path, "keras", apart)
