"""Ways to read the samples of an image file wrongly."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin, PngImagePlugin

from lesionlite_export.kit.photo import Photo
from lesionlite_runtime.color import to_rgb
from lesionlite_runtime.resize import resize

Pixels = NDArray[np.uint8]


def scaled_decoding(photo: Photo) -> Pixels | None:
    """A JPEG decoded at a half, a quarter or an eighth of its size, then resized."""
    if not photo.is_jpeg:
        return None
    picture, target = photo.picture, photo.target
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(photo.data))
    wanted = (target.width, target.height)
    image.draft(image.mode, wanted if picture.orientation < 5 else wanted[::-1])
    if image.size == picture.image.size:
        return None
    image.load()
    return _resized(photo, to_rgb(replace(picture, image=image)))


def profile_ignored(photo: Photo) -> Pixels | None:
    """The samples taken for sRGB as they are."""
    if photo.picture.icc is None:
        return None
    return _resized(photo, to_rgb(replace(photo.picture, icc=None)))


def grey_in_red(photo: Photo) -> Pixels | None:
    """The one channel of a grey image put into red alone."""
    if photo.picture.image.mode not in ("L", "1"):
        return None
    red = np.zeros_like(photo.upright)
    red[..., 0] = photo.upright[..., 0]
    return _resized(photo, red)


def palette_indices(photo: Photo) -> Pixels | None:
    """The numbers of a palette's colours taken for grey."""
    image = photo.picture.image
    if image.mode != "P":
        return None
    indices = Image.fromarray(np.asarray(image))
    return _resized(photo, to_rgb(replace(photo.picture, image=indices)))


def inks_inverted(photo: Photo) -> Pixels | None:
    """Full ink taken for none: Adobe's inverted CMYK not turned round, or turned round twice."""
    image = photo.picture.image
    if image.mode != "CMYK":
        return None
    inverted = Image.fromarray(255 - np.asarray(image), "CMYK")
    return _resized(photo, to_rgb(replace(photo.picture, image=inverted, icc=None)))


def black_ink_dropped(photo: Photo) -> Pixels | None:
    """Cyan, magenta and yellow read as an RGB negative, black left out."""
    image = photo.picture.image
    if image.mode != "CMYK":
        return None
    colors = Image.fromarray(255 - np.asarray(image)[..., :3])
    return _resized(photo, to_rgb(replace(photo.picture, image=colors, icc=None)))


def low_bytes(photo: Photo) -> Pixels | None:
    """Of 16 bits the lower 8: the value cast to a byte."""
    if not photo.is_deep:
        return None
    return _resized(photo, to_rgb(replace(photo.picture, image=_low_bytes(photo))))


def deep_clipped(photo: Photo) -> Pixels | None:
    """Of 16 bits the value, 255 where it is more: the value cast to a byte with saturation."""
    if not photo.is_deep:
        return None
    picture = photo.picture
    high = to_rgb(replace(picture, icc=None))
    low = to_rgb(replace(picture, image=_low_bytes(photo), icc=None))
    return _resized(photo, np.where(high > 0, np.uint8(255), low))


def alpha_dropped(photo: Photo) -> Pixels | None:
    """The colours behind transparency shown."""
    image = photo.picture.image
    if image.mode not in ("LA", "RGBA"):
        return None
    return _resized(photo, to_rgb(replace(photo.picture, image=image.convert(image.mode[:-1]))))


def alpha_on_black(photo: Photo) -> Pixels | None:
    """Transparent parts on black."""
    image = photo.picture.image
    if image.mode not in ("LA", "RGBA"):
        return None
    black = Image.new("RGB", image.size)
    black.paste(image.convert("RGB"), mask=image.getchannel("A"))
    return _resized(photo, to_rgb(replace(photo.picture, image=black)))


def _low_bytes(photo: Photo) -> Image.Image:
    image = PngImagePlugin.PngImageFile(io.BytesIO(photo.data))
    if image.mode in ("I", "I;16"):
        return Image.fromarray((np.asarray(image).astype(np.uint16) & 255).astype(np.uint8))
    # Pillow narrows 16-bit colour as it decodes. Told that the bytes lie the other way round, it
    # keeps the lower ones.
    for number, tile in enumerate(image.tile):
        parts = (*tile[:3], str(tile[3]).replace("16B", "16L"))
        named = hasattr(tile, "_fields")  # from Pillow 11 on
        image.tile[number] = type(tile)(*parts) if named else parts  # type: ignore[assignment]
    image.load()
    return image


def _resized(photo: Photo, upright: Pixels) -> Pixels:
    target = photo.target
    return resize(upright, target.height, target.width, target.resize)
