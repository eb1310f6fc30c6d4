"""The backbones: networks that turn a scaled image into a vector of features.

Every module of this folder adds its backbones with ``@register(...)``; a new file is found without
naming it anywhere. Importing this package imports neither Keras nor TensorFlow. What is no name of
the registry may be the path of a SavedModel or a ``.keras`` file, or a URL of TensorFlow Hub.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lesionlite_runtime.errors import MissingHere, UsageError
from lesionlite_training.hub import is_handle

if TYPE_CHECKING:
    import keras

UNKNOWN_LICENCE = "LicenseRef-unknown"
"""The licence of weights that the user brings; only the user can know it."""

ValueRange = tuple[float, float]
Factory = Callable[[bool, int], "keras.Model"]
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
        factory: builds the network for images of the given side; True loads the pretrained weights.
        fixed_size: the network takes no other side than ``input_size``.
        smallest_size: the smallest side that it takes.
    """

    name: str
    input_size: int
    scale: float
    offset: float
    feature_size: int
    licence: str
    weights: str
    factory: Factory
    fixed_size: bool = False
    smallest_size: int = 32

    def build(self, *, pretrained: bool = True, size: int | None = None) -> keras.Model:
        """A Keras model: float32 ``[n, size, size, 3]``, scaled, to features.

        Args:
            pretrained: load the published weights; else they are random, from Keras' seed.
            size: side of the images; by default ``input_size``. Layers, their names and their
                weights are the same for every size.

        Returns:
            A model whose output is float32 ``[n, feature_size]``.

        Raises:
            MissingHere: Keras or the weights are not here, and cannot be downloaded.
            UnusableInput: the file with the weights is damaged.
            UsageError: the backbone does not take images of this size, or has no random weights.
        """
        side = self.input_size if size is None else size
        self.check_size(side)
        return self.factory(pretrained, side)

    def check_size(self, size: int) -> None:
        """Refuse a side that the network does not take.

        Raises:
            UsageError: see above.
        """
        if self.fixed_size and size != self.input_size:
            raise UsageError(
                f"the backbone {self.name} takes images of {self.input_size} pixels alone, "
                f"not of {size}",
                "use its own size, or another backbone",
            )
        if size < self.smallest_size:
            raise UsageError(
                f"images of {size} pixels are too small for the backbone {self.name}",
                f"use {self.smallest_size} or more",
            )


def register(
    *,
    name: str,
    input_size: int,
    scale: float,
    offset: float,
    feature_size: int,
    licence: str,
    weights: str,
    fixed_size: bool = False,
    smallest_size: int = 32,
) -> Callable[[Factory], Factory]:
    """Decorates the factory of a backbone; the arguments are the fields of `Backbone`."""

    def add(factory: Factory) -> Factory:
        _REGISTRY[name] = Backbone(
            name=name,
            input_size=input_size,
            scale=scale,
            offset=offset,
            feature_size=feature_size,
            licence=licence,
            weights=weights,
            factory=factory,
            fixed_size=fixed_size,
            smallest_size=smallest_size,
        )
        return factory

    return add


def backbone_names() -> tuple[str, ...]:
    """The names of all backbones of the registry, sorted."""
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        importlib.import_module(module.name)
    return tuple(sorted(_REGISTRY))


def get_backbone(
    name: str, *, value_range: ValueRange | None = None, size: int | None = None
) -> Backbone:
    """The backbone called ``name``, or the one that lies at the path or URL ``name``.

    Args:
        name: of the registry; or the folder of a SavedModel, a ``.keras`` file, or an https URL of
            TensorFlow Hub. A name of the registry wins over a folder of the same name.
        value_range: for a path or URL, what pixels of 0 and 255 become; by default 0 and 1, or as
            they are where the network takes uint8.
        size: side of the images; by default the network's own.

    Raises:
        MissingHere: for a path or URL, when TensorFlow or the download is missing.
        UnusableInput: when what lies there is no feature extractor.
        UsageError: there is none of that name (the sentence names the nearest ones), it takes no
            images of ``size``, or its range is known and another was passed.
    """
    names = backbone_names()
    if name in names:
        backbone = _REGISTRY[name]
        if value_range is not None:
            raise UsageError(
                f"the range of values of the backbone {name} is known", "do not pass another"
            )
        if size is None:
            return backbone
        backbone.check_size(size)
        return replace(backbone, input_size=size)
    if is_handle(name):
        return _at(name, value_range, size)
    near = difflib.get_close_matches(name, names) or names
    raise UsageError(
        f"unknown backbone {name!r}",
        f"use one of: {', '.join(near)}; or the path of a SavedModel or .keras file",
    )


def scaling(value_range: ValueRange | None, input_type: str) -> tuple[float, float]:
    """``(scale, offset)`` that bring pixels of 0 and 255 to the ends of ``value_range``.

    Args:
        value_range: its low and high end; by default 0 and 1, or 0 and 255 for uint8.
        input_type: the type that the network takes.

    Raises:
        UsageError: when the low end is not below the high one, or another range is asked of a
            network that takes uint8.
    """
    pixels = (0.0, 255.0)
    if input_type == "uint8" and value_range not in (None, pixels):
        raise UsageError("this network takes pixels of 0 to 255 as they are", "pass no range")
    low, high = value_range or (pixels if input_type == "uint8" else (0.0, 1.0))
    if not -1e6 < low < high < 1e6:
        raise UsageError(f"{low:g} to {high:g} is no range of values", "pass the low end first")
    return (high - low) / 255, low


def needs_keras() -> Any:
    """The module ``keras``.

    Raises:
        MissingHere: when it is not installed.
    """
    try:
        import keras
    except ImportError as fault:
        raise MissingHere(
            "Keras is not installed", "run: pip install 'lesionlite[training]'"
        ) from fault
    return keras


def _at(handle: str, value_range: ValueRange | None, size: int | None) -> Backbone:
    # These modules import this one.
    from lesionlite_training.backbones.keras_files import keras_file_backbone
    from lesionlite_training.backbones.saved_models import saved_model_backbone

    if handle.endswith(".keras") and not Path(handle).is_dir():
        return keras_file_backbone(Path(handle), value_range, size)
    return saved_model_backbone(handle, value_range, size)
