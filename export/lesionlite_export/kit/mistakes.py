"""The mistakes that ports of the pixels make, each as the tensor that it gives for a photo."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.kit import wrong_decoding as decoding
from lesionlite_export.kit.photo import Photo
from lesionlite_export.kit.stages import COLOR, DECODE, ORIENTATION, RANGE, RESIZE
from lesionlite_export.kit.wrong_frame import OF_ANY_IMAGE, ORIENTATION_WAYS, RESIZE_WAYS
from lesionlite_export.kit.wrong_values import COLOR_WAYS, range_tables
from lesionlite_runtime.contract_fields import ImageInput
from lesionlite_runtime.graph import TensorInfo
from lesionlite_runtime.image_model import input_table

Pixels = NDArray[np.uint8]
Way = Callable[[Photo], "Pixels | None"]

DECODE_WAYS: Mapping[str, tuple[Way, str]] = {
    "scaled-decoding": (
        decoding.scaled_decoding,
        "the JPEG is decoded at a fraction of its size (inSampleSize, draft)",
    ),
    "profile-ignored": (decoding.profile_ignored, "the colour profile is not applied"),
    "grey-in-red": (decoding.grey_in_red, "a grey image is put into red alone"),
    "palette-indices": (
        decoding.palette_indices,
        "the numbers of a palette's colours are taken for grey",
    ),
    "inks-inverted": (decoding.inks_inverted, "the inks of a CMYK image are inverted"),
    "black-ink-dropped": (decoding.black_ink_dropped, "the black ink of a CMYK image is left out"),
    "low-bytes": (decoding.low_bytes, "of 16 bits the lower 8 are taken, not the upper"),
    "deep-clipped": (decoding.deep_clipped, "16-bit values are cut off at 255"),
    "alpha-dropped": (decoding.alpha_dropped, "transparency is dropped, not put on white"),
    "alpha-on-black": (decoding.alpha_on_black, "transparent parts are put on black, not on white"),
}
_WAYS: tuple[tuple[str, Mapping[str, tuple[Way, str]]], ...] = (
    (DECODE, DECODE_WAYS),
    (ORIENTATION, ORIENTATION_WAYS),
    (RESIZE, RESIZE_WAYS),
    (COLOR, COLOR_WAYS),
)


@dataclass(frozen=True)
class Mistake:
    """A mistake by name, the stage that it is made at, and a sentence that says what it is."""

    name: str
    stage: str
    sentence: str


@dataclass(frozen=True)
class PixelMistake(Mistake):
    """One that shows in the pixels; ``is_of_any``: of any image, not of those of one kind."""

    way: Way
    is_of_any: bool = False

    def tensor(self, photo: Photo) -> Pixels | None:
        """What the port hands over for ``photo``; None where that is right."""
        found = self.way(photo)
        return None if found is None or np.array_equal(found, photo.tensor) else found


@dataclass(frozen=True)
class RangeMistake(Mistake):
    """One that is made of right pixels: ``table`` ``[256, 3]`` is what each value becomes."""

    table: NDArray[np.generic]
    color: str

    def value(self, tensor: Pixels) -> NDArray[np.generic]:
        """The input ``[1, H, W, 3]`` for right pixels ``[H, W, 3]``."""
        ordered = tensor[..., ::-1] if self.color == "BGR" else tensor
        return self.table[ordered, [0, 1, 2]][np.newaxis]


def pixel_mistakes() -> tuple[PixelMistake, ...]:
    """Every mistake that shows in pixels, in the order of the stages."""
    return tuple(
        PixelMistake(name, stage, sentence, way, name in OF_ANY_IMAGE)
        for stage, ways in _WAYS
        for name, (way, sentence) in ways.items()
    )


def range_mistakes(image: ImageInput, tensor: TensorInfo | None = None) -> tuple[RangeMistake, ...]:
    """The mistakes that give the model's input other values.

    Args:
        image: the contract's input.
        tensor: the file's; not needed where the input takes bytes as they are.
    """
    right = None if tensor is None else input_table(image, tensor)
    tables = range_tables(image, tensor, right)
    return tuple(
        RangeMistake(name, RANGE, sentence, table, image.color)
        for name, (table, sentence) in tables.items()
    )


def byte_range_mistakes(image: ImageInput) -> Iterator[PixelMistake]:
    """Those of them that show in the pixels already, where the input takes bytes as they are."""
    if image.range is not None:
        return
    for mistake in range_mistakes(image):
        yield PixelMistake(mistake.name, mistake.stage, mistake.sentence, _as_pixels(mistake.table))


def _as_pixels(table: NDArray[np.generic]) -> Way:
    def way(photo: Photo) -> Pixels:
        return np.asarray(table[photo.tensor, [0, 1, 2]], np.uint8)

    return way
