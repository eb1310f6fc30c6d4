"""Image files of the kinds that ports read wrongly; equal pixels give equal bytes."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lesionlite_runtime.imagefiles.png import SIGNATURE

NOTE = b"synthetic drawing by lesionlite, no photograph"
# sRGB's primaries, adapted to the profile's own white (D50), with red and blue exchanged.
_COLUMNS = {
    b"rXYZ": (0.14307, 0.06061, 0.71410),
    b"gXYZ": (0.38515, 0.71687, 0.09708),
    b"bXYZ": (0.43607, 0.22249, 0.01392),
    b"wtpt": (0.96420, 1.0, 0.82491),
}
_GAMMA = b"curv" + bytes(4) + struct.pack(">IH", 1, round(2.2 * 256))
_UP = 2  # PNG's filter: each byte less the one above it
_UNTURNED = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}


def jpeg(
    pixels: NDArray[np.uint8],
    *,
    mode: str = "RGB",
    orientation: int = 1,
    subsampled: bool = False,
    progressive: bool = False,
) -> bytes:
    """A JPEG of quality 90.

    Args:
        pixels: uint8 ``[h, w, 3]``, RGB and upright; ``[h, w, 4]`` of ``CMYK``, 255 for full ink.
        mode: ``RGB``, ``L`` (grey, of the luma) or ``CMYK``.
        orientation: EXIF's; the pixels are stored so that it turns them upright.
        subsampled: chroma at half the resolution (4:2:0), in place of 4:4:4.
        progressive: several scans.
    """
    options: dict[str, Any] = {"exif": exif(orientation)} if orientation != 1 else {}
    if mode == "RGB":
        options["subsampling"] = 2 if subsampled else 0
    image = Image.fromarray(stored(pixels, orientation), "CMYK" if mode == "CMYK" else None)
    stream = io.BytesIO()
    image.convert(mode).save(
        stream, "JPEG", quality=90, comment=NOTE, progressive=progressive, **options
    )
    return stream.getvalue()


def png(
    samples: NDArray[np.uint8] | NDArray[np.uint16],
    *,
    orientation: int = 1,
    icc: bytes | None = None,
) -> bytes:
    """A PNG of 8 or 16 bits a sample: grey ``[h, w]``, RGB ``[h, w, 3]`` or RGBA ``[h, w, 4]``.

    Pillow writes no 16-bit colour, hence this writer. ``samples`` are upright; they are stored so
    that ``orientation`` (in ``eXIf``) turns them so.
    """
    kept = stored(samples, orientation)
    height, width = kept.shape[:2]
    channels = 1 if kept.ndim == 2 else kept.shape[2]
    color = {1: 0, 3: 2, 4: 6}[channels]
    rows = np.ascontiguousarray(kept.astype(kept.dtype.newbyteorder(">")))
    data = np.frombuffer(rows.tobytes(), np.uint8).reshape(height, -1)
    above = np.vstack([np.zeros_like(data[:1]), data[:-1]])
    filtered = np.full((height, data.shape[1] + 1), _UP, np.uint8)
    filtered[:, 1:] = data - above
    header = struct.pack(">IIBBBBB", width, height, 8 * kept.dtype.itemsize, color, 0, 0, 0)
    chunks = [_chunk(b"IHDR", header)]
    if icc is not None:
        chunks.append(_chunk(b"iCCP", b"drawn\0\0" + zlib.compress(icc, 9)))
    if orientation != 1:
        chunks.append(_chunk(b"eXIf", exif(orientation).removeprefix(b"Exif\0\0")))
    chunks += [
        _chunk(b"tEXt", b"Comment\0" + NOTE),
        _chunk(b"IDAT", zlib.compress(filtered.tobytes(), 9)),
        _chunk(b"IEND", b""),
    ]
    return SIGNATURE + b"".join(chunks)


def palette_png(pixels: NDArray[np.uint8], colors: int = 64) -> bytes:
    """A PNG of ``colors`` colours in a palette, the nearest to ``pixels``, uint8 ``[h, w, 3]``."""
    image = Image.fromarray(pixels).quantize(colors, dither=Image.Dither.NONE)
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def exif(orientation: int) -> bytes:
    """An EXIF block that holds an orientation, 1 to 8, and nothing else."""
    entry = struct.pack(">HHIHH", 274, 3, 1, orientation, 0)
    return b"Exif\0\0MM\0*" + struct.pack(">IH", 8, 1) + entry + bytes(4)


def stored(samples: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Samples ``[h, w, ...]`` as they lie in a file whose ``orientation`` turns them upright."""
    return turned(samples, _UNTURNED[orientation])


def turned(samples: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Samples ``[h, w, ...]`` turned upright by an EXIF orientation, as docs/pixels.md has it."""
    if orientation >= 5:
        samples = samples.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    return np.ascontiguousarray(samples)


def inks(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGB ``[h, w, 3]`` as inks ``[h, w, 4]``, 255 for full: black takes most of what it can."""
    black = (255 - pixels.max(axis=2).astype(np.int64)) * 3 // 4
    left = 255 - black
    colors = 255 - np.minimum(pixels.astype(np.int64) * 255 // left[..., None], 255)
    return np.dstack([colors, black]).astype(np.uint8)


def swapped_profile() -> bytes:
    """An ICC profile, a matrix and a curve, by which red samples mean blue, and blue ones red.

    Whoever applies it sees the colours that were drawn, and nobody else does.
    """
    tags = {name: b"XYZ " + bytes(4) + _fixed(values) for name, values in _COLUMNS.items()}
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _GAMMA)
    at = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, value in tags.items():
        table += struct.pack(">4sII", name, at + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    head = struct.pack(
        ">I4xI4s4s4s12x4s", at + len(body), 0x02200000, b"mntr", b"RGB ", b"XYZ ", b"acsp"
    )
    white = _fixed(_COLUMNS[b"wtpt"])
    return head.ljust(68, b"\0") + white.ljust(60, b"\0") + table + body


def _fixed(values: tuple[float, ...]) -> bytes:
    return struct.pack(">3i", *(round(value * 65536) for value in values))


def _chunk(kind: bytes, body: bytes) -> bytes:
    check = zlib.crc32(kind + body)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)
