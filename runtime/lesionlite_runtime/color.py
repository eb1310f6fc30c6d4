"""From a decoded picture to upright sRGB: sample depth, ink, ICC profile, alpha, orientation."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, features

from lesionlite_runtime.errors import MissingHere
from lesionlite_runtime.imagefiles.picture import Picture, unsupported

# An RGB or grey profile that moves none of the probed colours by more than this is sRGB already.
# Published sRGB profiles differ from each other by 1; the other step is for LittleCMS's builds.
_SAME_COLOR = 2
_SPACES = {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK"}
_PROFILE_CLASSES = ("scnr", "mntr", "prtr", "spac")
_NO_OPTIMIZATION = 0x0100  # LittleCMS's cmsFLAGS_NOOPTIMIZE; Pillow names it from 10.1 on
_ROWS = 256  # rows at a time where a wider type is needed

# What a profile is probed with: every grey, and of the colours also a cube with 18 steps a side
_GREYS = np.arange(256, dtype=np.uint8)[:, None]
_STEPS = np.arange(0, 256, 15, dtype=np.uint8)
_CUBE = np.stack(np.meshgrid(_STEPS, _STEPS, _STEPS, indexing="ij"), axis=-1).reshape(-1, 1, 3)
_COLORS = np.concatenate([np.repeat(_GREYS[:, :, None], 3, axis=2), _CUBE])


def to_rgb(picture: Picture) -> NDArray[np.uint8]:
    """Turn a picture into pixels.

    Returns:
        uint8 ``[H, W, 3]``, sRGB, upright, C-contiguous, read-only.

    Raises:
        UnusableInput: a pixel mode without an agreed meaning in 8-bit RGB.
        MissingHere: the image has a profile and Pillow was built without LittleCMS.
    """
    image, alpha = _split_alpha(picture)
    rgb = _to_srgb(image, picture.icc)
    if alpha is not None:
        # over white, as a browser or a print shows it; paste rounds to nearest
        paper = Image.new("RGB", rgb.size, (255, 255, 255))
        paper.paste(rgb, mask=alpha)
        rgb = paper
    pixels = _upright(np.asarray(rgb), picture.orientation)
    pixels.flags.writeable = False
    return pixels


def _split_alpha(picture: Picture) -> tuple[Image.Image, Image.Image | None]:
    """The colours in mode L, RGB or CMYK, and the alpha in mode L where there is one."""
    image = picture.image
    if image.mode == "1":
        image = image.convert("L")
    elif image.mode == "I" or image.mode.startswith("I;16"):
        # 16 bits: the high byte, as Pillow and libpng take it of 16-bit colour. Pillow before 11
        # gives a 16-bit grey PNG the mode I.
        high = np.asarray(image).astype(np.uint16) >> 8
        image = Image.fromarray(high.astype(np.uint8))
    elif image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    elif image.mode in ("PA", "RGBa"):
        image = image.convert("RGBA")
    elif image.mode == "La":
        image = image.convert("LA")
    if picture.clear is not None:
        keyed = np.asarray(image).reshape(image.height, image.width, -1) != picture.clear
        return image, Image.fromarray(keyed.any(axis=2).astype(np.uint8) * 255)
    if image.mode in ("LA", "RGBA"):
        return image.convert(image.mode[:-1]), image.getchannel("A")
    if image.mode not in ("L", "RGB", "CMYK"):
        raise unsupported(f"an image of the kind {image.mode}")
    return image, None


def _to_srgb(image: Image.Image, icc: bytes | None) -> Image.Image:
    if icc is not None:
        converted = _through_profile(image, icc)
        if converted is not None:
            return converted
    if image.mode == "CMYK":
        return _ink_to_rgb(image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _through_profile(image: Image.Image, icc: bytes) -> Image.Image | None:
    """The image in sRGB; None where its samples are to be taken for sRGB as they are."""
    transform = _transform(icc, image.mode)
    if transform is None:
        return None
    if image.mode != "CMYK":
        probed = _GREYS if image.mode == "L" else _COLORS
        moved = np.asarray(ImageCms.applyTransform(Image.fromarray(probed), transform))
        apart = moved.astype(np.int16) - probed.reshape(len(probed), 1, -1)
        if np.abs(apart).max() <= _SAME_COLOR:
            return None
        if image.mode == "L":
            return Image.fromarray(moved[:, 0][np.asarray(image)])
    return ImageCms.applyTransform(image, transform)


def _transform(icc: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The way to sRGB, relative colorimetric, without black point compensation.

    None where the profile is broken, of another colour space than the pixels, or of a class that
    describes no pixels.
    """
    if not features.check("littlecms2"):
        raise MissingHere(
            "the image has a colour profile, and Pillow was built without LittleCMS",
            "install Pillow's wheel from PyPI, or save the image as sRGB without a profile",
        )
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        space = source.profile.xcolor_space.strip()
        if _SPACES.get(space) != mode or source.profile.device_class not in _PROFILE_CLASSES:
            return None
        # LittleCMS's optimisation is up to 10 off in dark grey; the 256 greys can do without it
        flags: Any = _NO_OPTIMIZATION if mode == "L" else 0
        target = ImageCms.createProfile("sRGB")
        intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
        return ImageCms.buildTransform(source, target, mode, "RGB", intent, flags)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


def _ink_to_rgb(image: Image.Image) -> Image.Image:
    """CMYK without a profile: ``(255 - C) * (255 - K) // 255``, as TensorFlow has it."""
    ink = np.asarray(image)
    rgb = np.empty((*ink.shape[:2], 3), np.uint8)
    for top in range(0, len(ink), _ROWS):
        paper = 255 - ink[top : top + _ROWS].astype(np.uint16)
        rgb[top : top + _ROWS] = paper[:, :, :3] * paper[:, :, 3:] // 255
    return Image.fromarray(rgb)


def _upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undo an EXIF orientation: 5 to 8 swap the axes, then rows and columns are reversed."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
