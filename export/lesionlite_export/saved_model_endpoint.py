"""A checked SavedModel loaded, and what of it is called: one image batch in, one vector out."""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lesionlite_export.saved_model import GRAPH_FILE
from lesionlite_runtime.errors import UnusableInput

InputOf = Callable[[Iterable[Any]], Any]
INPUT_TYPES = ("float32", "float16", "uint8")
CHECKPOINT = "variables/variables"


@dataclass(frozen=True)
class Endpoint:
    """What is called: ``call(x, training)``; the input's spec; the functions behind it."""

    call: Callable[[Any, bool], Any]
    spec: Any
    can_train: bool
    functions: tuple[Any, ...]


def load_graph(data: bytes) -> Any:
    """The object that ``tf.saved_model.load`` makes, its variables not yet initialized.

    TensorFlow loads from a folder, and would take what else lies there. So it is given one of our
    own, with a checkpoint that restores nothing.

    Args:
        data: the bytes of a ``saved_model.pb`` that `check_graph` let pass.

    Raises:
        UnusableInput: when TensorFlow cannot load it.
    """
    import tensorflow as tf
    from tensorflow.core.protobuf import saved_model_pb2, trackable_object_graph_pb2

    root = saved_model_pb2.SavedModel.FromString(data).meta_graphs[0].object_graph_def.nodes[0]
    graph = trackable_object_graph_pb2.TrackableObjectGraph()
    top = graph.nodes.add()
    for child in root.children[:1]:  # a checkpoint that fits the root alone is taken for a mistake
        top.children.add(node_id=1, local_name=child.local_name)
    graph.nodes.add()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, GRAPH_FILE).write_bytes(data)
        Path(folder, CHECKPOINT).parent.mkdir()
        tf.raw_ops.SaveV2(
            prefix=str(Path(folder, CHECKPOINT)),
            tensor_names=["_CHECKPOINTABLE_OBJECT_GRAPH"],
            shape_and_slices=[""],
            tensors=[tf.constant(graph.SerializeToString())],
        )
        options = tf.saved_model.LoadOptions(allow_partial_checkpoint=True)
        try:
            return tf.saved_model.load(folder, options=options)
        except Exception as error:  # the loader raises many kinds for a graph that does not hold
            raise UnusableInput(
                "TensorFlow cannot load this SavedModel", "save it anew with TensorFlow 2"
            ) from error


def find_endpoint(module: Any, input_of: InputOf | None = None) -> Endpoint:
    """What to call of a loaded SavedModel: itself, or its signature ``serving_default``.

    Args:
        module: as `load_graph` makes it.
        input_of: which of the specs that it takes is its input; by default the first one, which
            must be a batch of RGB images.

    Raises:
        UnusableInput: when it has neither, or ``input_of`` finds no input.
    """
    import tensorflow as tf

    input_of = input_of or _single_image

    if callable(module):
        function = module.__call__
        functions = tuple(getattr(function, "concrete_functions", ()))
        takes_training = "training" in inspect.signature(function).parameters

        def call(x: Any, training: bool) -> Any:
            return module(x, training=training) if takes_training else module(x)

        spec = input_of(
            spec for f in functions[:1] for spec in tf.nest.flatten(f.structured_input_signature[0])
        )
        can_train = takes_training and _has_training(function, spec)
        return Endpoint(call, spec, can_train, functions)
    signature = module.signatures.get("serving_default")
    if signature is None:
        raise UnusableInput(
            "this SavedModel can neither be called nor has it the signature serving_default",
            "save it with one of them",
        )
    ((name, spec),) = _single_input(signature.structured_input_signature[1])
    return Endpoint(
        lambda x, _training: signature(**{name: x}), input_of([spec]), False, (signature,)
    )


def _single_input(inputs: dict[str, Any]) -> list[tuple[str, Any]]:
    if len(inputs) != 1:
        raise UnusableInput(
            f"this SavedModel takes {len(inputs)} inputs, not one image",
            "pass one that takes images alone",
        )
    return list(inputs.items())


def _single_image(specs: Iterable[Any]) -> Any:
    """The first tensor spec of ``specs``, if it is a batch of RGB images."""
    spec = next((spec for spec in specs if hasattr(spec, "shape") and hasattr(spec, "dtype")), None)
    shape = None if spec is None or spec.shape.rank is None else spec.shape.as_list()
    fits = shape is None or (len(shape) == 4 and shape[0] is None and shape[3] in (3, None))
    if spec is None or spec.dtype.name not in INPUT_TYPES or not fits:
        found = "nothing" if spec is None else f"{spec.dtype.name} {shape}"
        raise UnusableInput(
            f"this SavedModel takes {found}, not batches of RGB images [None, H, W, 3]",
            "pass the SavedModel of an image network",
        )
    return spec


def _has_training(function: Any, spec: Any) -> bool:
    """Whether ``function`` was traced for training: a SavedModel holds no code to trace anew."""
    try:
        function.get_concrete_function(spec, training=True)
    except ValueError:
        return False
    return True


def image_side(spec: Any) -> int | None:
    """The side of the square images that ``spec`` fixes; None for any.

    Raises:
        UnusableInput: when they are not square.
    """
    height, width = (None, None) if spec.shape.rank is None else spec.shape.as_list()[1:3]
    if height != width:
        raise UnusableInput(
            f"this SavedModel takes images of {height} x {width} pixels, which are not square",
            "pass one that takes square images, or images of any size",
        )
    return None if height is None else int(height)


def feature_vector(output: Any) -> Any:
    """The one tensor ``[n, features]`` in ``output``.

    Raises:
        UnusableInput: when there is another number of outputs, or one of another rank.
    """
    outputs = list(output.values()) if isinstance(output, dict) else [output]
    if len(outputs) != 1 or not hasattr(outputs[0], "shape"):
        raise UnusableInput(
            f"this SavedModel returns {len(outputs)} outputs, not one feature vector",
            "pass a feature extractor, such as a feature_vector of TensorFlow Hub",
        )
    if outputs[0].shape.rank not in (2, None):
        raise UnusableInput(
            f"this SavedModel returns {outputs[0].shape.as_list()[1:]} for an image, not a vector",
            "pass a feature extractor that pools over the image",
        )
    return outputs[0]
