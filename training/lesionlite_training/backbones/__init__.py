"""The backbones: networks that turn a scaled image into a vector of features.

Every module of this folder adds its backbones with ``@register(...)``; a new file is found without
naming it anywhere. Importing this package imports neither Keras nor TensorFlow.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lesionlite_runtime.errors import UsageError

if TYPE_CHECKING:
    import keras

_REGISTRY: dict[str, Backbone] = {}


@dataclass(frozen=True)
class Backbone:
    """What the trainer must know of a backbone before it builds one.

    Attributes:
        name: as given to ``--backbone`` and written into the contract.
        input_size: side of the square RGB image in pixels.
        scale: the network takes ``x * scale + offset`` for a pixel x in 0..255.
        offset: see ``scale``.
        feature_size: length of the feature vector.
        licence: of the pretrained weights, as an SPDX identifier.
        weights: where the pretrained weights come from.
        factory: builds the network; True loads the pretrained weights.
    """

    name: str
    input_size: int
    scale: float
    offset: float
    feature_size: int
    licence: str
    weights: str
    factory: Callable[[bool], keras.Model]

    def build(self, *, pretrained: bool = True) -> keras.Model:
        """A Keras model: float32 ``[n, input_size, input_size, 3]``, scaled, to features.

        Args:
            pretrained: load the published weights; else they are random, from Keras' seed.

        Returns:
            A model whose output is float32 ``[n, feature_size]``.

        Raises:
            MissingHere: Keras or the package with the weights is not installed.
            UnusableInput: the file with the weights is damaged.
        """
        return self.factory(pretrained)


def register(
    *,
    name: str,
    input_size: int,
    scale: float,
    offset: float,
    feature_size: int,
    licence: str,
    weights: str,
) -> Callable[[Callable[[bool], keras.Model]], Callable[[bool], keras.Model]]:
    """Decorates the factory of a backbone; the arguments are the fields of `Backbone`."""

    def add(factory: Callable[[bool], keras.Model]) -> Callable[[bool], keras.Model]:
        _REGISTRY[name] = Backbone(
            name, input_size, scale, offset, feature_size, licence, weights, factory
        )
        return factory

    return add


def backbone_names() -> tuple[str, ...]:
    """The names of all backbones, sorted."""
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        importlib.import_module(module.name)
    return tuple(sorted(_REGISTRY))


def get_backbone(name: str) -> Backbone:
    """The backbone called ``name``.

    Raises:
        UsageError: there is none of that name; the sentence names the nearest ones.
    """
    names = backbone_names()
    if name not in names:
        near = difflib.get_close_matches(name, names) or names
        raise UsageError(f"unknown backbone {name!r}", f"use one of: {', '.join(near)}")
    return _REGISTRY[name]
