"""TIFF: the directory of tags (EXIF uses it too), and TIFF files read with only known tags."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass

from PIL import Image, TiffImagePlugin, features

from lesionlite_runtime.errors import MissingHere
from lesionlite_runtime.imagefiles.picture import Picture, check_size, damaged, unsupported

_ORIENTATION = 274
_ICC_PROFILE = 34675
_STRIPS, _TILES = (273, 279), (324, 325)
# What decides pixels, and nothing else: width, height, bits, compression, photometric, fill order,
# samples, rows per strip, planes, predictor, palette, tile size, extra samples, sample format.
_KEPT = (256, 257, 258, 259, 262, 266, 277, 278, 284, 317, 320, 322, 323, 338, 339)

_MAX_VALUE = 4 * 2**20

# none, LZW, deflate, old deflate, PackBits
_COMPRESSIONS = (1, 5, 8, 32946, 32773)

# photometric interpretation -> bits per sample that Pillow reads with the right meaning. Left out:
# 16-bit white-is-zero (Pillow does not invert it), 12-bit (it does not scale it).
_BITS = {0: (1, 2, 4, 8), 1: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 5: (8, 16)}

# TIFF's numeric types -> (bytes, struct code); the codes are given for the unsigned integers only
_TYPES = {1: (1, "B"), 2: (1, ""), 3: (2, "H"), 4: (4, "I"), 5: (8, ""), 6: (1, ""), 7: (1, "")}
_TYPES |= {8: (2, ""), 9: (4, ""), 10: (8, ""), 11: (4, ""), 12: (8, "")}


@dataclass(frozen=True)
class _Entry:
    kind: int
    count: int
    at: int

    @property
    def size(self) -> int:
        return _TYPES.get(self.kind, (0, ""))[0] * self.count


class _Directory:
    """The first directory of a TIFF; values are cut out only when asked for."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4], "")
        if not self.order:
            raise ValueError("no TIFF header")
        start = self._unpack("I", 4)[0]
        self.entries: dict[int, _Entry] = {}
        for place in range(start + 2, start + 2 + 12 * self._unpack("H", start)[0], 12):
            tag, kind, count = self._unpack("HHI", place)
            entry = _Entry(kind, count, place + 8)
            if entry.size > 4:
                entry = _Entry(kind, count, self._unpack("I", place + 8)[0])
            self.entries.setdefault(tag, entry)

    def _unpack(self, codes: str, at: int) -> tuple[int, ...]:
        return struct.unpack_from(self.order + codes, self.data, at)

    def raw(self, tag: int) -> bytes:
        """The bytes of a value; empty where the tag is absent."""
        entry = self.entries.get(tag)
        if entry is None:
            return b""
        value = self.data[entry.at : entry.at + min(entry.size, _MAX_VALUE)]
        if len(value) < entry.size:
            raise ValueError(f"tag {tag} is too long or reaches beyond the end")
        return value

    def numbers(self, tag: int, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """The unsigned integers of a value; ``default`` where the tag is absent."""
        entry = self.entries.get(tag)
        if entry is None:
            return default
        code = _TYPES.get(entry.kind, (0, ""))[1]
        if not code or not entry.count:
            raise ValueError(f"tag {tag} holds no whole numbers")
        return struct.unpack(f"{self.order}{entry.count}{code}", self.raw(tag))

    def number(self, tag: int, default: int = -1) -> int:
        """The first of ``numbers``; a tag without a default has to be there."""
        value = self.numbers(tag, (default,))[0]
        if value < 0:
            raise ValueError(f"tag {tag} is missing")
        return value


def exif_orientation(exif: bytes | None) -> int:
    """The orientation, 1 to 8, that an EXIF block states in its first directory.

    Anything else (no block, a damaged one, a value out of range) is 1: as stored.
    """
    if not exif:
        return 1
    try:
        value = _Directory(exif.removeprefix(b"Exif\0\0")).numbers(_ORIENTATION, (1,))
    except (ValueError, struct.error):
        return 1
    return value[0] if len(value) == 1 and 1 <= value[0] <= 8 else 1


def open_tiff(data: bytes, max_pixels: int) -> Picture:
    """Decode the first page of a TIFF: 1 to 16 bits, grey, palette, RGB or CMYK, with alpha.

    Pillow and libtiff get a rebuilt file with the tags that decide pixels: so no other tag can
    raise, warn or reach a parser, and a strip that is not there is noticed here.
    """
    if data[2:4] in (b"\x2b\0", b"\0\x2b"):
        raise unsupported("BigTIFF")
    try:
        directory = _Directory(data)
        width, height = directory.number(256), directory.number(257)
        check_size(width, height, max_pixels)
        _check_kind(directory)
        rebuilt = _rebuild(directory, _segments(directory))
        icc = directory.raw(_ICC_PROFILE) or None
    except (ValueError, struct.error) as error:
        raise damaged("its directory is broken") from error
    image = TiffImagePlugin.TiffImageFile(io.BytesIO(rebuilt))
    # With memory of its own the plugin does not ask for Pillow's size limit, which would warn
    image.im = Image.new(image.mode, image.size, None).im
    image.load()
    return Picture(image, icc, exif_orientation(data))


def _check_kind(directory: _Directory) -> None:
    compression = directory.number(259, 1)
    if compression not in _COMPRESSIONS:
        raise unsupported(f"TIFF compression {compression}")
    if compression != 1 and not features.check("libtiff"):
        raise MissingHere("Pillow was built without libtiff", "install Pillow's wheel from PyPI")
    photometric, bits = directory.number(262), set(directory.numbers(258, (1,)))
    formats = set(directory.numbers(339, (1,)))
    if len(bits) != 1 or not bits <= set(_BITS.get(photometric, ())) or formats != {1}:
        raise unsupported(
            f"TIFF with photometric {photometric}, bits {sorted(bits)}, format {sorted(formats)}"
        )


def _segments(directory: _Directory) -> list[bytes]:
    """The strips or tiles, each of them there and, where uncompressed, long enough."""
    width, height = directory.number(256), directory.number(257)
    samples, bits = directory.number(277, 1), directory.number(258, 1)
    planes = samples if directory.number(284, 1) == 2 else 1
    if 322 in directory.entries:
        across, down = directory.number(322), directory.number(323)
        tags = _TILES
    else:
        across, down = width, min(directory.number(278, height), height)
        tags = _STRIPS
    offsets, counts = directory.numbers(tags[0]), directory.numbers(tags[1])
    if not across * down * samples or len(offsets) != len(counts):
        raise ValueError("no layout")
    if sum(counts) > len(directory.data):
        raise ValueError("strips overlap")  # a small file could unfold to any size
    columns, rows = -(-width // across), -(-height // down)
    if len(offsets) != columns * rows * planes:
        raise ValueError("strips are missing")
    row_bytes = -(-across * (samples // planes) * bits // 8)
    segments = []
    for number, (offset, count) in enumerate(zip(offsets, counts, strict=True)):
        lines = down if tags == _TILES else min(down, height - number % rows * down)
        needed = row_bytes * lines if directory.number(259, 1) == 1 else 1
        segment = directory.data[offset : offset + count]
        if len(segment) < max(count, needed):
            raise ValueError("a strip is cut short")
        segments.append(segment)
    return segments


def _rebuild(directory: _Directory, segments: list[bytes]) -> bytes:
    """A TIFF in the same byte order: header, segments, directory, long values."""
    order = directory.order
    offsets, at = [], 8
    for segment in segments:
        offsets.append(at)
        at += len(segment)
    padding = b"\0" * (at % 2)
    at += len(padding)
    counts = [len(segment) for segment in segments]
    values = {
        tag: (directory.entries[tag], directory.raw(tag))
        for tag in _KEPT
        if tag in directory.entries
    }
    tags = _TILES if 322 in directory.entries else _STRIPS
    for tag, numbers in zip(tags, (offsets, counts), strict=True):
        packed = struct.pack(f"{order}{len(numbers)}I", *numbers)
        values[tag] = (_Entry(4, len(numbers), 0), packed)
    beyond = at + 2 + 12 * len(values) + 4
    entries, long_values = [struct.pack(order + "H", len(values))], []
    for tag, (entry, value) in sorted(values.items()):
        entries.append(struct.pack(order + "HHI", tag, entry.kind, entry.count))
        if len(value) <= 4:
            entries.append(value.ljust(4, b"\0"))
        else:
            entries.append(struct.pack(order + "I", beyond))
            long_values.append(value + b"\0" * (len(value) % 2))
            beyond += len(long_values[-1])
    header = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", at)
    return b"".join([header, *segments, padding, *entries, bytes(4), *long_values])
