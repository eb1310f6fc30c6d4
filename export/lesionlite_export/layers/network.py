"""A ``.tflite`` as it is run here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from lesionlite_runtime.graph import Graph


@dataclass(frozen=True)
class Network:
    """A ``.tflite``, float or quantized, and how it is fed.

    Attributes:
        flatbuffer: its bytes.
        graph: what is in them.
        input_name: the signature's name for its input.
        feed: makes an input of the set into the file's own input.
        file: its name, for errors.
    """

    flatbuffer: bytes
    graph: Graph
    input_name: str
    feed: Callable[[NDArray[Any]], NDArray[Any]]
    file: str
