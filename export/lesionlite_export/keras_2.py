"""An HDF5 model of Keras 2 as a SavedModel: ``python -m lesionlite_export.keras_2 H5 FOLDER TOLD``.

It runs in a process of its own, since tf-keras and Keras 3 do not share one well. What is wrong is
told in the JSON file TOLD.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from lesionlite_export.hdf5_door import HUB_LAYER, checked_config
from lesionlite_export.hub_cache import CACHE_VARIABLE, cache_place, is_url
from lesionlite_export.keras_model import own_fault
from lesionlite_export.saved_model import read_graph_file
from lesionlite_runtime.errors import LesionliteError, MissingHere, UnusableInput


def write_saved_model(path: Path, folder: Path, *, allow_code: bool = False) -> None:
    """Load the HDF5 model at ``path`` with tf-keras and save its inference graph to ``folder``.

    Raises:
        MissingHere: when tf-keras, tensorflow-hub or a module of TensorFlow Hub is missing.
        UnusableInput: when the file, or a module that it names, is refused or cannot be loaded.
    """
    checked_config(path, allow_code=allow_code)
    import tensorflow as tf

    keras_2, hub = _needed("tf_keras"), _needed("tensorflow_hub")

    class CheckedLayer(hub.KerasLayer):  # type: ignore[misc, name-defined]
        """TensorFlow Hub's layer on a module that went through the door for SavedModels."""

        def __init__(self, handle: str, **kwargs: Any) -> None:
            super().__init__(str(_module(handle, hub)), **kwargs)

    try:
        model = keras_2.models.load_model(
            path, custom_objects={HUB_LAYER: CheckedLayer}, compile=False
        )
    except Exception as error:  # tf-keras raises many kinds for a file that it cannot load
        own = own_fault(error)
        if own is not None:
            raise own from error
        reason = next((line for line in str(error).splitlines() if line.strip()), "")
        raise UnusableInput(
            f"Keras 2 cannot load this model ({reason[:300] or type(error).__name__})",
            "save it anew, as a SavedModel or with Keras 3",
        ) from error
    if len(model.inputs or ()) != 1 or len(model.outputs or ()) != 1:
        raise UnusableInput(
            "the network was never built, or does not have one input and one output",
            "save a model of the one output that is to be exported",
        )
    spec = tf.TensorSpec(model.inputs[0].shape, model.inputs[0].dtype, name="x")
    network = tf.Module()
    network.model = model
    network.__call__ = tf.function(lambda x: model(x, training=False), input_signature=[spec])
    tf.saved_model.save(network, str(folder))


def _needed(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingHere(
            f"{name} cannot be imported ({error})", "run pip install 'lesionlite[hub]'"
        ) from error


def _module(handle: str, hub: Any) -> Path:
    """The folder of the module ``handle``, after the checks of SavedModels."""
    folder = cache_place(handle) if is_url(handle) else Path(handle)
    if not folder.is_dir() and is_url(handle):
        try:
            folder = Path(hub.resolve(handle))
        except Exception as error:  # many kinds, of URLs, archives, files and TensorFlow
            raise MissingHere(
                f"its module {handle} is not in TensorFlow Hub's cache and cannot be downloaded",
                f"unpack it into {folder} and set {CACHE_VARIABLE}={folder.parent}",
            ) from error
    if not folder.is_dir():
        raise UnusableInput(
            f"its module lay in the folder {handle}, which is not here",
            "unpack the module there, or save the model as a SavedModel, which holds it",
        )
    read_graph_file(folder)
    return folder


def main(arguments: list[str]) -> int:
    """Exit code 0, or 1 with the fault told in the third argument's file."""
    path, folder, told = (Path(argument) for argument in arguments[:3])
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    try:
        write_saved_model(path, folder, allow_code="--allow-code" in arguments)
    except LesionliteError as error:
        body = {"kind": type(error).__name__, "problem": error.problem, "remedy": error.remedy}
        told.write_text(json.dumps(body))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
