"""A ``.keras`` with its contract: digest, load, save, score."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.noise import native_noise_logged, no_tracing_warnings
from lesionlite_runtime.codec import canonical_json
from lesionlite_runtime.container import read_contract, write_keras_contract
from lesionlite_runtime.contract import AnyContract, ClassifierContract, LabelsContract
from lesionlite_runtime.contract_fields import ImageInput
from lesionlite_runtime.errors import LesionliteError, MissingHere, UnusableInput, UsageError
from lesionlite_runtime.files import check_output_path, whole_file

BATCH = 32
# Keys of Keras's config that change without the network: two saves of one model, or one made in
# another process, differ in them.
_UNSTABLE_KEYS = frozenset({"build_config", "compile_config", "shared_object_id", "trainable"})


@dataclass(frozen=True)
class KerasModel:
    """A network with its contract, as loaded from ``path``."""

    path: str
    network: Any
    contract: AnyContract


def network_sha256(network: Any, architecture: Any = None) -> str:
    """The digest of a Keras model that saving, loading and rebuilding leave as it is.

    It covers the cleaned architecture JSON and each weight (path, dtype, shape, little-endian
    bytes), sorted by path. The states of random generators (dropout's) are no weights.

    Args:
        network: a built Keras model.
        architecture: its JSON as it stands in a file; by default as this version of Keras writes
            it. Versions differ in the settings that they name.

    Returns:
        64 lower-case hex digits.
    """
    import keras

    if architecture is None:
        config = keras.saving.serialize_keras_object(network)
        architecture = json.loads(json.dumps(config, default=str))
    digest = hashlib.sha256(canonical_json(_cleaned(architecture)))
    for variable in sorted(network.weights, key=lambda v: v.path):
        value = np.ascontiguousarray(np.asarray(variable))
        value = value.astype(value.dtype.newbyteorder("<"))
        head = f"\0{variable.path}\0{value.dtype.str}\0{list(value.shape)}\0"
        digest.update(head.encode())
        digest.update(value.tobytes())
    return digest.hexdigest()


def save_keras(network: Any, contract: AnyContract, path: Path, force: bool = False) -> AnyContract:
    """Save ``network`` with ``contract`` in it; the file appears whole or not at all.

    Returns:
        The contract as written: with the network's digest.

    Raises:
        UsageError: see `check_keras_path`.
    """
    check_keras_path(path, force)
    provenance = replace(contract.provenance, network_sha256=network_sha256(network))
    written = replace(contract, provenance=provenance)
    with whole_file(path, force) as beside:
        with native_noise_logged():
            network.save(beside)
        write_keras_contract(beside, written)
    return written


def check_keras_path(path: Path, force: bool = False) -> None:
    """Refuse, before any work, a path that `save_keras` could not write to.

    Raises:
        UsageError: see `check_output_path`; also for a name that does not end in ``.keras``.
    """
    if path.suffix != ".keras":
        raise UsageError("the name does not end in .keras", "name the model FILE.keras", path)
    check_output_path(path, force)


def load_keras(path: str | os.PathLike[str], *, allow_code: bool = False) -> KerasModel:
    """The network and contract in the ``.keras`` at ``path``; no code in it is run.

    Args:
        path: the file.
        allow_code: run the code of Lambda layers, after all.

    Raises:
        UnusableInput: when the file cannot be read, carries no valid contract, holds a network
            that Keras refuses, one with other inputs or outputs than the contract's, or one whose
            digest is not the contract's.
    """
    file = os.fspath(path)
    contract = read_contract(path)
    if contract.flatbuffer_sha256 is not None:
        raise UnusableInput("this is a .tflite", "pass the .keras that it was made from", file)
    network = load_network(path, allow_code=allow_code)
    _check_network(network, contract, file)
    if network_sha256(network, stated_architecture(file)) != contract.provenance.network_sha256:
        raise UnusableInput(
            "the network's digest is not the one in its contract",
            "train the model anew; its weights or layers were changed after training",
            file,
        )
    return KerasModel(file, network, contract)


def load_network(path: str | os.PathLike[str], *, allow_code: bool = False) -> Any:
    """The network in the ``.keras`` at ``path``, with or without a contract; no code in it is run.

    Args:
        path: the file.
        allow_code: run the code of Lambda layers, after all.

    Raises:
        MissingHere: when there is no Keras here, or the file holds a SavedModel and Keras runs on
            another backend than TensorFlow.
        UnusableInput: when the file cannot be read, or Keras refuses it.
    """
    file = os.fspath(path)
    _check_archive(file)
    if importlib.util.find_spec("keras") is None:
        raise MissingHere(
            "a .keras is read with Keras, which is not installed",
            "run pip install 'lesionlite[export]', or pass a float32 .tflite",
            file,
        )
    with native_noise_logged():
        import keras

        import lesionlite_export.saved_model_layer  # noqa: F401 (registers the layer with Keras)

        try:
            return keras.saving.load_model(path, compile=False, safe_mode=not allow_code)
        except Exception as error:  # Keras raises many kinds for a file that it cannot load
            own = own_fault(error)
            if own is not None:
                raise type(own)(own.problem, own.remedy, file) from error
            raise cannot_load(error, file) from error


def cannot_load(error: BaseException, file: str) -> UnusableInput:
    """The sentence for a file that Keras refused to load with ``error``."""
    text = str(error)
    if "lambda" in text.lower() and "unsafe" in text.lower():
        return UnusableInput(
            "this model holds code of its maker's (a Lambda layer)",
            "save it without, or pass --allow-code if you trust whoever made it",
            file,
        )
    return UnusableInput(
        f"Keras cannot load this model ({_first_line(error)})",
        "save it anew with Keras 3, without layers of your own",
        file,
    )


def keras_outputs(
    network: Any, inputs: Iterable[NDArray[Any]], batch: int = BATCH
) -> Iterator[NDArray[np.float64]]:
    """The network's output for each input, in batches.

    Args:
        network: a Keras model with one output.
        inputs: arrays of the model's input shape without the batch axis.
        batch: inputs that are run at once.

    Yields:
        float64 ``[n]`` with n up to ``batch``; ``[n, units]`` for a network of several units.
    """
    chunk: list[NDArray[Any]] = []
    for value in inputs:
        chunk.append(value)
        if len(chunk) == batch:
            yield _predict(network, chunk)
            chunk = []
    if chunk:
        yield _predict(network, chunk)


def _predict(network: Any, chunk: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
    with no_tracing_warnings(), native_noise_logged():
        outputs = np.asarray(network.predict_on_batch(np.stack(chunk)), np.float64)
    return outputs.reshape(-1) if outputs.shape[-1] == 1 else outputs


def _check_archive(file: str) -> None:
    """Refuse a zip that unpacks to more than it is: Keras unpacks all of it to disk."""
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise UnusableInput(
            "this is no .keras model", "save it with Keras 3 as FILE.keras", file
        ) from error
    stored = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
    if not stored or sum(entry.file_size for entry in entries) > Path(file).stat().st_size:
        raise UnusableInput(
            "the files in this model are compressed, or overlap",
            "save it anew with Keras 3, which compresses nothing",
            file,
        )


def _check_network(network: Any, contract: AnyContract, file: str) -> None:
    # A model that was never built, or a layer alone, has neither.
    inputs: Sequence[Any] = getattr(network, "inputs", None) or ()
    outputs: Sequence[Any] = getattr(network, "outputs", None) or ()
    if len(inputs) != 1 or len(outputs) != 1:
        raise UnusableInput(
            f"the network has {len(inputs)} inputs and {len(outputs)} outputs, not one of each",
            "make a model of the one output that is to be exported",
            file,
        )
    shape = tuple(contract.input.shape[1:])
    units = 1
    if isinstance(contract, LabelsContract):
        units = len(contract.output.labels)
    elif isinstance(contract, ClassifierContract):
        units = contract.output.units or 1
    if tuple(inputs[0].shape[1:]) != shape or tuple(outputs[0].shape[1:]) != (units,):
        raise UnusableInput(
            f"the network maps {list(inputs[0].shape[1:])} to {list(outputs[0].shape[1:])}, "
            f"and its contract {list(shape)} to [{units}]",
            "train the model anew",
            file,
        )
    dtype = "uint8" if isinstance(contract.input, ImageInput) else "float32"
    if inputs[0].dtype != dtype:
        raise UnusableInput(
            f"the network's input is {inputs[0].dtype}, not {dtype}",
            "put the scaling of pixels into the network (a Rescaling layer)",
            file,
        )


def stated_architecture(file: str) -> Any:
    """The architecture JSON as it stands in the ``.keras`` called ``file``."""
    with zipfile.ZipFile(file) as archive:
        return json.loads(archive.read("config.json"))


def _cleaned(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _cleaned(v) for k, v in value.items() if k not in _UNSTABLE_KEYS}
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    return value


def own_fault(error: BaseException | None) -> LesionliteError | None:
    """The fault that a layer of ours raised; Keras wraps it in errors of its own."""
    while error is not None and not isinstance(error, LesionliteError):
        error = error.__cause__ or error.__context__
    return error


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__).strip()
