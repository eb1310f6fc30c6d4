"""The rows of the matrix: which interpreters, kernels and threads, and whose Python runs them."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lesionlite_runtime.errors import UsageError

PYTHON_VARIABLES = {
    "litert": "LESIONLITE_PYTHON_LITERT",
    "tflite-runtime": "LESIONLITE_PYTHON_TFLITE_RUNTIME",
    "tensorflow": "LESIONLITE_PYTHON_TENSORFLOW",
}
"""Backend to the environment variable that names a Python which has it."""


@dataclass(frozen=True)
class Variant:
    """An interpreter with a set of kernels, and the numbers of threads that it is run with.

    Attributes:
        name: what `--row` takes.
        backend: the package, a key of `PYTHON_VARIABLES`.
        kernels: what is asked of it: ``default`` (XNNPACK, as far as this build applies it),
            ``builtin`` (no delegate), ``reference``, or ``compiled`` for LiteRT's CompiledModel.
        threads: a row each.
        slow: whether it runs on a sample of the images alone, unless all are asked for.
        start_seconds: part of the default time limit, for starting and loading.
        seconds_an_image: the rest of it.
    """

    name: str
    backend: str
    kernels: str
    threads: tuple[int, ...]
    slow: bool = False
    start_seconds: float = 60.0
    seconds_an_image: float = 3.0


@dataclass(frozen=True)
class Row:
    """A variant with one number of threads."""

    variant: Variant
    threads: int

    @property
    def name(self) -> str:
        """``VARIANT/THREADS``."""
        return f"{self.variant.name}/{self.threads}"

    def seconds(self, n: int) -> float:
        """The default time limit for ``n`` images: generous, for it is there for what hangs."""
        return self.variant.start_seconds + n * self.variant.seconds_an_image


THREADS = (1, 2, 4)
VARIANTS: Mapping[str, Variant] = {
    variant.name: variant
    for variant in (
        Variant("litert-xnnpack", "litert", "default", THREADS),
        Variant("litert-builtin", "litert", "builtin", THREADS),
        Variant(
            "litert-reference", "litert", "reference", THREADS, slow=True, seconds_an_image=20.0
        ),
        Variant("litert-compiled-model", "litert", "compiled", (1,)),
        Variant("tflite-runtime", "tflite-runtime", "default", (1,)),
        Variant("tensorflow", "tensorflow", "default", (1,), start_seconds=300.0),
    )
}


def rows_of(names: Iterable[str]) -> tuple[Row, ...]:
    """The rows of the variants ``names``, or of all, in the order of `VARIANTS`."""
    chosen = set(names) or set(VARIANTS)
    return tuple(
        Row(variant, threads)
        for variant in VARIANTS.values()
        if variant.name in chosen
        for threads in variant.threads
    )


def parse_pythons(texts: Iterable[str]) -> dict[str, str]:
    """Backend to the Python that runs it: from ``BACKEND=PATH`` texts, else the environment.

    A backend that neither names is looked for in this Python.

    Raises:
        UsageError: when a text is not of that form, a backend is unknown or named twice, or there
            is no such program.
    """
    named: dict[str, str] = {}
    for text in texts:
        backend, _, path = text.partition("=")
        if backend not in PYTHON_VARIABLES or not path:
            raise UsageError(
                f"--python {text} is not of the form BACKEND=PATH",
                f"name one of {', '.join(PYTHON_VARIABLES)}",
            )
        if backend in named:
            raise UsageError(f"--python names {backend} twice", "leave one out")
        named[backend] = _program(path, f"--python {backend}")
    for backend, variable in PYTHON_VARIABLES.items():
        if backend not in named and os.environ.get(variable):
            named[backend] = _program(os.environ[variable], variable)
    return {backend: named.get(backend, sys.executable) for backend in PYTHON_VARIABLES}


def _program(path: str, option: str) -> str:
    found = shutil.which(path)
    if found is None:
        raise UsageError(f"{option}: there is no program {path}", "name a Python interpreter")
    return os.path.abspath(found)  # noqa: PTH100 (a virtual environment's link must not be resolved)
