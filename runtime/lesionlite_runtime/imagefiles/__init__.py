"""From the bytes of a file to a decoded picture: one format is recognised, one decoder is run.

Each format's own plugin class is called, never ``PIL.Image.open``: no other plugin sees the bytes,
and Pillow's process-wide size limit with its warnings does not take part.
"""

from __future__ import annotations

import io
from collections.abc import Callable

from PIL import BmpImagePlugin, WebPImagePlugin, features

from lesionlite_runtime.errors import MissingHere, UnusableInput
from lesionlite_runtime.imagefiles.jpeg import open_jpeg
from lesionlite_runtime.imagefiles.picture import Picture, check_size, unsupported
from lesionlite_runtime.imagefiles.png import SIGNATURE, open_png
from lesionlite_runtime.imagefiles.tiff import exif_orientation, open_tiff

_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1"}
_AVIF_BRANDS = {b"avif", b"avis"}


def open_picture(data: bytes, max_pixels: int) -> Picture:
    """Decode an image file's bytes.

    Args:
        data: the whole file.
        max_pixels: refuse an image whose header states more pixels.

    Returns:
        The decoded picture, not yet turned upright, its colours as stored.

    Raises:
        UnusableInput: not an image of a supported kind, too large, or not whole. Pillow's own
            exceptions for damaged data come through as they are.
        MissingHere: HEIC without ``pillow-heif``, or WebP without libwebp.
    """
    for start, opener in _OPENERS:
        if data.startswith(start):
            return opener(data, max_pixels)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _open_webp(data, max_pixels)
    if data[4:8] == b"ftyp":
        return _open_iso_media(data, max_pixels)
    raise UnusableInput(
        "this is no JPEG, PNG, WebP, BMP, TIFF or HEIC image", "save the image as JPEG or PNG"
    )


def _open_bmp(data: bytes, max_pixels: int) -> Picture:
    image = BmpImagePlugin.BmpImageFile(io.BytesIO(data))
    check_size(image.width, image.height, max_pixels)
    image.load()
    return Picture(image)


def _open_webp(data: bytes, max_pixels: int) -> Picture:
    if not features.check("webp"):
        raise MissingHere("Pillow was built without WebP", "install Pillow's wheel from PyPI")
    # libwebp takes memory for the whole canvas when it opens a file: so the size is read here
    if data[12:16] == b"VP8X":
        width, height = (1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
    elif data[12:16] == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        width, height = (1 + (bits >> shift) % 2**14 for shift in (0, 14))
    else:
        width, height = (int.from_bytes(data[at : at + 2], "little") % 2**14 for at in (26, 28))
    check_size(width, height, max_pixels)
    image = WebPImagePlugin.WebPImageFile(io.BytesIO(data))
    image.load()
    return Picture(image, image.info.get("icc_profile"), exif_orientation(image.info.get("exif")))


def _open_iso_media(data: bytes, max_pixels: int) -> Picture:
    length = min(int.from_bytes(data[:4]), 256)
    brands = {data[at : at + 4] for at in (8, *range(16, length, 4))}
    if not brands & _HEIC_BRANDS or brands & _AVIF_BRANDS:
        raise unsupported("AVIF" if brands & _AVIF_BRANDS else "video")
    try:
        import pillow_heif
    except ImportError as error:
        raise MissingHere(
            "reading HEIC needs the package pillow-heif",
            "pip install 'lesionlite[heic]', or save the photo as JPEG",
        ) from error
    heif = pillow_heif.open_heif(io.BytesIO(data))
    width, height = heif.size
    check_size(width, height, max_pixels)
    image = heif.to_pillow()
    # libheif has turned the image already
    return Picture(image, image.info.get("icc_profile"))


_OPENERS: tuple[tuple[bytes, Callable[[bytes, int], Picture]], ...] = (
    (b"\xff\xd8\xff", open_jpeg),
    (SIGNATURE, open_png),
    (b"II*\0", open_tiff),
    (b"MM\0*", open_tiff),
    (b"II+\0", open_tiff),
    (b"MM\0+", open_tiff),
    (b"BM", _open_bmp),
)
