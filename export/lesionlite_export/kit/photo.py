"""An image file on its way to the network's input, step by step, and what its way leads through."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import JpegImagePlugin

from lesionlite_runtime.contract_fields import ImageInput
from lesionlite_runtime.imagefiles import open_picture
from lesionlite_runtime.imagefiles.picture import Picture
from lesionlite_runtime.imagefiles.png import SIGNATURE
from lesionlite_runtime.pixels import MAX_PIXELS, decode, image_tensor

# What an image exercises. `docs/conformance.md` explains each.
JPEG, PNG, OTHER_FORMAT = "jpeg", "png", "another format"
SUBSAMPLED, PROGRESSIVE = "4:2:0", "progressive"
GREY, CMYK, PALETTE, ALPHA, DEEP, PROFILE = (
    *("grey", "cmyk", "palette", "alpha", "16-bit", "profile"),
)
TURNED, PNG_TURNED, RESIZED, COLORED = ("turned", "turned by a png's exif", "resized", "coloured")

_KINDS = {"L": GREY, "LA": GREY, "1": GREY, "CMYK": CMYK, "P": PALETTE, "I": GREY, "I;16": GREY}
_DEPTH_AT = 24  # of a PNG's bit depth
_SUBSAMPLINGS = {1: "4:2:2", 2: SUBSAMPLED}


@dataclass(frozen=True)
class Photo:
    """An image file's bytes, and the input of the network that it is for."""

    data: bytes
    target: ImageInput

    @cached_property
    def picture(self) -> Picture:
        """Decoded, neither in sRGB nor upright."""
        return open_picture(self.data, MAX_PIXELS)

    @cached_property
    def upright(self) -> NDArray[np.uint8]:
        """uint8 ``[h, w, 3]`` in sRGB, turned upright."""
        return decode(self.data)

    @cached_property
    def tensor(self) -> NDArray[np.uint8]:
        """uint8 ``[H, W, 3]``: what the network gets.

        Raises:
            UnusableInput: see `image_tensor`.
        """
        target = self.target
        return image_tensor(self.data, target.height, target.width, target.resize, target.fit)

    @property
    def is_jpeg(self) -> bool:
        """Whether the file is one."""
        return self.data.startswith(b"\xff\xd8\xff")

    @property
    def is_png(self) -> bool:
        """Whether the file is one."""
        return self.data.startswith(SIGNATURE)

    @property
    def is_deep(self) -> bool:
        """Whether this is a PNG of 16 bits a sample."""
        return self.is_png and self.data[_DEPTH_AT] == 16

    @cached_property
    def features(self) -> tuple[str, ...]:
        """What of the way to the network's input this image exercises, in the way's order."""
        picture = self.picture
        image = picture.image
        found = [JPEG if self.is_jpeg else PNG if self.is_png else OTHER_FORMAT]
        if isinstance(image, JpegImagePlugin.JpegImageFile):
            sampling = _SUBSAMPLINGS.get(JpegImagePlugin.get_sampling(image))
            found += [sampling] if sampling else []
            found += [PROGRESSIVE] if "progressive" in image.info else []
        if image.mode in _KINDS:
            found.append(_KINDS[image.mode])
        if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info or picture.clear:
            found.append(ALPHA)
        if self.is_deep:
            found.append(DEEP)
        if picture.icc is not None:
            found.append(PROFILE)
        if picture.orientation != 1:
            found += [TURNED, PNG_TURNED] if self.is_png else [TURNED]
        if self.upright.shape[:2] != (self.target.height, self.target.width):
            found.append(RESIZED)
        if np.ptp(self.tensor, axis=2).any():
            found.append(COLORED)
        return tuple(found)
