"""Backends behind one protocol: LiteRT first, tflite-runtime where it is missing."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lesionlite_runtime.door import DeviceModel
from lesionlite_runtime.errors import MissingHere, UnusableInput, UsageError
from lesionlite_runtime.graph import SIGNATURE_KEY

BACKENDS = {"litert": "ai_edge_litert", "tflite-runtime": "tflite_runtime"}
"""Backend name to import package, in the order in which they are tried."""

MAX_THREADS = 256
"""Interpreters crash when they are asked for tens of thousands."""

INSTALL = {
    "litert": "pip install ai-edge-litert",
    "tflite-runtime": "pip install 'lesionlite[tflite-runtime]' (Python 3.11, NumPy 1)",
}


class Backend(Protocol):
    """A loaded model that runs."""

    @property
    def name(self) -> str:
        """``litert`` or ``tflite-runtime``."""

    def invoke(self, value: NDArray[Any]) -> NDArray[Any]:
        """The model's output for ``value``, an array of the contract's input shape: ``[units]``.

        It may be called from several threads: they take turns.

        Raises:
            UnusableInput: when the interpreter fails.
        """


@dataclass(frozen=True)
class _Interpreter:
    name: str
    runner: Any
    model: DeviceModel
    # Input and output lie in the interpreter's own memory: a second call would overwrite them.
    turn: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def invoke(self, value: NDArray[Any]) -> NDArray[Any]:
        contract = self.model.contract
        try:
            with self.turn:
                output = self.runner(**{contract.input.name: value})[contract.output.name]
            return np.asarray(output).reshape(-1)
        except (ValueError, RuntimeError, MemoryError) as error:
            raise _cannot_run(self.name, self.model, error) from error


def installed_backends() -> list[str]:
    """Names of the backends that are installed here, in the order in which they are tried."""
    return [name for name, module in BACKENDS.items() if importlib.util.find_spec(module)]


def open_backend(model: DeviceModel, backend: str | None = None, threads: int = 1) -> Backend:
    """``model`` loaded in ``backend``, or in the first one that is installed.

    Raises:
        UsageError: for an unknown backend, or threads outside 1 to `MAX_THREADS`.
        MissingHere: when the backend, or any at all, is not installed or does not load.
        UnusableInput: when the backend cannot run the model.
    """
    if backend is not None and backend not in BACKENDS:
        raise UsageError(f"there is no backend {backend!r}", f"pass {' or '.join(BACKENDS)}")
    if not 1 <= threads <= MAX_THREADS:
        few = "few" if threads < 1 else "many"
        raise UsageError(f"{threads} threads are too {few}", f"pass 1 to {MAX_THREADS}")
    installed = installed_backends()
    chosen = backend or next(iter(installed), None)
    if chosen is None or chosen not in installed:
        wanted = chosen or "litert"
        raise MissingHere(
            f"the interpreter {wanted} is not installed",
            f"run {INSTALL[wanted]}",
        )
    return _load(model, chosen, threads)


def _load(model: DeviceModel, backend: str, threads: int) -> Backend:
    package = BACKENDS[backend]
    try:
        module = importlib.import_module(f"{package}.interpreter")
    except (ImportError, AttributeError) as error:
        raise _does_not_load(backend, error) from error
    try:
        with _native_stderr_held():
            interpreter = module.Interpreter(model_content=model.flatbuffer, num_threads=threads)
            interpreter.allocate_tensors()
            runner = interpreter.get_signature_runner(SIGNATURE_KEY)
    except SystemError as error:  # tflite-runtime 2.14 beside NumPy 2 imports and then fails here
        raise _does_not_load(backend, error) from error
    except (ValueError, RuntimeError, MemoryError) as error:
        raise _cannot_run(backend, model, error) from error
    return _Interpreter(backend, runner, model)


def _cannot_run(backend: str, model: DeviceModel, error: BaseException) -> UnusableInput:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return UnusableInput(
        f"{backend} cannot run this model ({reason})",
        "try another --backend, or a newer version of it",
        model.path,
    )


def _does_not_load(backend: str, error: BaseException) -> MissingHere:
    return MissingHere(
        f"the interpreter {backend} is installed but does not load ({error})",
        f"run {INSTALL[backend]}",
    )


@contextlib.contextmanager
def _native_stderr_held() -> Iterator[None]:
    """Hold back what native code writes to stderr while a model loads.

    LiteRT announces its delegates there, and an offline tool's stderr is for faults. What a failed
    load wrote is in the exception.
    """
    try:
        sys.stderr.flush()
        saved = os.dup(2)
    except (OSError, ValueError, AttributeError):
        yield
        return
    try:
        with open(os.devnull, "wb") as sink:  # noqa: PTH123 (os.devnull is a string)
            os.dup2(sink.fileno(), 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
