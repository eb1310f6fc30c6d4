"""HDF5 models: by Keras 3 where it can, and else by Keras 2 in a process of its own."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from lesionlite_export.hdf5_door import FUNCTION_LAYERS, HUB_LAYER, checked_config, class_names
from lesionlite_export.keras_model import cannot_load
from lesionlite_export.noise import native_noise_logged
from lesionlite_runtime.errors import LesionliteError, MissingHere, UnusableInput, UsageError

NEEDED = ("tf_keras", "tensorflow_hub")
FAULTS: dict[str, type[LesionliteError]] = {
    kind.__name__: kind for kind in (MissingHere, UnusableInput, UsageError)
}
INSTALL = "run pip install 'lesionlite[hub]'"


def load_hdf5(path: Path, *, allow_code: bool = False) -> Any:
    """The network in the HDF5 file at ``path``: a Keras 3 model, or a layer.

    A file of Keras 2 with layers that Keras 3 does not have, TensorFlow Hub's ``KerasLayer`` among
    them, is loaded by tf-keras in a process of its own, which writes a SavedModel. Keras 3 in this
    process is not touched.

    Raises:
        MissingHere: when Keras, the extra ``hub`` or a module of TensorFlow Hub is missing.
        UnusableInput: when the file is refused (see `checked_config`) or cannot be loaded.
    """
    file = os.fspath(path)
    if importlib.util.find_spec("keras") is None:
        raise MissingHere(
            "an .h5 is read with Keras, which is not installed",
            "run pip install 'lesionlite[export]'",
            file,
        )
    names = set(class_names(checked_config(path, allow_code=allow_code)))
    if names & {HUB_LAYER, *FUNCTION_LAYERS}:
        return _by_keras_2(path, allow_code)
    with native_noise_logged():
        import keras

        try:
            return keras.saving.load_model(path, compile=False, safe_mode=not allow_code)
        except Exception as error:  # Keras raises many kinds for a file that it cannot load
            fault = error
    if _missing():
        problem = cannot_load(fault, file)
        raise UnusableInput(
            problem.problem, f"{INSTALL}, for files of Keras 2, or {problem.remedy}", file
        ) from fault
    return _by_keras_2(path, allow_code)


def _missing() -> list[str]:
    return [name for name in NEEDED if importlib.util.find_spec(name) is None]


def _by_keras_2(path: Path, allow_code: bool) -> Any:
    missing = _missing()
    if missing:
        raise MissingHere(
            f"this file of Keras 2 needs {' and '.join(missing)}", INSTALL, os.fspath(path)
        )
    with tempfile.TemporaryDirectory() as folder:
        saved, told = Path(folder, "saved_model"), Path(folder, "fault.json")
        command = [sys.executable, "-P", "-m", "lesionlite_export.keras_2", str(path), str(saved)]
        command += [str(told), *(["--allow-code"] if allow_code else [])]
        outcome = subprocess.run(command, capture_output=True, text=True, check=False)
        if told.is_file():
            fault = json.loads(told.read_bytes())
            kind = FAULTS[fault["kind"]]
            raise kind(fault["problem"], fault["remedy"], os.fspath(path))
        if outcome.returncode or not saved.is_dir():
            lines = [line for line in outcome.stderr.splitlines() if line.strip()]
            raise UnusableInput(
                f"Keras 2 cannot load this model ({(lines or ['it ended'])[-1].strip()[:300]})",
                "save it anew, as a SavedModel or with Keras 3",
                os.fspath(path),
            )
        with native_noise_logged():
            from lesionlite_export.brought_graph import BroughtGraph

            return BroughtGraph(saved)
