"""A Keras layer around a SavedModel, such as TensorFlow Hub's feature vectors.

The graph travels in the layer's config, byte for byte as it was read, and the variables in the
model's weights as any other layer's. So a ``.keras`` holds the whole network, cloning works, and
the network's digest covers both. Importing this module registers the layer with Keras; it is
imported where a model is loaded, since it imports Keras at its top.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import keras

from lesionlite_export.saved_model import MAX_GRAPH_BYTES, check_graph, read_graph_file
from lesionlite_export.saved_model_endpoint import (
    CHECKPOINT,
    feature_vector,
    find_endpoint,
    image_side,
    load_graph,
)
from lesionlite_runtime.errors import MissingHere, UnusableInput, UsageError

_NOT_ALLOWED = re.compile(r"[^A-Za-z0-9._-]+")


@keras.saving.register_keras_serializable(package="lesionlite")
class SavedModelLayer(keras.layers.Layer):  # type: ignore[misc]
    """Images to feature vectors by the graph of a SavedModel.

    A SavedModel of TensorFlow Hub's reusable form (``__call__`` with ``training``, ``variables``,
    ``trainable_variables``, ``regularization_losses``) has a training mode. Any other with one
    image in and one vector out under ``serving_default``, as Keras' ``model.export`` writes it, has
    none: it is made frozen. (https://www.tensorflow.org/hub/reusable_saved_models)

    Attributes:
        size: side of the square images in pixels.
        fixed_size: the graph takes no other side.
        input_type: the type that the graph takes; other inputs are cast to it.
        feature_size: length of the feature vector.
        can_train: the graph has a training mode; the layer is made trainable if so.
        keep_statistics: run the inference graph in training as well, so that batch-norm statistics
            stay as they are, and dropout is off; gradients flow all the same. A graph without a
            training mode that is made trainable is always trained so.
    """

    def __init__(
        self, graph: str, size: int | None = None, feature_size: int | None = None, **kwargs: Any
    ) -> None:
        """A layer with variables that are all zero; see `from_folder`.

        Args:
            graph: the bytes of a ``saved_model.pb``, compressed by zlib, in base64.
            size: side of the images; needed where the graph does not say it.
            feature_size: length of the vector; by default it is found by running the graph.
            kwargs: of `keras.layers.Layer`.

        Raises:
            MissingHere: when Keras runs on another backend than TensorFlow.
            UnusableInput: when the graph is refused (see `check_graph`), or is no network from RGB
                images to vectors.
            UsageError: when ``size`` is missing, or is not the graph's.
        """
        if keras.backend.backend() != "tensorflow":
            raise MissingHere(
                f"a SavedModel needs TensorFlow, and Keras runs on {keras.backend.backend()}",
                "set KERAS_BACKEND=tensorflow",
            )
        super().__init__(autocast=False, **kwargs)
        self.supports_jit = False
        self.keep_statistics = False
        self._graph = graph
        self._module = load_graph(_unpacked(graph))
        self._endpoint = find_endpoint(self._module)
        self.can_train = self._endpoint.can_train
        self.input_type = str(self._endpoint.spec.dtype.name)
        side = image_side(self._endpoint.spec)
        self.fixed_size = side is not None
        self.size = _checked_size(side, size)
        with keras.name_scope(self.name, caller=self):
            self._variables_of_graph = list(wrapped(self._module, self._endpoint.functions))
        self.feature_size = feature_size or self._measured_feature_size()
        if "trainable" not in kwargs:
            self.trainable = self.can_train

    @classmethod
    def from_folder(
        cls, folder: Path, size: int | None = None, name: str = "saved_model"
    ) -> SavedModelLayer:
        """The layer of the SavedModel in ``folder``, with its weights.

        Raises:
            MissingHere, UnusableInput, UsageError: see `__init__`; the fault's file is ``folder``.
        """
        data = read_graph_file(folder)
        packed = base64.b64encode(zlib.compress(data, 9)).decode("ascii")
        try:
            layer = cls(packed, size=size, name=name)
            restore_variables(layer._module, folder)
        except (UnusableInput, UsageError) as error:
            raise type(error)(error.problem, error.remedy, folder) from error
        return layer

    def call(self, images: Any, training: bool | None = None) -> Any:
        """Features float32 ``[n, feature_size]`` of images ``[n, size, size, 3]``."""
        import tensorflow as tf

        learns = bool(training) and self.trainable
        if learns:
            for loss in getattr(self._module, "regularization_losses", ()):
                self.add_loss(loss())
        x = tf.cast(images, self._endpoint.spec.dtype)
        training_mode = learns and self.can_train and not self.keep_statistics
        features = feature_vector(self._endpoint.call(x, training_mode))
        features.set_shape((None, self.feature_size))
        return tf.cast(features, tf.float32)

    def compute_output_spec(self, images: Any, training: bool | None = None) -> Any:
        """Shape and type of the features; the graph is not run."""
        del training
        return keras.KerasTensor((images.shape[0], self.feature_size), dtype="float32")

    def get_config(self) -> dict[str, Any]:
        """The config, with the graph and without any path."""
        own = {"graph": self._graph, "size": self.size, "feature_size": self.feature_size}
        return {**super().get_config(), **own}

    def _measured_feature_size(self) -> int:
        import tensorflow as tf

        image = tf.zeros((1, self.size, self.size, 3), self._endpoint.spec.dtype)
        try:
            features = feature_vector(self._endpoint.call(image, False))
        except (ValueError, TypeError, tf.errors.OpError) as error:
            raise UnusableInput(
                f"this SavedModel cannot be run on an image of {self.size} x {self.size} pixels",
                "pass one of an image network, or another size",
            ) from error
        return int(features.shape[1])


def restore_variables(module: Any, folder: Path) -> None:
    """Give a loaded graph the values of its variables that lie in ``folder``.

    Raises:
        UnusableInput: when they are missing or damaged.
    """
    import tensorflow as tf

    checkpoint = tf.train.Checkpoint(root=module)
    try:
        status = checkpoint.read(str(folder / CHECKPOINT))
        status.assert_existing_objects_matched()
    except (tf.errors.OpError, AssertionError, ValueError, IndexError) as error:
        raise UnusableInput(  # an IndexError where a file of them is cut off
            "the variables of this SavedModel are missing or damaged",
            "copy or download it anew",
        ) from error


def _unpacked(graph: str) -> bytes:
    """The checked bytes of a ``saved_model.pb``; a config may come from anywhere."""
    stream = zlib.decompressobj()
    try:
        data = stream.decompress(base64.b64decode(graph, validate=True), MAX_GRAPH_BYTES + 1)
    except (TypeError, ValueError, binascii.Error, zlib.error) as error:
        raise UnusableInput(
            "the graph of a SavedModel in this file is damaged", "save the model anew"
        ) from error
    check_graph(data)
    return data


def _checked_size(side: int | None, size: int | None) -> int:
    if side is not None and size not in (None, side):
        raise UsageError(
            f"this SavedModel takes images of {side} pixels, not {size}",
            "use its own size, or a backbone that takes others",
        )
    chosen = side or size
    if chosen is None:
        raise UsageError("this SavedModel takes images of any size", "say which side to use")
    return chosen


def wrapped(module: Any, functions: Iterable[Any]) -> Iterator[Any]:
    """Keras variables that share the storage of the graph's, which are set to zero."""
    import tensorflow as tf

    own = list(getattr(module, "variables", ()))
    used = [variable for function in functions for variable in function.variables]
    distinct = {variable.ref(): variable for variable in [*own, *used]}
    listed = getattr(module, "trainable_variables", None)
    trained = {v.ref() for v in (distinct.values() if listed is None else listed) if v.trainable}
    taken: set[str] = set()
    for reference, variable in distinct.items():
        variable.assign(tf.zeros(variable.shape, variable.dtype))
        name = _free_name(variable.name, taken)
        taken.add(name)
        trainable = reference in trained
        yield keras.Variable(variable, trainable=trainable, autocast=False, name=name)


def _free_name(name: str, taken: set[str]) -> str:
    """``name`` in letters that a Keras variable and TensorFlow's name scopes may have."""
    clean = _NOT_ALLOWED.sub(".", name.partition(":")[0]).lstrip("._-") or "variable"
    number, free = 1, clean
    while free in taken:
        free = f"{clean}_{number}"
        number += 1
    return free
