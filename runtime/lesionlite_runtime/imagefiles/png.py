"""PNG: every checksum and every row is looked for, and Pillow gets the chunks of the pixels."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass, field

from PIL import PngImagePlugin

from lesionlite_runtime.imagefiles.picture import Picture, check_size, damaged, unsupported
from lesionlite_runtime.imagefiles.tiff import exif_orientation

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MAX_PROFILE = 4 * 2**20

# color type -> samples per pixel, bit depths
_KINDS = {0: (1, (1, 2, 4, 8, 16)), 2: (3, (8, 16)), 3: (1, (1, 2, 4, 8)), 4: (2, (8, 16))}
_KINDS |= {6: (4, (8, 16))}

# first column, first row, column step, row step of the seven passes of an interlaced image
_INTERLACED = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
_PLAIN = ((0, 0, 1, 1),)


@dataclass
class _Png:
    width: int = 0
    height: int = 0
    depth: int = 0
    color: int = 0
    interlaced: bool = False
    icc: bytes | None = None
    exif: bytes | None = None
    clear: tuple[int, ...] | None = None
    stream: list[bytes] = field(default_factory=list)  # whole chunks, for Pillow
    coded: list[bytes] = field(default_factory=list)  # the bodies of IDAT


def open_png(data: bytes, max_pixels: int) -> Picture:
    """Decode a PNG; of an animated one the still image that every PNG has."""
    png = _walk(data, max_pixels)
    _check_rows(png)
    image = PngImagePlugin.PngImageFile(io.BytesIO(b"".join([SIGNATURE, *png.stream])))
    image.load()
    return Picture(image, png.icc, exif_orientation(png.exif), png.clear)


def _walk(data: bytes, max_pixels: int) -> _Png:
    png = _Png()
    at = len(SIGNATURE)
    while True:
        length = int.from_bytes(data[at : at + 4])
        end = at + 12 + length
        if end > len(data):
            raise damaged("it ends within a chunk")
        kind, body = data[at + 4 : at + 8], data[at + 8 : end - 4]
        if zlib.crc32(data[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end]):
            raise damaged("a checksum is wrong")
        if not png.width and kind != b"IHDR":
            raise damaged("it has no header")
        if kind == b"IHDR":
            _header(png, body, max_pixels)
        elif kind == b"iCCP":
            png.icc = _profile(body)
        elif kind == b"eXIf":
            png.exif = body
        elif kind == b"tRNS" and png.color != 3:
            png.clear = _clear(png, body)
        elif kind == b"IDAT":
            png.coded.append(body)
        elif kind not in (b"PLTE", b"tRNS", b"IEND") and kind[:1].isupper():
            raise unsupported(f"PNG with the chunk {kind!r}")
        if kind in (b"IHDR", b"PLTE", b"IDAT", b"IEND") or (kind == b"tRNS" and png.color == 3):
            png.stream.append(data[at:end])
        if kind == b"IEND":
            return png
        at = end


def _header(png: _Png, body: bytes, max_pixels: int) -> None:
    if len(body) != 13 or png.width:
        raise damaged("its header is broken")
    png.width, png.height, png.depth, png.color, *rest = struct.unpack(">IIBBBBB", body)
    check_size(png.width, png.height, max_pixels)
    if png.depth not in _KINDS.get(png.color, (0, ()))[1] or rest not in ([0, 0, 0], [0, 0, 1]):
        raise damaged("its header is broken")
    png.interlaced = rest == [0, 0, 1]


def _check_rows(png: _Png) -> None:
    """Refuse an image whose coded data ends before its last row: Pillow would show it black."""
    samples, _ = _KINDS[png.color]
    needed = 0
    for column, row, across, down in _INTERLACED if png.interlaced else _PLAIN:
        columns, rows = -(-(png.width - column) // across), -(-(png.height - row) // down)
        if columns > 0 and rows > 0:
            needed += rows * (1 + -(-columns * samples * png.depth // 8))
    inflate = zlib.decompressobj()
    for part in png.coded:
        while part and needed > 0:
            needed -= len(inflate.decompress(part, 2**20))
            part = inflate.unconsumed_tail  # noqa: PLW2901
    if needed > 0:
        raise damaged("it ends before its last row")


def _clear(png: _Png, body: bytes) -> tuple[int, ...]:
    """The transparent value in the samples that Pillow decodes to (small depths are widened)."""
    if png.depth == 16:
        raise unsupported("16-bit PNG with a transparent colour")
    if len(body) != 2 * _KINDS[png.color][0] or png.color > 3:
        raise damaged("its transparent colour is broken")
    top = 2**png.depth - 1
    return tuple(value * 255 // top for value in struct.unpack(f">{len(body) // 2}H", body))


def _profile(body: bytes) -> bytes | None:
    """The ICC profile; None where it does not inflate to a whole one of sane size."""
    inflate = zlib.decompressobj()
    try:
        profile = inflate.decompress(body[body.find(b"\0") + 2 :], _MAX_PROFILE)
    except zlib.error:
        return None
    return profile if inflate.eof else None
