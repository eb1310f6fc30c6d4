"""Names of layers that TensorFlow's converter does not take, such as ``_stem`` or ``conv 1``.

Keras takes them, and so does training. The converter names scopes after them, fails, and hides why.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from lesionlite_runtime.errors import UnusableInput, printable

# tf.name_scope's own pattern, for a scope at the root.
_SCOPE = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*\Z")
_REFUSED = re.compile(r"[^A-Za-z0-9_.-]")


def all_layers(network: Any) -> Iterator[Any]:
    """Every layer of a Keras model, those of models within it included."""
    for layer in getattr(network, "layers", ()):
        yield layer
        yield from all_layers(layer)


def check_layer_names(network: Any, file: str) -> None:
    """Refuse a network with a layer whose name the converter does not take.

    Raises:
        UnusableInput: when there is one.
    """
    refused = [name for name in _scopes(network) if not _SCOPE.match(name)]
    if refused:
        raise UnusableInput(
            f"TensorFlow's converter does not take the name {printable(refused[0])!r} of a layer",
            "give it one of letters, digits, dots and dashes",
            file,
        )


def with_plain_names(network: Any) -> Any:
    """``network``, or where the converter would refuse it a copy under other names.

    The copy has the same weights. A network of layers that cannot be made anew stays as it is.
    """
    names = [network.name, *_scopes(network)]
    if all(_SCOPE.match(name) for name in names):
        return network
    try:
        copy = _Renamer(names).copy(network)
        copy.set_weights(network.get_weights())
    except Exception:  # whatever a layer of its maker's raises; the converter's sentence follows
        return network
    return copy


def _scopes(network: Any) -> list[str]:
    """The names of layers that compute something: inputs make no scope."""
    return [layer.name for layer in all_layers(network) if type(layer).__name__ != "InputLayer"]


class _Renamer:
    """Makes layers anew, those under a refused name with a plain one."""

    def __init__(self, taken: list[str]) -> None:
        self._taken = set(taken)

    def copy(self, layer: Any) -> Any:
        import keras

        if hasattr(layer, "layers"):
            made = keras.models.clone_model(layer, clone_function=self.copy)
            made.name = self._plain(layer.name)
            return made
        return type(layer).from_config({**layer.get_config(), "name": self._plain(layer.name)})

    def _plain(self, name: str) -> str:
        if _SCOPE.match(name):
            return name
        number, plain = 1, f"layer{_REFUSED.sub('_', name)}"
        free = plain
        while free in self._taken:
            number += 1
            free = f"{plain}_{number}"
        self._taken.add(free)
        return free
