"""The only way from a file or an array to pixels: training, proof and device all go through here.

docs/pixels.md writes the arithmetic down for a port to another language.
"""

from __future__ import annotations

import hashlib
import os
import stat
from os import PathLike
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from lesionlite_runtime.color import to_rgb
from lesionlite_runtime.errors import LesionliteError, UnusableInput, UsageError
from lesionlite_runtime.imagefiles import open_picture
from lesionlite_runtime.imagefiles.picture import check_size
from lesionlite_runtime.resize import (
    PILLOW_BILINEAR,
    RESIZE_METHODS,
    TF_BILINEAR,
    check_choice,
    check_pixels,
    resize,
    tf_bilinear_float32,
)

__all__ = [
    "FITS",
    "IMAGE_SUFFIXES",
    "MAX_FILE_BYTES",
    "MAX_PIXELS",
    "MIN_SIDE",
    "PILLOW_BILINEAR",
    "RESIZE_METHODS",
    "TF_BILINEAR",
    "ImageSource",
    "decode",
    "image_tensor",
    "pixels_sha256",
    "resize",
    "tf_bilinear_float32",
]

MAX_PIXELS = 100_000_000
# A network would answer for a single pixel stretched to its input as for any photo.
MIN_SIDE = 32
MAX_FILE_BYTES = 512 * 2**20
FITS = ("stretch",)

# Lower case: what a walk over a folder takes for images. A file named outright may have any suffix.
IMAGE_SUFFIXES = (
    ".jpg",
    ".jpeg",
    ".jfif",
    ".mpo",
    ".png",
    ".webp",
    ".bmp",
    ".tif",
    ".tiff",
    ".heic",
    ".heif",
    ".hif",
)

ImageSource: TypeAlias = (
    str | PathLike[str] | bytes | bytearray | memoryview | BinaryIO | NDArray[np.uint8]
)


