"""Input and outputs of a Keras model by its config, the JSON in ``.keras`` and HDF5 files.

Keras 2 and 3 write it in two dialects; both are read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_SCALING = ("Rescaling", "Normalization")
_KNOWN = ("sigmoid", "softmax", "linear")
_PASSING = ("Dropout", "Flatten")
Config = Mapping[str, Any]


def config_facts(model: Config) -> dict[str, Any]:
    """The facts of `ModelFacts` that the config of a Functional or Sequential model holds.

    Of a model of several inputs their number alone.
    """
    inputs = _input_count(model)
    if inputs > 1:
        return {"inputs": inputs}
    first, rest = _first(model)
    shape = _batch_shape(first)
    units, activation = _ending(model)
    return {
        "input_shape": None if shape is None else tuple(shape[1:]),
        "input_dtype": _dtype(first),
        "units": units,
        "activation": activation,
        "scaling": rest["class_name"] if rest and rest["class_name"] in _SCALING else None,
    }


def _input_count(model: Config) -> int:
    """How many inputs a functional model names; 1 for any other."""
    config = model["config"]
    named = config.get("input_layers") if isinstance(config, dict) else None
    if isinstance(named, list) and named and not isinstance(named[0], list):
        return 1  # [name, node, tensor]; several are a list or a mapping of these
    return len(named) if isinstance(named, list | dict) and named else 1


def _layers(model: Config) -> Sequence[Config]:
    config = model["config"]
    layers = config if isinstance(config, list) else config["layers"]
    return list(layers)


def _first(model: Config) -> tuple[Config | None, Config | None]:
    """The input layer, or the layer that states the input's shape, and what follows it."""
    layers = _layers(model)
    if not layers:
        return None, None
    if layers[0]["class_name"] == "InputLayer":
        follower = layers[1] if len(layers) > 1 else None
        if follower is not None and _is_model(follower):
            _, follower = _first(follower)
        return layers[0], follower
    if _is_model(layers[0]):
        return _first(layers[0])
    if _batch_shape(layers[0]) is not None:
        return layers[0], layers[0]
    return {"class_name": "", "config": {"batch_shape": _build_shape(model)}}, layers[0]


def _build_shape(model: Config) -> Any:
    config = model["config"]
    own = config.get("build_input_shape") if isinstance(config, dict) else None
    return own or (model.get("build_config") or {}).get("input_shape")


def _is_model(layer: Config) -> bool:
    return layer["class_name"] in ("Functional", "Model", "Sequential")


def _batch_shape(layer: Config | None) -> Any:
    config = {} if layer is None else layer["config"]
    return config.get("batch_shape") or config.get("batch_input_shape")


def _dtype(layer: Config | None) -> str | None:
    """The input's type; a layer that states a shape alone takes what Keras gives it, float32."""
    if layer is None:
        return None
    if layer["class_name"] != "InputLayer":
        return "float32"
    found = layer["config"].get("dtype")
    return found if isinstance(found, str) else None


def _ending(model: Config) -> tuple[int | None, str | None]:
    """Units and function of the layer that the model's one output comes from."""
    layers = {layer["config"]["name"]: layer for layer in _layers(model)}
    names = list(layers)
    name, activation = _output_name(model, names), "linear"
    for _ in names:
        layer = layers[name]
        if _is_model(layer):
            units, inner = _ending(layer)
            return units, inner if activation == "linear" else activation
        found = _function(layer)
        if activation == "linear":
            if found is None:
                return _units(layer), None
            activation = found
        if layer["class_name"] not in ("Activation", "Softmax", *_PASSING):
            return _units(layer), activation
        name = _before(layer, names)
    return None, None


def _units(layer: Config) -> int | None:
    return int(layer["config"]["units"]) if layer["class_name"] == "Dense" else None


def _function(layer: Config) -> str | None:
    """The function of a layer: one of `_KNOWN`, None for any other."""
    kind = layer["class_name"]
    if kind == "Softmax":
        return "softmax"
    if kind in _PASSING:
        return "linear"
    if kind not in ("Dense", "Activation"):
        return None
    found = layer["config"].get("activation")
    if isinstance(found, Mapping):
        inner = found.get("config")
        found = inner if isinstance(inner, str) else str(found.get("class_name", "")).lower()
    return found if found in _KNOWN else None


def _output_name(model: Config, names: Sequence[str]) -> str:
    config = model["config"]
    outputs = config.get("output_layers") if isinstance(config, dict) else None
    if not outputs:
        return names[-1]
    first = outputs[0]
    if isinstance(first, list) and len(outputs) > 1:
        raise ValueError("there are several outputs")
    return str(first[0] if isinstance(first, list) else first)


def _before(layer: Config, names: Sequence[str]) -> str:
    """The layer whose output ``layer`` takes: by its inbound nodes, or the one listed before it."""
    nodes = layer.get("inbound_nodes")
    if not nodes:
        return names[names.index(layer["config"]["name"]) - 1]
    node = nodes[0]
    if isinstance(node, Mapping):
        return str(node["args"][0]["config"]["keras_history"][0])
    return str(node[0][0])
