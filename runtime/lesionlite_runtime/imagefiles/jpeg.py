"""JPEG: the segments that decide pixels are handed to libjpeg, and a part of a photo is refused."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field

from PIL import JpegImagePlugin

from lesionlite_runtime.imagefiles.picture import Picture, check_size, damaged, unsupported
from lesionlite_runtime.imagefiles.tiff import exif_orientation

_SOI, _EOI, _SOS, _DRI = 0xD8, 0xD9, 0xDA, 0xDD
_APP0, _APP1, _APP2, _APP14 = 0xE0, 0xE1, 0xE2, 0xEE
_FRAMES = {0xC0, 0xC1, 0xC2}  # Huffman: baseline, extended, progressive
_OTHER_FRAMES = {0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
_KEPT = {0xDB, 0xC4, _DRI, _APP0, _APP14, *_FRAMES}  # and scans
_ALONE = {0x00, 0x01, *range(0xD0, 0xD8)}  # markers without a segment, skipped as libjpeg does

# What ends the coded data of a scan: any marker, but a restart marker only where none is expected
_ENDS_RESTARTED = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_ENDS_PLAIN = re.compile(rb"\xff[^\x00\xff]")
_MARKER = re.compile(rb"\xff[^\xff]")

# Stands in for the end of a baseline scan. libjpeg invents grey blocks when it meets a marker too
# early, but waits for more when bytes run out, which Pillow reports; these 64 one-bits let its look
# ahead pass the last real bit, and are no valid code, so that they cannot replace lost data.
_LOOK_AHEAD = b"\xff\x00" * 8


@dataclass
class _Jpeg:
    """What the walk over a file has found so far."""

    width: int = 0
    height: int = 0
    progressive: bool = False
    adobe: bool = False
    restart: bool = False
    exif: bytes | None = None
    icc: dict[int, bytes] = field(default_factory=dict)
    icc_total: int = 0
    # component -> for each of its 64 coefficients the lowest bit that came (64: none came)
    missing: dict[int, list[int]] = field(default_factory=dict)
    stream: list[bytes] = field(default_factory=list)
    whole_scan: bool = False  # the first scan holds all there is, so that it can be decoded alone


def open_jpeg(data: bytes, max_pixels: int) -> Picture:
    """Decode a JPEG, or the first image of a phone's MPO; no scaled decoding.

    Pillow refuses a file that stops within a scan, but not one that stops and has an end marker
    behind it, or zeros instead of its second half. So the file has to have its end marker, all
    scans of all components, and a baseline scan has to have all its data.
    """
    jpeg = _walk(data, max_pixels)
    jpeg.stream.append(_LOOK_AHEAD if jpeg.whole_scan else b"\xff\xd9")
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(b"".join(jpeg.stream)))
    image.load()
    if image.mode == "CMYK" and not jpeg.adobe:
        # Pillow takes every CMYK JPEG for one of Adobe's, which are stored inverted
        inverted = image.point([255 - value for value in range(256)] * 4)
        return Picture(inverted, _profile(jpeg), exif_orientation(jpeg.exif))
    return Picture(image, _profile(jpeg), exif_orientation(jpeg.exif))


def _walk(data: bytes, max_pixels: int) -> _Jpeg:
    jpeg = _Jpeg(stream=[data[:2]])
    at = 2
    while True:
        found = _MARKER.search(data, at)  # passes over junk and fill bytes, as libjpeg does
        if found is None:
            raise damaged("it has no end marker")
        at = found.end()
        marker = data[at - 1]
        if marker == _EOI:
            break
        if marker in _ALONE:
            continue
        if marker == _SOI:
            raise damaged("another image starts before its end marker")
        end = at + int.from_bytes(data[at : at + 2])
        if end < at + 2 or end > len(data):
            raise damaged("a segment reaches beyond its end")
        _segment(jpeg, marker, data[at + 2 : end], max_pixels)
        if marker == _SOS:
            stop = (_ENDS_RESTARTED if jpeg.restart else _ENDS_PLAIN).search(data, end)
            if stop is None:
                raise damaged("it has no end marker")
            end = stop.start()
        if (marker in _KEPT or marker == _SOS) and not jpeg.whole_scan:
            jpeg.stream.append(data[at - 2 : end])
            jpeg.whole_scan = marker == _SOS and not jpeg.progressive and _complete(jpeg)
        at = end
    if not _complete(jpeg):
        raise damaged("scans are missing")
    return jpeg


def _complete(jpeg: _Jpeg) -> bool:
    return bool(jpeg.missing) and not any(any(bits) for bits in jpeg.missing.values())


def _segment(jpeg: _Jpeg, marker: int, body: bytes, max_pixels: int) -> None:
    if marker in _FRAMES:
        if jpeg.missing or len(body) < 6 or len(body) < 6 + 3 * body[5]:
            raise damaged("its frame header is broken")
        jpeg.height, jpeg.width = int.from_bytes(body[1:3]), int.from_bytes(body[3:5])
        check_size(jpeg.width, jpeg.height, max_pixels)
        jpeg.progressive = marker == 0xC2
        jpeg.missing = {body[6 + 3 * number]: [64] * 64 for number in range(body[5])}
    elif marker in _OTHER_FRAMES:
        raise unsupported("lossless or arithmetic JPEG")
    elif marker == _SOS:
        _scan(jpeg, body)
    elif marker == _DRI:
        jpeg.restart = any(body)
    elif marker == _APP1 and body.startswith(b"Exif\0") and jpeg.exif is None:
        jpeg.exif = body[6:]
    elif marker == _APP2 and body.startswith(b"ICC_PROFILE\0") and len(body) > 14:
        jpeg.icc.setdefault(body[12], body[14:])
        jpeg.icc_total = body[13]
    elif marker == _APP14 and body.startswith(b"Adobe") and len(body) >= 12:
        jpeg.adobe = True


def _scan(jpeg: _Jpeg, body: bytes) -> None:
    """Note which bits of which coefficients the scan brings."""
    count = body[0] if body else 0
    if len(body) < 1 + 2 * count + 3:
        raise damaged("a scan header is broken")
    first, last, low = body[1 + 2 * count], body[2 + 2 * count], body[3 + 2 * count] & 15
    if not jpeg.progressive:
        first, last, low = 0, 63, 0
    for number in range(count):
        bits = jpeg.missing.get(body[1 + 2 * number])
        if bits is None or last > 63:
            raise damaged("a scan header is broken")
        bits[first : last + 1] = [low] * (last + 1 - first)


def _profile(jpeg: _Jpeg) -> bytes | None:
    """The ICC profile from its numbered parts; None unless every part is there."""
    if not jpeg.icc or sorted(jpeg.icc) != list(range(1, jpeg.icc_total + 1)):
        return None
    return b"".join(jpeg.icc[number] for number in sorted(jpeg.icc))