def decode(source: ImageSource, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Decode an image to upright sRGB.

    Args:
        source: the path of a JPEG (also MPO), PNG, WebP, BMP, TIFF or, with the extra ``heic``,
            HEIC file; or its bytes; or a binary file object, read from where it stands; or pixels,
            uint8 ``[H, W, 3]`` in RGB, which come back as they are.
        max_pixels: refuse an image whose header states more pixels, before decoding it.

    Returns:
        uint8 ``[H, W, 3]``, C-contiguous, read-only. For a JPEG without a colour profile it is bit
        for bit what TensorFlow's ``decode_jpeg(channels=3, dct_method="INTEGER_ACCURATE")`` gives,
        turned upright by its EXIF orientation. docs/pixels.md has every other case.

    Raises:
        UnusableInput: the file is missing, no image, damaged, cut short or too large.
        MissingHere: HEIC without ``pillow-heif``, or Pillow without a library that it needs.
        UsageError: a source of another type, or a wrong ``max_pixels``.
    """
    if isinstance(max_pixels, bool) or not isinstance(max_pixels, int) or max_pixels < 1:
        raise UsageError(f"max_pixels is {max_pixels!r}", "give a whole number of 1 or more")
    if isinstance(source, np.ndarray):
        check_pixels(source)
        check_size(source.shape[1], source.shape[0], max_pixels)
        return np.ascontiguousarray(source)
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise UsageError(
            "PIL.ImageFile.LOAD_TRUNCATED_IMAGES is set, which makes up the rest of a cut photo",
            "leave it False",
        )
    data, name = _read(source)
    try:
        return to_rgb(open_picture(data, max_pixels))
    except LesionliteError as error:
        raise type(error)(error.problem, error.remedy, name) from error
    except MemoryError as error:
        raise UnusableInput(
            "there is not enough memory to decode the image", "scale it down first", name
        ) from error
    except Image.DecompressionBombError as error:  # the WebP plugin asks for Pillow's own limit
        raise UnusableInput(
            "the image has more pixels than PIL.Image.MAX_IMAGE_PIXELS allows",
            "scale it down first",
            name,
        ) from error
    except Exception as error:
        # Pillow raises a dozen types for damaged data, SyntaxError and struct.error among them
        raise UnusableInput(
            "the image is damaged or of a kind that is not read",
            "save it again as JPEG or PNG",
            name,
        ) from error


def image_tensor(
    source: ImageSource,
    height: int,
    width: int,
    method: str = PILLOW_BILINEAR,
    fit: str = "stretch",
) -> NDArray[np.uint8]:
    """Decode and resize: the pixels that a network gets, less the batch axis.

    Args:
        source: as for ``decode``.
        height: rows wanted, 1 or more.
        width: columns wanted, 1 or more.
        method: one of ``RESIZE_METHODS``.
        fit: one of ``FITS``; ``stretch`` maps the whole frame and does not keep its proportions.

    Returns:
        uint8 ``[height, width, 3]``, C-contiguous.

    Raises:
        LesionliteError: as for ``decode`` and ``resize``; ``UsageError`` for an unknown ``fit``;
            ``UnusableInput`` for an image with a side below ``MIN_SIDE``.
    """
    check_choice("resize method", method, RESIZE_METHODS)
    check_choice("fit", fit, FITS)
    pixels = decode(source)
    name = os.fspath(source) if isinstance(source, str | PathLike) else None
    if min(pixels.shape[:2]) < MIN_SIDE:
        raise UnusableInput(
            f"the image has {pixels.shape[1]} x {pixels.shape[0]} pixels, too few to decide on",
            f"pass a photo of {MIN_SIDE} pixels a side at least",
            name,
        )
    try:
        return resize(pixels, height, width, method)
    except MemoryError as error:
        raise UnusableInput(
            "there is not enough memory to resize the image", "scale it down first", name
        ) from error


def pixels_sha256(pixels: NDArray[np.uint8]) -> str:
    """The lower-case hex SHA-256 of pixels, row by row; equal pixels of equal shape are one image.

    Args:
        pixels: uint8 ``[H, W, 3]``; the shape itself is not hashed.

    Raises:
        UsageError: an array of another shape or type.
    """
    check_pixels(pixels)
    return hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest()


def _read(source: object) -> tuple[bytes, str | None]:
    """The bytes of a source and the name that an error about it bears."""
    if isinstance(source, bytes | bytearray | memoryview):
        name, data = None, bytes(source)
    elif isinstance(source, str | PathLike):
        name = os.fsdecode(source)
        data = _read_file(name)
    elif hasattr(source, "read"):
        label = getattr(source, "name", None)
        name = label if isinstance(label, str) else None
        try:
            data = source.read(MAX_FILE_BYTES + 1)
        except (OSError, ValueError) as error:
            raise UnusableInput("it cannot be read", "check the source", name) from error
        if not isinstance(data, bytes):
            raise UsageError("the file object gives no bytes", "open it in binary mode", name)
    else:
        raise UsageError(
            f"an image cannot be read from {type(source).__name__}",
            "give a path, bytes, a binary file object or a uint8 array",
        )
    if not data:
        raise UnusableInput("it is empty", "copy the file or take the photo again", name)
    if len(data) > MAX_FILE_BYTES:
        raise _too_long(name)
    return data, name


def _read_file(name: str) -> bytes:
    path = Path(name)
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise UnusableInput("this is a folder", "name the images in it", name)
        if not stat.S_ISREG(status.st_mode):
            # a pipe or a device could block or never end
            raise UnusableInput("this is no regular file", "save the image to a file first", name)
        if status.st_size > MAX_FILE_BYTES:
            raise _too_long(name)
        return path.read_bytes()
    except MemoryError as error:
        raise UnusableInput(
            "there is not enough memory to read it", "scale the image down first", name
        ) from error
    except FileNotFoundError as error:
        raise UnusableInput("there is no such file", "check the path", name) from error
    except PermissionError as error:
        raise UnusableInput("reading it is not permitted", "check its rights", name) from error
    except (OSError, ValueError) as error:  # ValueError: a path with a null character
        raise UnusableInput("it cannot be read", "check the path and the disk", name) from error


def _too_long(name: str | None) -> UnusableInput:
    return UnusableInput(
        f"the file has more than {MAX_FILE_BYTES // 2**20} MiB", "save it as JPEG or PNG", name
    )
